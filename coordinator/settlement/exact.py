"""The steps that energy, prices and money come in, and arithmetic that never rounds unnoticed."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation

ENERGY_STEP_KWH = Decimal("1e-9")
"""Energies are settled in whole multiples of this: 1 µWh, far below what a meter resolves."""

PRICE_STEP_EUR_PER_KWH = Decimal("1e-9")
"""Prices are settled in whole multiples of this; half the local fee in multiples of half of it."""

AMOUNT_STEP_EUR = Decimal("1e-18")
"""Energy times price comes in whole multiples of this."""

CENT_EUR = Decimal("0.01")

EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
"""Money is never rounded unnoticed: an inexact operation is an error."""


def energy_steps(energy_kwh: Decimal) -> int:
    """Energy in whole steps.

    Raises:
        ValueError: it is no multiple of ``ENERGY_STEP_KWH``.
    """
    steps = energy_kwh / ENERGY_STEP_KWH
    if steps != steps.to_integral_value():
        raise ValueError(f"{energy_kwh} kWh is not a multiple of {ENERGY_STEP_KWH} kWh")
    return int(steps)

"""From a price signal to the prices of a planning problem."""

from __future__ import annotations

import numpy as np

from agents.planning.tariff import FloatArray, Hinge
from runtime.protocol.bodies import PriceSignal

STEP_PRICE_EUR_PER_KWH = 10.0
"""Price on leaving the step limit: above any tariff, so that a plan only leaves it where it has to."""


def hinges_of(signal: PriceSignal, last_net_kwh: FloatArray | None) -> tuple[Hinge, ...]:
    """Changes of price that a signal tells, and those that hold the position within the step limit.

    Args:
        signal: the price signal.
        last_net_kwh: the member's last position, shape (slots,), import > 0 [kWh]; None before there is one.

    Returns:
        Hinges on the net energy.
    """
    hinges = [
        Hinge(
            np.array(step.threshold_kwh), np.array(step.above_eur_per_kwh), np.array(step.below_eur_per_kwh)
        )
        for step in signal.steps
    ]
    if signal.step_limit_kwh is not None and last_net_kwh is not None:
        nothing = np.zeros(last_net_kwh.size)
        steep = np.full(last_net_kwh.size, STEP_PRICE_EUR_PER_KWH)
        hinges.append(Hinge(last_net_kwh + signal.step_limit_kwh, steep, nothing))
        hinges.append(Hinge(last_net_kwh - signal.step_limit_kwh, nothing, steep))
    return tuple(hinges)

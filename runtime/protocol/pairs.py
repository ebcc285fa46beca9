"""Signed net energy inside, non-negative pairs in messages and files."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENERGY_DECIMALS = 9
"""Energies are told to 1 µWh."""

_UNITS_PER_KWH = 10.0**ENERGY_DECIMALS
_CERTAIN_KWH = 4096.0
_CERTAIN_PART = 0.5 - 2.0**-11


def pair_of_net(net_kwh: Array) -> tuple[list[float], list[float]]:
    """Import and export (both not negative) of a signed net energy per slot, import > 0 [kWh]."""
    told = rounded(net_kwh)
    imports = [energy_kwh if energy_kwh > 0 else 0.0 for energy_kwh in told]
    return imports, [-energy_kwh if energy_kwh < 0 else 0.0 for energy_kwh in told]


def rounded(energies_kwh: Array) -> list[float]:
    """What Python's ``round`` makes of each energy at ``ENERGY_DECIMALS`` decimals, in less time.

    numpy's own rounding is a decimal off where energies are large, or just beside the middle between two
    decimals. Up to ``_CERTAIN_KWH`` the product with ``_UNITS_PER_KWH`` is off by 2**-12 at most: farther
    than that from a middle the nearest whole number is the right one, and dividing it rounds correctly.
    Python does the others.
    """
    units = energies_kwh * _UNITS_PER_KWH
    whole = np.rint(units)
    certain = (
        np.maximum.reduce(np.abs(units - whole), initial=0.0) < _CERTAIN_PART
        and np.maximum.reduce(np.abs(whole), initial=0.0) < _CERTAIN_KWH * _UNITS_PER_KWH
    )
    if certain:
        exact: list[float] = (whole / _UNITS_PER_KWH).tolist()
        return exact
    return [round(energy_kwh, ENERGY_DECIMALS) for energy_kwh in energies_kwh.tolist()]


def net_of_pair(grid_import_kwh: list[float], grid_export_kwh: list[float]) -> Array:
    """Signed net energy per slot, import > 0, of a pair of import and export [kWh]."""
    net_kwh: Array = np.array(grid_import_kwh, dtype=np.float64) - np.array(grid_export_kwh, dtype=np.float64)
    return net_kwh


def exact_pair_of_net(net_kwh: float) -> tuple[Decimal, Decimal]:
    """Import and export of one slot as exact decimals [kWh]."""
    told = Decimal(repr(round(net_kwh, ENERGY_DECIMALS))).quantize(Decimal(1).scaleb(-ENERGY_DECIMALS))
    zero = Decimal(0)
    return (told, zero) if told > 0 else (zero, -told if told < 0 else zero)

"""Signed net energy inside, non-negative pairs in messages and files."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENERGY_DECIMALS = 9
"""Energies are told to 1 µWh."""


def pair_of_net(net_kwh: Array) -> tuple[list[float], list[float]]:
    """Import and export (both not negative) of a signed net energy per slot, import > 0 [kWh]."""
    # Python's round, not numpy's: that one is a decimal off where energies are large.
    told = [round(energy_kwh, ENERGY_DECIMALS) for energy_kwh in net_kwh.tolist()]
    imports = [energy_kwh if energy_kwh > 0 else 0.0 for energy_kwh in told]
    return imports, [-energy_kwh if energy_kwh < 0 else 0.0 for energy_kwh in told]


def net_of_pair(grid_import_kwh: list[float], grid_export_kwh: list[float]) -> Array:
    """Signed net energy per slot, import > 0, of a pair of import and export [kWh]."""
    net_kwh: Array = np.array(grid_import_kwh, dtype=np.float64) - np.array(grid_export_kwh, dtype=np.float64)
    return net_kwh


def exact_pair_of_net(net_kwh: float) -> tuple[Decimal, Decimal]:
    """Import and export of one slot as exact decimals [kWh]."""
    told = Decimal(repr(round(net_kwh, ENERGY_DECIMALS))).quantize(Decimal(1).scaleb(-ENERGY_DECIMALS))
    zero = Decimal(0)
    return (told, zero) if told > 0 else (zero, -told if told < 0 else zero)

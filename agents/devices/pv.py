"""Energy of a photovoltaic array (equation 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.devices import PvArray
from runtime.errors import InputError


def pv_energy_kwh(ghi_w_per_m2: ArrayLike, array: PvArray, slot_hours: float) -> NDArray[np.float64]:
    """Energy that an array yields in each slot.

    Equation 4 of Gabriel, Oulhaj and Dupont (2021), ``A * mu * GHI``, times the slot length: equation 4 alone
    is a power.

    Args:
        ghi_w_per_m2: mean global horizontal irradiance of each slot [W/m²], shape (T,).
        array: surface and efficiency.
        slot_hours: length of a slot [h].

    Returns:
        Energy produced [kWh per slot], shape (T,), never negative.

    Raises:
        InputError: the irradiance is not one row of finite, non-negative numbers, or the slot has no length.
    """
    ghi = np.asarray(ghi_w_per_m2, dtype=np.float64)
    if ghi.ndim != 1:
        raise InputError(f"ghi_w_per_m2: expected one value per slot, found an array of shape {ghi.shape}")
    if not slot_hours > 0:
        raise InputError(f"slot_hours: expected a length above 0, found {slot_hours}")
    bad = np.flatnonzero(~(np.isfinite(ghi) & (ghi >= 0)))
    if bad.size:
        slot = int(bad[0])
        raise InputError(
            f"ghi_w_per_m2, slot {slot}: expected a finite value of at least 0, found {ghi[slot]}"
        )
    return ghi * (array.area_m2 * array.efficiency / 1000.0 * slot_hours)

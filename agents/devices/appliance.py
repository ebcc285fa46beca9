"""Deferrable appliances on arrays: a fixed run of consecutive slots, placed by its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.devices import Appliance

FloatArray = NDArray[np.float64]


def run_kwh(appliance: Appliance, start_slot: int, slots: int) -> FloatArray:
    """Energy drawn in each slot of the horizon by a run [kWh], shape (slots,).

    Raises:
        InputError: a start outside the window, or a run that ends after the horizon.
    """
    if not appliance.earliest_start_slot <= start_slot <= appliance.latest_start_slot:
        raise InputError(
            f"appliance {appliance.name!r}: start: found slot {start_slot}, expected "
            f"{appliance.earliest_start_slot} to {appliance.latest_start_slot}"
        )
    length = len(appliance.energy_kwh)
    if start_slot + length > slots:
        raise InputError(
            f"appliance {appliance.name!r}: start: found slot {start_slot}, expected at most "
            f"{slots - length}, from which its {length} slots end within the horizon"
        )
    drawn = np.zeros(slots)
    drawn[start_slot : start_slot + length] = appliance.energy_kwh
    return drawn


def runs_kwh(appliance: Appliance, slots: int) -> FloatArray:
    """All runs that an appliance's window allows [kWh per slot], shape (S, slots).

    Row s starts in slot ``earliest_start_slot + s``.

    Raises:
        InputError: a run would end after the horizon.
    """
    starts = range(appliance.earliest_start_slot, appliance.latest_start_slot + 1)
    return np.stack([run_kwh(appliance, start, slots) for start in starts])

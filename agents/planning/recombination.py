"""Optimal recombination: the best of all K^T trajectories that candidate levels make, as one child."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.devices.battery import retention
from agents.planning.stages import Stages
from agents.planning.tariff import FloatArray

# A step beyond the power limit costs more than anything a member could spend, yet stays finite in sums.
_ILLEGAL_EUR = 1e12
_LIMIT_TOLERANCE = 1e-10


def best_recombination(stages: Stages, levels_kwh: FloatArray) -> FloatArray:
    """Trajectory of least objective that holds one of its slot's levels at the end of every slot.

    A backward dynamic programme over the levels; exact for any objective that is a sum over slots.

    Args:
        stages: the slots' objectives.
        levels_kwh: candidate levels [kWh], shape (T, K).

    Returns:
        Stored energy [kWh], shape (T,). Where no legal path exists, steps exceed the power limits: repair
        it with :func:`agents.devices.battery.clip_trajectories`.
    """
    slots, count = levels_kwh.shape
    keep = retention(stages.battery)
    before = np.empty_like(levels_kwh)
    before[0] = stages.battery.stored_start_kwh
    before[1:] = levels_kwh[:-1]
    # Axes: slot, level before, level after.
    change = levels_kwh[:, None, :] - keep * before[:, :, None]
    cost = stages.objective_eur(change)
    slack = _LIMIT_TOLERANCE * stages.battery.stored_max_kwh
    illegal = (change > stages.greatest_kwh[0] + slack) | (change < stages.least_kwh[0] - slack)
    cost[illegal] = _ILLEGAL_EUR
    choice: NDArray[np.intp] = np.empty((slots, count), dtype=np.intp)
    cost += stages.standing_eur(levels_kwh)[:, None, :]
    rows = np.arange(count)
    to_go = np.zeros(count)
    for slot in range(slots - 1, -1, -1):
        total = cost[slot]
        total += to_go
        best = total.argmin(axis=1)
        choice[slot] = best
        to_go = total[rows, best]
    path = np.empty(slots)
    level = 0
    for slot in range(slots):
        level = choice[slot, level]
        path[slot] = levels_kwh[slot, level]
    return path

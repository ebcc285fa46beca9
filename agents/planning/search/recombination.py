"""Optimal recombination: the best of all K^T trajectories that candidate levels make, as one child."""

from __future__ import annotations

import numpy as np

from agents.devices.battery import retention
from agents.planning.exact.stages import Bends, Stages
from agents.planning.tariff import FloatArray

# A step beyond the power limit costs more than anything a member could spend, yet stays finite in sums.
_ILLEGAL_EUR = 1e12
_LIMIT_TOLERANCE = 1e-10

_BLOCK_STEPS = 16_000
"""Steps whose costs are worked out together: as many as a processor's cache holds."""


class Recombination:
    """Recombines levels again and again; keeps the arrays it works in, which are large."""

    def __init__(self) -> None:
        self._cost = np.empty((0, 0, 0))
        self._change = self._part = self._cost

    def best(self, stages: Stages, levels_kwh: FloatArray) -> FloatArray:
        """Trajectory of least objective that holds one of its slot's levels at the end of every slot.

        A backward dynamic programme over the levels; exact for any objective that is a sum over slots.

        Args:
            stages: the slots' objectives.
            levels_kwh: candidate levels [kWh], shape (T, K).

        Returns:
            Stored energy [kWh], shape (T,). Where no legal path exists, steps exceed the power limits: repair
            it with :func:`agents.devices.battery.clip_trajectories`.
        """
        cost = self._step_costs_eur(stages, levels_kwh)
        # What a level costs from a slot's end on, added to every step that leads there.
        add, least = np.add, np.minimum.reduce
        to_go = least(cost[-1], axis=0)[:, None]
        for total in cost[-2::-1]:
            to_go = least(add(total, to_go, total), axis=0)[:, None]
        path = []
        level = np.intp(0)
        for total in cost:
            level = total[:, level].argmin()
            path.append(level)
        return levels_kwh[np.arange(len(path)), path]

    def _step_costs_eur(self, stages: Stages, levels_kwh: FloatArray) -> FloatArray:
        """Cost of a step between levels, shape (T, K after, K before), up to a constant of each slot."""
        slots, count = levels_kwh.shape
        if self._cost.shape != (slots, count, count):
            block = min(max(1, _BLOCK_STEPS // count**2), slots)
            self._cost = np.empty((slots, count, count))
            self._change, self._part = np.empty((block, count, count)), np.empty((block, count, count))
        before = np.empty_like(levels_kwh)
        before[0] = stages.battery.stored_start_kwh
        before[1:] = levels_kwh[:-1]
        before *= retention(stages.battery)
        slack = _LIMIT_TOLERANCE * stages.battery.stored_max_kwh
        greatest, least = float(stages.greatest_kwh[0]) + slack, float(stages.least_kwh[0]) - slack
        beyond = np.max(levels_kwh.max(axis=1) - before.min(axis=1)) > greatest
        limited = beyond or np.min(levels_kwh.min(axis=1) - before.max(axis=1)) < least
        bent = stages.problem.weight_eur_per_kwh2.any()
        if bent:
            self._cost[:] = stages.objective_eur(levels_kwh[:, :, None] - before[:, None, :])
        for begin in range(0, slots, len(self._part)):
            some = slice(begin, begin + len(self._part))
            cost = self._cost[some]
            change = self._change[: len(cost)]
            np.subtract(levels_kwh[some, :, None], before[some, None, :], out=change)
            if not bent:
                _fill_piecewise(cost, change, stages.bends(), some, self._part[: len(cost)])
            if limited:
                illegal = change > greatest
                illegal |= change < least
                np.copyto(cost, _ILLEGAL_EUR, where=illegal)
        if stages.problem.wear is not None:
            self._cost += stages.standing_eur(levels_kwh)[:, :, None]
        return self._cost


def _fill_piecewise(
    cost_eur: FloatArray, change_kwh: FloatArray, bends: Bends, slots: slice, part: FloatArray
) -> None:
    """Costs of steps without a proximal term, ``slope y + Σ rise max(y, at)``; the last array is for use."""
    np.multiply(change_kwh, bends.slope_eur_per_kwh[slots, None, None], out=cost_eur)
    for at_kwh, rise in zip(bends.at_kwh[:, slots], bends.rise_eur_per_kwh[:, slots], strict=True):
        np.maximum(change_kwh, at_kwh[:, None, None], out=part)
        part *= rise[:, None, None]
        cost_eur += part

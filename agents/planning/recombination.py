"""Optimal recombination: the best of all K^T trajectories that candidate levels make, as one child."""

from __future__ import annotations

import numpy as np

from agents.devices.battery import retention
from agents.planning.stages import Stages
from agents.planning.tariff import FloatArray

# A step beyond the power limit costs more than anything a member could spend, yet stays finite in sums.
_ILLEGAL_EUR = 1e12
_LIMIT_TOLERANCE = 1e-10


class Recombination:
    """Recombines levels again and again; keeps the arrays it works in, which are large."""

    def __init__(self) -> None:
        self._cost = np.empty((0, 0, 0))
        self._part = self._cost

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
        least = np.minimum.reduce
        to_go = least(cost[-1], axis=0)
        for total in cost[-2::-1]:
            total += to_go[:, None]
            to_go = least(total, axis=0)
        path = np.empty(len(levels_kwh))
        level = 0
        for slot, total in enumerate(cost):
            level = int(total[:, level].argmin())
            path[slot] = levels_kwh[slot, level]
        return path

    def _step_costs_eur(self, stages: Stages, levels_kwh: FloatArray) -> FloatArray:
        """Cost of a step between levels, shape (T, K after, K before), up to a constant of each slot."""
        slots, count = levels_kwh.shape
        if self._cost.shape != (slots, count, count):
            self._cost, self._part = np.empty((slots, count, count)), np.empty((slots, count, count))
        cost, part = self._cost, self._part
        kept = np.empty_like(levels_kwh)
        kept[0] = stages.battery.stored_start_kwh
        kept[1:] = levels_kwh[:-1]
        kept *= retention(stages.battery)
        after, before = levels_kwh[:, :, None], kept[:, None, :]
        standing = stages.standing_eur(levels_kwh)
        if stages.problem.weight_eur_per_kwh2.any():
            np.subtract(after, before, out=part)
            np.add(stages.objective_eur(part), standing[:, :, None], out=cost)
        else:
            # Linear parts belong to one level each; only the bends need every pair.
            bends = stages.bends()
            slope = bends.slope_eur_per_kwh[:, None]
            np.subtract((slope * levels_kwh + standing)[:, :, None], (slope * kept)[:, None, :], out=cost)
            for at_kwh, rise in zip(bends.at_kwh, bends.rise_eur_per_kwh, strict=True):
                np.subtract(after, before + at_kwh[:, None, None], out=part)
                np.maximum(part, 0.0, out=part)
                part *= rise[:, None, None]
                cost += part
        slack = _LIMIT_TOLERANCE * stages.battery.stored_max_kwh
        greatest, least = float(stages.greatest_kwh[0]) + slack, float(stages.least_kwh[0]) - slack
        beyond = np.max(levels_kwh.max(axis=1) - kept.min(axis=1)) > greatest
        if beyond or np.min(levels_kwh.min(axis=1) - kept.max(axis=1)) < least:
            np.subtract(after, before, out=part)
            illegal = part > greatest
            illegal |= part < least
            np.copyto(cost, _ILLEGAL_EUR, where=illegal)
        return cost

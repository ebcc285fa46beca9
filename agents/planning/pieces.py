"""Search over the convex pieces that a non-convex problem falls into.

In each slot the objective is convex on either side of a concave jump. Once every slot's side is chosen, water
values give the optimum exactly; what is left to search is the sides. At the optimum within some sides, and at
its values of stored energy, another side of one slot has a regret: by how much the Lagrangian's minimum in
that slot rises. Weak duality: changing sides changes the optimum by at least the sum of their regrets. So
only sides of negative regret are worth a try, the lowest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.devices.battery import stored_change_kwh
from agents.planning.peak import peak_kw, peak_plan
from agents.planning.stages import Stages
from agents.planning.tariff import FloatArray
from agents.planning.water_values import water_value_plan


@dataclass(frozen=True, slots=True)
class _Crossing:
    """One slot's other side: its limits [kWh] and its regret [EUR]."""

    regret_eur: float
    slot: int
    least_kwh: float
    greatest_kwh: float


class PieceSearch:
    """Solves within pieces, and from an elite's pieces into their neighbours, the most promising first.

    Args:
        stages: the slots' objectives, not all convex.
        lower_kwh: lower envelope [kWh], shape (T,).
    """

    MOST_CAPS = 12

    def __init__(self, stages: Stages, lower_kwh: FloatArray) -> None:
        self.stages = stages
        self.lower_kwh = lower_kwh
        self._elite: FloatArray | None = None
        self._least: FloatArray = stages.least_kwh
        self._greatest: FloatArray = stages.greatest_kwh
        self._crossings: list[_Crossing] = []
        self._untried: list[_Crossing] = []

    def within(self, stored_energy_kwh: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Best trajectory that stays, slot by slot, in the convex piece that a given one lies in.

        Args:
            stored_energy_kwh: a feasible trajectory [kWh], shape (T,).
            rng: decides between two pieces where the trajectory lies on the jump between them.

        Returns:
            Stored energy [kWh], shape (T,), feasible.
        """
        change = stored_change_kwh(stored_energy_kwh, self.stages.battery)
        least, greatest = self.stages.convex_piece(change, rng.random(change.size) - 0.5)
        return self._solve(least, greatest, stored_energy_kwh)[0]

    def neighbour(self, elite_kwh: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Best trajectory after the elite crosses a jump: the next most promising one that was not tried.

        Once each promising jump was tried alone, several are crossed together, drawn at random.

        Args:
            elite_kwh: the best trajectory so far [kWh], shape (T,).
            rng: draws jumps to cross together; see also :meth:`within`.

        Returns:
            Stored energy [kWh], shape (T,), feasible; better or worse than the elite.
        """
        if self._elite is None or np.any(self._elite != elite_kwh):
            self._start_from(elite_kwh, rng)
            if not self._crossings:
                return elite_kwh.copy()
        if self._untried:
            crossed = [self._untried.pop()]
        else:
            count = min(int(rng.integers(2, 5)), len(self._crossings))
            picked = rng.choice(len(self._crossings), count, replace=False)
            crossed = [self._crossings[index] for index in picked]
        least, greatest = self._least.copy(), self._greatest.copy()
        for crossing in crossed:
            least[crossing.slot], greatest[crossing.slot] = crossing.least_kwh, crossing.greatest_kwh
        return self._solve(least, greatest, elite_kwh)[0]

    def _start_from(self, elite_kwh: FloatArray, rng: np.random.Generator) -> None:
        """Take an elite's pieces as those to cross from."""
        self._elite = elite_kwh.copy()
        change = stored_change_kwh(elite_kwh, self.stages.battery)
        self._least, self._greatest = self.stages.convex_piece(change, rng.random(change.size) - 0.5)
        _, value, extra = self._solve(self._least, self._greatest, elite_kwh)
        self._crossings = self._ranked(value, extra)
        self._untried = self._crossings.copy()

    def _ranked(self, value_eur_per_kwh: FloatArray, extra_eur_per_kwh: FloatArray | None) -> list[_Crossing]:
        """Crossings of negative regret from the elite's pieces, the most promising last."""
        least_kwh, greatest_kwh = self._least, self._greatest
        stages = self.stages
        here = stages.least_lagrangian_eur(value_eur_per_kwh, least_kwh, greatest_kwh, extra_eur_per_kwh)
        found: list[_Crossing] = []
        for jump, concave in stages.concave_jumps():
            below = greatest_kwh <= jump
            least, greatest = stages.convex_piece(jump, np.where(below, 1.0, -1.0))
            there = stages.least_lagrangian_eur(value_eur_per_kwh, least, greatest, extra_eur_per_kwh)
            regret = there - here
            found += [
                _Crossing(float(regret[slot]), slot, float(least[slot]), float(greatest[slot]))
                for slot in np.flatnonzero(concave & (regret < -1e-12)).tolist()
            ]
        found.sort(key=lambda crossing: (-crossing.regret_eur, crossing.slot))
        return found

    def _solve(
        self, least_kwh: FloatArray, greatest_kwh: FloatArray, near_kwh: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Optimum between two limits: stored energy, its value, what a demand charge adds to prices."""
        stages, problem = self.stages, self.stages.problem
        if problem.peak_charge_eur_per_kw:
            start_kw = peak_kw(near_kwh, problem, stages.battery)
            limits = least_kwh, greatest_kwh
            capped = peak_plan(stages, self.lower_kwh, start_kw, limits, self.MOST_CAPS)
            return capped.stored_energy_kwh, capped.value_eur_per_kwh, capped.multiplier_eur_per_kwh
        solved = water_value_plan(stages.curves(least_kwh, greatest_kwh), stages, self.lower_kwh)
        return solved.stored_energy_kwh, solved.value_eur_per_kwh, None

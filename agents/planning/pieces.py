"""Search over the convex pieces that a non-convex problem falls into.

In each slot the objective is convex on either side of a concave jump. Once every slot's side is chosen, water
values give the optimum exactly; what is left to search is the sides. Those worth crossing are where the other
side is nearly as good at the present value of stored energy.
"""

from __future__ import annotations

import numpy as np

from agents.devices.battery import stored_change_kwh
from agents.planning.peak import peak_kw, peak_plan
from agents.planning.stages import Stages
from agents.planning.tariff import FloatArray
from agents.planning.water_values import water_value_plan


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
        self._crossings: list[tuple[int, float, float]] = []
        self._untried: list[tuple[int, float, float]] = []

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

        Once each jump was tried alone, several are crossed together, drawn at random.

        Args:
            elite_kwh: the best trajectory so far [kWh], shape (T,).
            rng: draws jumps to cross together; see also :meth:`within`.

        Returns:
            Stored energy [kWh], shape (T,), feasible; better or worse than the elite.
        """
        if self._elite is None or np.any(self._elite != elite_kwh):
            self._elite = elite_kwh.copy()
            self._rank_crossings(rng)
        if self._untried:
            crossed = [self._untried.pop()]
        else:
            count = min(int(rng.integers(2, 5)), len(self._crossings))
            picked = rng.choice(len(self._crossings), count, replace=False)
            crossed = [self._crossings[index] for index in picked]
        least, greatest = self._least.copy(), self._greatest.copy()
        for slot, slot_least, slot_greatest in crossed:
            least[slot], greatest[slot] = slot_least, slot_greatest
        return self._solve(least, greatest, elite_kwh)[0]

    def _rank_crossings(self, rng: np.random.Generator) -> None:
        """List the jumps that the elite could cross, the most promising last."""
        assert self._elite is not None
        change = stored_change_kwh(self._elite, self.stages.battery)
        self._least, self._greatest = self.stages.convex_piece(change, rng.random(change.size) - 0.5)
        _, value, extra = self._solve(self._least, self._greatest, self._elite)
        here = self.stages.least_lagrangian_eur(value, self._least, self._greatest, extra)
        found: list[tuple[float, int, float, float]] = []
        for jump, concave in self.stages.concave_jumps():
            below = self._greatest <= jump
            least, greatest = self.stages.convex_piece(jump, np.where(below, 1.0, -1.0))
            regret = self.stages.least_lagrangian_eur(value, least, greatest, extra) - here
            found += [
                (float(regret[slot]), slot, float(least[slot]), float(greatest[slot]))
                for slot in np.flatnonzero(concave).tolist()
            ]
        found.sort(reverse=True)
        self._crossings = [crossing[1:] for crossing in found]
        self._untried = self._crossings.copy()

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

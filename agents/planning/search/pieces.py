"""Search over the convex pieces that a non-convex problem falls into.

In each slot the objective is convex on either side of a concave jump. Once every slot's side is chosen, water
values give the optimum exactly; what is left to search is the sides. At the optimum within some sides, and at
its values of stored energy, another side of one slot has a regret: by how much the Lagrangian's minimum in
that slot rises. Weak duality: changing sides changes the optimum by at least the sum of their regrets. So
only sides of negative regret are worth a try, the lowest first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agents.devices.battery import stored_change_kwh
from agents.planning.exact.peak import peak_kw, peak_plan
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import WaterValues
from agents.planning.tariff import FloatArray


@dataclass(frozen=True, slots=True)
class _Crossing:
    """One slot's other side: its regret [EUR] and its limits [kWh]."""

    regret_eur: float
    slot: int
    least_kwh: float
    greatest_kwh: float


@dataclass(slots=True, eq=False)
class _Frontier:
    """Promising crossings from some pieces, the most promising last, and those of them not tried yet."""

    crossings: list[_Crossing]
    untried: list[_Crossing]


@dataclass(frozen=True, slots=True, eq=False)
class _Home:
    """Pieces, the optimum in them, its values, and the passes that found it; None with a demand charge."""

    stored_energy_kwh: FloatArray
    least_kwh: FloatArray
    greatest_kwh: FloatArray
    value_eur_per_kwh: FloatArray
    extra_eur_per_kwh: FloatArray | None
    water_values: WaterValues | None


class PieceSearch:
    """Solves within pieces, and from an elite's pieces into their neighbours, the most promising first.

    It remembers what it solved and tried, across searches too: no pieces are solved twice.

    Args:
        stages: the slots' objectives, not all convex.
        lower_kwh: lower envelope [kWh], shape (T,).
    """

    MOST_CAPS = 12

    def __init__(self, stages: Stages, lower_kwh: FloatArray) -> None:
        self.stages = stages
        self.lower_kwh = lower_kwh
        self._by_pieces: dict[bytes, _Home] = {}
        self._by_plan: dict[bytes, _Home] = {}
        self._frontiers: dict[bytes, _Frontier] = {}
        self._first: _Home | None = None
        self._home: _Home | None = None

    def within(self, stored_energy_kwh: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Best trajectory that stays, slot by slot, in the convex piece that a given one lies in.

        Args:
            stored_energy_kwh: a feasible trajectory [kWh], shape (T,).
            rng: decides between two pieces where the trajectory lies on the jump between them.

        Returns:
            Stored energy [kWh], shape (T,), feasible.
        """
        return self._solve(*self._pieces(stored_energy_kwh, rng), stored_energy_kwh).stored_energy_kwh

    def untried(self, elite_kwh: FloatArray, rng: np.random.Generator) -> int:
        """How many promising jumps the elite was not taken across yet; arguments as :meth:`neighbour`."""
        return len(self._settle(elite_kwh, rng)[1].untried)

    def neighbour(self, elite_kwh: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Best trajectory after the elite crosses a jump: the next most promising one that was not tried.

        Once each promising jump was tried alone, several are crossed together, drawn at random.

        Args:
            elite_kwh: the best trajectory so far [kWh], shape (T,).
            rng: draws jumps to cross together; see also :meth:`within`.

        Returns:
            Stored energy [kWh], shape (T,), feasible; better or worse than the elite.
        """
        home, frontier = self._settle(elite_kwh, rng)
        crossings = frontier.crossings
        if not crossings:
            return elite_kwh.copy()
        if frontier.untried:
            crossed = [frontier.untried.pop()]
        else:
            count = min(int(rng.integers(2, 5)), len(crossings))
            crossed = [crossings[index] for index in rng.choice(len(crossings), count, replace=False)]
        least, greatest = home.least_kwh.copy(), home.greatest_kwh.copy()
        for crossing in crossed:
            least[crossing.slot], greatest[crossing.slot] = crossing.least_kwh, crossing.greatest_kwh
        return self._solve(least, greatest, elite_kwh).stored_energy_kwh

    def _settle(self, elite_kwh: FloatArray, rng: np.random.Generator) -> tuple[_Home, _Frontier]:
        """The elite's pieces, as those to cross from, and where to."""
        key = elite_kwh.tobytes()
        home = self._by_plan.get(key)
        if home is None:
            home = self._solve(*self._pieces(elite_kwh, rng), elite_kwh)
            home = self._by_plan[key] = replace(home, stored_energy_kwh=elite_kwh.copy())
        self._home = home
        frontier = self._frontiers.get(key)
        if frontier is None:
            crossings = self._ranked(home)
            frontier = self._frontiers[key] = _Frontier(crossings, crossings.copy())
        return home, frontier

    def _pieces(
        self, stored_energy_kwh: FloatArray, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Limits of a trajectory's pieces [kWh], shapes (T,): the elite's wherever it lies in them."""
        change = stored_change_kwh(stored_energy_kwh, self.stages.battery)
        least, greatest = self.stages.convex_piece(change, rng.random(change.size) - 0.5)
        if self._home is None:
            return least, greatest
        slack = 1e-9 * (self.stages.battery.stored_max_kwh - self.stages.battery.stored_min_kwh)
        home = self._home
        stays = (change >= home.least_kwh - slack) & (change <= home.greatest_kwh + slack)
        return np.where(stays, home.least_kwh, least), np.where(stays, home.greatest_kwh, greatest)

    def _ranked(self, home: _Home) -> list[_Crossing]:
        """Crossings of negative regret from the elite's pieces, the most promising last."""
        least_kwh, greatest_kwh = home.least_kwh, home.greatest_kwh
        value, extra = home.value_eur_per_kwh, home.extra_eur_per_kwh
        stages = self.stages
        here = stages.least_lagrangian_eur(value, least_kwh, greatest_kwh, extra)
        found: list[_Crossing] = []
        for jump, concave in stages.concave_jumps():
            if not concave.any():
                continue
            below = greatest_kwh <= jump
            least, greatest = stages.convex_piece(jump, np.where(below, 1.0, -1.0))
            regret = stages.least_lagrangian_eur(value, least, greatest, extra) - here
            found += [
                _Crossing(float(regret[slot]), slot, float(least[slot]), float(greatest[slot]))
                for slot in np.flatnonzero(concave & (regret < -1e-12)).tolist()
            ]
        found.sort(key=lambda crossing: (-crossing.regret_eur, crossing.slot))
        return found

    def _solve(self, least_kwh: FloatArray, greatest_kwh: FloatArray, near_kwh: FloatArray) -> _Home:
        """Optimum between two limits."""
        key = least_kwh.tobytes() + greatest_kwh.tobytes()
        home = self._by_pieces.get(key)
        if home is None:
            home = self._by_pieces[key] = self._solved(least_kwh, greatest_kwh, near_kwh)
            self._by_plan.setdefault(home.stored_energy_kwh.tobytes(), home)
            self._first = self._first or home
        return home

    def _solved(self, least_kwh: FloatArray, greatest_kwh: FloatArray, near_kwh: FloatArray) -> _Home:
        stages, problem = self.stages, self.stages.problem
        if problem.peak_charge_eur_per_kw:
            start_kw = peak_kw(near_kwh, problem, stages.battery)
            limits = least_kwh, greatest_kwh
            capped = peak_plan(stages, self.lower_kwh, start_kw, limits, self.MOST_CAPS)
            value, extra = capped.value_eur_per_kwh, capped.multiplier_eur_per_kwh
            return _Home(capped.stored_energy_kwh, least_kwh, greatest_kwh, value, extra, None)
        known = self._home or self._first
        if known is None or known.water_values is None:
            passes = WaterValues(stages.curves(least_kwh, greatest_kwh), stages, self.lower_kwh)
        else:
            moved = (least_kwh != known.least_kwh) | (greatest_kwh != known.greatest_kwh)
            slots = np.flatnonzero(moved)
            curves = stages.curves(least_kwh, greatest_kwh, slots)
            passes = known.water_values.changed(dict(zip(slots.tolist(), curves, strict=True)))
        plan = passes.plan()
        value = plan.value_eur_per_kwh
        return _Home(plan.stored_energy_kwh, least_kwh, greatest_kwh, value, None, passes)

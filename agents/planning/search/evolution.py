"""The evolutionary search over stored-energy trajectories (pymoo).

Variables are the stored energies alone: the grid exchange follows from the balance (eq. 3), so there is no
equality constraint, and every individual is feasible by construction. A generation makes one child by optimal
recombination of candidate levels around the elite and one by exchanging and shifting segments. Where the
problem is not convex, a better child is followed by the optimum within the convex pieces that it lies in;
else pieces next to the elite's are solved, the most promising first, and later now and then several together.

With a demand charge recombination works on the sum over slots that a cap on the import power makes of it,
with caps at and near the elite's own peak; individuals are judged by the charge itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.infill import InfillCriterion
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from agents.devices.battery import clip_trajectories, retention, stored_change_kwh
from agents.planning.exact.peak import capped_stages, peak_kw
from agents.planning.exact.stages import Stages
from agents.planning.problem import objectives_eur
from agents.planning.search.pieces import PieceSearch
from agents.planning.search.recombination import Recombination
from agents.planning.tariff import FloatArray


@dataclass(frozen=True)
class SearchBudget:
    """When the search ends; counted in generations, so that every machine finds the same plan.

    Attributes:
        max_generations: generations at most.
        stall_generations: generations without a gain worth having before the search stops.
        warm_stall_generations: the same where the search starts from an earlier plan.
        agreed_stall_generations: the same where another search found as good a plan before.
        least_gain: gain worth having, as a share of the battery's value.
        certified_gap: gap to the lower bound at which the plan is as good as optimal, as a share of the
            battery's value.
        cold_searches: independent searches without an earlier plan, of which the best counts: what one of
            them gets stuck in, another often does not.
    """

    max_generations: int = 20
    stall_generations: int = 6
    warm_stall_generations: int = 3
    agreed_stall_generations: int = 4
    least_gain: float = 3e-5
    certified_gap: float = 1e-9
    cold_searches: int = 2

    def certifies(self, objective_eur: float, bound_eur: float | None, idle_eur: float) -> bool:
        """Whether a bound proves an objective as good as optimal, rounding of the two apart.

        Args:
            objective_eur: a plan's objective [EUR].
            bound_eur: lower bound on every plan's objective [EUR]; None proves nothing.
            idle_eur: objective with the battery left alone [EUR].
        """
        if bound_eur is None:
            return False
        value = max(idle_eur - objective_eur, 0.0)
        rounding = 1e-12 * (abs(objective_eur) + abs(idle_eur))
        return objective_eur - bound_eur <= self.certified_gap * value + rounding


class TrajectoryProblem(Problem):  # type: ignore[misc]
    """The planning problem as pymoo sees it: one individual is one trajectory, row by row."""

    def __init__(self, stages: Stages, lower_kwh: FloatArray) -> None:
        self.stages = stages
        upper = np.full(lower_kwh.size, stages.battery.stored_max_kwh)
        super().__init__(n_var=lower_kwh.size, n_obj=1, xl=lower_kwh, xu=upper)

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        out["F"] = objectives_eur(x.T, self.stages.problem)[:, None]


class TrajectoryMating(InfillCriterion):  # type: ignore[misc]
    """Makes the children of a generation.

    Args:
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).
        pieces: solves within convex pieces; None where the problem is convex, or to do without.
    """

    RANDOM_SHIFTS = 3
    STRUCTURAL_SHIFTS = 11
    POPULATION_ROWS = 3
    MOVED_CAPS = 0.5
    CROSSINGS = 1
    """Promising jumps tried in a generation, one after the other."""
    TOGETHER = 0.2
    """Chance of crossing several together once each was tried."""

    def __init__(self, stages: Stages, lower_kwh: FloatArray, pieces: PieceSearch | None = None) -> None:
        super().__init__()
        self.stages = stages
        self.lower_kwh = lower_kwh
        self._recombination = Recombination()
        self.pieces = pieces

    def do(
        self,
        problem: Problem,
        pop: Population,
        n_offsprings: int,
        random_state: np.random.Generator | None = None,
        n_max_iterations: int | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Population:
        """Children of a population, shape (n_offsprings, T) in pymoo's terms."""
        if random_state is None:
            raise ValueError("the mating needs the algorithm's random state")
        return Population.new(X=np.stack(self._children(pop, n_offsprings, random_state)))

    def _children(self, pop: Population, count: int, rng: np.random.Generator) -> list[FloatArray]:
        """Children of a population, shape (T,) each; what another mating replaces."""
        rows: FloatArray = pop.get("X")
        elite = rows[0]
        stages = self._stages_for(elite, rng)
        children = [self._recombined(rows, elite, stages, rng)]
        if self.pieces is not None:
            # A child no better than the elite mostly lies in its pieces, which were solved: try others.
            reached, known = objectives_eur(np.stack([children[0], elite], axis=1), stages.problem)
            if reached < known - 1e-12 * abs(known):
                children.append(self.pieces.within(children[0], rng))
            else:
                tries = min(self.CROSSINGS, self.pieces.untried(elite, rng))
                tries = tries or int(rng.random() < self.TOGETHER)
                children += [self.pieces.neighbour(elite, rng) for _ in range(tries)]
        while len(children) < count:
            children.append(self._segment_child(rows, rng))
        return children

    def _stages_for(self, elite: FloatArray, rng: np.random.Generator) -> Stages:
        """Sums over slots to work on: with a demand charge, those of a cap at or near the elite's peak."""
        problem, battery = self.stages.problem, self.stages.battery
        if not problem.peak_charge_eur_per_kw:
            return self.stages
        cap_kw = peak_kw(elite, problem, battery)
        if rng.random() < self.MOVED_CAPS:
            cap_kw *= 1.0 + 10.0 ** rng.uniform(-4, -0.5) * (-1 if rng.random() < 0.7 else 1)
        return capped_stages(problem, battery, max(cap_kw, problem.peak_reached_kw))

    def _clip(self, wanted_kwh: FloatArray) -> FloatArray:
        return clip_trajectories(
            wanted_kwh, self.stages.battery, self.stages.problem.slot_hours, self.lower_kwh
        )

    def _recombined(
        self, rows: FloatArray, elite: FloatArray, stages: Stages, rng: np.random.Generator
    ) -> FloatArray:
        battery = self.stages.battery
        partners = rows[rng.choice(len(rows), min(self.POPULATION_ROWS, len(rows)), replace=False)]
        candidates = [elite[None], elite + self._shifts(elite, stages, rng), partners, self.lower_kwh[None]]
        candidates.append(np.full((1, elite.size), battery.stored_max_kwh))
        levels = np.clip(np.concatenate(candidates), self.lower_kwh, battery.stored_max_kwh)
        return self._clip(self._recombination.best(stages, np.ascontiguousarray(levels.T)))

    def _shifts(self, elite: FloatArray, stages: Stages, rng: np.random.Generator) -> FloatArray:
        """Rows to add to the elite [kWh], decaying with self-discharge so that nothing else changes."""
        battery, slots = stages.battery, elite.size
        span = battery.stored_max_kwh - battery.stored_min_kwh
        change = stored_change_kwh(elite, battery)
        # What takes one slot exactly to full power, to a change of slope (rest, zero net energy, a
        # threshold) or to a bound.
        steps = np.concatenate(
            [
                stages.greatest_kwh - change,
                stages.least_kwh - change,
                (stages.jumps_kwh - change[:, None]).T.ravel(),
                battery.stored_max_kwh - elite,
                self.lower_kwh - elite,
            ]
        )
        useful = np.flatnonzero((np.abs(steps) > 1e-9 * span) & (np.abs(steps) <= 1.05 * span))
        structural = self.STRUCTURAL_SHIFTS if useful.size else 0
        random = self.RANDOM_SHIFTS + self.STRUCTURAL_SHIFTS - structural
        size = span * 10.0 ** rng.uniform(-4, 0, random) * np.where(rng.random(random) < 0.5, 1, -1)
        anchor = rng.integers(0, slots, random)
        if structural:
            picked = useful[rng.integers(0, useful.size, structural)]
            sign = np.where(rng.random(structural) < 0.8, 1, -1)
            size = np.concatenate([size, steps[picked] * sign])
            anchor = np.concatenate([anchor, picked % slots])
        keep = retention(battery)
        if keep == 1.0:
            return np.broadcast_to(size[:, None], (size.size, slots))
        exponent = (np.arange(slots) - anchor[:, None]) * np.log(keep)
        shifts: FloatArray = size[:, None] * np.exp(np.minimum(exponent, 20.0))
        return shifts

    def _segment_child(self, rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Two-point crossover of trajectories, then a shift of a random segment."""
        count, slots = rows.shape
        child = rows[min(rng.integers(0, count, 2))].copy()
        if rng.random() < 0.7:
            start, stop = np.sort(rng.integers(0, slots + 1, 2))
            child[start:stop] = rows[rng.integers(0, count)][start:stop]
        start = int(rng.integers(0, slots))
        stop = start + max(1, int(np.exp(rng.uniform(0, np.log(max(slots / 2.0, 2.0))))))
        battery = self.stages.battery
        size = (battery.stored_max_kwh - battery.stored_min_kwh) * 10.0 ** rng.uniform(-3, 0)
        child[start:stop] += size if rng.random() < 0.5 else -size
        return self._clip(child)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Best trajectory and the population it stands in, both [kWh]: shapes (T,) and (P, T)."""

    stored_energy_kwh: FloatArray
    population_kwh: FloatArray


def search(
    stages: Stages,
    lower_kwh: FloatArray,
    seeds_kwh: FloatArray,
    bound_eur: float | None,
    seed: int,
    budget: SearchBudget,
    pieces: PieceSearch | None = None,
    warm: bool = False,
    known_eur: float = -np.inf,
) -> SearchResult:
    """Run the genetic algorithm from seeds until it is certified, stalls or has used its generations.

    Args:
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).
        seeds_kwh: feasible trajectories to start from [kWh], shape (T, P); the second is the idle battery's.
        bound_eur: lower bound on the objective [EUR], where known.
        seed: seed of the random numbers.
        budget: when to stop.
        pieces: solves exactly within convex pieces, where the problem is not convex; remembers what earlier
            searches tried. None does without.
        warm: whether an earlier plan is among the seeds.
        known_eur: objective that an earlier search from the same seeds found [EUR]. Where this one finds it
            again, it stops sooner.

    Returns:
        The best trajectory, never worse than any seed, and the last population.
    """
    problem = TrajectoryProblem(stages, lower_kwh)
    algorithm = GA(
        pop_size=8,
        n_offsprings=2 if pieces is None else 3,
        sampling=np.ascontiguousarray(seeds_kwh.T),
        mating=TrajectoryMating(stages, lower_kwh, pieces),
        eliminate_duplicates=False,
        advance_after_initial_infill=True,
    )
    algorithm.setup(problem, seed=seed, termination=NoTermination())
    algorithm.next()
    idle_eur = float(objectives_eur(seeds_kwh[:, 1:2], stages.problem)[0])
    reached, last_gain = np.inf, 0
    patience = budget.warm_stall_generations if warm else budget.stall_generations
    for generation in range(budget.max_generations + 1):
        best = float(algorithm.pop[0].F[0])
        value = max(idle_eur - best, 1e-9 * abs(idle_eur), 1e-12)
        if best < reached - budget.least_gain * value:
            reached, last_gain = best, generation
        if best <= known_eur + budget.least_gain * value:
            patience = min(patience, budget.agreed_stall_generations)
        if (
            budget.certifies(best, bound_eur, idle_eur)
            or generation - last_gain >= patience
            or generation == budget.max_generations
        ):
            break
        algorithm.next()
    rows: FloatArray = algorithm.pop.get("X")
    return SearchResult(rows[0].copy(), rows.copy())

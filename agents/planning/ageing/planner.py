"""The planner that counts ageing by rainflow: evolution (pymoo) whose children plan bands of depth exactly.

Rainflow's wear is no sum over slots, so no dynamic programme holds it. What does the work here is a child
that plans one band of cycle depths of a parent exactly (:mod:`agents.planning.ageing.depth_bands`), at random
depths; the others blend parents and exchange segments. Every child is judged by the true objective. Before
that, sweeps over all depths with averaged kinks (:mod:`agents.planning.ageing.smoothing`) lead one start
most of the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from agents.devices.battery import clip_trajectories, idle_trajectory, lower_envelope_kwh, rule_trajectory
from agents.planning.ageing.cost import replacement_eur, wear_eur
from agents.planning.ageing.depth_bands import DepthBands
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import water_value_plan
from agents.planning.planner import EvolutionaryPlanner
from agents.planning.problem import Plan, PlanningProblem, objectives_eur, plan_of
from agents.planning.search.evolution import TrajectoryMating
from agents.planning.tariff import FloatArray
from agents.planning.wear import WearCost
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.preferences import BatteryAgeing

_GRADING = 1.3


@dataclass(frozen=True)
class AgeingBudget:
    """When the search ends; in generations, so that every machine finds the same plan.

    Attributes:
        max_generations: generations at most.
        stall_generations: generations without a gain worth having before it stops.
        least_gain: gain worth having, as a share of the battery's value.
        population: trajectories kept.
        children: trajectories made in a generation.
        first_bands: number of bands of the first sweeps over all depths.
        first_sweeps: the first sweeps: over what width the slots' slopes are averaged, as a share of what a
            slot can change, and how many sweeps; 0 averages nothing.
    """

    max_generations: int = 80
    stall_generations: int = 25
    least_gain: float = 1e-5
    population: int = 16
    children: int = 4
    first_bands: int = 8
    first_sweeps: tuple[tuple[float, int], ...] = ((0.05, 4), (0.025, 8), (0.012, 6), (0.0, 2))


def throughput_priced_trajectory(
    problem: PlanningProblem, lower_kwh: FloatArray, price_eur_per_kwh: float
) -> FloatArray:
    """Plan at a price on every kWh taken from the cells, by water values.

    Args:
        problem: the problem, with a battery and without wear of its own.
        lower_kwh: lower envelope [kWh], shape (T,).
        price_eur_per_kwh: the price [EUR/kWh].

    Returns:
        Stored energy [kWh], shape (T,): optimal where the problem is convex.
    """
    if problem.battery is None:
        raise ValueError("a price on throughput needs a battery")
    priced = replace(problem, wear=WearCost(discharge_price_eur_per_kwh=(price_eur_per_kwh,)))
    stages = Stages(priced, problem.battery)
    return water_value_plan(stages.hull_curves(), stages, lower_kwh).stored_energy_kwh


class AgeingPlanner:
    """Plans for the problem's objective and rainflow wear together.

    The wear takes the place of any that the problem itself counts per slot. The plan depends on problem,
    seed, budget and warm start alone. It is never worse than the plan without regard to wear, the rule's or
    the idle battery's. It carries no lower bound.

    Args:
        ageing: what cycles cost.
        seed: seed of the random numbers.
        budget: when the search stops.
    """

    def __init__(self, ageing: BatteryAgeing, seed: int, budget: AgeingBudget | None = None) -> None:
        self.ageing = ageing
        self.seed = seed
        self.budget = budget or AgeingBudget()

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """See :meth:`agents.planning.planner.Planner.plan`."""
        battery = problem.battery
        if battery is None:
            return plan_of(problem, None)
        if warm is not None and warm.stored_energy_kwh.size != problem.slots:
            raise InputError(
                f"warm plan: expected {problem.slots} slots, found {warm.stored_energy_kwh.size}"
            )
        unworn = replace(problem, wear=None)
        lower = lower_envelope_kwh(battery, problem.slots, problem.slot_hours)
        task = _AgeingProblem(unworn, battery, lower, self.ageing)
        idle = idle_trajectory(battery, problem.slots, problem.slot_hours)
        idle_eur = float(task.objectives_eur(idle[:, None])[0])
        bands = DepthBands(Stages(unworn, battery), lower, self.ageing)
        starts = self._starts(unworn, battery, lower, idle, warm)
        worked = self._swept(task, bands, starts)
        found = self._search(task, bands, np.concatenate([worked, starts], axis=1), idle_eur)
        best = found[0]
        worn = float(wear_eur(best[:, None], self.ageing, battery)[0])
        plan = plan_of(unworn, best, population_kwh=found, idle_objective_eur=idle_eur)
        return replace(plan, wear_eur=worn, objective_eur=plan.objective_eur + worn)

    def _starts(
        self,
        problem: PlanningProblem,
        battery: Battery,
        lower_kwh: FloatArray,
        idle_kwh: FloatArray,
        warm: Plan | None,
    ) -> FloatArray:
        """Plans at several prices on throughput, up to a deep cycle's, and simple ones; shape (T, P)."""
        deep = self.ageing.depth_exponent * replacement_eur(self.ageing, battery) / self.ageing.cycle_life
        prices = np.linspace(0.0, deep / battery.capacity_kwh, 7)[1:]
        rows = [
            EvolutionaryPlanner(self.seed).plan(problem).stored_energy_kwh,
            rule_trajectory(problem.residual_load_kwh, battery, problem.slot_hours),
            idle_kwh,
            *(throughput_priced_trajectory(problem, lower_kwh, price) for price in prices.tolist()),
        ]
        if warm is not None:
            rows.append(warm.stored_energy_kwh)
            rows.extend([] if warm.population_kwh is None else warm.population_kwh)
        return clip_trajectories(np.stack(rows, axis=1), battery, problem.slot_hours, lower_kwh)

    def _swept(self, task: _AgeingProblem, bands: DepthBands, starts_kwh: FloatArray) -> FloatArray:
        """What the best start becomes at best when its depths are planned band by band; shape (T, 1)."""
        reached = task.objectives_eur(starts_kwh)
        now = starts_kwh[:, int(reached.argmin())]
        best, best_eur = now, float(reached.min())
        # Shallow cycles are the many, so their bands are narrower.
        edges = bands.span_kwh * np.linspace(0.0, 1.0, self.budget.first_bands + 1) ** _GRADING
        for share, sweeps in self.budget.first_sweeps:
            curves = bands.smoothed_curves(share) if share else bands.curves
            for shallow, deep in chain.from_iterable(repeat(list(pairwise(edges.tolist())), sweeps)):
                now = bands.replanned(now, shallow, deep, curves)
                now_eur = float(task.objectives_eur(now[:, None])[0])
                if now_eur < best_eur:
                    best, best_eur = now, now_eur
        return best[:, None]

    def _search(
        self, task: _AgeingProblem, bands: DepthBands, seeds_kwh: FloatArray, idle_eur: float
    ) -> FloatArray:
        """Last population of the genetic algorithm [kWh], shape (P, T), the best first."""
        algorithm = GA(
            pop_size=self.budget.population,
            n_offsprings=self.budget.children,
            sampling=np.ascontiguousarray(seeds_kwh.T),
            mating=_AgeingMating(bands),
            eliminate_duplicates=False,
            advance_after_initial_infill=True,
        )
        algorithm.setup(task, seed=self.seed, termination=NoTermination())
        algorithm.next()
        reached, last_gain = np.inf, 0
        for generation in range(self.budget.max_generations + 1):
            best = float(algorithm.pop[0].F[0])
            value = max(idle_eur - best, 1e-9 * abs(idle_eur), 1e-12)
            if best < reached - self.budget.least_gain * value:
                reached, last_gain = best, generation
            stalled = generation - last_gain >= self.budget.stall_generations
            if stalled or generation == self.budget.max_generations:
                break
            algorithm.next()
        rows: FloatArray = algorithm.pop.get("X")
        return rows.copy()


class _AgeingProblem(Problem):  # type: ignore[misc]
    """Cost and wear as pymoo sees them: one individual is one trajectory, row by row."""

    def __init__(
        self, problem: PlanningProblem, battery: Battery, lower_kwh: FloatArray, ageing: BatteryAgeing
    ) -> None:
        self.planning = problem
        self.battery = battery
        self.ageing = ageing
        upper = np.full(lower_kwh.size, battery.stored_max_kwh)
        super().__init__(n_var=lower_kwh.size, n_obj=1, xl=lower_kwh, xu=upper)

    def objectives_eur(self, stored_energy_kwh: FloatArray) -> FloatArray:
        """Objective and wear [EUR], shape (P,), of trajectories [kWh], shape (T, P)."""
        wear = wear_eur(stored_energy_kwh, self.ageing, self.battery)
        total: FloatArray = objectives_eur(stored_energy_kwh, self.planning) + wear
        return total

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        out["F"] = self.objectives_eur(x.T)[:, None]


class _AgeingMating(TrajectoryMating):
    """Children: a parent's band planned anew, a blend of parents, an exchange of segments."""

    BAND_SHARE = 0.7
    BLEND_SHARE = 0.2
    ELITE_SHARE = 0.7
    LEAST_BAND = 0.02
    """Narrowest band, as a share of the energy between the SOC bounds."""

    def __init__(self, bands: DepthBands) -> None:
        super().__init__(bands.stages, bands.lower_kwh)
        self.bands = bands

    def _children(self, pop: Population, count: int, rng: np.random.Generator) -> list[FloatArray]:
        rows: FloatArray = pop.get("X")
        return [self._child(rows, rng) for _ in range(count)]

    def _child(self, rows: FloatArray, rng: np.random.Generator) -> FloatArray:
        parent = rows[0] if rng.random() < self.ELITE_SHARE else rows[rng.integers(0, len(rows))]
        kind = rng.random()
        if kind < self.BAND_SHARE:
            return self.bands.replanned(parent, *random_band(self.bands.span_kwh, self.LEAST_BAND, rng))
        if kind < self.BAND_SHARE + self.BLEND_SHARE:
            other = rows[rng.integers(0, len(rows))]
            return self._clip(parent + rng.uniform(-0.5, 1.5) * (other - parent))
        return self._segment_child(rows, rng)


def random_band(span_kwh: float, least_share: float, rng: np.random.Generator) -> tuple[float, float]:
    """Where a random band of depths begins and ends [kWh], at least ``least_share`` of the span wide."""
    shallow, deep = np.sort(rng.uniform(0.0, span_kwh, 2))
    return float(shallow), float(max(deep, shallow + least_share * span_kwh))

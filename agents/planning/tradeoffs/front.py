"""Trade-off fronts: plans of which none is better than another in every objective.

Costs, energy imported and peaks are convex in a plan, so a front is reached at prices: a premium on imports,
a cap on import power, a price on throughput. A child is the exact plan at such prices (water values);
NSGA-III (pymoo) keeps the population spread over the front, from which caps and parents are drawn anew.
Where wear is an objective, children also plan single bands of cycle depths. All trajectories seen count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.util.ref_dirs import get_reference_directions

from agents.devices.battery import battery_energy_kwh, clip_trajectories, lower_envelope_kwh
from agents.planning.ageing.cost import wear_eur
from agents.planning.ageing.depth_bands import DepthBands
from agents.planning.ageing.planner import random_band
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import water_value_plan
from agents.planning.planner import EvolutionaryPlanner
from agents.planning.problem import Plan, PlanningProblem, energy_cost_eur, peak_charge_eur, plan_of
from agents.planning.search.evolution import TrajectoryMating
from agents.planning.search.seeds import seed_trajectories
from agents.planning.tariff import FloatArray, Hinge
from agents.planning.wear import WearCost
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.preferences import BatteryAgeing, Objective

_PARTITIONS = {2: 50, 3: 12, 4: 7}
"""Number of objectives to partitions of each axis of NSGA-III's reference directions."""


_COMPARED_DECIMALS = 6


@dataclass(frozen=True)
class FrontBudget:
    """When the search ends; in generations, so that every machine finds the same front.

    Attributes:
        generations: generations.
        children: trajectories made in a generation.
        peak_steps: bisections for the least peak.
    """

    generations: int = 50
    children: int = 10
    peak_steps: int = 12


@dataclass(frozen=True, eq=False)
class Front:
    """Plans that trade objectives off, ordered by the first objective.

    Attributes:
        objectives: what they are judged by; less is better.
        values: the objectives of each plan, in their units, shape (N, M); no row dominates another.
        stored_energy_kwh: the plans' stored energy at the end of each slot [kWh], shape (N, T).
        problem: what they are plans of.
        ageing: what their wear was counted with.
    """

    objectives: tuple[Objective, ...]
    values: FloatArray
    stored_energy_kwh: FloatArray
    problem: PlanningProblem
    ageing: BatteryAgeing

    def plan(self, index: int) -> Plan:
        """One of the plans, with its cost and its rainflow wear."""
        battery, unworn = self.problem.battery, replace(self.problem, wear=None)
        if battery is None:
            return plan_of(unworn, None)
        stored = self.stored_energy_kwh[index]
        plan = plan_of(unworn, stored)
        worn = float(wear_eur(stored[:, None], self.ageing, battery)[0])
        return replace(plan, wear_eur=worn, objective_eur=plan.objective_eur + worn)


def plan_front(
    problem: PlanningProblem,
    objectives: Sequence[Objective],
    ageing: BatteryAgeing,
    seed: int,
    budget: FrontBudget | None = None,
) -> Front:
    """Find the front of a member's plans.

    Args:
        problem: the problem; its own wear and proximal term do not count.
        objectives: two to four different ones.
        ageing: what cycles cost, where wear is an objective.
        seed: seed of the random numbers.
        budget: when the search stops.

    Returns:
        The front: a single plan for a member without a battery. It holds the plan of least cost where cost is
        an objective. The same for the same arguments.

    Raises:
        InputError: fewer than two objectives or one twice; the end SOC cannot be reached.
    """
    wanted = tuple(objectives)
    if len(wanted) < 2 or len(set(wanted)) < len(wanted):
        raise InputError(f"objectives: expected two or more different ones, found {', '.join(wanted)}")
    judged = replace(problem, wear=None, proximal_weight_eur_per_kwh2=0.0, reference_net_kwh=None)
    battery = judged.battery
    if battery is None:
        values = _net_objectives(judged.residual_load_kwh[:, None], judged, wanted, np.zeros(1))
        return Front(wanted, values, np.zeros((1, judged.slots)), judged, ageing)
    budget = budget or FrontBudget()
    priced = _PricedPlans(judged, battery, wanted, ageing, budget)
    task = _FrontProblem(judged, battery, wanted, ageing, priced.lower_kwh)
    directions = get_reference_directions("das-dennis", len(wanted), n_partitions=_PARTITIONS[len(wanted)])
    algorithm = NSGA3(
        ref_dirs=directions,
        pop_size=len(directions),
        n_offsprings=budget.children,
        sampling=np.ascontiguousarray(priced.starts(seed).T),
        mating=_FrontMating(priced, task),
        eliminate_duplicates=False,
    )
    algorithm.setup(task, seed=seed, termination=NoTermination())
    for _ in range(budget.generations):
        algorithm.next()
    rows, values = np.concatenate(task.seen), np.concatenate(task.seen_values)
    kept = nondominated(values)
    return Front(wanted, values[kept], rows[kept], judged, ageing)


def nondominated(values: FloatArray) -> NDArray[np.intp]:
    """Rows that no other row dominates, one of equal rows; in the order of the objectives.

    Differences below a millionth of a unit are rounding, no trade-off.

    Args:
        values: objectives, shape (N, M), less is better.

    Returns:
        Indices, shape (K,).
    """
    compared = np.round(values, _COMPARED_DECIMALS)
    order = np.lexsort(np.concatenate([values.T[::-1], compared.T[::-1]]))
    kept: list[int] = []
    for index in order.tolist():
        # Earlier rows are no worse in the first objective, so only they can dominate.
        if not kept or not np.any(np.all(compared[kept] <= compared[index], axis=1)):
            kept.append(index)
    return np.array(kept, dtype=np.intp)


def _net_objectives(
    net_kwh: FloatArray, problem: PlanningProblem, objectives: Sequence[Objective], wear: FloatArray
) -> FloatArray:
    """Objectives, shape (P, M), of net energies [kWh], shape (T, P), and wear [EUR], shape (P,)."""
    imported = np.maximum(net_kwh, 0.0)
    columns: list[FloatArray] = []
    for objective in objectives:
        match objective:
            case "cost":
                cost = energy_cost_eur(net_kwh, problem).sum(axis=0)
                columns.append(cost + peak_charge_eur(net_kwh, problem))
            case "import":
                columns.append(imported.sum(axis=0))
            case "peak":
                columns.append(imported.max(axis=0) / problem.slot_hours)
            case "wear":
                columns.append(wear)
    return np.stack(columns, axis=1)


class _FrontProblem(Problem):  # type: ignore[misc]
    """The objectives as pymoo sees them; it keeps all that it was asked."""

    def __init__(
        self,
        problem: PlanningProblem,
        battery: Battery,
        objectives: tuple[Objective, ...],
        ageing: BatteryAgeing,
        lower_kwh: FloatArray,
    ) -> None:
        self.planning, self.battery = problem, battery
        self.objectives, self.ageing = objectives, ageing
        self.seen: list[FloatArray] = []
        self.seen_values: list[FloatArray] = []
        upper = np.full(lower_kwh.size, battery.stored_max_kwh)
        super().__init__(n_var=lower_kwh.size, n_obj=len(objectives), xl=lower_kwh, xu=upper)

    def values(self, stored_energy_kwh: FloatArray) -> FloatArray:
        """Objectives, shape (P, M), of trajectories [kWh], shape (T, P)."""
        net = self.planning.residual_load_kwh[:, None] - battery_energy_kwh(stored_energy_kwh, self.battery)
        count = stored_energy_kwh.shape[1]
        worn = "wear" in self.objectives
        wear = wear_eur(stored_energy_kwh, self.ageing, self.battery) if worn else np.zeros(count)
        return _net_objectives(net, self.planning, self.objectives, wear)

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        values = self.values(x.T)
        self.seen.append(x.copy())
        self.seen_values.append(values)
        out["F"] = values


@dataclass(frozen=True)
class _Prices:
    """What a child is planned at: premium on imports, price on throughput [EUR/kWh], cap on imports [kW]."""

    import_premium: float = 0.0
    throughput: float = 0.0
    cap_kw: float | None = None


class _PricedPlans:
    """Exact plans of a problem at further prices."""

    def __init__(
        self,
        problem: PlanningProblem,
        battery: Battery,
        objectives: tuple[Objective, ...],
        ageing: BatteryAgeing,
        budget: FrontBudget,
    ) -> None:
        self.problem, self.battery, self.objectives = problem, battery, objectives
        self.ageing, self.budget = ageing, budget
        self.lower_kwh = lower_envelope_kwh(battery, problem.slots, problem.slot_hours)
        prices = np.concatenate([problem.import_price_eur_per_kwh, problem.export_price_eur_per_kwh])
        self.price_scale = max(float(np.abs(prices).max()), 1e-3)

    def stages(self, prices: _Prices) -> Stages:
        """The slots' objectives with further prices."""
        nothing = np.zeros(self.problem.slots)
        hinges = [Hinge(nothing, nothing + prices.import_premium, nothing)]
        if prices.cap_kw is not None:
            steep = 10.0 * (self.price_scale + prices.import_premium + prices.throughput)
            hinges.append(Hinge(nothing + prices.cap_kw * self.problem.slot_hours, nothing + steep, nothing))
        wear = WearCost(discharge_price_eur_per_kwh=(prices.throughput,)) if prices.throughput else None
        return Stages(replace(self.problem, wear=wear), self.battery, tuple(hinges))

    def planned(self, stages: Stages) -> FloatArray:
        """Stored energy [kWh], shape (T,)."""
        return water_value_plan(stages.hull_curves(), stages, self.lower_kwh).stored_energy_kwh

    def peak_kw(self, stored_energy_kwh: FloatArray) -> float:
        """Greatest import power of a trajectory [kW]."""
        net = self.problem.residual_load_kwh - battery_energy_kwh(stored_energy_kwh, self.battery)
        return max(float(net.max()), 0.0) / self.problem.slot_hours

    def starts(self, seed: int) -> FloatArray:
        """Simple plans and the best in each objective [kWh], shape (T, P)."""
        problem = self.problem
        rows = [EvolutionaryPlanner(seed).plan(problem).stored_energy_kwh]
        if "import" in self.objectives:
            rows.append(self.planned(self.stages(_Prices(import_premium=100.0 * self.price_scale))))
        if "peak" in self.objectives:
            rows.extend(self._falling_peaks(rows[0]))
        simple = seed_trajectories(problem, Stages(problem, self.battery), self.lower_kwh)
        together = np.concatenate([np.stack(rows, axis=1), simple], axis=1)
        return clip_trajectories(together, self.battery, problem.slot_hours, self.lower_kwh)

    def _falling_peaks(self, start_kwh: FloatArray) -> list[FloatArray]:
        """Plans on the way to the least peak, by bisection of the cap, for little else than the peak."""
        low_kw, high_kw = 0.0, self.peak_kw(start_kwh)
        slack_kw = 1e-6 * high_kw
        rows = []
        for _ in range(self.budget.peak_steps):
            cap_kw = 0.5 * (low_kw + high_kw)
            rows.append(self.planned(self.stages(_Prices(cap_kw=cap_kw))))
            reached_kw = self.peak_kw(rows[-1])
            if reached_kw > cap_kw + slack_kw:
                low_kw = cap_kw
            high_kw = min(high_kw, max(reached_kw, cap_kw))
        return rows


class _FrontMating(TrajectoryMating):
    """Children: plans at prices drawn anew, bands of depth, exchanges of segments."""

    PRICED_SHARE = 0.85
    BAND_SHARE = 0.4
    """Share of the children at prices that then have a band of depths planned anew, with wear."""

    def __init__(self, priced: _PricedPlans, task: _FrontProblem) -> None:
        super().__init__(priced.stages(_Prices()), priced.lower_kwh)
        self.priced = priced
        self.task = task

    def _children(self, pop: Population, count: int, rng: np.random.Generator) -> list[FloatArray]:
        rows, values = pop.get("X", "F")
        return [self._child(rows, values, rng) for _ in range(count)]

    def _child(self, rows: FloatArray, values: FloatArray, rng: np.random.Generator) -> FloatArray:
        if rng.random() >= self.PRICED_SHARE:
            return self._segment_child(rows, rng)
        prices = self._draw(values, rng)
        stages = self.priced.stages(prices)
        if "wear" in self.priced.objectives and rng.random() < self.BAND_SHARE:
            unpriced = self.priced.stages(replace(prices, throughput=0.0))
            ageing = self.priced.ageing.model_copy(
                update={
                    "replacement_eur_per_kwh": self.priced.ageing.replacement_eur_per_kwh
                    * 10.0 ** rng.uniform(-1, 1)
                }
            )
            bands = DepthBands(unpriced, self.lower_kwh, ageing)
            parent = rows[rng.integers(0, len(rows))]
            return bands.replanned(parent, *random_band(bands.span_kwh, 0.02, rng))
        return self._clip(self.priced.planned(stages))

    def _draw(self, values: FloatArray, rng: np.random.Generator) -> _Prices:
        objectives, scale = self.priced.objectives, self.priced.price_scale
        premium, throughput, cap_kw = 0.0, 0.0, None
        worn = "wear" in objectives
        if "import" in objectives and rng.random() < (0.6 if worn else 0.8):
            premium = scale * 10.0 ** rng.uniform(-2.5, 0.5 if worn else 1.5)
        if worn:
            # Above the greatest gain of a stored kWh nothing is cycled; cheap cycles are the more frequent.
            throughput = (scale + premium) * rng.random() ** 2
        if "peak" in objectives and rng.random() < (0.6 if worn else 0.9):
            peaks = values[:, objectives.index("peak")]
            cap_kw = float(rng.uniform(peaks.min(), peaks.max()))
        return _Prices(premium, throughput, cap_kw)

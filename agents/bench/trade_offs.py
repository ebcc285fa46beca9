"""What evolution is for: plans that count rainflow ageing, and trade-off fronts; beside sweeps of programmes.

A member who cannot count cycles by rainflow can price throughput and choose the price: the sweep tries many,
and the best of its plans by the true objective is what ageing-aware planning must beat. A programme with
rainflow wear inside (:mod:`agents.bench.battery_programme`) tells how much there is to be gained. A front is
held against least-cost plans at many premiums on imports and caps on their power.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from moocore import hypervolume  # type: ignore[import-untyped]

from agents.bench.battery_programme import BatteryProgramme
from agents.bench.suites import Instance
from agents.devices.battery import clip_trajectories, idle_trajectory, lower_envelope_kwh
from agents.planning.ageing.cost import wear_eur
from agents.planning.ageing.planner import AgeingPlanner
from agents.planning.problem import PlanningProblem, objectives_eur, plan_of
from agents.planning.tariff import FloatArray
from agents.planning.tradeoffs.front import plan_front
from runtime.preferences import BatteryAgeing, Objective

AGEING = BatteryAgeing()
OBJECTIVES: tuple[Objective, ...] = ("cost", "import", "peak")
THROUGHPUT_PRICES = 41
WIDTHS = 12
CAPS, PREMIUMS = 20, 10
SEED = 1


@dataclass(frozen=True)
class AgeingFigures:
    """One member's plan with rainflow ageing; gains as shares of the sweep's battery value.

    Attributes:
        name: the instance.
        suite: its suite.
        slots: number of slots.
        value_eur: what the best plan of the sweep gains over the battery left alone, wear counted [EUR].
        gain: how much more the ageing-aware plan gains.
        possible_gain: how much more the programme with rainflow wear inside gains; nearly all there is.
        plan_s: process time of the plan [s].
        sweep_s: process time of the sweep [s].
        programme_s: process time of the programme with rainflow wear inside [s].
    """

    name: str
    suite: str
    slots: int
    value_eur: float
    gain: float
    possible_gain: float
    plan_s: float
    sweep_s: float
    programme_s: float


@dataclass(frozen=True)
class FrontFigures:
    """One member's front of cost, energy imported and peak.

    Attributes:
        name: the instance.
        suite: its suite.
        slots: number of slots.
        plans: number of plans of the front.
        sweep_plans: number of feasible plans of the sweep.
        hypervolume_share: hypervolume of the front in that of the sweep, both in the sweep's ranges.
        plan_s: process time of the front [s].
        sweep_s: process time of the sweep [s].
    """

    name: str
    suite: str
    slots: int
    plans: int
    sweep_plans: int
    hypervolume_share: float
    plan_s: float
    sweep_s: float


def measure_ageing(
    instances: Sequence[Instance], say: Callable[[str], None] = lambda text: None
) -> list[AgeingFigures]:
    """Plan with rainflow ageing and compare with throughput prices (needs HiGHS).

    Args:
        instances: what to plan; problems with a battery at two prices.
        say: told the name of what is planned.

    Returns:
        Figures in the order of the instances.
    """
    found: list[AgeingFigures] = []
    for instance in instances:
        say(f"ageing: {instance.name}")
        problem = instance.problem
        began = time.process_time()
        planned_eur = AgeingPlanner(AGEING, SEED).plan(problem).objective_eur
        plan_s = time.process_time() - began
        began = time.process_time()
        sweep_eur = min(_throughput_priced_eur(problem, price) for price in throughput_prices(problem))
        sweep_s = time.process_time() - began
        began = time.process_time()
        programme = BatteryProgramme(problem)
        programme.price_wear(AGEING, WIDTHS)
        inside_eur = _aged_eur(problem, _solved_kwh(programme))
        programme_s = time.process_time() - began
        value_eur = _aged_eur(problem, _idle_kwh(problem)) - sweep_eur
        found.append(
            AgeingFigures(
                name=instance.name,
                suite=instance.suite,
                slots=problem.slots,
                value_eur=value_eur,
                gain=(sweep_eur - planned_eur) / value_eur,
                possible_gain=(sweep_eur - min(inside_eur, planned_eur)) / value_eur,
                plan_s=plan_s,
                sweep_s=sweep_s,
                programme_s=programme_s,
            )
        )
    return found


def measure_fronts(
    instances: Sequence[Instance], say: Callable[[str], None] = lambda text: None
) -> list[FrontFigures]:
    """Find fronts and compare with sweeps of premiums and caps (needs HiGHS).

    Args:
        instances: what to plan; problems with a battery at two prices, convex.
        say: told the name of what is planned.

    Returns:
        Figures in the order of the instances.
    """
    found: list[FrontFigures] = []
    for instance in instances:
        say(f"front: {instance.name}")
        problem = instance.problem
        began = time.process_time()
        front = plan_front(problem, OBJECTIVES, AGEING, SEED)
        plan_s = time.process_time() - began
        began = time.process_time()
        peaks_kw = front.values[:, OBJECTIVES.index("peak")]
        sweep = swept_objectives(problem, np.linspace(peaks_kw.min(), peaks_kw.max(), CAPS))
        sweep_s = time.process_time() - began
        found.append(
            FrontFigures(
                name=instance.name,
                suite=instance.suite,
                slots=problem.slots,
                plans=len(front.values),
                sweep_plans=len(sweep),
                hypervolume_share=hypervolume_share(front.values, sweep),
                plan_s=plan_s,
                sweep_s=sweep_s,
            )
        )
    return found


def throughput_prices(problem: PlanningProblem) -> list[float]:
    """Prices of a fine sweep [EUR/kWh]: evenly from 0 to twice what a kWh of the deepest cycle wears."""
    battery = problem.battery
    assert battery is not None, "wear needs a battery"
    deepest = battery.soc_max - battery.soc_min
    slope = AGEING.replacement_eur_per_kwh / AGEING.cycle_life * deepest ** (AGEING.depth_exponent - 1)
    prices: list[float] = np.linspace(0.0, 2.0 * AGEING.depth_exponent * slope, THROUGHPUT_PRICES).tolist()
    return prices


def swept_objectives(problem: PlanningProblem, caps_kw: FloatArray) -> FloatArray:
    """Cost, energy imported and peak, shape (N, 3), of least-cost plans under caps and premiums."""
    found: list[list[float]] = []
    for cap_kw in caps_kw.tolist():
        for premium in [0.0, *np.logspace(-3, 0.5, PREMIUMS - 1).tolist()]:
            programme = BatteryProgramme(problem)
            programme.price_imports(premium)
            programme.cap_imports(cap_kw)
            solved = programme.solve()
            if solved is not None:
                plan = plan_of(problem, _repaired_kwh(problem, solved[0]))
                imported = np.maximum(plan.net_kwh, 0.0)
                peak_kw = float(imported.max()) / problem.slot_hours
                found.append([plan.cost_eur, float(imported.sum()), peak_kw])
    return np.array(found)


def hypervolume_share(front: FloatArray, sweep: FloatArray) -> float:
    """Hypervolume of one set of objectives in another's, in the ranges of the other; a tenth beyond counts.

    Args:
        front: objectives, shape (N, M).
        sweep: objectives, shape (K, M), that differ in each column.
    """
    ideal, spread = sweep.min(axis=0), np.ptp(sweep, axis=0)
    reference = np.ones(sweep.shape[1])
    ours, theirs = (
        hypervolume((values - ideal) / (1.1 * spread), ref=reference) for values in (front, sweep)
    )
    return float(ours / theirs)


def _throughput_priced_eur(problem: PlanningProblem, price_eur_per_kwh: float) -> float:
    programme = BatteryProgramme(problem)
    programme.price_throughput(price_eur_per_kwh)
    return _aged_eur(problem, _solved_kwh(programme))


def _solved_kwh(programme: BatteryProgramme) -> FloatArray:
    solved = programme.solve()
    assert solved is not None, "idling is feasible"
    return _repaired_kwh(programme.problem, solved[0])


def _aged_eur(problem: PlanningProblem, stored_kwh: FloatArray) -> float:
    """Objective with rainflow wear [EUR] of a feasible trajectory [kWh], shape (T,)."""
    assert problem.battery is not None, "wear needs a battery"
    column = stored_kwh[:, None]
    return float(objectives_eur(column, problem)[0] + wear_eur(column, AGEING, problem.battery)[0])


def _idle_kwh(problem: PlanningProblem) -> FloatArray:
    assert problem.battery is not None, "an idle battery is one"
    return idle_trajectory(problem.battery, problem.slots, problem.slot_hours)


def _repaired_kwh(problem: PlanningProblem, stored_kwh: FloatArray) -> FloatArray:
    """A trajectory without HiGHS's rounding."""
    battery, hours = problem.battery, problem.slot_hours
    assert battery is not None, "a trajectory needs a battery"
    return clip_trajectories(stored_kwh, battery, hours, lower_envelope_kwh(battery, problem.slots, hours))

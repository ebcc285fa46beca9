"""How well and how fast members plan: loss, certificate and process time, beside HiGHS, rule and paper.

Loss of a plan: (its objective − optimum) / (objective with the battery left alone − optimum), the share of
the battery's value that it leaves. The optimum is HiGHS's; where HiGHS ran out of time, the better of the two
plans stands in for it and the instance is counted as not proven.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.bench.paper import paper_plan
from agents.bench.suites import Instance
from agents.planning.exact.stages import Stages
from agents.planning.planner import EvolutionaryPlanner, RulePlanner
from agents.planning.problem import Plan, PlanningProblem

if TYPE_CHECKING:
    from agents.bench.trade_offs import AgeingFigures, FrontFigures

ROUNDS = 30
_ROUND_INSTANCES = 3
_PAPER_INSTANCES = 2
_WORTH_EUR = 1e-9

AGEING_GAIN = 0.05
"""Share of the battery's value that planning with ageing should add to the best throughput price's."""


@dataclass(frozen=True)
class PlanFigures:
    """One instance; losses as shares, times as process time.

    ``None`` where there was nothing to measure with.
    """

    name: str
    suite: str
    slots: int
    convex: bool
    loss: float | None
    certified_loss: float
    rule_loss: float | None
    cold_s: float
    warm_s: float
    rule_s: float
    oracle_s: float | None
    oracle_proven: bool | None
    value_eur: float
    rounds_s: float | None = None
    paper_loss: float | None = None
    paper_feasible: bool | None = None
    paper_s: float | None = None


def has_oracle() -> bool:
    """Whether HiGHS is installed."""
    return importlib.util.find_spec("highspy") is not None


def measure(
    instances: Iterable[Instance],
    oracle_seconds: float,
    paper_seconds: float,
    say: Callable[[str], None] = lambda text: None,
) -> list[PlanFigures]:
    """Plan every instance cold and warm, and compare.

    Args:
        instances: what to plan.
        oracle_seconds: time limit of HiGHS for an instance [s].
        paper_seconds: time given to the paper's formulation, for the first instances of each group [s]; 0
            leaves it out.
        say: told the name of what is planned.

    Returns:
        Figures in the order of the instances.
    """
    figures: list[PlanFigures] = []
    seen: dict[tuple[str, bool], int] = {}
    oracle = has_oracle()
    for instance in instances:
        say(instance.name)
        problem = instance.problem
        assert problem.battery is not None, "instances have batteries"
        convex = Stages(problem, problem.battery).convex
        number = seen[instance.suite, convex] = seen.get((instance.suite, convex), -1) + 1
        rounds = number < _ROUND_INSTANCES
        paper = paper_seconds > 0 and number < _PAPER_INSTANCES
        figures.append(
            _figures(instance, convex, oracle, oracle_seconds, paper_seconds if paper else 0.0, rounds)
        )
    return figures


def _figures(
    instance: Instance, convex: bool, oracle: bool, oracle_seconds: float, paper_seconds: float, rounds: bool
) -> PlanFigures:
    problem = instance.problem
    plan, cold_s = _timed(lambda: EvolutionaryPlanner(1).plan(problem))
    nearby = _moved(problem, 1)
    _, warm_s = _timed(lambda: EvolutionaryPlanner(1).plan(nearby, plan))
    rule, rule_s = _timed(lambda: RulePlanner().plan(problem))
    idle_eur, certified = plan.idle_objective_eur, plan.certified_loss
    assert idle_eur is not None, "the planner knows what the idle battery costs"
    assert certified is not None, "the planner certifies what it plans"
    optimum_eur: float | None = None
    oracle_s, proven = None, None
    if oracle:
        from agents.bench.oracle import solve

        found = solve(problem, oracle_seconds)
        oracle_s, proven = found.seconds, bool(found.proven)
        optimum_eur = found.objective_eur if proven else min(found.objective_eur, plan.objective_eur)
    elif plan.certificate == "optimal":
        optimum_eur = plan.objective_eur

    def loss(objective_eur: float) -> float | None:
        if optimum_eur is None:
            return None
        value = idle_eur - optimum_eur
        return (objective_eur - optimum_eur) / value if value > _WORTH_EUR else 0.0

    figures = PlanFigures(
        name=instance.name,
        suite=instance.suite,
        slots=problem.slots,
        convex=convex,
        loss=loss(plan.objective_eur) if oracle else None,
        certified_loss=certified,
        rule_loss=loss(rule.objective_eur),
        cold_s=cold_s,
        warm_s=warm_s,
        rule_s=rule_s,
        oracle_s=oracle_s,
        oracle_proven=proven,
        value_eur=idle_eur - plan.objective_eur,
        rounds_s=_rounds_s(problem, plan) if rounds else None,
    )
    if not paper_seconds:
        return figures
    paper = paper_plan(problem, paper_seconds)
    return replace(
        figures,
        paper_loss=loss(paper.objective_eur),
        paper_feasible=paper.feasible,
        paper_s=paper.seconds,
    )


def _timed(work: Callable[[], Plan]) -> tuple[Plan, float]:
    began = time.process_time()
    plan = work()
    return plan, time.process_time() - began


def _moved(problem: PlanningProblem, seed: int) -> PlanningProblem:
    """The problem of a next round: import prices moved by up to a hundredth."""
    factor = np.random.default_rng(seed).uniform(0.99, 1.01, problem.slots)
    return replace(problem, import_price_eur_per_kwh=problem.import_price_eur_per_kwh * factor)


def _rounds_s(problem: PlanningProblem, plan: Plan) -> float:
    """Process time of warm plans at the prices of rounds that follow each other [s]."""
    planner = EvolutionaryPlanner(1)
    posed = [_moved(problem, seed) for seed in range(ROUNDS)]
    began = time.process_time()
    for following in posed:
        plan = planner.plan(following, plan)
    return time.process_time() - began


def import_cost() -> tuple[float, float]:
    """Importing the planning package in a fresh process: process time [s] and greatest resident memory [MB].

    Memory is read from /proc where there is one: ``getrusage`` there tells of the parent, too.
    """
    code = (
        "import time; began = time.process_time(); import agents.planning.planner; "
        "spent = time.process_time() - began; import pathlib, resource, sys; "
        "status = pathlib.Path('/proc/self/status'); "
        "lines = status.read_text().splitlines() if status.exists() else []; "
        "peak = [int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM')]; "
        "unit = 1 if sys.platform == 'darwin' else 1024; "
        "peak = peak or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit]; "
        "print(spent, peak[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    spent, greatest = (float(part) for part in done.stdout.split())
    return spent, greatest / 1e6


def summary(figures: list[PlanFigures]) -> list[dict[str, Any]]:
    """Figures of each suite, convex and not, as medians, quantiles and worst."""
    groups: dict[tuple[str, bool], list[PlanFigures]] = {}
    for one in figures:
        groups.setdefault((one.suite, one.convex), []).append(one)
    return [_group(*key, members) for key, members in sorted(groups.items())]


def _group(suite: str, convex: bool, figures: list[PlanFigures]) -> dict[str, Any]:
    def spread(name: str) -> dict[str, float] | None:
        found = [float(value) for one in figures if (value := getattr(one, name)) is not None]
        if not found:
            return None
        quantile = float(np.quantile(found, 0.95))
        return {"median": statistics.median(found), "p95": quantile, "max": max(found), "count": len(found)}

    names = (
        "loss",
        "certified_loss",
        "rule_loss",
        "paper_loss",
        "cold_s",
        "warm_s",
        "rounds_s",
        "rule_s",
        "oracle_s",
        "paper_s",
    )
    return {
        "suite": suite,
        "convex": convex,
        "instances": len(figures),
        "oracle_unproven": sum(one.oracle_proven is False for one in figures),
        "paper_feasible": sum(one.paper_feasible is True for one in figures),
        **{name: spread(name) for name in names},
    }


def aims(
    figures: list[PlanFigures],
    import_s: float,
    import_mb: float,
    ageing: Sequence[AgeingFigures] = (),
    fronts: Sequence[FrontFigures] = (),
) -> list[dict[str, Any]]:
    """What is aimed at, what was found, and whether it is met; only what could be measured.

    Returns:
        ``what``, ``found``, ``limit``, ``at_least`` (else at most) and ``met``.
    """
    convex = [one for one in figures if one.convex]
    others = [one for one in figures if not one.convex]
    found: list[tuple[str, float, float]] = []

    def add(what: str, values: list[float | None], of: Callable[[list[float]], float], limit: float) -> None:
        known = [value for value in values if value is not None]
        if known:
            found.append((what, of(known), limit))

    def high(values: list[float]) -> float:
        return float(np.quantile(values, 0.95))

    median = statistics.median
    add("convex: loss, worst", [one.loss for one in convex], max, 1e-6)
    add("convex: certified loss, worst", [one.certified_loss for one in convex], max, 1e-4)
    add("convex: cold, median [s]", [one.cold_s for one in convex], median, 0.1)
    add("convex: warm, median [s]", [one.warm_s for one in convex], median, 0.05)
    add("not convex: loss, 95 % of instances", [one.loss for one in others], high, 1e-3)
    add("not convex: loss, worst", [one.loss for one in others], max, 3e-3)
    add("not convex: cold, median [s]", [one.cold_s for one in others], median, 0.1)
    add("not convex: cold, 95 % of instances [s]", [one.cold_s for one in others], high, 0.1)
    add(f"{ROUNDS} warm rounds, convex, worst [s]", [one.rounds_s for one in convex], max, 1.5)
    add(f"{ROUNDS} warm rounds, not convex, worst [s]", [one.rounds_s for one in others], max, 1.5)
    add("plan with ageing, worst [s]", [one.plan_s for one in ageing], max, 2.0)
    add("front of three objectives, worst [s]", [one.plan_s for one in fronts], max, 2.0)
    found += [("import [s]", import_s, 0.35), ("import, peak memory [MB]", import_mb, 45.0)]
    judged = [
        {"what": what, "found": got, "limit": limit, "at_least": False, "met": got <= limit}
        for what, got, limit in found
    ]
    least: list[tuple[str, list[float], float]] = [
        (
            f"ageing: gain on throughput prices, where {AGEING_GAIN:.0%} can be had, least",
            [one.gain for one in ageing if one.possible_gain >= AGEING_GAIN],
            AGEING_GAIN,
        ),
        ("front: share of the sweep's hypervolume, least", [one.hypervolume_share for one in fronts], 0.95),
    ]
    judged += [
        {"what": what, "found": min(got), "limit": limit, "at_least": True, "met": min(got) >= limit}
        for what, got, limit in least
        if got
    ]
    return judged


def report(
    figures: list[PlanFigures],
    ageing: Sequence[AgeingFigures] = (),
    fronts: Sequence[FrontFigures] = (),
) -> dict[str, Any]:
    """All figures, ready for JSON."""
    import_s, import_mb = import_cost()
    return {
        "oracle": has_oracle(),
        "groups": summary(figures),
        "aims": aims(figures, import_s, import_mb, ageing, fronts),
        "ageing": [asdict(one) for one in ageing],
        "fronts": [asdict(one) for one in fronts],
        "import_s": import_s,
        "import_mb": import_mb,
        "instances": [asdict(one) for one in figures],
    }

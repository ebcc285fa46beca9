"""Measures planning of vehicles and appliances beside the battery: loss against HiGHS, certificate, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.bench.oracle import optimum_eur
from agents.bench.suites import Instance
from agents.planning.planner import EvolutionaryPlanner
from agents.planning.problem import Plan, PlanningProblem


@dataclass(frozen=True)
class FlexibleFigures:
    """One instance.

    Attributes:
        name: the instance's.
        suite: its suite.
        loss: share of the devices' value that the plan leaves; None where HiGHS proved no optimum in time.
        warm_loss: the same of a plan at prices moved by 2 %, from the first.
        certified_loss: what the plan says of itself.
        cold_s: process time of the first plan [s].
        warm_s: process time of the second [s].
    """

    name: str
    suite: str
    loss: float | None
    warm_loss: float | None
    certified_loss: float | None
    cold_s: float
    warm_s: float


def measure_flexible(
    instances: Iterable[Instance], oracle_seconds: float = 10.0, say: Callable[[str], None] | None = None
) -> list[FlexibleFigures]:
    """Plan each instance cold, and again at moved prices.

    Args:
        instances: problems with vehicles or appliances.
        oracle_seconds: time limit of HiGHS for each plan [s].
        say: is told each instance's name.
    """
    figures = []
    for number, instance in enumerate(instances):
        if say is not None:
            say(instance.name)
        problem, planner = instance.problem, EvolutionaryPlanner(seed=1)
        plan, cold_s = _timed(lambda p=problem, by=planner: by.plan(p))  # type: ignore[misc]
        moved = _moved(problem, number)
        again, warm_s = _timed(lambda p=moved, by=planner, w=plan: by.plan(p, w))  # type: ignore[misc]
        figures.append(
            FlexibleFigures(
                instance.name,
                instance.suite,
                _loss(plan, problem, oracle_seconds),
                _loss(again, moved, oracle_seconds),
                plan.certified_loss,
                cold_s,
                warm_s,
            )
        )
    return figures


def summary(figures: list[FlexibleFigures]) -> list[dict[str, Any]]:
    """Median, 95 % quantile and worst of each figure, by suite."""
    rows = []
    for suite in sorted({one.suite for one in figures}):
        group = [one for one in figures if one.suite == suite]
        row: dict[str, Any] = {"suite": suite, "instances": len(group)}
        for name in ("loss", "warm_loss", "certified_loss", "cold_s", "warm_s"):
            values = [value for one in group if (value := getattr(one, name)) is not None]
            row[name] = {
                "count": len(values),
                "median": float(np.median(values)) if values else None,
                "q95": float(np.quantile(values, 0.95)) if values else None,
                "worst": float(np.max(values)) if values else None,
            }
        rows.append(row)
    return rows


def _timed(work: Callable[[], Plan]) -> tuple[Plan, float]:
    began = time.process_time()
    plan = work()
    return plan, time.process_time() - began


def _loss(plan: Plan, problem: PlanningProblem, seconds: float) -> float | None:
    try:
        optimum = optimum_eur(problem, seconds)
    except RuntimeError:  # HiGHS was stopped before it had proven the optimum
        return None
    assert plan.idle_objective_eur is not None, "a plan of flexible loads knows what they cost at once"
    value = plan.idle_objective_eur - optimum
    return (plan.objective_eur - optimum) / value if value > 1e-9 else 0.0


def _moved(problem: PlanningProblem, seed: int) -> PlanningProblem:
    noise = 1.0 + 0.02 * np.random.default_rng([seed, 7]).normal(size=problem.slots)
    price = problem.import_price_eur_per_kwh * noise
    below = np.all(problem.export_price_eur_per_kwh <= problem.import_price_eur_per_kwh)
    export = problem.export_price_eur_per_kwh
    return replace(
        problem,
        import_price_eur_per_kwh=price,
        export_price_eur_per_kwh=np.minimum(price, export) if below else export,
    )

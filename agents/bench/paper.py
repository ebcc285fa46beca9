"""The paper's own formulation of the plan, to compare with: a genetic algorithm over grid and battery.

2 T variables: the grid exchange Pg_t and the stored energy W_t. The balance (eq. 3) is one constraint: the
sum over slots of its squares is 0. Population 600, pymoo's operators as they come, every individual starts as
the battery left alone. The start's sign of PV is mended; the rest is as the authors describe it.

Source: Gabriel, Oulhaj and Dupont (2021), equations 1 to 10.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from agents.devices.battery import battery_energy_kwh, clip_trajectories, idle_trajectory, lower_envelope_kwh
from agents.planning.problem import PlanningProblem, energy_cost_eur, objectives_eur

FloatArray = NDArray[np.float64]

POPULATION = 600
BALANCE_KWH2 = 1e-6
"""Sum of squares up to which a balance counts as met."""


@dataclass(frozen=True)
class PaperPlan:
    """What the formulation reached.

    Attributes:
        objective_eur: objective of a battery that follows its stored energy as nearly as it can [EUR].
        feasible: whether an individual met the balance.
        worst_balance_kwh: greatest imbalance of a slot in the best individual [kWh].
        seconds: process time [s].
        generations: generations run.
    """

    objective_eur: float
    feasible: bool
    worst_balance_kwh: float
    seconds: float
    generations: int


class _PaperProblem(Problem):  # type: ignore[misc]
    def __init__(self, problem: PlanningProblem) -> None:
        battery = problem.battery
        if battery is None:
            raise ValueError("nothing to optimise without a battery")
        self.planning, self.battery = problem, battery
        slots = problem.slots
        span = battery.stored_max_kwh - battery.stored_min_kwh
        # The paper bounds Pg by the load; charging from the grid needs room above it.
        greatest = float(np.maximum(problem.residual_load_kwh, 0).max()) + span
        least = float(np.minimum(problem.residual_load_kwh, 0).min()) - span
        lower = np.concatenate([np.full(slots, least), np.full(slots, battery.stored_min_kwh)])
        upper = np.concatenate([np.full(slots, greatest), np.full(slots, battery.stored_max_kwh)])
        super().__init__(n_var=2 * slots, n_obj=1, n_ieq_constr=1, xl=lower, xu=upper)

    def imbalance_kwh(self, x: FloatArray) -> FloatArray:
        slots = self.planning.slots
        delivered = battery_energy_kwh(x[:, slots:].T, self.battery).T
        gap: FloatArray = x[:, :slots] + delivered - self.planning.residual_load_kwh
        return gap

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        out["F"] = energy_cost_eur(x[:, : self.planning.slots].T, self.planning).sum(axis=0)[:, None]
        out["G"] = (self.imbalance_kwh(x) ** 2).sum(axis=1)[:, None] - BALANCE_KWH2


def paper_plan(problem: PlanningProblem, seconds: float, seed: int = 1) -> PaperPlan:
    """Run the formulation for a time.

    Args:
        problem: a problem with a battery.
        seconds: process time after which no further generation starts [s].
        seed: seed of its random numbers.

    Returns:
        What it reached.
    """
    began = time.process_time()
    posed = _PaperProblem(problem)
    battery, slots, hours = posed.battery, problem.slots, problem.slot_hours
    idle = idle_trajectory(battery, slots, hours)
    start = np.concatenate([problem.residual_load_kwh - battery_energy_kwh(idle, battery), idle])
    rng = np.random.default_rng(seed)
    # Equal rows: pymoo's elimination of duplicates would leave one, so they differ in the last digits.
    rows = start + 1e-9 * rng.standard_normal((POPULATION, start.size))
    algorithm = GA(pop_size=POPULATION, sampling=np.clip(rows, posed.xl, posed.xu))
    algorithm.setup(posed, seed=seed, termination=NoTermination())
    generations = 0
    while time.process_time() - began < seconds:
        algorithm.next()
        generations += 1
    best = algorithm.pop[0]
    lower = lower_envelope_kwh(battery, slots, hours)
    followed = clip_trajectories(best.X[slots:], battery, hours, lower)
    return PaperPlan(
        objective_eur=float(objectives_eur(followed[:, None], problem)[0]),
        feasible=bool(best.CV[0] <= 0),
        worst_balance_kwh=float(np.abs(posed.imbalance_kwh(best.X[None])).max()),
        seconds=time.process_time() - began,
        generations=generations,
    )

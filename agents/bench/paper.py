"""The paper's own formulation of the plan, to compare with: a genetic algorithm over grid and battery.

2 T variables: the grid exchange Pg_t and the stored energy W_t. The balance (eq. 3) is met in squares.
Population 600, pymoo's operators as they come. Two forms of it:

- *Mended*, the fairest opponent: one constraint, that the sum over slots of the squares is 0; every
  individual starts as the battery left alone.
- *As published*, in the authors' program: one constraint a slot; 600 times the same start, which is
  load + PV (the wrong sign of PV) and an empty battery; Pg is bounded by the greatest load and production;
  the stored energy of slot 0 counts as that of the start.

Source: Gabriel, Oulhaj and Dupont (2021), equations 1 to 10; the authors' programs
``optimisation/prosumer_opti.py`` and ``main_agent_with_battery_opti.py``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from agents.devices.battery import battery_energy_kwh, clip_trajectories, idle_trajectory, lower_envelope_kwh
from agents.planning.problem import PlanningProblem, energy_cost_eur, objectives_eur
from runtime.devices import Battery

FloatArray = NDArray[np.float64]

POPULATION = 600
BALANCE_KWH2 = 1e-6
"""Sum of squares up to which a balance counts as met, in the mended form."""

PUBLISHED_BALANCE_KWH2 = 1e-7
"""Square up to which the balance of a slot counts as met, in the published form: 0.1 Wh²."""


@dataclass(frozen=True, eq=False)
class PublishedInputs:
    """What the published form asks besides the residual load.

    Attributes:
        load_kwh: load [kWh per slot], shape (T,).
        pv_kwh: production [kWh per slot], shape (T,).
    """

    load_kwh: FloatArray
    pv_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class PaperPlan:
    """What the formulation reached.

    Attributes:
        objective_eur: objective of a battery that follows its stored energy as nearly as it can [EUR].
        feasible: whether an individual met the balance.
        worst_balance_kwh: greatest imbalance of a slot in the best individual [kWh].
        seconds: process time [s].
        generations: generations run.
        stored_energy_kwh: stored energy of that battery at the end of each slot [kWh], shape (T,).
    """

    objective_eur: float
    feasible: bool
    worst_balance_kwh: float
    seconds: float
    generations: int
    stored_energy_kwh: FloatArray


class _PaperProblem(Problem):  # type: ignore[misc]
    """The mended form."""

    def __init__(self, problem: PlanningProblem, constraints: int = 1) -> None:
        self.planning, self.battery = problem, _battery_of(problem)
        slots = problem.slots
        least, greatest = self._exchange_bounds_kwh()
        lower = np.concatenate([np.full(slots, least), np.full(slots, self.battery.stored_min_kwh)])
        upper = np.concatenate([np.full(slots, greatest), np.full(slots, self.battery.stored_max_kwh)])
        super().__init__(n_var=2 * slots, n_obj=1, n_ieq_constr=constraints, xl=lower, xu=upper)

    def _exchange_bounds_kwh(self) -> tuple[float, float]:
        # The paper bounds Pg by the load; charging from the grid needs room above it.
        span = self.battery.stored_max_kwh - self.battery.stored_min_kwh
        residual = self.planning.residual_load_kwh
        return float(np.minimum(residual, 0).min()) - span, float(np.maximum(residual, 0).max()) + span

    def start(self, rng: np.random.Generator) -> FloatArray:
        """First population, shape (600, 2 T)."""
        battery, problem = self.battery, self.planning
        idle = idle_trajectory(battery, problem.slots, problem.slot_hours)
        start = np.concatenate([problem.residual_load_kwh - battery_energy_kwh(idle, battery), idle])
        # Equal rows: pymoo's elimination of duplicates would leave one, so they differ in the last digits.
        rows = start + 1e-9 * rng.standard_normal((POPULATION, start.size))
        return np.clip(rows, self.xl, self.xu)

    def stored_kwh(self, x: FloatArray) -> FloatArray:
        """Stored energy of each individual [kWh], shape (P, T)."""
        return x[:, self.planning.slots :]

    def imbalance_kwh(self, x: FloatArray) -> FloatArray:
        """Imbalance of each slot [kWh], shape (P, T)."""
        delivered = battery_energy_kwh(self.stored_kwh(x).T, self.battery).T
        gap: FloatArray = x[:, : self.planning.slots] + delivered - self.planning.residual_load_kwh
        return gap

    def excess_kwh2(self, x: FloatArray) -> FloatArray:
        """The constraints, met at 0 and below [kWh²], shape (P, constraints)."""
        excess: FloatArray = (self.imbalance_kwh(x) ** 2).sum(axis=1)[:, None] - BALANCE_KWH2
        return excess

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        out["F"] = energy_cost_eur(x[:, : self.planning.slots].T, self.planning).sum(axis=0)[:, None]
        out["G"] = self.excess_kwh2(x)


class _PublishedProblem(_PaperProblem):
    """The published form."""

    def __init__(self, problem: PlanningProblem, inputs: PublishedInputs) -> None:
        self.inputs = inputs
        super().__init__(problem, constraints=problem.slots)

    def _exchange_bounds_kwh(self) -> tuple[float, float]:
        return -float(self.inputs.pv_kwh.max()), float(self.inputs.load_kwh.max())

    def start(self, rng: np.random.Generator) -> FloatArray:
        row = np.zeros(self.n_var)
        row[: self.planning.slots] = self.inputs.load_kwh + self.inputs.pv_kwh
        row[self.planning.slots] = self.battery.stored_start_kwh
        return np.tile(row, (POPULATION, 1))

    def stored_kwh(self, x: FloatArray) -> FloatArray:
        stored = x[:, self.planning.slots :].copy()
        stored[:, 0] = self.battery.stored_start_kwh
        return stored

    def excess_kwh2(self, x: FloatArray) -> FloatArray:
        return self.imbalance_kwh(x) ** 2 - PUBLISHED_BALANCE_KWH2


def paper_plan(
    problem: PlanningProblem,
    seconds: float = math.inf,
    seed: int = 1,
    *,
    generations: int | None = None,
    published: PublishedInputs | None = None,
    say: Callable[[int], None] = lambda generation: None,
) -> PaperPlan:
    """Run the formulation for a time, or for a number of generations.

    Args:
        problem: a problem with a battery.
        seconds: process time after which no further generation starts [s].
        seed: seed of its random numbers.
        generations: most generations; None: as many as there is time for.
        published: load and production for the published form; None: the mended form.
        say: told the number of each generation done.

    Returns:
        What it reached.

    Raises:
        ValueError: nothing to optimise without a battery, or neither time nor generations are bounded.
    """
    if generations is None and math.isinf(seconds):
        raise ValueError("without a number of generations the time must be bounded")
    began = time.process_time()
    posed = _PaperProblem(problem) if published is None else _PublishedProblem(problem, published)
    battery, slots, hours = posed.battery, problem.slots, problem.slot_hours
    algorithm = GA(pop_size=POPULATION, sampling=posed.start(np.random.default_rng(seed)))
    algorithm.setup(posed, seed=seed, termination=NoTermination())
    done = 0
    while time.process_time() - began < seconds and (generations is None or done < generations):
        algorithm.next()
        done += 1
        say(done)
    best = algorithm.pop[0]
    lower = lower_envelope_kwh(battery, slots, hours)
    # The battery follows the variables themselves, as the authors' program has it, slot 0 too.
    followed = clip_trajectories(best.X[slots:], battery, hours, lower)
    return PaperPlan(
        objective_eur=float(objectives_eur(followed[:, None], problem)[0]),
        feasible=bool(best.CV[0] <= 0),
        worst_balance_kwh=float(np.abs(posed.imbalance_kwh(best.X[None])).max()),
        seconds=time.process_time() - began,
        generations=done,
        stored_energy_kwh=followed,
    )


def _battery_of(problem: PlanningProblem) -> Battery:
    if problem.battery is None:
        raise ValueError("nothing to optimise without a battery")
    return problem.battery

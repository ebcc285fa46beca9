"""Planners: from a planning problem to a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from agents.devices.battery import clip_trajectories, idle_trajectory, lower_envelope_kwh, rule_trajectory
from agents.planning.exact.peak import peak_kw, peak_plan
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import lower_bound_eur, water_value_plan
from agents.planning.flexible.devices import Devices
from agents.planning.flexible.planner import FlexiblePlanner
from agents.planning.problem import Plan, PlanningProblem, objectives_eur, plan_of
from agents.planning.search.evolution import SearchBudget, search
from agents.planning.search.pieces import PieceSearch
from agents.planning.search.seeds import seed_trajectories
from agents.planning.tariff import FloatArray
from runtime.errors import InputError
from runtime.planners import installed_planner

if TYPE_CHECKING:
    from runtime.devices import Battery

_RELAXED_ROWS = 6
_NEXT_SEED = 1_000_003


class Planner(Protocol):
    """Makes a member's plan."""

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """Plan all slots of a problem.

        Args:
            problem: the problem.
            warm: an earlier plan of the same member over as many slots, for instance at the last round's
                prices; a help, never a change of what is asked.

        Returns:
            A feasible plan.

        Raises:
            InputError: the end SOC cannot be reached, or ``warm`` covers another number of slots.
        """


class IdlePlanner:
    """Leaves the battery unused, except for what self-discharge and the end SOC require.

    Vehicles charge on arrival, appliances start as soon as they may.
    """

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """See :meth:`Planner.plan`."""
        if problem.vehicles or problem.appliances:
            devices = Devices(problem)
            return devices.plan(devices.at_once)
        if problem.battery is None:
            return plan_of(problem, None)
        return plan_of(problem, idle_trajectory(problem.battery, problem.slots, problem.slot_hours))


class RulePlanner:
    """The paper's rule: surplus charges first, deficit discharges first; blind to prices.

    Vehicles charge on arrival, appliances start as soon as they may.
    """

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """See :meth:`Planner.plan`."""
        if problem.vehicles or problem.appliances:
            devices = Devices(problem)
            ruled = self.plan(devices.beside(devices.flexible_kwh(devices.at_once)))
            stored = None if problem.battery is None else ruled.stored_energy_kwh
            return devices.plan(replace(devices.at_once, stored_energy_kwh=stored))
        if problem.battery is None:
            return plan_of(problem, None)
        return plan_of(
            problem, rule_trajectory(problem.residual_load_kwh, problem.battery, problem.slot_hours)
        )


class EvolutionaryPlanner:
    """Exact by water values where the problem is convex; else a genetic algorithm over trajectories.

    Never worse than rule or idle battery. The plan depends on the problem, the seed, the budget and the warm
    start alone: not on the clock. Vehicles and appliances are planned with the battery by
    :class:`~agents.planning.flexible.planner.FlexiblePlanner`.

    Args:
        seed: seed of the random numbers.
        budget: when the search stops, in generations.
        water_values: plan the convex relaxation first, which is optimal where the problem is convex and then
            certified without a search; solve exactly within convex pieces where it is not; compute a lower
            bound. Without it the search relies on evolution alone and the plan has no bound.
    """

    def __init__(self, seed: int, budget: SearchBudget | None = None, water_values: bool = True) -> None:
        self.seed = seed
        self.budget = budget or SearchBudget()
        self.water_values = water_values

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """See :meth:`Planner.plan`."""
        if problem.vehicles or problem.appliances:
            return FlexiblePlanner(self.seed, self).plan(problem, warm)
        battery = problem.battery
        if battery is None:
            return plan_of(problem, None)
        earlier = None if warm is None else _warm_rows(warm, problem.slots)
        lower = lower_envelope_kwh(battery, problem.slots, problem.slot_hours)
        idle = idle_trajectory(battery, problem.slots, problem.slot_hours)
        idle_eur = float(objectives_eur(idle[:, None], problem)[0])
        stages = Stages(problem, battery)
        rows: list[FloatArray] = []
        bound = None
        if self.water_values:
            relaxed, bound = _relaxed(problem, battery, stages, lower, warm)
            reached = objectives_eur(relaxed, problem)
            best = int(reached.argmin())
            if self.budget.certifies(float(reached[best]), bound, idle_eur):
                return plan_of(problem, relaxed[:, best], bound, idle_objective_eur=idle_eur)
            rows.append(relaxed[:, np.argsort(reached, kind="stable")[:_RELAXED_ROWS]])
        if earlier is None:
            rows.insert(0, seed_trajectories(problem, stages, lower))
        else:
            rule = rule_trajectory(problem.residual_load_kwh, battery, problem.slot_hours)
            rows.insert(0, np.stack([rule, idle], axis=1))
            rows.append(clip_trajectories(earlier, battery, problem.slot_hours, lower))
        start = np.concatenate(rows, axis=1)
        plans: list[Plan] = []
        pieces = PieceSearch(stages, lower) if self.water_values and not stages.convex else None
        for number in range(1 if warm is not None else self.budget.cold_searches):
            found = search(
                stages,
                lower,
                start,
                bound,
                self.seed + number * _NEXT_SEED,
                self.budget,
                pieces,
                warm=warm is not None,
                known_eur=min((plan.objective_eur for plan in plans), default=-np.inf),
            )
            plan = plan_of(problem, found.stored_energy_kwh, bound, found.population_kwh, idle_eur)
            plans.append(plan)
            if self.budget.certifies(plan.objective_eur, bound, idle_eur):
                break
        return min(plans, key=lambda plan: plan.objective_eur)


def planner_for(strategy: str, seed: int) -> Planner:
    """The planner of a strategy.

    Args:
        strategy: ``idle``, ``rule``, ``optimised``, or the name of an installed planner.
        seed: seed of the random numbers of ``optimised``, or of the installed planner.

    Returns:
        The planner.

    Raises:
        InputError: no such strategy.
    """
    if strategy == "idle":
        return IdlePlanner()
    if strategy == "rule":
        return RulePlanner()
    if strategy == "optimised":
        return EvolutionaryPlanner(seed)
    made: Planner = installed_planner(strategy).load()(seed)
    return made


def _relaxed(
    problem: PlanningProblem, battery: Battery, stages: Stages, lower_kwh: FloatArray, warm: Plan | None
) -> tuple[FloatArray, float]:
    """Plans of the convex relaxation [kWh], shape (T, N), and its bound [EUR]."""
    if not problem.peak_charge_eur_per_kw:
        solved = water_value_plan(stages.hull_curves(), stages, lower_kwh)
        bound = lower_bound_eur(stages, lower_kwh, solved.value_eur_per_kwh)
        return solved.stored_energy_kwh[:, None], bound
    start_kw = None if warm is None else peak_kw(warm.stored_energy_kwh, problem, battery)
    capped = peak_plan(stages, lower_kwh, start_kw)
    return capped.trajectories_kwh, capped.bound_eur


def _warm_rows(warm: Plan, slots: int) -> FloatArray:
    if warm.stored_energy_kwh.size != slots:
        raise InputError(f"warm plan: expected {slots} slots, found {warm.stored_energy_kwh.size}")
    rows = warm.stored_energy_kwh[:, None]
    if warm.population_kwh is not None:
        rows = np.concatenate([rows, warm.population_kwh.T], axis=1)
    return rows

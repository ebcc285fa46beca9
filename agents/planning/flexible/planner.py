"""The plan of a battery, vehicles and appliances together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from agents.devices.battery import clip_trajectories
from agents.planning.flexible.appliance_starts import StartModel
from agents.planning.flexible.devices import Devices, Schedule
from agents.planning.flexible.joint_peak import joint_plan
from agents.planning.flexible.price_bound import price_bound
from agents.planning.flexible.replies import replied
from agents.planning.flexible.vehicle_values import VehicleValues
from agents.planning.problem import Plan, PlanningProblem
from runtime.errors import InputError

if TYPE_CHECKING:
    from agents.planning.planner import Planner


@dataclass(frozen=True)
class FlexibleBudget:
    """When the search ends; counted in plans, so that every machine finds the same.

    Attributes:
        cold_starts: combinations of starts tried without an earlier plan.
        warm_starts: the same with one.
        unproven_starts: the same where the problem proves not to be convex, so that none can be certified.
        peak_starts: the same under a demand charge, where each takes a search of its own.
        warm_peak_starts: likewise, with an earlier plan.
        certified_share: gap to the lower bound at which a plan is as good as optimal, as a share of the
            devices' value.
        polish_rounds: rounds of replies of one device at a time, where the problem is not convex.
    """

    cold_starts: int = 16
    warm_starts: int = 6
    unproven_starts: int = 4
    peak_starts: int = 4
    warm_peak_starts: int = 2
    certified_share: float = 1e-5
    polish_rounds: int = 3


class FlexiblePlanner:
    """Plans all devices together: exact where the cost of net energy is convex and the starts are few.

    Never worse than the devices left alone. The plan depends on the problem, the seed, the budget and the
    warm start alone.

    Args:
        seed: seed of the random numbers.
        battery_planner: plans the battery alone, for the polish where the problem is not convex.
        budget: when to stop.
    """

    def __init__(self, seed: int, battery_planner: Planner, budget: FlexibleBudget | None = None) -> None:
        self.seed = seed
        self.battery_planner = battery_planner
        self.budget = budget or FlexibleBudget()

    def plan(self, problem: PlanningProblem, warm: Plan | None = None) -> Plan:
        """Plan all slots of a problem; see :meth:`agents.planning.planner.Planner.plan`."""
        devices = Devices(problem)
        reference_eur = devices.objective_eur(devices.at_once)
        best, best_eur = devices.at_once, reference_eur
        first = replied(devices, devices.at_once) if warm is None else _warm_schedule(devices, warm)
        first_eur = devices.objective_eur(first)
        if first_eur < best_eur:
            best, best_eur = first, first_eur
        model = StartModel(tuple(len(runs) for runs in devices.runs_kwh), self.seed)
        joint = VehicleValues(devices)
        near = first
        values = None
        peak_kw = None if warm is None else float(warm.net_kwh.max()) / problem.slot_hours
        tries = self.budget.cold_starts if warm is None else self.budget.warm_starts
        if problem.peak_charge_eur_per_kw:
            tries = self.budget.peak_starts if warm is None else self.budget.warm_peak_starts
        convex = True
        for number in range(tries):
            if not convex and number >= self.budget.unproven_starts:
                break
            answer = joint_plan(joint, near, values, peak_kw)
            found, multiplier = answer.found, answer.multiplier_eur_per_kwh
            values = found.vehicle_value_eur_per_kwh
            reached = devices.objective_eur(found.schedule)
            peak_kw = float(devices.net_kwh(found.schedule).max()) / problem.slot_hours
            improved = reached < best_eur
            if improved:
                best, best_eur = found.schedule, reached
            low, high = found.price_range_eur_per_kwh
            # All are tight here; beside other starts now one, now another is the greatest.
            prices = [0.5 * (low + high)]
            if devices.runs_kwh and np.any(high > low):
                prices += [low, high]
            water = found.water_value_eur_per_kwh
            bounds = [price_bound(devices, price, water, multiplier) for price in prices]
            for bound in bounds:
                model.add(bound)
            gap = reached - max(bound.with_starts_eur(near.starts) for bound in bounds)
            convex = convex and gap <= self._slack_eur(reference_eur, best_eur)
            starts, promise = model.next_starts(near.starts)
            if starts is None or promise >= best_eur - self._slack_eur(reference_eur, best_eur):
                break
            if improved:
                # Prices tell what a small change is worth; an appliance is a large one.
                replies = replied(devices, best).starts
                starts = starts if model.was_tried(replies) else replies
            near = replace(best, starts=starts)
        if not convex:
            best, best_eur = self._polished(devices, best, best_eur)
        # Where several slots cost the same, a person expects the first of them.
        tidied = replied(devices, best)
        if devices.objective_eur(tidied) <= best_eur:
            best, best_eur = tidied, devices.objective_eur(tidied)
        lower = min(model.lower_bound_eur, best_eur)
        return devices.plan(best, lower, reference_eur=reference_eur)

    def _slack_eur(self, reference_eur: float, best_eur: float) -> float:
        rounding = 1e-11 * (abs(reference_eur) + abs(best_eur))
        return self.budget.certified_share * max(reference_eur - best_eur, 0.0) + rounding

    def _polished(self, devices: Devices, best: Schedule, best_eur: float) -> tuple[Schedule, float]:
        """Replies of one device at a time, until none gains."""
        for _ in range(self.budget.polish_rounds):
            before_eur = best_eur
            candidate = best
            if devices.battery is not None:
                beside = devices.beside(devices.flexible_kwh(best))
                alone = self.battery_planner.plan(beside, devices.plan(best))
                candidate = replace(best, stored_energy_kwh=alone.stored_energy_kwh)
            candidate = replied(devices, candidate)
            reached = devices.objective_eur(candidate)
            if reached < best_eur:
                best, best_eur = candidate, reached
            if best_eur >= before_eur - self._slack_eur(before_eur, best_eur):
                break
        return best, best_eur


def _warm_schedule(devices: Devices, warm: Plan) -> Schedule:
    problem = devices.problem
    if warm.net_kwh.size != problem.slots:
        raise InputError(f"warm plan: expected {problem.slots} slots, found {warm.net_kwh.size}")
    stored = None
    if devices.battery is not None:
        stored = clip_trajectories(
            warm.stored_energy_kwh, devices.battery, problem.slot_hours, devices.lower_kwh
        )
    if warm.vehicle_kwh.shape != devices.limits_kwh.shape:
        raise InputError(
            f"warm plan: expected {len(problem.vehicles)} vehicles, found {len(warm.vehicle_kwh)}"
        )
    starts = tuple(
        min(max(start - appliance.earliest_start_slot, 0), len(runs) - 1)
        for start, appliance, runs in zip(
            warm.appliance_start_slot, problem.appliances, devices.runs_kwh, strict=True
        )
    )
    return Schedule(stored, devices.repaired_kwh(warm.vehicle_kwh), starts)

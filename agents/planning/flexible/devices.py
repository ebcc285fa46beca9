"""A battery, vehicles and appliances behind one meter: what they may do together, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from agents.devices.appliance import run_kwh, runs_kwh
from agents.devices.battery import (
    building_side_kwh,
    discharge_limit_kwh,
    idle_trajectory,
    lower_envelope_kwh,
    stored_change_kwh,
    stored_change_limits_kwh,
)
from agents.devices.vehicle import charge_at_once_kwh, drawn_limit_kwh, drawn_range_kwh
from agents.planning.problem import Plan, objectives_eur, peak_charge_eur, plan_of, proximal_cost_eur
from agents.planning.tariff import FloatArray

if TYPE_CHECKING:
    from agents.planning.problem import PlanningProblem
    from runtime.devices import Appliance, ElectricVehicle


@dataclass(frozen=True, eq=False)
class Schedule:
    """What all devices do.

    Attributes:
        stored_energy_kwh: the battery's stored energy at the end of each slot [kWh], shape (T,); None
            without a battery.
        vehicle_kwh: energy that each vehicle draws [kWh per slot], shape (V, T).
        starts: start of each appliance, counted from its earliest, length A.
    """

    stored_energy_kwh: FloatArray | None
    vehicle_kwh: FloatArray
    starts: tuple[int, ...]


def loads_kwh(
    vehicles: Sequence[ElectricVehicle], appliances: Sequence[Appliance], plan: Plan
) -> dict[str, FloatArray]:
    """What each vehicle and each appliance draws by a plan, by its name [kWh per slot], shapes (T,).

    Several stays or runs of one name in a session are added up.
    """
    slots = plan.net_kwh.size
    found: dict[str, FloatArray] = {}
    for vehicle, drawn in zip(vehicles, plan.vehicle_kwh, strict=True):
        found[vehicle.name] = found.get(vehicle.name, np.zeros(slots)) + drawn
    for appliance, start in zip(appliances, plan.appliance_start_slot, strict=True):
        found[appliance.name] = found.get(appliance.name, np.zeros(slots)) + run_kwh(appliance, start, slots)
    return found


def beside_loads(problem: PlanningProblem, plan: Plan) -> PlanningProblem:
    """The battery's problem where vehicles and appliances do as planned: part of the residual load."""
    if plan.flexible_kwh is None:
        return problem
    residual = problem.residual_load_kwh + plan.flexible_kwh
    return replace(problem, residual_load_kwh=residual, vehicles=(), appliances=())


class Devices:
    """The devices of a problem as arrays.

    Attributes:
        problem: the problem, with its flexible loads.
        base: the same without them.
        battery: its battery, or None.
        lower_kwh: the battery's lower envelope [kWh], shape (T,); zeros without one.
        limits_kwh: most that each vehicle draws [kWh per slot], shape (V, T).
        ranges_kwh: least and greatest energy that each vehicle draws over its stay [kWh], shape (V, 2).
        runs_kwh: of each appliance all runs [kWh per slot], shape (S, T) each.

    Raises:
        InputError: a vehicle, an appliance or an end SOC that the horizon has no room for.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        slots, hours = problem.slots, problem.slot_hours
        self.problem = problem
        self.base = replace(problem, vehicles=(), appliances=())
        self.battery = problem.battery
        self.lower_kwh = (
            np.zeros(slots) if self.battery is None else lower_envelope_kwh(self.battery, slots, hours)
        )
        self.limits_kwh = np.zeros((len(problem.vehicles), slots))
        self.ranges_kwh = np.zeros((len(problem.vehicles), 2))
        for number, vehicle in enumerate(problem.vehicles):
            self.limits_kwh[number] = drawn_limit_kwh(vehicle, slots, hours)
            self.ranges_kwh[number] = drawn_range_kwh(vehicle, slots, hours)
        self.runs_kwh = [runs_kwh(appliance, slots) for appliance in problem.appliances]

    @cached_property
    def at_once(self) -> Schedule:
        """The battery left alone, vehicles charged on arrival, appliances started at once."""
        problem, slots, hours = self.problem, self.problem.slots, self.problem.slot_hours
        stored = None if self.battery is None else idle_trajectory(self.battery, slots, hours)
        drawn = [charge_at_once_kwh(vehicle, slots, hours) for vehicle in problem.vehicles]
        return Schedule(stored, np.array(drawn).reshape(-1, slots), (0,) * len(self.runs_kwh))

    @cached_property
    def battery_range_kwh(self) -> tuple[float, float]:
        """Least and greatest energy that the battery draws in a slot, at the building's side [kWh]."""
        if self.battery is None:
            return 0.0, 0.0
        least, greatest = stored_change_limits_kwh(self.battery, self.problem.slot_hours)
        least_drawn = max(
            least * self.battery.discharge_efficiency,
            -discharge_limit_kwh(self.battery, self.problem.slot_hours),
        )
        return least_drawn, greatest / self.battery.charge_efficiency

    @cached_property
    def net_range_kwh(self) -> tuple[FloatArray, FloatArray]:
        """Least and greatest net energy of each slot, whatever the devices do [kWh], shapes (T,)."""
        least, greatest = self.battery_range_kwh
        low = self.problem.residual_load_kwh + least
        high = self.problem.residual_load_kwh + greatest + self.limits_kwh.sum(axis=0)
        for runs in self.runs_kwh:
            low, high = low + runs.min(axis=0), high + runs.max(axis=0)
        return low, high

    def appliances_kwh(self, starts: tuple[int, ...]) -> FloatArray:
        """Energy drawn by all appliances [kWh per slot], shape (T,)."""
        total = np.zeros(self.problem.slots)
        for runs, start in zip(self.runs_kwh, starts, strict=True):
            total += runs[start]
        return total

    def flexible_kwh(self, schedule: Schedule) -> FloatArray:
        """Energy drawn by vehicles and appliances [kWh per slot], shape (T,)."""
        total: FloatArray = schedule.vehicle_kwh.sum(axis=0) + self.appliances_kwh(schedule.starts)
        return total

    def repaired_kwh(self, vehicle_kwh: FloatArray) -> FloatArray:
        """Vehicles' energies, moved towards rest or full power until each draws what it needs, and can.

        Args:
            vehicle_kwh: wanted energies [kWh per slot], shape (V, T), for instance an earlier plan's.
        """
        repaired = np.clip(vehicle_kwh, 0.0, self.limits_kwh)
        for row, limit, (least, greatest) in zip(
            repaired, self.limits_kwh, self.ranges_kwh.tolist(), strict=True
        ):
            total = float(row.sum())
            if total < least:
                row += (limit - row) * min((least - total) / max(float((limit - row).sum()), 1e-300), 1.0)
            elif total > greatest:
                row *= greatest / total
        return repaired

    def drawn_kwh(self, stored_energy_kwh: FloatArray | None) -> FloatArray:
        """Energy drawn by the battery [kWh per slot], charge > 0, shape (T,)."""
        if self.battery is None or stored_energy_kwh is None:
            return np.zeros(self.problem.slots)
        return -building_side_kwh(stored_change_kwh(stored_energy_kwh, self.battery), self.battery)

    def net_kwh(self, schedule: Schedule) -> FloatArray:
        """Net energy [kWh per slot], import > 0, shape (T,)."""
        drawn = self.drawn_kwh(schedule.stored_energy_kwh)
        net: FloatArray = self.problem.residual_load_kwh + drawn + self.flexible_kwh(schedule)
        return net

    def beside(self, flexible_kwh: FloatArray) -> PlanningProblem:
        """The battery's own problem beside known flexible loads [kWh per slot], shape (T,)."""
        return replace(self.base, residual_load_kwh=self.problem.residual_load_kwh + flexible_kwh)

    def objective_eur(self, schedule: Schedule) -> float:
        """All that the problem counts, for a schedule [EUR]."""
        if schedule.stored_energy_kwh is None:
            return float(net_objectives_eur(self.net_kwh(schedule)[:, None], self.base)[0])
        beside = self.beside(self.flexible_kwh(schedule))
        return float(objectives_eur(schedule.stored_energy_kwh[:, None], beside)[0])

    def plan(
        self,
        schedule: Schedule,
        lower_bound_eur: float | None = None,
        population_kwh: FloatArray | None = None,
        reference_eur: float | None = None,
    ) -> Plan:
        """The plan that a schedule makes.

        Args:
            schedule: what all devices do.
            lower_bound_eur: a lower bound on every schedule's objective [EUR], where known.
            population_kwh: trajectories of stored energy kept for a warm start [kWh], shape (P, T).
            reference_eur: objective of :attr:`at_once`; None leaves the plan's value unknown.
        """
        plan = plan_of(
            self.beside(self.flexible_kwh(schedule)),
            schedule.stored_energy_kwh,
            lower_bound_eur,
            population_kwh,
        )
        first = [appliance.earliest_start_slot for appliance in self.problem.appliances]
        return replace(
            plan,
            vehicle_kwh=schedule.vehicle_kwh,
            appliance_start_slot=tuple(a + b for a, b in zip(first, schedule.starts, strict=True)),
            flexible_kwh=self.flexible_kwh(schedule),
            lower_bound_eur=lower_bound_eur,
            idle_objective_eur=reference_eur,
        )


def net_objectives_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """What net energy alone costs: tariff, proximal term and demand charge.

    Args:
        net_kwh: net energy [kWh per slot], shape (T, P).
        problem: the prices.

    Returns:
        Costs [EUR], shape (P,).
    """
    stage = problem.tariff.cost_eur(net_kwh)
    if problem.weight_eur_per_kwh2.any():
        stage = stage + proximal_cost_eur(net_kwh, problem)
    total: FloatArray = stage.sum(axis=0)
    return total + peak_charge_eur(net_kwh, problem) if problem.peak_charge_eur_per_kw else total

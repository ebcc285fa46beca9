"""The plan that a coordinator's schedule makes of a member's devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.devices.appliance import run_kwh
from agents.devices.battery import clip_trajectories, lower_envelope_kwh
from agents.devices.vehicle import drawn_limit_kwh
from agents.planning.problem import Plan, PlanningProblem, plan_of
from runtime.errors import ProtocolError
from runtime.protocol.bodies import DeviceSchedule


def scheduled_plan(problem: PlanningProblem, schedule: DeviceSchedule) -> Plan:
    """The plan of a schedule, made feasible to the last digit.

    Args:
        problem: the member's problem; its prices say what the plan costs.
        schedule: what every device is to do.

    Raises:
        ProtocolError: the schedule does not fit the devices.
    """
    battery, slots, hours = problem.battery, problem.slots, problem.slot_hours
    rows = [*schedule.vehicle_kwh, *([] if schedule.stored_kwh is None else [schedule.stored_kwh])]
    told = (schedule.stored_kwh is not None, len(schedule.vehicle_kwh), len(schedule.appliance_start_slots))
    own = (battery is not None, len(problem.vehicles), len(problem.appliances))
    if told != own or any(len(row) != slots for row in rows):
        raise ProtocolError("the schedule does not fit the devices declared")
    flexible = np.zeros(slots)
    for appliance, start in zip(problem.appliances, schedule.appliance_start_slots, strict=True):
        if not appliance.earliest_start_slot <= start <= appliance.latest_start_slot:
            raise ProtocolError(f"{appliance.name} may not start in slot {start}")
        flexible += run_kwh(appliance, start, slots)
    drawn = np.array(schedule.vehicle_kwh).reshape(len(problem.vehicles), slots)
    for number, vehicle in enumerate(problem.vehicles):
        drawn[number] = np.clip(drawn[number], 0.0, drawn_limit_kwh(vehicle, slots, hours))
    flexible += drawn.sum(axis=0)
    stored = None
    if battery is not None:
        lower = lower_envelope_kwh(battery, slots, hours)
        stored = clip_trajectories(np.array(schedule.stored_kwh)[:, None], battery, hours, lower)[:, 0]
    loads = bool(problem.vehicles or problem.appliances)
    residual_kwh = problem.residual_load_kwh + flexible if loads else problem.residual_load_kwh
    beside = replace(problem, residual_load_kwh=residual_kwh, vehicles=(), appliances=())
    return replace(
        plan_of(beside, stored),
        vehicle_kwh=drawn,
        appliance_start_slot=schedule.appliance_start_slots,
        flexible_kwh=flexible if loads else None,
    )

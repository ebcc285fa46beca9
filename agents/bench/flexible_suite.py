"""Planning problems with flexible loads to measure on: seeded random members with vehicles and appliances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from agents.bench.suites import Instance, random_instances
from agents.planning.problem import PlanningProblem
from runtime.devices import Appliance, ElectricVehicle

_RUNS_KW = (
    (2.0, 0.1, 0.1, 1.9, 0.1),  # dishwasher: heat, wash, heat, dry
    (2.1, 0.3, 0.2, 0.5),  # washing machine
    (2.4, 2.2, 1.8, 1.2, 0.6, 0.3),  # tumble dryer
)


def flexible_instances(
    count: int, vehicles: int = 1, appliances: int = 2, most_slots: int = 144
) -> Iterator[Instance]:
    """Random members of the battery suite with vehicles and appliances beside the battery.

    Args:
        count: how many.
        vehicles: vehicles of each.
        appliances: appliances of each.
        most_slots: horizons with more slots are left out.
    """
    given = 0
    for instance in random_instances(100 * count):
        if instance.problem.slots > most_slots:
            continue
        rng = np.random.default_rng([given, vehicles, appliances])
        yield replace(instance, problem=with_flexible_loads(instance.problem, rng, vehicles, appliances))
        given += 1
        if given == count:
            return


def with_flexible_loads(
    problem: PlanningProblem, rng: np.random.Generator, vehicles: int, appliances: int
) -> PlanningProblem:
    """A problem with random flexible loads: stays of 4 to 14 h, windows of 3 to 12 h."""
    slots, hours = problem.slots, problem.slot_hours
    stays = []
    for number in range(vehicles):
        stay = min(int(rng.uniform(4, 14) / hours), slots)
        arrival = int(rng.integers(0, slots - stay + 1))
        limit_kw = float(rng.choice([2.3, 3.7, 7.4, 11.0]))
        efficiency = float(rng.choice([1.0, 0.9]))
        energy = float(rng.uniform(0.1, 0.7)) * limit_kw * stay * hours * efficiency
        energy = min(energy, float(rng.uniform(8, 40)))
        room = energy * float(rng.uniform(1.0, 1.5)) if rng.random() < 0.3 else None
        stays.append(
            ElectricVehicle(
                name=f"vehicle-{number}",
                arrival_slot=arrival,
                departure_slot=arrival + stay,
                energy_kwh=energy,
                charge_limit_kw=limit_kw,
                charge_efficiency=efficiency,
                room_kwh=room,
            )
        )
    runs = []
    for number in range(appliances):
        profile = _RUNS_KW[int(rng.integers(len(_RUNS_KW)))]
        each = max(1, round(0.5 / hours))
        energy_kwh = tuple(float(power * hours) for power in np.repeat(profile, each))
        window = min(max(int(rng.uniform(3, 12) / hours), len(energy_kwh)), slots)
        earliest = int(rng.integers(0, slots - window + 1))
        runs.append(
            Appliance(
                name=f"appliance-{number}",
                energy_kwh=energy_kwh,
                earliest_start_slot=earliest,
                latest_start_slot=earliest + window - len(energy_kwh),
            )
        )
    return replace(problem, vehicles=tuple(stays), appliances=tuple(runs))

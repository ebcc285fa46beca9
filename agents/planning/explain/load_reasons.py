"""Why vehicles and appliances of a plan draw when they do, told by what it costs them there and elsewhere.

Everything else is held as planned: prices of a vehicle are those of one more or one less kWh, the costs of an
appliance's starts those of its whole run, at the prices, and with the proximal term, that the plan answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from agents.devices.appliance import runs_kwh
from agents.devices.vehicle import drawn_limit_kwh
from agents.planning.flexible.devices import net_objectives_eur
from agents.planning.tariff import FloatArray

if TYPE_CHECKING:
    from agents.planning.problem import PlanningProblem
    from runtime.devices import Appliance, ElectricVehicle

_SAME_KWH = 1e-6


@dataclass(frozen=True)
class VehicleReason:
    """What a vehicle draws during a stay, and at what prices.

    Attributes:
        name: the vehicle's.
        arrival_slot: first slot in which it can charge.
        departure_slot: slot before which it leaves.
        energy_kwh: what it draws in each slot of the horizon [kWh].
        limit_kwh: most it can draw in a slot [kWh].
        dearest_paid_eur_per_kwh: greatest price of a kWh that it draws; None if it draws nothing.
        cheapest_left_eur_per_kwh: least price of one more kWh in a slot of its stay that it does not charge
            in at full power; None if there is no such slot.
        kind: ``vehicle``.
    """

    name: str
    arrival_slot: int
    departure_slot: int
    energy_kwh: list[float]
    limit_kwh: float
    dearest_paid_eur_per_kwh: float | None
    cheapest_left_eur_per_kwh: float | None
    kind: Literal["vehicle"] = "vehicle"


@dataclass(frozen=True)
class ApplianceReason:
    """When an appliance runs, and what its run would cost at other times.

    Attributes:
        name: the appliance's.
        earliest_start_slot: first slot in which it may start.
        latest_start_slot: last slot in which it may start.
        start_slot: slot in which it starts.
        energy_kwh: what it draws in each slot of the horizon [kWh].
        cost_eur: what the run costs.
        best_other_slot: the other start of least cost; None if there is no other.
        best_other_eur: what it costs.
        kind: ``appliance``.
    """

    name: str
    earliest_start_slot: int
    latest_start_slot: int
    start_slot: int
    energy_kwh: list[float]
    cost_eur: float
    best_other_slot: int | None
    best_other_eur: float | None
    kind: Literal["appliance"] = "appliance"


def load_reasons(
    problem: PlanningProblem,
    net_kwh: FloatArray,
    drawn_kwh: Mapping[str, Sequence[float]],
    vehicles: Sequence[ElectricVehicle],
    appliances: Sequence[Appliance],
) -> list[VehicleReason | ApplianceReason]:
    """The reason of each stay and each run.

    Args:
        problem: the prices that the plan answers.
        net_kwh: the plan's net energy [kWh per slot], import > 0, shape (T,).
        drawn_kwh: what each load draws by its name [kWh per slot], length T each.
        vehicles: stays.
        appliances: runs.

    Returns:
        One for each stay, then one for each run.
    """
    found: list[VehicleReason | ApplianceReason] = []
    for vehicle in vehicles:
        found.append(_of_vehicle(problem, net_kwh, np.array(drawn_kwh[vehicle.name]), vehicle))
    for appliance in appliances:
        found.append(_of_appliance(problem, net_kwh, np.array(drawn_kwh[appliance.name]), appliance))
    return found


def _of_vehicle(
    problem: PlanningProblem, net_kwh: FloatArray, drawn_kwh: FloatArray, vehicle: ElectricVehicle
) -> VehicleReason:
    limit = drawn_limit_kwh(vehicle, problem.slots, problem.slot_hours)
    drawn = np.where(limit > 0, drawn_kwh, 0.0)
    pull = problem.weight_eur_per_kwh2 * (net_kwh - problem.reference_kwh)
    below = problem.tariff.marginal_eur_per_kwh(net_kwh - _SAME_KWH) + pull
    above = problem.tariff.marginal_eur_per_kwh(net_kwh + _SAME_KWH) + pull
    paid = below[drawn > _SAME_KWH]
    left = above[(limit > 0) & (drawn < limit - _SAME_KWH)]
    return VehicleReason(
        vehicle.name,
        vehicle.arrival_slot,
        vehicle.departure_slot,
        drawn.tolist(),
        float(limit.max()),
        float(paid.max()) if paid.size else None,
        float(left.min()) if left.size else None,
    )


def _of_appliance(
    problem: PlanningProblem, net_kwh: FloatArray, drawn_kwh: FloatArray, appliance: Appliance
) -> ApplianceReason:
    runs = runs_kwh(appliance, problem.slots)
    end = appliance.latest_start_slot + len(appliance.energy_kwh)
    inside = slice(appliance.earliest_start_slot, end)
    # Of several runs of one name this one is the one in its window.
    start = int(np.abs(runs[:, inside] - drawn_kwh[inside]).sum(axis=1).argmin())
    without = net_kwh - runs[start]
    nothing = float(net_objectives_eur(without[:, None], problem)[0])
    cost = net_objectives_eur(without[:, None] + runs.T, problem) - nothing
    others = np.where(np.arange(cost.size) == start, np.inf, cost)
    best = int(others.argmin())
    alone = cost.size == 1
    return ApplianceReason(
        appliance.name,
        appliance.earliest_start_slot,
        appliance.latest_start_slot,
        appliance.earliest_start_slot + start,
        runs[start].tolist(),
        float(cost[start]),
        None if alone else appliance.earliest_start_slot + best,
        None if alone else float(others[best]),
    )

"""A lower bound on every schedule from one price per slot that all devices share.

For any prices π_t of energy moved behind the meter::

    min Σ_t C_t(net_t) + wear  >=  Σ_t min over n of [C_t(n) − π_t n] + Σ_t π_t residual_t
                                   + Σ over devices of their least cost at the prices π

because net energy is the residual load plus what the devices draw (Lagrangian relaxation of the balance). It
holds whether or not the costs are convex, and is the optimum's where they are, π are its marginal prices, and
nothing has to be started as a whole. A demand charge c is at least Σ_t μ_t (net_t − reached · hours) for any
μ_t >= 0 with hours Σ μ_t <= c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.devices.vehicle import cheapest_charging_kwh
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import lower_bound_eur
from agents.planning.flexible.devices import Devices
from agents.planning.problem import PlanningProblem, proximal_cost_eur
from agents.planning.tariff import FloatArray


@dataclass(frozen=True, eq=False)
class PriceBound:
    """The bound at one vector of prices, taken apart by appliance.

    Attributes:
        constant_eur: all but the appliances [EUR].
        run_eur: of each appliance, the cost of each of its runs [EUR], shape (S,) each.
    """

    constant_eur: float
    run_eur: list[FloatArray]

    @property
    def bound_eur(self) -> float:
        """Lower bound on every schedule [EUR]."""
        return self.constant_eur + sum(float(costs.min()) for costs in self.run_eur)

    def with_starts_eur(self, starts: tuple[int, ...]) -> float:
        """Lower bound on every schedule with these starts [EUR]."""
        return self.constant_eur + sum(
            float(costs[start]) for costs, start in zip(self.run_eur, starts, strict=True)
        )


def price_bound(
    devices: Devices,
    price_eur_per_kwh: FloatArray,
    water_value_eur_per_kwh: FloatArray,
    peak_multiplier_eur_per_kwh: FloatArray | None = None,
) -> PriceBound:
    """The bound at given prices.

    Args:
        devices: all devices.
        price_eur_per_kwh: price of energy behind the meter, shape (T,).
        water_value_eur_per_kwh: value of stored energy in the battery, shape (T,); any gives a valid bound.
        peak_multiplier_eur_per_kwh: share of the demand charge by slot (μ), shape (T,); None is 0.

    Returns:
        The bound.
    """
    problem = devices.base
    slots, hours = problem.slots, problem.slot_hours
    constant = float(price_eur_per_kwh @ problem.residual_load_kwh)
    grid_price = price_eur_per_kwh
    if peak_multiplier_eur_per_kwh is not None:
        grid_price = price_eur_per_kwh - peak_multiplier_eur_per_kwh
        constant -= problem.peak_reached_kw * hours * float(peak_multiplier_eur_per_kwh.sum())
    constant += float(_least_of_grid_eur(devices, grid_price).sum())
    if devices.battery is not None:
        flat = PlanningProblem(
            residual_load_kwh=np.zeros(slots),
            battery=devices.battery,
            slot_hours=hours,
            import_price_eur_per_kwh=price_eur_per_kwh,
            export_price_eur_per_kwh=price_eur_per_kwh,
            wear=problem.wear,
        )
        stages = Stages(flat, devices.battery)
        constant += lower_bound_eur(stages, devices.lower_kwh, water_value_eur_per_kwh)
    for vehicle in devices.problem.vehicles:
        constant += float(price_eur_per_kwh @ cheapest_charging_kwh(vehicle, hours, price_eur_per_kwh))
    return PriceBound(constant, [runs @ price_eur_per_kwh for runs in devices.runs_kwh])


def _least_of_grid_eur(devices: Devices, price_eur_per_kwh: FloatArray) -> FloatArray:
    """Least of each slot's cost of net energy less its worth at a price [EUR], shape (T,)."""
    problem = devices.base
    low, high = devices.net_range_kwh
    kinks = [np.zeros(problem.slots), *(hinge.at_kwh for hinge in problem.tariff.hinges)]
    ends = np.sort(np.stack([low, *(np.clip(kink, low, high) for kink in kinks), high], axis=1), axis=1)
    points = [ends]
    weight = problem.weight_eur_per_kwh2
    if weight.any():
        middle = 0.5 * (ends[:, :-1] + ends[:, 1:])
        slope = problem.tariff.marginal_eur_per_kwh(middle) - price_eur_per_kwh[:, None]
        bend = np.where(weight > 0, weight, 1.0)[:, None]
        flat = problem.reference_kwh[:, None] - slope / bend
        points.append(np.clip(flat, ends[:, :-1], ends[:, 1:]))
    net = np.concatenate(points, axis=1)
    cost = problem.tariff.cost_eur(net) - price_eur_per_kwh[:, None] * net
    if weight.any():
        cost = cost + proximal_cost_eur(net, problem)
    least: FloatArray = cost.min(axis=1)
    return least

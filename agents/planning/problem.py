"""What a member plans and what a plan says: data, checked, and the evaluation of a trajectory (eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from agents.devices.battery import building_side_kwh, stored_change_kwh
from agents.planning.tariff import BlockTariff, FloatArray, Hinge, NetTariff, checked_row, net_tariff
from agents.planning.wear import WearCost
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.devices import Appliance, Battery, ElectricVehicle

CERTAIN_SHARE = 1e-6
"""Certified loss up to which a plan counts as optimal."""


@dataclass(frozen=True, eq=False)
class PlanningProblem:
    """One member's planning problem over T slots.

    Minimise over stored-energy trajectories the sum of

    - the cost of equation 1, at two prices or at a block tariff's four, and at hinges;
    - where weighted, a proximal term ``weight / 2 * (net − reference)²`` per slot that keeps the net
      position near an earlier one;
    - a demand charge ``peak_charge * [max_t net_t / hours − peak_reached]₊``;
    - the battery's wear.

    All but the demand charge are sums over slots.

    Attributes:
        residual_load_kwh: load − PV [kWh per slot], shape (T,); negative is a surplus.
        battery: the battery; None for a member without one.
        slot_hours: length of a slot [h].
        import_price_eur_per_kwh: price of imported energy [EUR/kWh], shape (T,); may be negative.
        export_price_eur_per_kwh: price paid for exported energy [EUR/kWh], shape (T,); may be negative or
            above the import price (such slots make the problem non-convex).
        proximal_weight_eur_per_kwh2: weight of the proximal term [EUR/kWh²], one number or shape (T,); 0 is
            off. Always an array of shape (T,) once the problem is made.
        reference_net_kwh: net position that the proximal term holds on to [kWh per slot, import > 0], shape
            (T,); None without a proximal term.
        block: threshold and the prices above it; the prices above are then those below it.
        hinges: further prices on net energy, each beyond a threshold of a slot.
        peak_charge_eur_per_kw: price of the horizon's greatest mean import power of a slot [EUR/kW].
        peak_reached_kw: import power up to which nothing is charged, for instance since the billing period
            saw it already [kW].
        wear: what using the battery costs it; None counts nothing.
        vehicles: what charges beside the battery; their energy comes on top of the residual load.
        appliances: what is to be started once; likewise.

    Raises:
        InputError: a series of the wrong length or not finite, a negative weight or charge, a weight without
            reference.
    """

    residual_load_kwh: FloatArray
    battery: Battery | None
    slot_hours: float
    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    proximal_weight_eur_per_kwh2: float | FloatArray = 0.0
    reference_net_kwh: FloatArray | None = None
    block: BlockTariff | None = None
    hinges: tuple[Hinge, ...] = ()
    peak_charge_eur_per_kw: float = 0.0
    peak_reached_kw: float = 0.0
    wear: WearCost | None = None
    vehicles: tuple[ElectricVehicle, ...] = ()
    appliances: tuple[Appliance, ...] = ()

    def __post_init__(self) -> None:
        residual = checked_row("residual_load_kwh", self.residual_load_kwh)
        slots = residual.size
        if not (np.isfinite(self.slot_hours) and self.slot_hours > 0):
            raise InputError(f"slot_hours: expected a length above 0, found {self.slot_hours}")
        weight_name = "proximal_weight_eur_per_kwh2"
        weight = np.asarray(self.proximal_weight_eur_per_kwh2, dtype=np.float64)
        weight = checked_row(
            weight_name, np.full(slots, float(weight)) if weight.ndim == 0 else weight, slots
        )
        if np.minimum.reduce(weight) < 0:
            raise InputError(f"{weight_name}: expected at least 0, found {weight.min()}")
        if self.reference_net_kwh is None and weight.any():
            raise InputError(
                f"reference_net_kwh: expected {slots} values because {weight_name} is not 0, found none"
            )
        if self.block is not None and self.block.slots != slots:
            raise InputError(f"block: expected {slots} values, one per slot, found {self.block.slots}")
        for number, hinge in enumerate(self.hinges):
            for name in ("at_kwh", "above_eur_per_kwh", "below_eur_per_kwh"):
                checked_row(f"hinges[{number}].{name}", getattr(hinge, name), slots)
        for name in ("peak_charge_eur_per_kw", "peak_reached_kw"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name}: expected a finite number of at least 0, found {value}")
        checked = {"residual_load_kwh": residual, weight_name: weight}
        for name in ("import_price_eur_per_kwh", "export_price_eur_per_kwh"):
            checked[name] = checked_row(name, getattr(self, name), slots)
        if self.reference_net_kwh is not None:
            checked["reference_net_kwh"] = checked_row("reference_net_kwh", self.reference_net_kwh, slots)
        for name, row in checked.items():
            object.__setattr__(self, name, row)

    @property
    def slots(self) -> int:
        """Number of slots T."""
        return self.residual_load_kwh.size

    @property
    def weight_eur_per_kwh2(self) -> FloatArray:
        """Weight of the proximal term in each slot [EUR/kWh²], shape (T,)."""
        return np.asarray(self.proximal_weight_eur_per_kwh2)

    @property
    def reference_kwh(self) -> FloatArray:
        """Reference of the proximal term [kWh], shape (T,); zeros where there is none."""
        return np.zeros(self.slots) if self.reference_net_kwh is None else self.reference_net_kwh

    @cached_property
    def tariff(self) -> NetTariff:
        """Cost of net energy, without the demand charge."""
        tariff = net_tariff(self.import_price_eur_per_kwh, self.export_price_eur_per_kwh, self.block)
        return replace(tariff, hinges=tariff.hinges + self.hinges) if self.hinges else tariff


@dataclass(frozen=True, eq=False)
class Plan:
    """What a member means to do over T slots.

    Attributes:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,); zeros without a battery.
        battery_kwh: battery energy at the building's side [kWh per slot], discharge > 0, shape (T,).
        net_kwh: energy exchanged with the grid or community [kWh per slot], import > 0, shape (T,).
        cost_eur: cost at the problem's prices (eq. 1) [EUR], without the parts below.
        objective_eur: all that the problem counts: cost, proximal term, demand charge and wear [EUR].
        lower_bound_eur: no plan has an objective below this [EUR]; None where no bound was computed.
        population_kwh: other good trajectories [kWh], shape (P, T), which a later warm start takes up;
            None where the planner keeps none.
        peak_charge_eur: demand charge [EUR].
        wear_eur: the battery's wear [EUR].
        idle_objective_eur: objective with the battery left alone, vehicles charged on arrival and appliances
            started at once [EUR]; None where it was not computed.
        vehicle_kwh: energy that each vehicle draws [kWh per slot], shape (V, T).
        appliance_start_slot: slot in which each appliance starts, length A.
        flexible_kwh: energy that vehicles and appliances draw together [kWh per slot], shape (T,); None
            without any.
    """

    stored_energy_kwh: FloatArray
    battery_kwh: FloatArray
    net_kwh: FloatArray
    cost_eur: float
    objective_eur: float
    lower_bound_eur: float | None = None
    population_kwh: FloatArray | None = field(default=None, repr=False)
    peak_charge_eur: float = 0.0
    wear_eur: float = 0.0
    idle_objective_eur: float | None = None
    vehicle_kwh: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    appliance_start_slot: tuple[int, ...] = ()
    flexible_kwh: FloatArray | None = None

    @property
    def gap_eur(self) -> float | None:
        """How much better a plan could be at most [EUR]; None where no bound was computed."""
        return None if self.lower_bound_eur is None else max(self.objective_eur - self.lower_bound_eur, 0.0)

    @property
    def certified_loss(self) -> float | None:
        """Share of the devices' value that the plan leaves at most, from the bound; None where unknown.

        The loss is (objective − optimum) / (objective with the battery left alone − optimum), where vehicles
        and appliances left alone run at once. It grows as the optimum falls, so the bound in the optimum's
        place gives its upper limit. Where the problem is not convex the bound is loose, and so is this.
        """
        if self.lower_bound_eur is None or self.gap_eur is None or self.idle_objective_eur is None:
            return None
        value = self.idle_objective_eur - self.lower_bound_eur
        # A battery that is worth nothing beyond rounding has no share to lose.
        if value <= 1e-11 * max(1.0, abs(self.objective_eur)):
            return 0.0
        return min(self.gap_eur / value, 1.0)

    @property
    def certificate(self) -> Literal["optimal", "bounded", "none"]:
        """What is proven: optimal (to rounding), within :attr:`certified_loss` of it, or nothing."""
        loss = self.certified_loss
        if loss is None:
            return "none"
        return "optimal" if loss <= CERTAIN_SHARE else "bounded"


def energy_cost_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Cost of each slot at the problem's prices (summands of eq. 1; with a block tariff, of its four).

    Args:
        net_kwh: net energy [kWh per slot], import > 0, shape (T,) or (T, P).
        problem: the prices.

    Returns:
        Cost [EUR], shape as given; revenue is negative.
    """
    return problem.tariff.cost_eur(net_kwh)


def proximal_cost_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Proximal term of each slot [EUR]; net energy [kWh per slot], first axis T; shape as given."""
    trailing = (slice(None),) + (None,) * (net_kwh.ndim - 1)
    distance = net_kwh - problem.reference_kwh[trailing]
    term: FloatArray = 0.5 * problem.weight_eur_per_kwh2[trailing] * distance**2
    return term


def peak_charge_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Demand charge [EUR] of net energy [kWh per slot], shape (T,) or (T, P): shape () or (P,)."""
    above_kw = np.maximum(net_kwh.max(axis=0) / problem.slot_hours - problem.peak_reached_kw, 0.0)
    charge: FloatArray = problem.peak_charge_eur_per_kw * above_kw
    return charge


def objectives_eur(stored_energy_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Objective of each of P trajectories.

    Args:
        stored_energy_kwh: trajectories [kWh], shape (T, P).
        problem: a problem with a battery.

    Returns:
        Objectives [EUR], shape (P,).
    """
    _check_settled(problem)
    battery = _battery_of(problem)
    change = stored_change_kwh(stored_energy_kwh, battery)
    net = problem.residual_load_kwh[:, None] - building_side_kwh(change, battery)
    stage = problem.tariff.cost_eur(net)
    if problem.weight_eur_per_kwh2.any():
        stage += proximal_cost_eur(net, problem)
    total: FloatArray = stage.sum(axis=0)
    if problem.wear is not None:
        total += _wear_eur(stored_energy_kwh, change, problem, problem.wear)
    if problem.peak_charge_eur_per_kw:
        total += peak_charge_eur(net, problem)
    return total


def plan_of(
    problem: PlanningProblem,
    stored_energy_kwh: FloatArray | None,
    lower_bound_eur: float | None = None,
    population_kwh: FloatArray | None = None,
    idle_objective_eur: float | None = None,
) -> Plan:
    """The plan that a stored-energy trajectory makes.

    Args:
        problem: the problem.
        stored_energy_kwh: trajectory [kWh], shape (T,); None for a member without a battery, whose plan is
            its residual load and exact.
        lower_bound_eur: a lower bound on every plan's objective, where known [EUR].
        population_kwh: trajectories kept for a warm start [kWh], shape (P, T).
        idle_objective_eur: objective with the battery left alone, where known [EUR].

    Returns:
        The plan, with its balance (eq. 3) and its cost (eq. 1).
    """
    _check_settled(problem)
    wear = 0.0
    if stored_energy_kwh is None:
        stored, delivered = np.zeros(problem.slots), np.zeros(problem.slots)
    else:
        stored = np.array(stored_energy_kwh, dtype=np.float64)
        change = stored_change_kwh(stored, _battery_of(problem))
        delivered = building_side_kwh(change, _battery_of(problem))
        if problem.wear is not None:
            wear = float(_wear_eur(stored, change, problem, problem.wear))
    net = problem.residual_load_kwh - delivered
    stage = energy_cost_eur(net, problem)
    cost = float(stage.sum())
    if problem.weight_eur_per_kwh2.any():
        stage = stage + proximal_cost_eur(net, problem)
    peak = float(peak_charge_eur(net, problem)) if problem.peak_charge_eur_per_kw else 0.0
    objective = float(stage.sum()) + peak + wear
    return Plan(
        stored_energy_kwh=stored,
        battery_kwh=delivered,
        net_kwh=net,
        cost_eur=cost,
        objective_eur=objective,
        lower_bound_eur=objective if stored_energy_kwh is None else lower_bound_eur,
        population_kwh=population_kwh,
        peak_charge_eur=peak,
        wear_eur=wear,
        idle_objective_eur=objective if stored_energy_kwh is None else idle_objective_eur,
    )


def _wear_eur(
    stored_kwh: FloatArray, change_kwh: FloatArray, problem: PlanningProblem, wear: WearCost
) -> FloatArray:
    """Wear over all slots [EUR]; arrays (T,) or (T, P), result () or (P,)."""
    battery, hours = _battery_of(problem), problem.slot_hours
    cost = wear.discharge_cost_eur(change_kwh, battery, hours)
    total: FloatArray = (cost + wear.standing_cost_eur(stored_kwh, battery, hours)).sum(axis=0)
    return total


def _check_settled(problem: PlanningProblem) -> None:
    """A trajectory alone says nothing of vehicles and appliances: they must be part of the residual load."""
    if problem.vehicles or problem.appliances:
        raise ValueError(
            "vehicles and appliances are not settled; see agents.planning.flexible.devices.beside_loads"
        )


def _battery_of(problem: PlanningProblem) -> Battery:
    if problem.battery is None:
        raise ValueError("a trajectory of stored energy needs a battery")
    return problem.battery

"""What a member plans and what a plan says: data, checked, and the evaluation of a trajectory (eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.devices.battery import battery_energy_kwh
from runtime.devices import Battery
from runtime.errors import InputError

FloatArray = NDArray[np.float64]


def _row(name: str, values: ArrayLike, slots: int | None = None) -> FloatArray:
    row = np.array(values, dtype=np.float64)
    if row.ndim != 1 or row.size == 0 or (slots is not None and row.size != slots):
        expected = "one value per slot" if slots is None else f"{slots} values, one per slot"
        raise InputError(f"{name}: expected {expected}, found an array of shape {row.shape}")
    bad = np.flatnonzero(~np.isfinite(row))
    if bad.size:
        raise InputError(f"{name}, slot {int(bad[0])}: expected a finite number, found {row[bad[0]]}")
    row.flags.writeable = False
    return row


@dataclass(frozen=True, eq=False)
class PlanningProblem:
    """One member's planning problem over T slots.

    Minimise over stored-energy trajectories the cost of equation 1 plus, where weighted, a proximal term
    ``weight / 2 * (net − reference)²`` per slot that keeps the net position near an earlier one.

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

    Raises:
        InputError: a series of the wrong length or not finite, a negative weight, a weight without reference.
    """

    residual_load_kwh: FloatArray
    battery: Battery | None
    slot_hours: float
    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    proximal_weight_eur_per_kwh2: float | FloatArray = 0.0
    reference_net_kwh: FloatArray | None = None

    def __post_init__(self) -> None:
        residual = _row("residual_load_kwh", self.residual_load_kwh)
        slots = residual.size
        if not (np.isfinite(self.slot_hours) and self.slot_hours > 0):
            raise InputError(f"slot_hours: expected a length above 0, found {self.slot_hours}")
        weight_name = "proximal_weight_eur_per_kwh2"
        weight = np.asarray(self.proximal_weight_eur_per_kwh2, dtype=np.float64)
        weight = _row(weight_name, np.full(slots, float(weight)) if weight.ndim == 0 else weight, slots)
        if weight.min() < 0:
            raise InputError(f"{weight_name}: expected at least 0, found {weight.min()}")
        if self.reference_net_kwh is None and weight.any():
            raise InputError(
                f"reference_net_kwh: expected {slots} values because {weight_name} is not 0, found none"
            )
        checked = {
            "residual_load_kwh": residual,
            weight_name: weight,
            "import_price_eur_per_kwh": _row(
                "import_price_eur_per_kwh", self.import_price_eur_per_kwh, slots
            ),
            "export_price_eur_per_kwh": _row(
                "export_price_eur_per_kwh", self.export_price_eur_per_kwh, slots
            ),
        }
        if self.reference_net_kwh is not None:
            checked["reference_net_kwh"] = _row("reference_net_kwh", self.reference_net_kwh, slots)
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


@dataclass(frozen=True, eq=False)
class Plan:
    """What a member means to do over T slots.

    Attributes:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,); zeros without a battery.
        battery_kwh: battery energy at the building's side [kWh per slot], discharge > 0, shape (T,).
        net_kwh: energy exchanged with the grid or community [kWh per slot], import > 0, shape (T,).
        cost_eur: cost at the problem's prices (eq. 1) [EUR], without the proximal term.
        objective_eur: cost and proximal term together [EUR].
        lower_bound_eur: no plan has an objective below this [EUR]; None where no bound was computed.
        population_kwh: other good trajectories [kWh], shape (P, T), which a later warm start takes up;
            None where the planner keeps none.
    """

    stored_energy_kwh: FloatArray
    battery_kwh: FloatArray
    net_kwh: FloatArray
    cost_eur: float
    objective_eur: float
    lower_bound_eur: float | None = None
    population_kwh: FloatArray | None = field(default=None, repr=False)

    @property
    def gap_eur(self) -> float | None:
        """How much better a plan could be at most [EUR]; None where no bound was computed."""
        return None if self.lower_bound_eur is None else max(self.objective_eur - self.lower_bound_eur, 0.0)


def energy_cost_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Cost of each slot at the problem's prices (summands of eq. 1).

    Args:
        net_kwh: net energy [kWh per slot], import > 0, shape (T,) or (T, P).
        problem: the prices.

    Returns:
        Cost [EUR], shape as given; revenue is negative.
    """
    trailing = (slice(None),) + (None,) * (net_kwh.ndim - 1)
    price = np.where(
        net_kwh > 0, problem.import_price_eur_per_kwh[trailing], problem.export_price_eur_per_kwh[trailing]
    )
    return net_kwh * price


def stage_cost_eur(net_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Objective of each slot: cost and proximal term.

    Args:
        net_kwh: net energy [kWh per slot], import > 0, first axis T, any further axes.
        problem: prices, weights and reference.

    Returns:
        Objective [EUR], shape as given.
    """
    stage = energy_cost_eur(net_kwh, problem)
    weight = problem.weight_eur_per_kwh2
    if weight.any():
        trailing = (slice(None),) + (None,) * (net_kwh.ndim - 1)
        stage += 0.5 * weight[trailing] * (net_kwh - problem.reference_kwh[trailing]) ** 2
    return stage


def objectives_eur(stored_energy_kwh: FloatArray, problem: PlanningProblem) -> FloatArray:
    """Objective of each of P trajectories.

    Args:
        stored_energy_kwh: trajectories [kWh], shape (T, P).
        problem: a problem with a battery.

    Returns:
        Objectives [EUR], shape (P,).
    """
    battery = _battery_of(problem)
    net = problem.residual_load_kwh[:, None] - battery_energy_kwh(stored_energy_kwh, battery)
    total: FloatArray = stage_cost_eur(net, problem).sum(axis=0)
    return total


def plan_of(
    problem: PlanningProblem,
    stored_energy_kwh: FloatArray | None,
    lower_bound_eur: float | None = None,
    population_kwh: FloatArray | None = None,
) -> Plan:
    """The plan that a stored-energy trajectory makes.

    Args:
        problem: the problem.
        stored_energy_kwh: trajectory [kWh], shape (T,); None for a member without a battery, whose plan is
            its residual load and exact.
        lower_bound_eur: a lower bound on every plan's objective, where known [EUR].
        population_kwh: trajectories kept for a warm start [kWh], shape (P, T).

    Returns:
        The plan, with its balance (eq. 3) and its cost (eq. 1).
    """
    if stored_energy_kwh is None:
        stored, delivered = np.zeros(problem.slots), np.zeros(problem.slots)
    else:
        stored = np.array(stored_energy_kwh, dtype=np.float64)
        delivered = battery_energy_kwh(stored, _battery_of(problem))
    net = problem.residual_load_kwh - delivered
    objective = float(stage_cost_eur(net, problem).sum())
    return Plan(
        stored_energy_kwh=stored,
        battery_kwh=delivered,
        net_kwh=net,
        cost_eur=float(energy_cost_eur(net, problem).sum()),
        objective_eur=objective,
        lower_bound_eur=objective if stored_energy_kwh is None else lower_bound_eur,
        population_kwh=population_kwh,
    )


def _battery_of(problem: PlanningProblem) -> Battery:
    if problem.battery is None:
        raise ValueError("a trajectory of stored energy needs a battery")
    return problem.battery

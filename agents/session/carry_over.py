"""What a session leaves to the next: stored energy, in truth and as it would be alone, and its plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agents.planning.problem import Plan
from agents.planning.tariff import FloatArray
from agents.session.flexible_state import NOTHING_BEGUN, FlexibleState
from runtime.devices import Battery


@dataclass(frozen=True, eq=False)
class CarriedOver:
    """The state of a member at the end of a session's operated slots.

    Attributes:
        stored_kwh: what its battery holds.
        alone_stored_kwh: what it would hold had the member been alone at the grid.
        operated_slots: how many slots of the plans have passed.
        flexible: how far stays and runs are.
        alone_flexible: how far they would be alone.
        plan: the plan that was run; None where there is none to go on from.
        alone_plan: the plan that it would have run alone, likewise.
    """

    stored_kwh: float
    alone_stored_kwh: float
    operated_slots: int
    flexible: FlexibleState = NOTHING_BEGUN
    alone_flexible: FlexibleState = NOTHING_BEGUN
    plan: Plan | None = None
    alone_plan: Plan | None = None

    def warm_start(self, slots: int, *, alone: bool = False) -> Plan | None:
        """The earlier plan as a start for one of the next ``slots`` slots; None if there is none."""
        plan = self.alone_plan if alone else self.plan
        if plan is None or self.operated_slots >= plan.stored_energy_kwh.size:
            return None  # all of it has passed
        return shifted(plan, self.operated_slots, slots)


def with_stored(battery: Battery, stored_kwh: float) -> Battery:
    """A battery that begins with some stored energy, held within its bounds [kWh]."""
    soc = min(max(stored_kwh / battery.capacity_kwh, battery.soc_min), battery.soc_max)
    return battery.model_copy(update={"soc_start": soc})


def shifted(plan: Plan, passed: int, slots: int) -> Plan:
    """A plan's stored energies, ``passed`` slots later: a start for a search, no plan to be run.

    Args:
        plan: the earlier plan, without vehicles and appliances.
        passed: how many of its slots have passed.
        slots: how many slots the later plan has; beyond the earlier one's end the last stored energy is held.
    """

    def later(rows_kwh: FloatArray) -> FloatArray:
        left = rows_kwh[..., passed : passed + slots]
        held = rows_kwh[..., -1:]
        return np.concatenate([left, np.repeat(held, slots - left.shape[-1], axis=-1)], axis=-1)

    population = plan.population_kwh
    return replace(
        plan,
        stored_energy_kwh=later(plan.stored_energy_kwh),
        battery_kwh=later(plan.battery_kwh),
        net_kwh=later(plan.net_kwh),
        population_kwh=None if population is None else later(population),
    )

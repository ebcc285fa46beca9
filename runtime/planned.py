"""What a member's side is asked to plan for a person, and what it answers: checked, as JSON."""

from __future__ import annotations

from pydantic import Field

from runtime.configuration import Configuration, MemberConfig
from runtime.horizon import Horizon
from runtime.preferences import BatteryAgeing, Objective, Preference


class PlanRequest(Configuration):
    """A member's plan alone at the grid's tariffs, or the front of its plans.

    Attributes:
        member: the member as its prosumer process is told.
        session: which session, from 0.
        import_price_eur_per_kwh: the grid's price of imported energy by slot [EUR/kWh].
        export_price_eur_per_kwh: what the grid pays for exported energy by slot [EUR/kWh].
        objectives: what the plans are judged by.
        front: whether all plans of the front are wanted, or one.
        preference: which plan of the front; without it none is marked where a front is wanted, else the knee
            counts.
        ageing: what cycles cost.
    """

    member: MemberConfig
    session: int = Field(ge=0)
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    objectives: list[Objective] = Field(min_length=1)
    front: bool = False
    preference: Preference | None = None
    ageing: BatteryAgeing = BatteryAgeing()


class PlannedDay(Configuration):
    """One plan; every list has one value per slot.

    Attributes:
        cost_eur: at the grid's tariffs (eq. 1) [EUR].
        grid_import_kwh: energy imported over all slots [kWh].
        peak_import_kw: greatest mean import power of a slot [kW].
        wear_eur: rainflow wear of the battery [EUR].
        net_kwh: energy at the meter [kWh], import > 0.
        battery_kwh: battery energy at the building's side [kWh], discharge > 0.
        stored_energy_kwh: at the end of each slot [kWh].
        flexible_kwh: what each vehicle and appliance draws, by its name, on top of the load [kWh].
    """

    cost_eur: float
    grid_import_kwh: float
    peak_import_kw: float
    wear_eur: float
    net_kwh: list[float]
    battery_kwh: list[float]
    stored_energy_kwh: list[float]
    flexible_kwh: dict[str, list[float]] = Field(default_factory=dict)

    def value(self, objective: Objective) -> float:
        """One of its objectives, in the objective's unit."""
        return {
            "cost": self.cost_eur,
            "import": self.grid_import_kwh,
            "peak": self.peak_import_kw,
            "wear": self.wear_eur,
        }[objective]


class PlanAnswer(Configuration):
    """What was planned.

    Attributes:
        member: its name.
        session: which session, from 0.
        horizon: the slots.
        objectives: what the plans were judged by.
        method: how they were found, in words.
        battery_capacity_kwh: nominal capacity [kWh]; None without a battery.
        load_kwh: load that was planned with, without vehicles and appliances [kWh].
        pv_kwh: production that was planned with [kWh].
        import_price_eur_per_kwh: as asked.
        export_price_eur_per_kwh: as asked.
        idle: the day with the battery left alone, to compare with.
        plans: the plan, or the front in the order of its first objective.
        chosen: index of the plan that the preference picks; None if none was asked for.
        certified_loss: share of the battery's value that the plan leaves at most, where that is proven.
    """

    member: str
    session: int
    horizon: Horizon
    objectives: list[Objective]
    method: str
    battery_capacity_kwh: float | None
    load_kwh: list[float]
    pv_kwh: list[float]
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    idle: PlannedDay
    plans: list[PlannedDay]
    chosen: int | None
    certified_loss: float | None = None

    @property
    def shown(self) -> PlannedDay | None:
        """The plan to show slot by slot: the chosen one, or the only one."""
        if self.chosen is not None:
            return self.plans[self.chosen]
        return self.plans[0] if len(self.plans) == 1 else None

    def self_sufficiency(self, plan: PlannedDay) -> float | None:
        """Share of the load not imported (eq. 11); None without load."""
        load_kwh = sum(self.load_kwh) + sum(map(sum, plan.flexible_kwh.values()))
        return 1.0 - plan.grid_import_kwh / load_kwh if load_kwh > 0 else None

"""What the agents leave behind when a run ends, as data: the only source of results, figures and indicators.

The coordinator writes one ``CoordinatorRecord``, each prosumer its own ``MemberRecord``. Energies are
non-negative pairs (``grid_import_kwh``/``grid_export_kwh``); arrays have one value a slot. Money and settled
energy are exact decimals, written as text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from runtime.bookkeeping import AgreedContract, Bill, LedgerEntry, LedgerKind
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.record_base import Record

__all__ = [
    "AgreedContract",
    "AgreedPlan",
    "Bill",
    "CommunityExchange",
    "CommunityRecord",
    "CoordinatorRecord",
    "Delivery",
    "ForecastError",
    "LedgerEntry",
    "LedgerKind",
    "MemberForecast",
    "MemberRecord",
    "MemberSessionRecord",
    "PriceChange",
    "Quality",
    "Record",
    "Round",
    "RoundKind",
    "SeriesForecast",
    "SessionRecord",
]

Quality = Literal["metered", "estimated", "missing"]
"""How a slot's energy was come by: read from meters, put in by the prosumer for want of a reading, or not
delivered at all before the deadline (the coordinator then settles the agreed position)."""

RoundKind = Literal["prices", "orders", "turns", "declarations", "bargaining"]
"""What a round asked of members: positions at prices, orders, positions one after the other, devices, or to
bargain among themselves."""


class Round(Record):
    """One exchange of price signal and positions; round 0 is the grid's tariffs (each member alone).

    In rounds that tell no prices to all members the two prices are the grid's.

    Attributes:
        number: 0, 1, ….
        kind: what was asked.
        import_price_eur_per_kwh: price told to members for energy they take, shape (slots,).
        export_price_eur_per_kwh: price told to members for energy they give, shape (slots,).
        net_kwh: each member's position, import > 0, shape (slots,) each.
        late: members that did not answer in time and kept their last position.
        community_cost_eur: what the positions together would cost at the grid.
    """

    number: int
    kind: RoundKind = "prices"
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    net_kwh: dict[str, list[float]]
    late: list[str] = Field(default_factory=list)
    community_cost_eur: float


class Delivery(Record):
    """A member's metered net energy in a slot, as the coordinator knows it in the end.

    Attributes:
        slot: slot of the session.
        member: whose.
        net_kwh: import > 0.
        quality: how it was come by.
        meters: accounts of the meters that read it, as the member says; none where nothing was read.
        settled_net_kwh: what the slot was settled with, where that was corrected later; else None.
        settled_quality: how that was come by.
        settled_meters: who had read that.
    """

    slot: int
    member: str
    net_kwh: Decimal
    quality: Quality
    meters: list[str] = Field(default_factory=list)
    settled_net_kwh: Decimal | None = None
    settled_quality: Quality | None = None
    settled_meters: list[str] | None = None

    @property
    def as_settled(self) -> Delivery:
        """The delivery that the slot was settled with, whatever was corrected later."""
        if self.settled_net_kwh is None or self.settled_quality is None:
            return self
        return Delivery(
            slot=self.slot,
            member=self.member,
            net_kwh=self.settled_net_kwh,
            quality=self.settled_quality,
            meters=self.settled_meters or [],
        )


class CommunityExchange(Record):
    """What one of two communities exchanged with the other in a slot; energies not negative, money exact.

    Attributes:
        slot: slot of the session.
        contract_import_kwh: taken by contracts across.
        contract_export_kwh: given by contracts across.
        contract_paid_eur: what this community's buyers pay for that.
        contract_earned_eur: what its sellers get.
        pool_import_kwh: of what the pool sold to members, what came from the other community's.
        pool_export_kwh: of what the pool bought, what went to the other community's.
        pool_price_eur_per_kwh: its price; None in a slot without a pool.
        pool_paid_eur: what the one pool pays the other (negative: gets).
    """

    slot: int
    contract_import_kwh: Decimal
    contract_export_kwh: Decimal
    contract_paid_eur: Decimal
    contract_earned_eur: Decimal
    pool_import_kwh: Decimal
    pool_export_kwh: Decimal
    pool_price_eur_per_kwh: Decimal | None
    pool_paid_eur: Decimal


class CommunityRecord(Record):
    """One of two communities in a session.

    Attributes:
        name: as people call it.
        coordinator: local part of its coordinator's account.
        members: admitted members in the scenario's order.
        local_price_eur_per_kwh: price of its pool, by slot; the other's too, unless they lost each other.
        exchanges: by slot; a slot that is not there was settled by each community alone.
        unconfirmed_slots: slots settled as not traded: whether the other community's coordinator had settled
            them as traded was not known when the session closed.
    """

    name: str
    coordinator: str
    members: list[str]
    local_price_eur_per_kwh: list[Decimal | None]
    exchanges: list[CommunityExchange]
    unconfirmed_slots: list[int] = Field(default_factory=list)


class SessionRecord(Record):
    """All that the coordinator knows of one market session.

    Attributes:
        session: its number, from 0.
        horizon: its slots: those operated and settled, which all that follows is about.
        planned_horizon: the slots it planned and negotiated, where these were more: a rolling horizon.
        continues: whether batteries began with what the session before had left in them.
        grid_import_price_eur_per_kwh: the grid's import tariff, by slot.
        grid_export_price_eur_per_kwh: the grid's feed-in tariff, by slot.
        co2_intensity_g_per_kwh: CO₂ that a kWh from the grid causes, by slot [g/kWh]; None if not known.
        grid: local fee, connection limit and demand charge.
        rounds: the negotiation.
        bargaining_rounds: rounds that members bargained among themselves; 0 where they did not.
        agreed_round: the round whose positions were agreed.
        agreed_net_kwh: the agreed positions, import > 0, shape (slots,) each.
        agreed_import_price_eur_per_kwh: what energy taken costs on average at these positions, by slot.
        agreed_export_price_eur_per_kwh: what energy given earns, likewise.
        local_price_eur_per_kwh: price of pooled local trade, by slot; None where there is none.
        contracts: what members agreed to trade among themselves.
        shared_by_day: whether all pay and earn the same prices in all slots.
        opted_out: members that went back to their plan alone.
        apart: of these, members that were settled at the grid's tariffs, apart from the pool.
        free_kwh: what members may have before they are charged for energy above the connection's limit,
            import > 0, by slot; {} where such charges go by energy with the grid.
        suspended_slots: slots without local trade, which would destroy value there.
        deliveries: what was metered.
        ledger: what was settled.
        bills: what it comes to.
        communities: where members are in two: each of them, or in one coordinator's own record, its own.
    """

    session: int
    horizon: Horizon
    planned_horizon: Horizon | None = None
    continues: bool = False
    grid_import_price_eur_per_kwh: list[Decimal]
    grid_export_price_eur_per_kwh: list[Decimal]
    co2_intensity_g_per_kwh: list[float] | None = None
    grid: GridTerms = GridTerms()
    rounds: list[Round]
    bargaining_rounds: int = 0
    agreed_round: int
    agreed_net_kwh: dict[str, list[float]]
    agreed_import_price_eur_per_kwh: list[float]
    agreed_export_price_eur_per_kwh: list[float]
    local_price_eur_per_kwh: list[Decimal | None]
    contracts: list[AgreedContract] = Field(default_factory=list)
    shared_by_day: bool = False
    opted_out: list[str] = Field(default_factory=list)
    apart: list[str] = Field(default_factory=list)
    free_kwh: dict[str, list[Decimal]] = Field(default_factory=dict)
    suspended_slots: list[int]
    deliveries: list[Delivery]
    ledger: list[LedgerEntry]
    bills: list[Bill]
    communities: list[CommunityRecord] = Field(default_factory=list)

    def settled_together(self) -> list[list[set[str]]]:
        """By slot, members in the groups in which it was settled: all of them, or two communities alone."""
        everybody = [{delivery.member for delivery in self.deliveries}]
        apart = [{*part.members} for part in self.communities]
        parts = [{each.slot for each in part.exchanges} for part in self.communities]
        together = set.intersection(*parts) if parts else {*range(self.horizon.slots)}
        return [everybody if slot in together else apart for slot in range(self.horizon.slots)]

    def pool_price_of(self, member: str, slot: int) -> Decimal | None:
        """Price of the pool that a member is in; None where there is none."""
        for part in self.communities:
            if member in part.members:
                return part.local_price_eur_per_kwh[slot]
        return self.local_price_eur_per_kwh[slot]


class CoordinatorRecord(Record):
    """All that the coordinator knows of a run.

    Attributes:
        community: name of the community.
        setting: ``community``, ``pv-only``, ``pv-battery-rule`` or ``pv-battery-optimised``.
        mechanism: name of the market mechanism.
        members: admitted members in the scenario's order.
        absent: members of the scenario that never joined.
        sessions: one record a session.
    """

    community: str
    setting: str
    mechanism: str
    members: list[str]
    absent: list[str] = Field(default_factory=list)
    sessions: list[SessionRecord]


class ForecastError(Record):
    """How far forecasts of past days were off, over the slots that were metered.

    Attributes:
        days: days compared.
        slots: slots compared.
        unmetered_slots: slots of those days without a metered value.
        mean_kwh: mean metered energy of a slot; None, as all below, where nothing was metered.
        mae_kwh: mean absolute error of a slot.
        bias_kwh: mean of forecast − metered.
        rmse_kwh: root mean square error of a slot.
        mae_percent_of_mean: the mean absolute error in percent of ``mean_kwh``; None where that is zero.
        bias_percent_of_mean: the bias, likewise.
        rmse_percent_of_mean: the root mean square error, likewise.
    """

    days: int
    slots: int
    unmetered_slots: int
    mean_kwh: float | None = None
    mae_kwh: float | None = None
    bias_kwh: float | None = None
    rmse_kwh: float | None = None
    mae_percent_of_mean: float | None = None
    bias_percent_of_mean: float | None = None
    rmse_percent_of_mean: float | None = None


class SeriesForecast(Record):
    """A forecast of load or production and where it came from.

    Attributes:
        method: how it was made.
        energy_kwh: forecast energy, shape (slots,), at least 0.
        history_slots: slots of history before the horizon.
        unmetered_slots: how many of them had no value.
        other_class_slots: slots of the horizon for which no day of the same class had a value.
        interpolated_slots: slots of the horizon that no past day had a value for.
        past: how far the same method was off on the days before the horizon.
    """

    method: str
    energy_kwh: list[float]
    history_slots: int
    unmetered_slots: int
    other_class_slots: int
    interpolated_slots: int
    past: ForecastError


class MemberForecast(Record):
    """What a member forecast for a session; None for what it does not have."""

    load_series: SeriesForecast | None = None
    pv_series: SeriesForecast | None = None


Certificate = Literal["optimal", "bounded", "none"]
"""What is proven of a plan: optimal to rounding, within its certified loss of the optimum, or nothing."""


class PriceChange(Record):
    """A change of price at a threshold of net energy n, for each slot: above [n − a]₊ + below [a − n]₊.

    Attributes:
        threshold_kwh: a, import > 0.
        above_eur_per_kwh: price of each kWh beyond it.
        below_eur_per_kwh: price of each kWh short of it.
    """

    threshold_kwh: list[float]
    above_eur_per_kwh: list[float]
    below_eur_per_kwh: list[float]


class AgreedPlan(Record):
    """The plan a member ran, and the problem it was made for, so that its reasons can be told later.

    Arrays have shape (slots,). The planned net energy is the session's ``planned_net_kwh``.

    Attributes:
        round: the round whose prices it answers.
        residual_load_kwh: load − production as foreseen.
        stored_kwh: planned stored energy at the end of each slot; None without a battery.
        import_price_eur_per_kwh: price of the round for energy taken.
        export_price_eur_per_kwh: price of the round for energy given.
        proximal_weight_eur_per_kwh2: weight of the term that holds on to an earlier position.
        reference_net_kwh: that position; None without the term.
        steps: changes of price at thresholds, told in the round or by the member's preference.
        demand_charge_eur_per_kw: price of the greatest import power, told or by preference.
        cost_eur: cost at the round's prices; None, as all below, in a record without it.
        objective_eur: all that the member counted: cost, proximal term, demand charge, wear.
        lower_bound_eur: no plan has an objective below this; None where nothing is proven.
        certified_loss: share of the battery's value that the plan leaves at most; None where nothing is
            proven, 0 without a battery.
        certificate: ``optimal`` to rounding, ``bounded`` by the certified loss, or ``none``.
    """

    round: int
    residual_load_kwh: list[float]
    stored_kwh: list[float] | None
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    proximal_weight_eur_per_kwh2: float = 0.0
    reference_net_kwh: list[float] | None = None
    steps: list[PriceChange] = []  # noqa: RUF012 - pydantic copies it
    demand_charge_eur_per_kw: float = 0.0
    cost_eur: float | None = None
    objective_eur: float | None = None
    lower_bound_eur: float | None = None
    certified_loss: float | None = None
    certificate: Certificate = "none"


class MemberSessionRecord(Record):
    """What a prosumer measured and did in one session; arrays have shape (slots,).

    Attributes:
        session: market session, from 0.
        load_kwh: consumption: the metered load, and on top of it what vehicles and appliances drew.
        pv_kwh: metered production.
        battery_charge_kwh: energy the battery drew, at the building's side.
        battery_discharge_kwh: energy the battery delivered, at the building's side.
        stored_kwh: stored energy at the end of the slot; empty list without battery.
        net_kwh: metered net position, import > 0: load − production − battery, and what is unmetered.
        planned_net_kwh: the agreed position.
        alone_net_kwh: what the meter would have shown with the member's own baseline plan (alone at the
            grid).
        stored_start_kwh: stored energy before slot 0, where the session before left it; None: at the start
            SOC, or no battery.
        quality: how the slot's net position was come by.
        meter: accounts of the meters that read the slot, separated by commas; empty if none did.
        rounds_planned: number of plans made.
        planning_seconds: time spent planning [s].
        forecast: how load and production were forecast; None where they were told.
        plan: what the member meant to do, and why; None where no price signal was answered in time.
        flexible_kwh: what each vehicle and appliance drew, by its name; part of ``load_kwh``.
        vehicles: the vehicles of the session.
        appliances: its appliances.
        unmetered_kwh: where a meter reads the exchange with the grid: how much more was taken than the other
            readings come to, > 0 for drawn; an empty list where there is nothing of it.
        corrected_slots: slots of which more was read after they were delivered.
    """

    session: int
    load_kwh: list[float]
    pv_kwh: list[float]
    battery_charge_kwh: list[float]
    battery_discharge_kwh: list[float]
    stored_kwh: list[float]
    net_kwh: list[float]
    planned_net_kwh: list[float]
    alone_net_kwh: list[float]
    stored_start_kwh: float | None = None
    quality: list[Quality]
    meter: list[str]
    rounds_planned: int
    planning_seconds: float
    forecast: MemberForecast | None = None
    plan: AgreedPlan | None = None
    flexible_kwh: dict[str, list[float]] = Field(default_factory=dict)
    vehicles: tuple[ElectricVehicle, ...] = ()
    appliances: tuple[Appliance, ...] = ()
    unmetered_kwh: list[float] = Field(default_factory=list)
    corrected_slots: list[int] = Field(default_factory=list)

    @property
    def inflexible_load_kwh(self) -> list[float]:
        """The metered load alone [kWh]: what a forecast of it can learn from."""
        if not self.flexible_kwh:
            return self.load_kwh
        parts = zip(self.load_kwh, *self.flexible_kwh.values(), strict=True)
        return [total - sum(drawn) for total, *drawn in parts]


class MemberRecord(Record):
    """A prosumer's own record of a run.

    Attributes:
        member: its name.
        kind: what it is, for people.
        strategy: how it runs its battery.
        battery_capacity_kwh: None without a battery.
        battery: all that is to be known of it; None without one.
        sessions: one record a session.
    """

    member: str
    kind: str
    strategy: str
    battery_capacity_kwh: float | None
    battery: Battery | None = None
    sessions: list[MemberSessionRecord]

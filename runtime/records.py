"""What the agents leave behind when a run ends, as data: the only source of results, figures and indicators.

The coordinator writes one ``CoordinatorRecord``, each prosumer its own ``MemberRecord`` (whose parts are in
``runtime.member_records``). Energies are non-negative pairs (``grid_import_kwh``/``grid_export_kwh``); arrays
have one value a slot. Money and settled energy are exact decimals, written as text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from runtime.bookkeeping import AgreedContract, Bill, LedgerEntry, LedgerKind
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.member_records import (
    AgreedPlan,
    ForecastError,
    MemberForecast,
    MemberRecord,
    MemberSessionRecord,
    PriceChange,
    SeriesForecast,
)
from runtime.record_base import Quality, Record

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

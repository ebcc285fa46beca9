"""The slots of one session: what was delivered, how it is settled, what each member is told. No messages."""

from __future__ import annotations

from decimal import Decimal

from coordinator.mechanisms import Clearing
from coordinator.negotiation import Negotiation
from coordinator.settlement import (
    ENERGY_STEP_KWH,
    PRICE_STEP_EUR_PER_KWH,
    CounterpartSlot,
    SettlementTerms,
    SlotContract,
    agreed_contracts,
    bill_lines,
    bills,
    community_exchange,
    contracts_of_slot,
    demand_charges,
    executable_across,
    settled_slot,
    sharing,
)
from coordinator.settlement.corrections import Corrections, SettledGrid
from runtime.configuration import CoordinatorSession
from runtime.errors import ProtocolError
from runtime.protocol.bodies import AdjustmentLine, BillLine, DeliveryCorrection, MeteredDelivery
from runtime.records import AgreedContract, Bill, CommunityExchange, Delivery, LedgerEntry, Quality


class Operation:
    """Deliveries of the running slot, and the ledger of those passed.

    Attributes:
        slot: the running slot.
        deliveries: what was settled, in the order of slots and members.
        ledger: the double entries of the slots settled, and at the end those of the session as a whole.
        exchanges: what was exchanged with another community in the slots settled with it.
        counted: whether no more deliveries count: those of the running slot are told another community, or
            all slots are settled.
    """

    def __init__(
        self, session: int, terms: CoordinatorSession, negotiation: Negotiation, members: list[str]
    ) -> None:
        """Begin with slot 0.

        Args:
            session: number of the session.
            terms: its horizon and tariffs.
            negotiation: ended; gives the terms of settlement, and the position of a member that does not
                deliver.
            members: who takes part.
        """
        self.slot = 0
        self.deliveries: list[Delivery] = []
        self.ledger: list[LedgerEntry] = []
        self.exchanges: list[CommunityExchange] = []
        self.counted = False
        self._session = session
        self._terms = terms
        self._negotiation = negotiation
        self._members = members
        self._local_price_eur_per_kwh: list[Decimal | None] | None = None
        self._contracts: list[AgreedContract] | None = None
        self._free_kwh: dict[str, list[Decimal]] | None = None
        self._delivered: dict[str, MeteredDelivery] = {}
        self._declined: set[str] = set()
        self._corrections = Corrections()
        self._put_off: dict[int, list[Delivery]] = {}

    def deliver(self, member: str, delivery: MeteredDelivery) -> None:
        """Take a member's delivery of the running slot."""
        self._delivered[member] = delivery

    def decline(self, member: str) -> None:
        """Note that a member will not deliver in the running slot."""
        self._declined.add(member)

    @property
    def delivered(self) -> list[str]:
        """Members whose delivery of the running slot is there, in the order in which they came."""
        return list(self._delivered)

    @property
    def outstanding(self) -> list[str]:
        """Members that have neither delivered nor declined in the running slot."""
        return [name for name in self._members if name not in self._delivered and name not in self._declined]

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more in the running slot."""
        return len(self._delivered.keys() | self._declined) == len(self._members)

    @property
    def passed(self) -> bool:
        """Whether all slots of the session are settled."""
        return self.slot == self._terms.operated.slots

    # -- the terms -------------------------------------------------------------------------------------

    @property
    def local_price_eur_per_kwh(self) -> list[Decimal | None]:
        """Price of the pool by slot as settled; None where there is none, as in every suspended slot."""
        if self._local_price_eur_per_kwh is None:
            told = self._clearing.local_price_eur_per_kwh.tolist()
            suspended = self._negotiation.mechanism.tariff.suspended.tolist()
            self._local_price_eur_per_kwh = [
                None if no_trade or price != price else Decimal(repr(price)).quantize(PRICE_STEP_EUR_PER_KWH)
                for price, no_trade in zip(told, suspended, strict=True)
            ]
        return self._local_price_eur_per_kwh

    @property
    def contracts(self) -> list[AgreedContract]:
        """Contracts between members, by which energy is settled first."""
        if self._contracts is None:
            suspended = self._negotiation.mechanism.tariff.suspended
            everybody = [*self._members, *self._negotiation.others]
            self._contracts = agreed_contracts(self._clearing.contracts, everybody, suspended)
        return self._contracts

    @property
    def shared_by_day(self) -> bool:
        """Whether all pay and earn the same prices in all slots."""
        return self._clearing.shared_by_day

    @property
    def apart(self) -> list[str]:
        """Members that are settled at the grid's tariffs, apart from the pool and from what is shared."""
        return [self._members[index] for index in sorted(self._clearing.apart)]

    @property
    def free_kwh(self) -> dict[str, list[Decimal]]:
        """By member and slot, what is free of charges for the limit, import > 0; {} where there is none."""
        if self._free_kwh is None:
            free = self._clearing.free_kwh
            rows = [] if free is None else free.tolist()
            self._free_kwh = {
                member: [Decimal(repr(energy)).quantize(ENERGY_STEP_KWH) for energy in row]
                for member, row in zip(self._members, rows, strict=False)
            }
        return self._free_kwh

    @property
    def _settlement_terms(self) -> SettlementTerms:
        return SettlementTerms(
            session=self._session,
            slot_minutes=self._terms.horizon.slot_minutes,
            import_price_eur_per_kwh=self._terms.import_price_eur_per_kwh,
            export_price_eur_per_kwh=self._terms.export_price_eur_per_kwh,
            local_price_eur_per_kwh=self.local_price_eur_per_kwh,
            contracts=self.contracts,
            grid=self._terms.grid,
            apart=self.apart,
            free_kwh=self.free_kwh,
        )

    @property
    def _clearing(self) -> Clearing:
        clearing = self._negotiation.clearing
        if clearing is None:
            raise ValueError("nothing is agreed yet")
        return clearing

    # -- a slot ----------------------------------------------------------------------------------------

    def count(self) -> tuple[dict[str, Decimal], list[SlotContract]]:
        """The running slot as it is told another community; deliveries that come after this do not count.

        Returns:
            Each member's net energy, import > 0, and contracts across as this side's metering allows them.
        """
        self.counted = True
        net_kwh = {member: self._delivery_of(member).net_kwh for member in self._members}
        return net_kwh, executable_across(net_kwh, contracts_of_slot(self.contracts, self.slot))

    def settle(self, counterpart: CounterpartSlot | None = None) -> dict[str, BillLine]:
        """Settle the running slot and go to the next; the bill line of each member.

        What is entered for the session as a whole follows when it is closed.

        Args:
            counterpart: what another community metered in the slot; None where there is none to trade with.
        """
        lines = self._settle_slot(self.slot, self._deliveries_of_slot(), counterpart)
        self._next_slot()
        return lines

    def put_off(self) -> None:
        """Go to the next slot; the running one is settled later, with the deliveries that count now."""
        self._put_off[self.slot] = self._deliveries_of_slot()
        self._next_slot()

    def settle_put_off(self, slot: int, counterpart: CounterpartSlot | None) -> dict[str, BillLine]:
        """Settle a slot that was put off; the bill line of each member. See ``settle``."""
        return self._settle_slot(slot, self._put_off.pop(slot), counterpart)

    def _deliveries_of_slot(self) -> list[Delivery]:
        return [self._delivery_of(member) for member in self._members]

    def _next_slot(self) -> None:
        self.slot += 1
        self._delivered, self._declined, self.counted = {}, set(), self.passed

    def _settle_slot(
        self, slot: int, deliveries: list[Delivery], counterpart: CounterpartSlot | None
    ) -> dict[str, BillLine]:
        net_kwh = {each.member: each.net_kwh for each in deliveries}
        settled = settled_slot(self._settlement_terms, slot, net_kwh, counterpart)
        exchange, prices = settled.exchange, settled.prices
        if counterpart is not None:
            self.exchanges.append(community_exchange(slot, exchange, self._members, prices))
        for record in (*deliveries, *settled.entries):
            record.model_fields_set.clear()  # which were given: a third of what a day's records take
        self.deliveries += deliveries
        self.ledger += settled.entries
        for share, delivery in zip(exchange.shares, deliveries, strict=True):
            grid = SettledGrid(
                delivery.net_kwh,
                share.grid_import_kwh,
                share.grid_export_kwh,
                prices.import_price_eur_per_kwh,
                prices.export_price_eur_per_kwh,
            )
            self._corrections.settled(slot, share.member, grid)
        qualities = [each.quality for each in deliveries]
        return bill_lines(self._session, slot, exchange, settled.entries, prices, qualities)

    def correct(self, member: str, correction: DeliveryCorrection) -> AdjustmentLine:
        """Correct a slot that is settled; what all its corrections come to for the member.

        Raises:
            ProtocolError: the slot is not settled yet, or there is none.
        """
        try:
            return self._corrections.take(member, correction)
        except KeyError:
            reason = f"slot {correction.slot} is not settled, so there is nothing to correct"
            raise ProtocolError(reason) from None

    def bills(self) -> list[Bill]:
        """The members' bills of the slots settled."""
        return bills(self._session, self._members, self.ledger)

    def close(self) -> None:
        """Enter what is entered for the session as a whole: corrections, sharing, demand charges."""
        self.deliveries.sort(key=lambda each: each.slot)  # one slot may have been put off
        self.ledger.sort(key=lambda entry: entry.slot)
        self.exchanges.sort(key=lambda each: each.slot)
        self.deliveries = self._corrections.corrected(self.deliveries)
        self.ledger += self._corrections.entries(self._members)
        if self.shared_by_day:
            self.ledger += sharing(self._session, self.slot - 1, self._members, self.ledger, self.apart)
        self.ledger += demand_charges(
            self._session,
            self._members,
            self.deliveries,
            self._terms.horizon.slot_minutes,
            self._terms.grid.demand_charge_eur_per_kw,
        )

    def _delivery_of(self, member: str) -> Delivery:
        """What is settled: what was delivered, or the agreed position of a member that did not."""
        body = self._delivered.get(member)
        quality: Quality
        if body is not None:
            net_kwh, quality = body.net_kwh, body.quality
        else:
            position_kwh = self._negotiation.agreed_position_kwh(member)[self.slot]
            net_kwh, quality = Decimal(repr(float(position_kwh))), "missing"
        return Delivery(
            slot=self.slot,
            member=member,
            net_kwh=net_kwh.quantize(ENERGY_STEP_KWH),
            quality=quality,
            meters=list(body.meters) if body is not None else [],
        )

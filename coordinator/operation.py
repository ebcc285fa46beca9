"""The slots of one session: what was delivered, how it is settled, what each member is told. No messages."""

from __future__ import annotations

from decimal import Decimal

from coordinator.negotiation import Negotiation
from coordinator.settlement import (
    ENERGY_STEP_KWH,
    PRICE_STEP_EUR_PER_KWH,
    Share,
    SlotPrices,
    bills,
    ledger_entries,
    owed_eur,
    share_energy,
)
from runtime.configuration import CoordinatorSession
from runtime.protocol.bodies import BillLine, MeteredDelivery
from runtime.records import Bill, Delivery, LedgerEntry, Quality


class Operation:
    """Deliveries of the running slot, and the ledger of those passed.

    Attributes:
        slot: the running slot.
        deliveries: what was settled, in the order of slots and members.
        ledger: the double entries of the slots settled.
    """

    def __init__(
        self, session: int, terms: CoordinatorSession, negotiation: Negotiation, members: list[str]
    ) -> None:
        """Begin with slot 0.

        Args:
            session: number of the session.
            terms: its horizon and tariffs.
            negotiation: ended; gives the local price, and the position of a member that does not deliver.
            members: who takes part.
        """
        self.slot = 0
        self.deliveries: list[Delivery] = []
        self.ledger: list[LedgerEntry] = []
        self._session = session
        self._terms = terms
        self._negotiation = negotiation
        self._members = members
        self._local_price_eur_per_kwh: list[Decimal | None] | None = None
        self._delivered: dict[str, MeteredDelivery] = {}
        self._declined: set[str] = set()

    def deliver(self, member: str, delivery: MeteredDelivery) -> None:
        """Take a member's delivery of the running slot."""
        self._delivered[member] = delivery

    def decline(self, member: str) -> None:
        """Note that a member will not deliver in the running slot."""
        self._declined.add(member)

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more in the running slot."""
        return len(self._delivered.keys() | self._declined) == len(self._members)

    @property
    def passed(self) -> bool:
        """Whether all slots of the session are settled."""
        return self.slot == self._terms.horizon.slots

    @property
    def local_price_eur_per_kwh(self) -> list[Decimal | None]:
        """Price of local trade by slot as settled; None where there is none."""
        if self._local_price_eur_per_kwh is None:
            clearing = self._negotiation.clearing
            if clearing is None:
                raise ValueError("nothing is agreed yet")
            self._local_price_eur_per_kwh = [
                None if price != price else Decimal(repr(price)).quantize(PRICE_STEP_EUR_PER_KWH)
                for price in clearing.local_price_eur_per_kwh.tolist()
            ]
        return self._local_price_eur_per_kwh

    def settle(self) -> dict[str, BillLine]:
        """Settle the running slot and go to the next; the bill line of each member."""
        buy = self._terms.import_price_eur_per_kwh[self.slot]
        sell = self._terms.export_price_eur_per_kwh[self.slot]
        local = self.local_price_eur_per_kwh[self.slot]
        prices = SlotPrices(buy, sell, local)
        deliveries = [self._delivery_of(member) for member in self._members]
        shares = share_energy({each.member: each.net_kwh for each in deliveries}, local is not None)
        entries = ledger_entries(self._session, self.slot, shares, prices)
        self.deliveries += deliveries
        self.ledger += entries
        lines = {
            share.member: self._bill_line(share, entries, prices, delivery.quality)
            for share, delivery in zip(shares, deliveries, strict=True)
        }
        self.slot += 1
        self._delivered, self._declined = {}, set()
        return lines

    def bills(self) -> list[Bill]:
        """The members' bills of the slots settled."""
        return bills(self._session, self._members, self.ledger)

    def _delivery_of(self, member: str) -> Delivery:
        """What is settled: what was delivered, or the agreed position of a member that did not."""
        body = self._delivered.get(member)
        quality: Quality
        if body is not None:
            net_kwh, quality = body.grid_import_kwh - body.grid_export_kwh, body.quality
        else:
            position_kwh = self._negotiation.agreed_position_kwh(member)[self.slot]
            net_kwh, quality = Decimal(repr(float(position_kwh))), "missing"
        return Delivery(
            slot=self.slot, member=member, net_kwh=net_kwh.quantize(ENERGY_STEP_KWH), quality=quality
        )

    def _bill_line(
        self, share: Share, entries: list[LedgerEntry], prices: SlotPrices, quality: Quality
    ) -> BillLine:
        return BillLine(
            session=self._session,
            slot=self.slot,
            local_purchase_kwh=share.local_purchase_kwh,
            local_sale_kwh=share.local_sale_kwh,
            grid_import_kwh=share.grid_import_kwh,
            grid_export_kwh=share.grid_export_kwh,
            local_price_eur_per_kwh=prices.local_price_eur_per_kwh,
            import_price_eur_per_kwh=prices.import_price_eur_per_kwh,
            export_price_eur_per_kwh=prices.export_price_eur_per_kwh,
            amount_eur=owed_eur([entry for entry in entries if entry.member == share.member]),
            quality=quality,
        )

"""A slot's exchange as double entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from coordinator.settlement.energy import Exchange
from coordinator.settlement.exact import EXACT
from runtime.bookkeeping import LedgerEntry, LedgerKind


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """Prices of a slot [EUR/kWh].

    Attributes:
        import_price_eur_per_kwh: the grid's import tariff.
        export_price_eur_per_kwh: the grid's feed-in tariff.
        local_price_eur_per_kwh: of the pool; None without one.
        meter_fee_eur_per_kwh: the part of the local fee that either side of a trade bears.
        excess_price_eur_per_kwh: charge on energy above the connection's limit.
    """

    import_price_eur_per_kwh: Decimal
    export_price_eur_per_kwh: Decimal
    local_price_eur_per_kwh: Decimal | None
    meter_fee_eur_per_kwh: Decimal = Decimal(0)
    excess_price_eur_per_kwh: Decimal = Decimal(0)


def slot_entries(session: int, slot: int, exchange: Exchange, prices: SlotPrices) -> list[LedgerEntry]:
    """The double entries of a slot; a member without energy has none.

    A contract is one entry, from the buyer to the seller. The pool goes through the account ``community``,
    which is therefore at zero after every slot. Fees and charges of nothing have no entry.

    Args:
        session: market session, from 0.
        slot: slot of the session.
        exchange: who exchanged what with whom.
        prices: of the slot.

    Raises:
        ValueError: energy was pooled in a slot without a local price.
    """
    entries: list[LedgerEntry] = []

    def enter(
        member: str, kind: LedgerKind, energy_kwh: Decimal, price: Decimal | None, debit: str, credit: str
    ) -> None:
        if not energy_kwh:
            return
        if price is None:
            raise ValueError("energy was pooled in a slot without a local price")
        entries.append(
            LedgerEntry(
                session=session,
                slot=slot,
                member=member,
                kind=kind,
                energy_kwh=energy_kwh,
                price_eur_per_kwh=price,
                amount_eur=energy_kwh * price,
                debit=debit,
                credit=credit,
            )
        )

    local, fee = prices.local_price_eur_per_kwh, prices.meter_fee_eur_per_kwh
    excess = prices.excess_price_eur_per_kwh
    with localcontext(EXACT):
        for each in exchange.contracts:
            buyer, seller = f"member:{each.buyer}", f"member:{each.seller}"
            enter(each.buyer, "contract", each.energy_kwh, each.price_eur_per_kwh, buyer, seller)
        for share in exchange.shares:
            name, own = share.member, f"member:{share.member}"
            enter(name, "local-purchase", share.pool_purchase_kwh, local, own, "community")
            enter(name, "local-sale", share.pool_sale_kwh, local, "community", own)
            enter(name, "grid-import", share.grid_import_kwh, prices.import_price_eur_per_kwh, own, "grid")
            enter(name, "grid-export", share.grid_export_kwh, prices.export_price_eur_per_kwh, "grid", own)
            if fee:
                enter(name, "local-fee", share.traded_kwh, fee, own, "network")
            if excess:
                enter(name, "excess-charge", share.excess_kwh, excess, own, "grid")
    return entries


def owed_eur(entries: Iterable[LedgerEntry]) -> dict[str, Decimal]:
    """What each member of these entries pays in all (negative: receives) [EUR]."""
    owed: dict[str, Decimal] = {}
    with localcontext(EXACT):
        for entry in entries:
            for member in entry.parties():
                owed[member] = owed.get(member, Decimal(0)) + entry.paid_eur(member)
    return owed

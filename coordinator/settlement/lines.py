"""What members are told of a slot: its exchange and entries as one bill line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from coordinator.settlement.energy import Exchange
from coordinator.settlement.entries import SlotPrices, owed_eur
from runtime.bookkeeping import LedgerEntry
from runtime.protocol.bodies import BillLine
from runtime.records import Quality


def bill_lines(
    session: int,
    slot: int,
    exchange: Exchange,
    entries: Iterable[LedgerEntry],
    prices: SlotPrices,
    qualities: Sequence[Quality],
) -> dict[str, BillLine]:
    """Each member's line of a slot, in the order of the exchange's shares.

    Args:
        session: market session, from 0.
        slot: slot of the session.
        exchange: who exchanged what with whom.
        entries: the slot's, as ``slot_entries`` makes them of the exchange.
        prices: of the slot.
        qualities: of the deliveries that were settled, one for each share.

    Raises:
        ValueError: there are more or fewer qualities than shares.
    """
    entries = list(entries)
    owed = owed_eur(entries)
    by_contract = owed_eur(entry for entry in entries if entry.kind == "contract")
    return {
        share.member: BillLine(
            session=session,
            slot=slot,
            local_purchase_kwh=share.local_purchase_kwh,
            local_sale_kwh=share.local_sale_kwh,
            grid_import_kwh=share.grid_import_kwh,
            grid_export_kwh=share.grid_export_kwh,
            local_price_eur_per_kwh=prices.local_price_eur_per_kwh,
            import_price_eur_per_kwh=prices.import_price_eur_per_kwh,
            export_price_eur_per_kwh=prices.export_price_eur_per_kwh,
            contract_purchase_kwh=share.contract_purchase_kwh,
            contract_sale_kwh=share.contract_sale_kwh,
            contract_eur=by_contract.get(share.member, Decimal(0)),
            local_fee_eur=share.traded_kwh * prices.meter_fee_eur_per_kwh,
            excess_kwh=share.excess_kwh,
            excess_charge_eur=share.excess_kwh * prices.excess_price_eur_per_kwh,
            amount_eur=owed.get(share.member, Decimal(0)),
            quality=quality,
        )
        for share, quality in zip(exchange.shares, qualities, strict=True)
    }

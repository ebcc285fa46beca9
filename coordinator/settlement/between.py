"""What one of two communities had from the other in a slot, and what it paid."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal, localcontext

from coordinator.settlement.energy import Exchange
from coordinator.settlement.entries import SlotPrices
from coordinator.settlement.exact import EXACT
from runtime.records import CommunityExchange


def community_exchange(
    slot: int, exchange: Exchange, members: Collection[str], prices: SlotPrices
) -> CommunityExchange:
    """A slot's energy and money between this community and the other.

    Args:
        slot: slot of the session.
        exchange: the slot as settled with the other community.
        members: of this community.
        prices: of the slot.
    """
    with localcontext(EXACT):
        bought = [each for each in exchange.contracts if each.seller not in members]
        sold = [each for each in exchange.contracts if each.buyer not in members]
        price = prices.local_price_eur_per_kwh
        return CommunityExchange(
            slot=slot,
            contract_import_kwh=sum((each.energy_kwh for each in bought), Decimal(0)),
            contract_export_kwh=sum((each.energy_kwh for each in sold), Decimal(0)),
            contract_paid_eur=sum((e.energy_kwh * e.price_eur_per_kwh for e in bought), Decimal(0)),
            contract_earned_eur=sum((e.energy_kwh * e.price_eur_per_kwh for e in sold), Decimal(0)),
            pool_import_kwh=exchange.pool_import_kwh,
            pool_export_kwh=exchange.pool_export_kwh,
            pool_price_eur_per_kwh=price,
            pool_paid_eur=(exchange.pool_import_kwh - exchange.pool_export_kwh) * (price or Decimal(0)),
        )

"""A slot settled: from metered energies and the session's terms to exchange and double entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from coordinator.settlement.contracts import contracts_of_slot
from coordinator.settlement.energy import CounterpartSlot, Exchange, exchange_energy
from coordinator.settlement.entries import SlotPrices, slot_entries
from runtime.bookkeeping import AgreedContract, LedgerEntry
from runtime.grid_terms import GridTerms


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """What the slots of a session are settled by: the grid's terms, and what was agreed. Lists are by slot.

    Attributes:
        session: number of the market session, from 0.
        slot_minutes: length of a slot [min].
        import_price_eur_per_kwh: the grid's import tariff [EUR/kWh].
        export_price_eur_per_kwh: the grid's feed-in tariff [EUR/kWh].
        local_price_eur_per_kwh: of the pool [EUR/kWh]; None in a slot without one.
        contracts: between members.
        grid: local fee and connection limit.
        apart: members that have no part in the pool.
        free_kwh: by member, what is free of charges for the limit, import > 0 [kWh]; {} where such charges go
            by energy with the grid.
    """

    session: int
    slot_minutes: int
    import_price_eur_per_kwh: Sequence[Decimal]
    export_price_eur_per_kwh: Sequence[Decimal]
    local_price_eur_per_kwh: Sequence[Decimal | None]
    contracts: Sequence[AgreedContract]
    grid: GridTerms
    apart: Collection[str]
    free_kwh: Mapping[str, Sequence[Decimal]]

    def prices(self, slot: int) -> SlotPrices:
        """Prices of a slot."""
        return SlotPrices(
            self.import_price_eur_per_kwh[slot],
            self.export_price_eur_per_kwh[slot],
            self.local_price_eur_per_kwh[slot],
            self.grid.meter_fee_eur_per_kwh,
            self.grid.excess_price_eur_per_kwh,
        )


@dataclass(frozen=True, slots=True)
class SettledSlot:
    """A slot as it is settled.

    Attributes:
        exchange: who had what from whom.
        prices: of the slot.
        entries: what that comes to, as double entries.
    """

    exchange: Exchange
    prices: SlotPrices
    entries: list[LedgerEntry]


def settled_slot(
    terms: SettlementTerms,
    slot: int,
    net_kwh: Mapping[str, Decimal],
    counterpart: CounterpartSlot | None = None,
) -> SettledSlot:
    """Settle one slot.

    Args:
        terms: of its session.
        slot: slot of the session.
        net_kwh: each member's energy, import > 0 [kWh], multiples of ``ENERGY_STEP_KWH``.
        counterpart: what another community metered; None where there is none to trade with.

    Raises:
        ValueError: an energy is no multiple of ``ENERGY_STEP_KWH``.
    """
    prices = terms.prices(slot)
    exchange = exchange_energy(
        net_kwh,
        pooled=prices.local_price_eur_per_kwh is not None,
        contracts=contracts_of_slot(terms.contracts, slot),
        import_limit_kwh=terms.grid.import_limit_kwh(terms.slot_minutes),
        export_limit_kwh=terms.grid.export_limit_kwh(terms.slot_minutes),
        counterpart=counterpart,
        apart=terms.apart,
        free_kwh={member: row[slot] for member, row in terms.free_kwh.items()} or None,
    )
    return SettledSlot(exchange, prices, slot_entries(terms.session, slot, exchange, prices))

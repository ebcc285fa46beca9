"""A slot of which one of two communities never heard that the other traded in it: settled as not traded."""

from __future__ import annotations

from coordinator.settlement import (
    SlotPrices,
    bills,
    contracts_of_slot,
    exchange_energy,
    slot_entries,
)
from runtime.errors import InputError
from runtime.records import SessionRecord


def without_unconfirmed(first: SessionRecord, second: SessionRecord) -> tuple[SessionRecord, SessionRecord]:
    """Both coordinators' records of a session, with slots in doubt settled as not traded.

    Only what both books have counts. The first coordinator settled such a slot so itself, when the session
    had to close without word of the other (``coordinator.counterpart``); where the second turns out to have
    settled it as traded, it is settled anew from the same deliveries, each community for itself.

    Args:
        first: the leading coordinator's record of the session.
        second: the other one's.

    Raises:
        InputError: such a slot was also corrected, by what its trade left to the grid.
    """
    for slot in (slot for part in first.communities for slot in part.unconfirmed_slots):
        if any(each.slot == slot for part in second.communities for each in part.exchanges):
            second = not_traded(second, slot)
    return first, second


def not_traded(session: SessionRecord, slot: int) -> SessionRecord:
    """A coordinator's record of a session, with one slot settled without the other community.

    Raises:
        InputError: the slot was corrected.
    """
    if any(entry.kind == "correction" and entry.slot == slot for entry in session.ledger):
        raise InputError(
            f"books differ: session {session.session}, slot {slot} was settled with the other community by "
            "one coordinator only, and corrected there: it cannot be settled anew"
        )
    grid, minutes = session.grid, session.horizon.slot_minutes
    prices = SlotPrices(
        session.grid_import_price_eur_per_kwh[slot],
        session.grid_export_price_eur_per_kwh[slot],
        session.local_price_eur_per_kwh[slot],
        grid.meter_fee_eur_per_kwh,
        grid.excess_price_eur_per_kwh,
    )
    exchange = exchange_energy(
        {each.member: each.as_settled.net_kwh for each in session.deliveries if each.slot == slot},
        pooled=prices.local_price_eur_per_kwh is not None,
        contracts=contracts_of_slot(session.contracts, slot),
        import_limit_kwh=grid.import_limit_kwh(minutes),
        export_limit_kwh=grid.export_limit_kwh(minutes),
        counterpart=None,
        apart=session.apart,
        free_kwh={member: row[slot] for member, row in session.free_kwh.items()} or None,
    )
    of_session = [entry for entry in session.ledger if entry.kind in ("sharing", "demand-charge")]
    kept = [entry for entry in session.ledger if entry.slot != slot and entry not in of_session]
    entries = [*kept, *slot_entries(session.session, slot, exchange, prices)]
    ledger = [*sorted(entries, key=lambda entry: entry.slot), *of_session]
    communities = [
        part.model_copy(
            update={
                "exchanges": [each for each in part.exchanges if each.slot != slot],
                "unconfirmed_slots": sorted({*part.unconfirmed_slots, slot}),
            }
        )
        for part in session.communities
    ]
    return session.model_copy(
        update={
            "ledger": ledger,
            "bills": bills(session.session, [bill.member for bill in session.bills], ledger),
            "communities": communities,
        }
    )

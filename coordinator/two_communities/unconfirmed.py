"""A slot of which one of two communities never heard that the other traded in it: settled as not traded."""

from __future__ import annotations

from coordinator.settlement import ENTERED_AT_THE_END, SettlementTerms, bills, settled_slot, sharing
from runtime.errors import InputError
from runtime.records import LedgerEntry, SessionRecord


def without_unconfirmed(first: SessionRecord, second: SessionRecord) -> tuple[SessionRecord, SessionRecord]:
    """Both coordinators' records of a session, with slots in doubt settled as not traded.

    Only what both books have counts. The first coordinator settled such a slot so itself, when the session
    had to close without word of the other (``counterpart``); where the second turns out to have
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

    What is shared out over the session is shared anew; demand charges are on metered power, which stays.

    Raises:
        InputError: the slot was corrected.
    """
    if any(entry.kind == "correction" and entry.slot == slot for entry in session.ledger):
        raise InputError(
            f"books differ: session {session.session + 1}, slot {slot} was settled with the other "
            "community by one coordinator only, and corrected there: it cannot be settled anew"
        )
    terms = SettlementTerms(
        session=session.session,
        slot_minutes=session.horizon.slot_minutes,
        import_price_eur_per_kwh=session.grid_import_price_eur_per_kwh,
        export_price_eur_per_kwh=session.grid_export_price_eur_per_kwh,
        local_price_eur_per_kwh=session.local_price_eur_per_kwh,
        contracts=session.contracts,
        grid=session.grid,
        apart=session.apart,
        free_kwh=session.free_kwh,
    )
    net_kwh = {each.member: each.as_settled.net_kwh for each in session.deliveries if each.slot == slot}
    of_slots = [
        entry for entry in session.ledger if entry.kind not in ENTERED_AT_THE_END and entry.slot != slot
    ]
    of_slots += settled_slot(terms, slot, net_kwh).entries
    of_slots.sort(key=lambda entry: entry.slot)
    members = [bill.member for bill in session.bills]
    shared: list[LedgerEntry] = []
    if session.shared_by_day:
        last = session.horizon.slots - 1
        shared = sharing(session.session, last, members, of_slots, session.apart)
    corrections, charges = (
        [entry for entry in session.ledger if entry.kind == kind] for kind in ("correction", "demand-charge")
    )
    ledger = [*of_slots, *corrections, *shared, *charges]
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
            "bills": bills(session.session, members, ledger),
            "communities": communities,
        }
    )

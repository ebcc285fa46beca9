"""What vehicles and appliances drew: a table."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.money_tables import slot_starts
from runtime.results.reading import session_of
from runtime.results.table import Cell, Table

_COLUMNS = {
    "session": "INTEGER",
    "slot": "INTEGER",
    "slot_start": "TEXT",
    "member": "TEXT",
    "flexible_load": "TEXT",
    "energy_kwh": "REAL",
}


def flexible_table(coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]) -> Table:
    """Energy that each vehicle and appliance drew, one row for each slot in which it drew any.

    It is part of the load in ``profiles``.

    Args:
        coordinator: the coordinator's record.
        members: the members' own records by name.

    Raises:
        InputError: an array of a record does not cover its horizon.
    """
    rows: list[tuple[Cell, ...]] = []
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for member, record in members.items():
            own = session_of(record, session)
            for name, drawn in (own.flexible_kwh if own is not None else {}).items():
                rows += [
                    (session.session, slot, starts[slot], member, name, energy)
                    for slot, energy in enumerate(drawn)
                    if energy
                ]
    return Table("flexible", _COLUMNS, ("session", "slot", "member", "flexible_load"), rows)

"""Bills by calendar month, of a run that goes on as of one that has ended.

A session's bill belongs, whole, to the month in which its first slot begins in the community's zone: bills
are made, and rounded to cents, when a session closes, and what is closed is not changed any more. So a
month's bill is the sum of its sessions' bills to the cent, all months together are the whole, and a month of
which no session is to come is final.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from runtime.bookkeeping import BILL_KINDS, Bill, BillKind
from runtime.files import write_text_atomically
from runtime.records import SessionRecord
from runtime.results.bill_pages import MOST_SESSIONS_BY_SLOT, write_bill_pages
from runtime.results.bill_words import day_words, session_days
from runtime.results.closed_sessions import Books
from runtime.results.ledger import EXACT
from runtime.results.money_tables import AMOUNT_COLUMNS, ENERGY_COLUMNS, bills_table, decimal_text
from runtime.results.table import Cell, Table
from runtime.results.tables import csv_text
from runtime.wording import counted


@dataclass(frozen=True)
class MemberStatement:
    """What a member owes for a month (negative: is owed).

    Attributes:
        member: its name.
        energy_kwh: by column of ``bills.csv``.
        lines_eur: in cents, by line; they add up to ``amount_eur``.
        exact_eur: the sum of its entries.
        amount_eur: in cents.
        unread_slots: slots that no meter told of in time, as they were settled in the end.
        corrected_slots: slots that were corrected before their session closed.
    """

    member: str
    energy_kwh: dict[str, Decimal]
    lines_eur: dict[BillKind, Decimal]
    exact_eur: Decimal
    amount_eur: Decimal
    unread_slots: int
    corrected_slots: int


@dataclass(frozen=True)
class Statement:
    """A month's bills.

    Attributes:
        month: as ``2026-11``.
        start: when its first session began, in the community's zone.
        end: when its last one ended.
        sessions: their number.
        final: whether no session of this month is to come.
        members: in the scenario's order.
    """

    month: str
    start: datetime
    end: datetime
    sessions: int
    final: bool
    members: list[MemberStatement]

    @property
    def amount_eur(self) -> Decimal:
        """What all members pay together."""
        return sum((each.amount_eur for each in self.members), Decimal("0.00"))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; energies and money as exact text."""
        return {
            "month": self.month,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "sessions": self.sessions,
            "final": self.final,
            "amount_eur": decimal_text(self.amount_eur),
            "members": [
                {
                    "member": each.member,
                    **{name: decimal_text(energy_kwh) for name, energy_kwh in each.energy_kwh.items()},
                    **{AMOUNT_COLUMNS[kind]: decimal_text(eur) for kind, eur in each.lines_eur.items()},
                    "exact_eur": decimal_text(each.exact_eur),
                    "amount_eur": decimal_text(each.amount_eur),
                    "unread_slots": each.unread_slots,
                    "corrected_slots": each.corrected_slots,
                }
                for each in self.members
            ],
        }


def month_of(session: SessionRecord) -> str:
    """The month that a session is billed in, as ``2026-11``: sessions are in order, and so are these."""
    return f"{session.horizon.local(0):%Y-%m}"


def months_of(books: Books) -> Iterator[str]:
    """The months that have a closed session, in order; of each only the ends are looked at."""
    place = 0
    while place < len(books.sessions):
        month = month_of(books.sessions[place])
        yield month
        place = bisect_right(books.sessions, month, lo=place, key=month_of)


def sessions_of(books: Books, month: str) -> tuple[list[SessionRecord], bool]:
    """A month's closed sessions, and whether no further one is to come.

    Sessions are as ``_as_billed`` leaves them: a month of them is small enough to be held.
    """
    first = bisect_left(books.sessions, month, key=month_of)
    last = bisect_right(books.sessions, month, lo=first, key=month_of)
    by_slot = last - first <= MOST_SESSIONS_BY_SLOT
    found = [_as_billed(books.sessions[place], by_slot=by_slot) for place in range(first, last)]
    return found, books.ended or last < len(books.sessions)


def statement_of(month: str, sessions: Sequence[SessionRecord], *, final: bool) -> Statement:
    """Add up a month's sessions, one at least.

    Args:
        month: as ``2026-11``.
        sessions: all that are closed of it, in order.
        final: whether no further one is to come.
    """
    first, last = sessions[0].horizon, sessions[-1].horizon
    bills: dict[str, list[Bill]] = {}
    for session in sessions:
        for bill in session.bills:
            bills.setdefault(bill.member, []).append(bill)
    return Statement(
        month=month,
        start=first.local(0),
        end=last.local(last.slots),
        sessions=len(sessions),
        final=final,
        members=[_member_statement(member, own, sessions) for member, own in bills.items()],
    )


def write_statement(
    folder: Path, books: Books, month: str, indicators: Mapping[str, Any] | None = None
) -> Statement:
    """Write a month's bills: pages as of a whole run, ``bills.csv`` and ``sessions.csv``.

    Args:
        folder: of this month; it is made if it is missing.
        books: what is settled of a run.
        month: as ``2026-11``; a month of a closed session.
        indicators: content of ``indicators.json``, for what members would have paid alone; None if there is
            none yet.

    Returns:
        What was written.

    Raises:
        InputError: a record is missing or damaged.
        OSError: the folder cannot be written to.
    """
    sessions, final = sessions_of(books, month)
    statement = statement_of(month, sessions, final=final)
    record = books.run.model_copy(update={"sessions": sessions})
    write_bill_pages(
        folder,
        record,
        books.members,
        {"run": {"members": _alone(indicators, sessions)}},
        period=period_of(statement, sessions),
        running=not books.ended,
    )
    write_text_atomically(folder / "bills.csv", csv_text(_member_table(statement)))
    write_text_atomically(folder / "sessions.csv", csv_text(bills_table(record)))
    return statement


def period_of(statement: Statement, sessions: Sequence[SessionRecord]) -> str:
    """What a month's bills are for, in words, to the minute."""
    name = f"{statement.start:%B %Y}" + ("" if statement.final else " so far")
    start, end = (f"{day_words(at.date())}, {at:%H:%M}" for at in (statement.start, statement.end))
    return f"{name}: from {start} to {end}, {counted(len(session_days(sessions)), 'day')}"


def _as_billed(session: SessionRecord, *, by_slot: bool) -> SessionRecord:
    """A session without what no bill tells of; entries only where a page shows slots."""
    told = [
        each for each in session.deliveries if each.quality != "metered" or each.settled_net_kwh is not None
    ]
    spare: dict[str, Any] = {"rounds": [], "agreed_net_kwh": {}, "deliveries": told, "free_kwh": {}}
    return session.model_copy(update=spare if by_slot else {**spare, "ledger": []})


def _member_statement(
    member: str, bills: Sequence[Bill], sessions: Sequence[SessionRecord]
) -> MemberStatement:
    own = [each for session in sessions for each in session.deliveries if each.member == member]
    with localcontext(EXACT):
        return MemberStatement(
            member=member,
            energy_kwh={
                name: sum((getattr(bill, name) for bill in bills), Decimal(0)) for name in ENERGY_COLUMNS
            },
            lines_eur={
                kind: sum(
                    (item.amount_eur for bill in bills for item in bill.items if item.kind == kind),
                    Decimal("0.00"),
                )
                for kind in BILL_KINDS
            },
            exact_eur=sum((bill.exact_eur for bill in bills), Decimal(0)),
            amount_eur=sum((bill.amount_eur for bill in bills), Decimal("0.00")),
            unread_slots=sum(each.quality != "metered" for each in own),
            corrected_slots=sum(each.settled_net_kwh is not None for each in own),
        )


def _member_table(statement: Statement) -> Table:
    def row(each: MemberStatement) -> tuple[Cell, ...]:
        return (
            statement.month,
            statement.start.isoformat(),
            statement.end.isoformat(),
            "final" if statement.final else "so far",
            each.member,
            *(decimal_text(each.energy_kwh[name]) for name in ENERGY_COLUMNS),
            *(decimal_text(each.lines_eur[kind]) for kind in BILL_KINDS),
            decimal_text(each.exact_eur),
            decimal_text(each.amount_eur),
            each.unread_slots,
            each.corrected_slots,
        )

    columns = (
        *("month", "period_start", "period_end", "state", "member"),
        *ENERGY_COLUMNS,
        *(AMOUNT_COLUMNS[kind] for kind in BILL_KINDS),
        *("exact_eur", "amount_eur"),
    )
    counts = dict.fromkeys(("unread_slots", "corrected_slots"), "INTEGER")
    return Table(
        "bills",
        {**dict.fromkeys(columns, "TEXT"), **counts},
        ("month", "member"),
        [row(each) for each in statement.members],
    )


def _alone(
    indicators: Mapping[str, Any] | None, sessions: Sequence[SessionRecord]
) -> dict[str, dict[str, float]]:
    """What each member would have paid alone in these sessions, where that is known of all of them."""
    if indicators is None:
        return {}
    numbers = {session.session for session in sessions}
    own = [each["members"] for each in indicators["sessions"] if each["session"] in numbers]
    found = {}
    for member in own[0] if own else ():
        costs_eur = [values.get(member, {}).get("alone_cost_eur") for values in own]
        if None not in costs_eur:
            found[member] = {"alone_cost_eur": sum(costs_eur)}
    return found

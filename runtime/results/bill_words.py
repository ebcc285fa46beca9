"""The lines of a bill, and what it is for, in words that a household understands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from runtime.bookkeeping import BillKind
from runtime.records import SessionRecord
from runtime.wording import counted

WORDS: dict[BillKind, str] = {
    "contract-purchase": "Bought from neighbours, as agreed with them",
    "contract-sale": "Sold to neighbours, as agreed with them",
    "local-purchase": "Bought from neighbours",
    "local-sale": "Sold to neighbours",
    "grid-import": "Bought from the grid",
    "grid-export": "Sold to the grid",
    "local-fee": "Network fee on what you traded with neighbours",
    "excess-charge": "Your part of what the community drew or gave above the limit of its connection",
    "demand-charge": "Charge for the highest power you drew",
    "sharing": "Evened out among all members, so that everybody pays and earns the same price",
    "correction": "Corrected: what your meter told only later",
}
"""Who pays or receives is told by the sign of the amount."""


def session_day(session: SessionRecord) -> date:
    """The day on which a session begins, in its own zone."""
    return session.horizon.local(0).date()


def session_days(sessions: Iterable[SessionRecord]) -> list[date]:
    """The days on which sessions begin, each once: on a rolling horizon several begin on a day."""
    return list(dict.fromkeys(map(session_day, sessions)))


def day_words(day: date) -> str:
    """A day as a person writes it: ``1 November 2026``."""
    return f"{day.day} {day:%B %Y}"


def period_words(sessions: Sequence[SessionRecord]) -> str:
    """The days that bills are for: one, two, or from the first to the last and how many."""
    days = session_days(sessions)
    if len(days) <= 2:
        return " and ".join(day_words(day) for day in days)
    return f"{day_words(days[0])} to {day_words(days[-1])}, {counted(len(days), 'day')}"

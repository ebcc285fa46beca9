"""Closed sessions come back as they were, from a fraction of their size."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from coordinator.closed_sessions import ClosedSessions
from tests.machines.communities import Community


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sessions_come_back_in_order_and_to_the_byte(seed: int) -> None:
    record, _ = Community(seed, sessions=3).run()
    amounts_eur = [entry.amount_eur for session in record.sessions for entry in session.ledger]
    assert any(amount_eur.as_tuple().exponent not in (0, -2) for amount_eur in amounts_eur)
    closed = ClosedSessions()
    for session in record.sessions:
        closed.append(session)
    assert len(closed) == 3
    again = record.model_copy(update={"sessions": list(closed)})
    assert again == record
    assert again.model_dump_json() == record.model_dump_json()
    assert all(isinstance(line.amount_eur, Decimal) for each in closed for line in each.ledger)


def test_a_closed_session_takes_a_fifth_of_its_text() -> None:
    record, _ = Community(1, members=8, slots=48).run()
    (session,) = record.sessions
    closed = ClosedSessions()
    closed.append(session)
    assert sum(map(sys.getsizeof, closed._packed)) < 0.2 * len(session.model_dump_json())

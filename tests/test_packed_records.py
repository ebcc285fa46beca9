"""Packed records come back as they were, from a fraction of their size, in memory or on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.packed_records import PackedRecords
from runtime.records import MemberSessionRecord, SessionRecord
from tests.machines.communities import Community

Made = Callable[[], PackedRecords[SessionRecord]]


@pytest.fixture(params=["memory", "disk"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    folder = tmp_path / "new" / "folder" if request.param == "disk" else None
    return lambda: PackedRecords(SessionRecord, folder)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sessions_come_back_in_order_and_to_the_byte(seed: int, made: Made) -> None:
    record, members = Community(seed, sessions=3).run()
    amounts_eur = [entry.amount_eur for session in record.sessions for entry in session.ledger]
    assert any(amount_eur.as_tuple().exponent not in (0, -2) for amount_eur in amounts_eur)
    closed = made()
    for session in record.sessions:
        closed.append(session)
    assert len(closed) == 3
    again = record.model_copy(update={"sessions": list(closed)})
    assert again == record
    assert again.model_dump_json() == record.model_dump_json()
    assert all(isinstance(line.amount_eur, Decimal) for each in closed for line in each.ledger)
    for member in members.values():
        own = PackedRecords(MemberSessionRecord)
        for each in member.sessions:
            own.append(each)
        assert [*own] == member.sessions


def test_those_held_at_a_moment_stay_the_same_when_others_come(made: Made) -> None:
    record, _ = Community(2, sessions=3).run()
    closed = made()
    held = []
    for session in record.sessions:
        held.append(closed.so_far())
        closed.append(session)
    assert [[*each] for each in held] == [record.sessions[:count] for count in range(3)]
    assert [len(each) for each in held] == [0, 1, 2]


def test_a_closed_session_takes_a_fifth_of_its_text() -> None:
    record, _ = Community(1, members=8, slots=48).run()
    (session,) = record.sessions
    closed = PackedRecords(SessionRecord)
    closed.append(session)
    assert sum(map(sys.getsizeof, closed._packed)) < 0.2 * len(session.model_dump_json())


def test_on_disk_nothing_stays_in_memory_nor_after_it(tmp_path: Path) -> None:
    record, _ = Community(1, members=8, slots=48).run()
    (session,) = record.sessions
    closed = PackedRecords(SessionRecord, tmp_path)
    for _ in range(10):
        closed.append(session)
    assert closed._packed == []
    assert closed._file is not None
    assert os.fstat(closed._file.fileno()).st_size == closed._ends[-1] > 1000
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_stops_half_way_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, _ = Community(1).run()
    (session,) = record.sessions
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: pwrite(descriptor, data[:100], at))
    closed = PackedRecords(SessionRecord, tmp_path)
    closed.append(session)
    closed.append(session)
    assert [*closed] == [session, session]

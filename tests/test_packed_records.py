"""Packed records come back as they were, from a fraction of their size, in memory or on disk."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.packed_records import PackedRecords, RecordOfMany, packed_path, packed_paths, read_packed
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


def test_on_disk_each_has_a_file_that_others_read(tmp_path: Path) -> None:
    record, _ = Community(1, sessions=3).run()
    closed = PackedRecords(SessionRecord, tmp_path)
    for number, session in enumerate(record.sessions):
        closed.append(session)
        assert len(packed_paths(tmp_path)) == number + 1
    assert closed._packed == []
    assert [read_packed(SessionRecord, path) for path in packed_paths(tmp_path)] == record.sessions
    text = gzip.decompress(packed_path(tmp_path, 1).read_bytes()).decode()
    assert text == record.sessions[1].model_dump_json()


def test_who_comes_back_writes_the_same_files_again(tmp_path: Path) -> None:
    record, _ = Community(1, sessions=3).run()
    before = PackedRecords(SessionRecord, tmp_path)
    for session in record.sessions:
        before.append(session)
    files = {path: path.read_bytes() for path in packed_paths(tmp_path)}
    again = PackedRecords(SessionRecord, tmp_path)
    assert len(again) == 0
    assert [*again] == []
    again.append(record.sessions[0])
    assert [*again] == record.sessions[:1]
    assert {path: path.read_bytes() for path in packed_paths(tmp_path)} == files


def test_a_file_that_is_not_whole_is_said_to_be(tmp_path: Path) -> None:
    record, _ = Community(1).run()
    closed = PackedRecords(SessionRecord, tmp_path)
    closed.append(record.sessions[0])
    path = packed_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="not whole"):
        read_packed(SessionRecord, path)
    assert packed_paths(tmp_path / "nowhere") == []


@pytest.mark.parametrize("sessions", [0, 1, 3])
def test_a_record_of_many_is_written_as_if_they_were_all_in_it(
    sessions: int, made: Made, tmp_path: Path
) -> None:
    record, _ = Community(4, sessions=3).run()
    record = record.model_copy(update={"sessions": record.sessions[:sessions]})
    closed = made()
    for session in record.sessions:
        closed.append(session)
    many = RecordOfMany(record.model_copy(update={"sessions": []}), "sessions", closed.so_far())
    record.save(tmp_path / "expected.json")
    many.save(tmp_path / "found.json")
    assert (tmp_path / "found.json").read_bytes() == (tmp_path / "expected.json").read_bytes()
    assert many.whole() == record


def test_a_record_of_many_has_one_of_them_in_memory_at_a_time(tmp_path: Path) -> None:
    record, _ = Community(1, members=8, slots=48).run()
    closed = PackedRecords(SessionRecord, tmp_path / "closed")
    for _ in range(30):
        closed.append(record.sessions[0])
    many = RecordOfMany(record.model_copy(update={"sessions": []}), "sessions", closed.so_far())
    tracemalloc.start()
    many.save(tmp_path / "record.json")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < (tmp_path / "record.json").stat().st_size / 5


def test_a_damaged_one_of_many_leaves_no_half_record(tmp_path: Path) -> None:
    record, _ = Community(4).run()
    closed = PackedRecords(SessionRecord, tmp_path / "closed")
    closed.append(record.sessions[0])
    packed_path(tmp_path / "closed", 0).write_bytes(b"{}")
    many = RecordOfMany(record.model_copy(update={"sessions": []}), "sessions", closed.so_far())
    with pytest.raises(ValueError, match="not whole"):
        many.save(tmp_path / "record.json")
    assert [path.name for path in tmp_path.iterdir()] == ["closed"]

"""What months are billed from while a run goes on is held against the messages."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.verification.command import verification
from runtime.packed_records import PackedRecords, packed_path, read_packed
from runtime.records import CoordinatorRecord, SessionRecord
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind


@pytest.fixture(scope="module")
def going_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two closed sessions whose record is not written yet."""
    path = tmp_path_factory.mktemp("run") / "village"
    leave_behind(Community(seed=7, members=3, slots=4, sessions=2), path)
    directory = RunDirectory(path)
    closed = PackedRecords(SessionRecord, directory.closed_dir())
    for session in CoordinatorRecord.load(directory.coordinator_record).sessions:
        closed.append(session)
    directory.coordinator_record.unlink()
    return path


@pytest.fixture
def run(going_on: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(going_on, tmp_path / "village"))


def change(run: RunDirectory, number: int, edit: Callable[[str], str]) -> None:
    path = packed_path(run.closed_dir(), number)
    text = gzip.decompress(path.read_bytes()).decode()
    assert edit(text) != text
    path.write_bytes(gzip.compress(edit(text).encode()))


def test_sessions_that_are_closed_are_compared(run: RunDirectory) -> None:
    found = verification(run.path)
    assert found["findings"] == []
    assert found["proof"]["closed_records"] == 2


def test_a_bill_that_was_changed_is_named(run: RunDirectory) -> None:
    bill = read_packed(SessionRecord, packed_path(run.closed_dir(), 1)).bills[0]
    other_eur = bill.amount_eur + Decimal("0.01")

    def edit(text: str) -> str:
        before, found, after = text.partition('"bills":')
        old, new = (f'"amount_eur":"{eur}","items"' for eur in (bill.amount_eur, other_eur))
        return before + found + after.replace(old, new, 1)

    change(run, 1, edit)
    (finding,) = verification(run.path)["findings"]
    assert "records/closed/coordinator/000001.json.gz, session 1, bills[0] (member m0" in finding
    assert f"amount_eur: found {other_eur}, expected {bill.amount_eur}" in finding


def test_files_that_are_damaged_or_in_each_others_place_are_named(run: RunDirectory) -> None:
    first, second = (packed_path(run.closed_dir(), number) for number in (0, 1))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    (finding,) = verification(run.path)["findings"]
    assert finding == "records/closed/coordinator/000000.json.gz: found the record of session 1"
    first.write_bytes(kept[:-9])
    (finding,) = verification(run.path)["findings"]
    assert "000000.json.gz: not a record: not whole" in finding

"""A run kept in several places is brought together, and nothing else is taken for a part of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from synthetic import make_run, save_run
from typer.testing import CliRunner

from runtime.cli.report import report
from runtime.errors import InputError
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.results.collecting import collect
from runtime.results.reading import read_records
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

APP = typer.Typer()
APP.command()(report)


def moved(run: RunDirectory, to: Path, *members: str) -> Path:
    """Take members' logs and records out of a run, as if they had run elsewhere; their folder."""
    there = RunDirectory(to)
    for member in members:
        for path in [run.member_record(member), *run.logs_dir.glob(f"{member}.*")]:
            target = to / path.relative_to(run.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    assert there.logs_dir.is_dir()
    return to


def files(run: RunDirectory) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for folder in (run.logs_dir, run.records_dir)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return leave_behind(Community(seed=5, members=4, slots=6, sessions=2), tmp_path / "village")


def test_what_was_elsewhere_comes_back_to_the_byte(run: RunDirectory, tmp_path: Path) -> None:
    before = files(run)
    # A folder of `peerwatt join`, and the copy of a node's volume, which holds the run's folder.
    first = moved(run, tmp_path / "m1", "m1")
    volume = moved(run, tmp_path / "volume" / "stack-village", "m2", "m3").parent
    assert {*read_records(run.path)[1]} == {"m0"}
    found = collect(run.path, [first, volume])
    assert len(found.records) == 3
    assert {path.stem for path in found.logs.values()} == {
        "m1",
        "m2",
        "m3",
        "m1.meter",
        "m2.meter",
        "m3.meter",
    }
    assert files(run) == before
    assert verify(log_paths(run.logs_dir)) == []
    again = collect(run.path, [first, volume])
    assert (again.records, again.logs) == ({}, {})


def test_a_log_that_goes_on_replaces_its_beginning_and_never_the_other_way(
    run: RunDirectory, tmp_path: Path
) -> None:
    whole = run.log("m1").read_bytes()
    folder = moved(run, tmp_path / "m1", "m1")
    part = b"".join(whole.splitlines(keepends=True)[:5])
    run.log("m1").write_bytes(part)
    collect(run.path, [folder])
    assert run.log("m1").read_bytes() == whole
    RunDirectory(folder).log("m1").write_bytes(part)
    collect(run.path, [folder])
    assert run.log("m1").read_bytes() == whole


def test_what_is_not_of_this_run_is_refused_and_nothing_is_copied(run: RunDirectory, tmp_path: Path) -> None:
    other = leave_behind(Community(seed=6, members=4, slots=6, sessions=2), tmp_path / "other")
    fitting = moved(run, tmp_path / "m1", "m1")
    before = files(run)
    stranger = moved(other, tmp_path / "stranger", "m2")
    with pytest.raises(InputError, match=r"m2\.json: session 0, slot \d: found .* were delivered"):
        collect(run.path, [fitting, stranger])
    assert files(run) == before
    record = RunDirectory(stranger).member_record("m2")
    record.unlink()
    with pytest.raises(InputError, match=r"m2(\.meter)?\.jsonl: differs from .*village/logs/m2"):
        collect(run.path, [fitting, stranger])
    record.with_name("barn.json").write_text(run.member_record("m2").read_text().replace('"m2"', '"barn"'))
    with pytest.raises(InputError, match=r"record of 'barn', expected that of a member of the run: m0, m1"):
        collect(run.path, [stranger])
    record.with_name("barn.json").unlink()
    shutil.copy(run.log("m2"), RunDirectory(stranger).log("barn"))
    for path in RunDirectory(stranger).logs_dir.glob("m2*"):
        path.unlink()
    with pytest.raises(InputError, match=r"barn\.jsonl: no account of"):
        collect(run.path, [stranger])
    assert files(run) == before


def test_a_folder_without_a_run_is_named(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        collect(run.path, [tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: found none, expected a run's folder"):
        collect(run.path, [tmp_path / "empty"])
    two = tmp_path / "two"
    moved(run, two / "a", "m1")
    moved(run, two / "b", "m2")
    with pytest.raises(InputError, match="two: found a, b, expected"):
        collect(run.path, [two])


def test_report_collects_before_it_reports(tmp_path: Path) -> None:
    path = save_run(tmp_path / "day", *make_run(4, slots=24, slot_minutes=60))
    run = RunDirectory(path)
    run.logs_dir.mkdir()
    member = next(run.member_record("any").parent.glob("house-*.json")).stem
    elsewhere = RunDirectory(tmp_path / "there")
    elsewhere.member_record(member).parent.mkdir(parents=True)
    run.member_record(member).rename(elsewhere.member_record(member))

    def load_kwh(*options: str) -> float | None:
        done = CliRunner().invoke(
            APP, [str(path), "--json", "--no-figures", *options], catch_exceptions=False
        )
        assert done.exit_code == 0
        return json.loads(done.stdout)["run"]["members"][member]["load_kwh"]

    assert load_kwh() is None
    assert load_kwh("--collect", str(elsewhere.path)) > 0


def test_a_second_coordinators_books_come_before_they_are_joined(tmp_path: Path) -> None:
    path = save_run(tmp_path / "day", *make_run(4, slots=24, slot_minutes=60))
    run, elsewhere = RunDirectory(path), RunDirectory(tmp_path / "there")
    member = next(run.member_record("any").parent.glob("*.json")).stem
    for mine, theirs in (
        (run.member_record(member), elsewhere.member_record(member)),
        (run.coordinator_record, elsewhere.community_record("coordinator2")),
    ):
        theirs.parent.mkdir(parents=True)
        mine.rename(theirs)
    with pytest.raises(InputError, match=r"records/coordinator\.json: missing"):
        collect(run.path, [moved_nothing(tmp_path)])
    found = collect(run.path, [elsewhere.path])
    assert {*found.records.values()} == {run.community_record("coordinator2"), run.member_record(member)}
    assert run.community_record("coordinator2").is_file()


def moved_nothing(folder: Path) -> Path:
    (folder / "nothing" / "logs").mkdir(parents=True)
    return folder / "nothing"

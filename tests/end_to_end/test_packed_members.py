"""Many members in one worker: the same messages through the server, the same ledger, restarts and resume."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.messagelog.server_record import RECORD_FILE, ServerRecord
from tests.end_to_end.fleets import (
    Run,
    call,
    eventually,
    fleet,
    records_of,
    restarts_in,
)
from tests.end_to_end.street import MEMBERS
from tests.end_to_end.test_resume import assert_as_undisturbed, kill_all, street

PACKED = ("--members-per-process", 3)
WORKERS = {"prosumers-1": MEMBERS[:3], "prosumers-2": MEMBERS[3:]}

MECHANISMS = ["mid-market-rate", "bilateral"]


@pytest.fixture(scope="module")
def each_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run under each mechanism with one process a member."""
    folder = tmp_path_factory.mktemp("alone")
    with ExitStack() as stack:
        for mechanism in MECHANISMS:
            stack.enter_context(fleet(street(folder, mechanism), folder, name=mechanism)).succeed()
    return {mechanism: folder / mechanism for mechanism in MECHANISMS}


def processes_of_members(run: Run) -> dict[str, int | None]:
    return {name: run.pid_of(name) for name in [*WORKERS, "prosumers-3", *MEMBERS]}


def only_the_workers_run(run: Run) -> bool:
    found = processes_of_members(run)
    return {name for name, pid in found.items() if pid is not None} == set(WORKERS)


def instant_of(path: Path, process: str, event: str) -> str:
    """When a process said so first."""
    said = (path / "logs" / f"{process}.stderr").read_text().splitlines()
    entries = (json.loads(line) for line in said if line.startswith("{"))
    return str(next(entry["time"] for entry in entries if entry["event"] == event))


def test_the_ledger_is_that_of_one_process_a_member(each_alone: dict[str, Path], tmp_path: Path) -> None:
    with fleet(street(tmp_path, "mid-market-rate"), tmp_path, *PACKED) as run:
        run.await_slot(1)
        assert only_the_workers_run(run)
        told = run.succeed()
    assert "started again" not in told
    assert_as_undisturbed(run.path, each_alone["mid-market-rate"])
    assert instant_of(run.path, "meters", "ready") < min(
        instant_of(run.path, worker, "started") for worker in WORKERS
    )


def test_members_of_one_worker_bargain_through_the_server_to_the_same_ledger(
    each_alone: dict[str, Path], tmp_path: Path
) -> None:
    with fleet(street(tmp_path, "bilateral"), tmp_path, *PACKED, "--server-record") as run:
        run.succeed()
    assert_as_undisturbed(run.path, each_alone["bilateral"])
    said = {
        (record["from"].partition("@")[0], record["to"].partition("@")[0], record["id"])
        for member in WORKERS["prosumers-1"]
        for record in records_of(run.path, member)
        if record["kind"] == "in" and record.get("protocol") == "bargaining"
    }
    of_one_worker = {each for each in said if {each[0], each[1]} <= set(WORKERS["prosumers-1"])}
    assert len({(sender, recipient) for sender, recipient, _ in of_one_worker}) == 6
    assert of_one_worker <= relayed_by_the_server(run.path)


def relayed_by_the_server(path: Path) -> set[tuple[str, str, str]]:
    """Sender, recipient and id of every message that the server passed on."""
    return {
        (message.sender.partition("@")[0], message.recipient.partition("@")[0], message.message_id)
        for message in ServerRecord(path / "server" / RECORD_FILE).messages()
    }


def test_a_worker_that_is_killed_comes_back_with_all_its_members(
    each_alone: dict[str, Path], tmp_path: Path
) -> None:
    with fleet(street(tmp_path, "mid-market-rate"), tmp_path, *PACKED) as run:
        run.await_round(3)
        first = run.kill("prosumers-1")
        run.await_slot(4)
        second = run.kill("prosumers-1")
        told = run.succeed()
    assert first != second
    assert "prosumers-1 was killed by signal 9; started again (2)" in told
    for member in WORKERS["prosumers-1"]:
        assert len(restarts_in(run.path, member)) == 2
    assert restarts_in(run.path, "farm") == []
    assert_as_undisturbed(run.path, each_alone["mid-market-rate"])


def test_resume_keeps_the_packing(each_alone: dict[str, Path], tmp_path: Path) -> None:
    with fleet(street(tmp_path, "mid-market-rate"), tmp_path, *PACKED) as run:
        run.await_slot(3)
        kill_all(run)
    packing = run.path / "config" / "packing.json"
    began_with = packing.read_text(encoding="utf-8")
    assert json.loads(began_with) == {"members_per_process": 3}
    packing.write_text(began_with.replace("3", "2"), encoding="utf-8")
    refused = call("resume", run.path)
    assert refused.returncode == 2
    assert "config/packing.json: was changed since the run began" in refused.stderr
    packing.write_text(began_with, encoding="utf-8")
    with fleet(run.path, tmp_path, command="resume") as again:
        eventually(lambda: only_the_workers_run(again), "the workers run")
        again.succeed()
    assert_as_undisturbed(run.path, each_alone["mid-market-rate"])


@pytest.mark.parametrize("number", ["0", "-3"])
def test_a_number_that_is_none_is_refused_before_anything_is_made(number: str, tmp_path: Path) -> None:
    refused = call("run", "example", "--runs", tmp_path / "runs", "--members-per-process", number)
    assert refused.returncode == 2
    assert f"--members-per-process: found {number}, expected at least 1" in refused.stderr
    assert not (tmp_path / "runs").exists()

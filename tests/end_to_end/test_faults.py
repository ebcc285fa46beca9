"""Processes that die, people who press Ctrl-C: the ledger stays the same, or the run says why."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from runtime.records import CoordinatorRecord
from tests.end_to_end.fleets import (
    COORDINATOR,
    METERS,
    SERVER,
    Run,
    call,
    eventually,
    fleet,
    ledger_of,
    processes_naming,
    records_of,
    restarts_in,
    still_running,
)
from tests.end_to_end.street import MEMBERS, SLOTS, write_street

RESULTS = ["ledger.csv", "bills.csv", "deliveries.csv", "positions.csv", "batteries.csv"]

FLEET = [SERVER, COORDINATOR, METERS, *MEMBERS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the street at the same time, in which nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    street = write_street(folder)
    with ExitStack() as stack:
        runs = [stack.enter_context(fleet(street, folder / name)) for name in ("one", "two")]
        for run in runs:
            assert "started again" not in run.succeed()
    return [run.path for run in runs]


def assert_same_results(run: Path, reference: Path) -> None:
    for name in RESULTS:
        assert (run / name).read_bytes() == (reference / name).read_bytes(), name


def assert_nothing_left(run: Run, processes: list[psutil.Process], within_s: float) -> None:
    assert processes
    eventually(lambda: not still_running(processes), "every process has gone", within_s)
    eventually(lambda: not processes_naming(run.path), "no process names the run", within_s)


def test_two_runs_at_once_do_not_disturb_each_other(undisturbed: list[Path]) -> None:
    one, two = undisturbed
    assert_same_results(one, two)
    assert (one / "connection.json").read_text() != (two / "connection.json").read_text()
    assert len({row["slot"] for row in ledger_of(one)}) == SLOTS


@pytest.mark.parametrize("victim", ["home", COORDINATOR, METERS, SERVER])
def test_what_is_killed_in_negotiation_and_operation_is_restarted_and_the_ledger_is_the_same(
    victim: str, undisturbed: list[Path], tmp_path: Path
) -> None:
    with fleet(write_street(tmp_path), tmp_path) as run:
        run.await_round(2)
        first = run.kill(victim)
        run.await_slot(4)
        second = run.kill(victim)
        told = run.succeed()
    assert first != second
    shown = "xmpp server" if victim == SERVER else victim
    assert told.count(f"{shown} was killed by signal 9; started again") == 2
    assert_same_results(run.path, undisturbed[0])
    match victim:
        case "home" | "coordinator":
            assert restarts_in(run.path, victim) == ["negotiation", "operation"]
        case "meters":
            assert restarts_in(run.path, "home.meter") == ["elsewhere", "operation"]
        case _:
            assert restarts_in(run.path, COORDINATOR) == []
            assert any(record.get("note") == "resent" for record in records_of(run.path, COORDINATOR))
    checked = call("messages", run.path, "--verify")
    assert checked.returncode == 0, checked.stdout


def test_several_that_die_at_once_are_all_restarted(undisturbed: list[Path], tmp_path: Path) -> None:
    with fleet(write_street(tmp_path), tmp_path) as run:
        run.await_slot(3)
        for victim in (SERVER, COORDINATOR, METERS, "bakery", "farm"):
            run.kill(victim)
        told = run.succeed()
    assert told.count("started again (1)") == 5
    assert_same_results(run.path, undisturbed[0])


def test_a_member_that_dies_again_and_again_ends_the_run_which_names_it(tmp_path: Path) -> None:
    with fleet(write_street(tmp_path, slot_seconds=1.0), tmp_path) as run:
        run.await_slot(1)
        processes = run.descendants()
        killed: set[int] = set()
        while run.process.poll() is None and len(killed) < 4:
            pid = run.pid_of("flat")
            if pid is not None and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.005)
        code, _, told = run.end()
    assert code == 1
    last = told.splitlines()[-1]
    assert last.startswith("error: flat was killed by signal 9 after 3 restarts")
    assert_nothing_left(run, processes, 10.0)
    assert not (run.path / "ledger.csv").exists()


def test_a_member_whose_configuration_is_spoiled_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    with fleet(write_street(tmp_path, slot_seconds=1.0), tmp_path) as run:
        run.await_slot(1)
        processes = run.descendants()
        (run.path / "config" / "members" / "farm.json").write_text('{"name": "farm"', encoding="utf-8")
        run.kill("farm")
        code, _, told = run.end()
    assert code == 1
    last = told.splitlines()[-1]
    assert last.startswith("error: farm gave up: ")
    assert "config/members/farm.json: not a MemberConfig" in last
    assert_nothing_left(run, processes, 10.0)


def test_a_member_without_configuration_ends_the_run_at_its_start(tmp_path: Path) -> None:
    with fleet(write_street(tmp_path), tmp_path) as run:
        config = run.path / "config" / "members" / "bakery.json"
        eventually(config.exists, "the configuration is written")
        config.unlink()
        code, _, told = run.end()
    assert code == 1
    last = told.splitlines()[-1]
    assert last.startswith("error: bakery gave up: ")
    assert "bakery.json: cannot be read: No such file" in last
    assert not processes_naming(run.path)


def test_a_member_that_hangs_is_late_and_the_others_go_on(tmp_path: Path) -> None:
    street = write_street(tmp_path, rounds=5)
    text = street.read_text(encoding="utf-8")
    deadlines = "[timing]\nround_deadline_s = 1.0\ndelivery_deadline_s = 1.0\n\n[clock]"
    street.write_text(text.replace("[clock]", deadlines), encoding="utf-8")
    with fleet(street, tmp_path) as run:
        run.await_round(1)
        hanging = eventually(lambda: run.pid_of("flat"), "flat runs")
        os.kill(hanging, signal.SIGSTOP)
        run.await_slot(1)
        os.kill(hanging, signal.SIGCONT)
        told = run.succeed()
    assert "started again" not in told
    session = CoordinatorRecord.load(run.path / "records" / "coordinator.json").sessions[0]
    assert "flat" in session.rounds[-1].late
    delivered = {each.slot: each for each in session.deliveries if each.member == "flat"}
    assert delivered[0].as_settled.quality == "missing"
    assert delivered[0].quality == "metered"  # told once it went on
    assert delivered[SLOTS - 1].as_settled.quality == "metered"
    assert {row["slot"] for row in ledger_of(run.path) if row["member"] == "flat"} == {
        str(slot) for slot in range(SLOTS)
    }


def test_a_member_that_is_told_to_stop_is_started_again(undisturbed: list[Path], tmp_path: Path) -> None:
    with fleet(write_street(tmp_path), tmp_path) as run:
        run.await_slot(3)
        os.kill(eventually(lambda: run.pid_of("bakery"), "bakery runs"), signal.SIGTERM)
        told = run.succeed()
    assert told.count("bakery ended with exit code 0; started again") == 1
    assert_same_results(run.path, undisturbed[0])


@pytest.mark.parametrize("moment", ["start", "negotiation", "operation"])
def test_ctrl_c_ends_a_run_at_once_and_leaves_nothing_running(moment: str, tmp_path: Path) -> None:
    street = write_street(tmp_path, rounds=5 if moment == "operation" else 150, slot_seconds=2.0)
    with fleet(street, tmp_path) as run:
        match moment:
            case "start":
                eventually(lambda: run.pid_of(SERVER), "the server is started")
            case "negotiation":
                run.await_round(1)
            case _:
                run.await_slot(0)
        processes = run.descendants()
        run.process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        code, out, told = run.end()
        took_s = time.monotonic() - began_s
    assert code == 130
    assert took_s < 25.0
    assert told.splitlines()[-1] == "stopped"
    assert "Traceback" not in told
    assert out == ""
    assert_nothing_left(run, processes, 10.0)
    for name in [*RESULTS, "indicators.json", "results.sqlite"]:
        assert not (run.path / name).exists(), name


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_command_is_killed_its_fleet_goes_with_it(how: signal.Signals, tmp_path: Path) -> None:
    with fleet(write_street(tmp_path, slot_seconds=30.0), tmp_path) as run:
        eventually(lambda: all(run.pid_of(name) for name in FLEET), "every process runs")
        run.await_round(1)
        processes = run.descendants()
        run.process.send_signal(how)
        run.process.wait(20)
        assert_nothing_left(run, processes, 30.0)

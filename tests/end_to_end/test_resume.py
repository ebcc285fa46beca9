"""Every process of a fleet is killed at once: ``peerwatt resume`` goes on to the same ledger."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from runtime.rundir import RunDirectory
from tests.end_to_end.fleets import (
    COORDINATOR,
    PATIENCE_S,
    Run,
    call,
    eventually,
    fleet,
    processes_naming,
    records_of,
)
from tests.end_to_end.street import write_street

RESULTS = ["ledger.csv", "bills.csv", "deliveries.csv", "positions.csv", "batteries.csv"]

MECHANISMS = ["mid-market-rate", "bilateral", "coordinated"]


def street(folder: Path, mechanism: str) -> Path:
    path = write_street(folder, slot_seconds=0.1)
    text = path.read_text(encoding="utf-8")
    if mechanism != "mid-market-rate":
        begin, end = text.index("[mechanism]"), text.index("[community]")
        text = text[:begin] + f'[mechanism]\nname = "{mechanism}"\n\n' + text[end:]
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run under each mechanism in which nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ExitStack() as stack:
        for mechanism in MECHANISMS:
            run = stack.enter_context(fleet(street(folder, mechanism), folder, name=mechanism))
            run.succeed()
    return {mechanism: folder / mechanism for mechanism in MECHANISMS}


def kill_all(run: Run) -> None:
    """SIGKILL the command and every process that it started, in no order."""
    victims = [psutil.Process(run.process.pid), *run.descendants()]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(victim.pid, signal.SIGKILL)
    run.process.wait(20)
    eventually(lambda: not processes_naming(run.path), "every process has gone")


def kill_all_at(run: Run, records: int) -> None:
    """Kill the fleet as soon as the coordinator's log has so many records."""

    def there() -> bool:
        return len(records_of(run.path, COORDINATOR)) >= records or run.process.poll() is not None

    eventually(there, f"{records} records")
    kill_all(run)


def resume(path: Path) -> None:
    done = call("resume", path, "--no-figures", timeout_s=2 * PATIENCE_S)
    assert done.returncode == 0, done.stderr


def assert_as_undisturbed(path: Path, reference: Path) -> None:
    for name in RESULTS:
        assert (path / name).read_bytes() == (reference / name).read_bytes(), name
    checked = call("verify", path, "--json")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["findings"] == []


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_killed_at_a_random_moment_the_ledger_is_that_of_the_undisturbed_run(
    mechanism: str, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    rng = random.Random(f"{mechanism}-1")
    moment = rng.randrange(2, len(records_of(undisturbed[mechanism], COORDINATOR)))
    with fleet(street(tmp_path, mechanism), tmp_path) as run:
        kill_all_at(run, moment)
        assert not RunDirectory(run.path).results_sqlite.exists()
    resume(run.path)
    assert_as_undisturbed(run.path, undisturbed[mechanism])


def test_killed_in_joining_and_again_after_it_was_resumed(
    undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    reference = undisturbed["mid-market-rate"]
    with fleet(street(tmp_path, "mid-market-rate"), tmp_path) as run:
        kill_all_at(run, 3)
    half = len(records_of(reference, COORDINATOR)) // 2
    with fleet(run.path, tmp_path, command="resume") as again:
        kill_all_at(again, half)
    resume(run.path)
    assert_as_undisturbed(run.path, reference)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_command_alone_is_stopped_its_fleet_leaves_and_the_run_is_resumed(
    how: signal.Signals, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    with fleet(street(tmp_path, "mid-market-rate"), tmp_path) as run:
        run.await_slot(5)
        run.process.send_signal(how)
        run.process.wait(20)
        resume(run.path)  # after SIGKILL, while the fleet is still leaving
    assert_as_undisturbed(run.path, undisturbed["mid-market-rate"])


def test_a_run_that_cannot_be_resumed_is_refused_with_the_reason(
    undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    finished = call("resume", undisturbed["bilateral"])
    assert finished.returncode == 2
    assert "this run is finished" in finished.stderr
    nothing = call("resume", tmp_path)
    assert nothing.returncode == 2
    assert "run.json: missing" in nothing.stderr
    with fleet(write_street(tmp_path, slot_seconds=30.0), tmp_path) as run:
        run.await_round(1)
        running = call("resume", run.path)
        assert running.returncode == 2
        assert "still running" in running.stderr
        kill_all(run)
    config = run.path / "config" / "members" / "home.json"
    config.write_text(config.read_text().replace('"soc_max": 0.8', '"soc_max": 0.9'), encoding="utf-8")
    changed = call("resume", run.path)
    assert changed.returncode == 2
    assert "config/members/home.json: was changed since the run began" in changed.stderr

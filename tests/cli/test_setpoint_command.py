"""``peerwatt setpoint`` on a run's folder: what is refused, and what is listed, without a fleet."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.cli.setpoint_process import AttachedController, ControllerFiles
from runtime.errors import InputError
from runtime.rundir import RunDirectory
from runtime.scenario import resolve
from runtime.scenario.write import write_configs
from runtime.setpoints import SetpointTable
from tests.scenario.scenarios import write

TARGET = "mqtt://broker/school/battery"
LIMITS = ("--max-charge-kw", "3", "--max-discharge-kw", "2")


def setpoint(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["setpoint", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def prepared(folder: Path, *changes: tuple[str, str]) -> RunDirectory:
    directory = RunDirectory(folder / "run")
    write_configs(resolve(write(folder, *changes)), directory)
    return directory


def attached(directory: RunDirectory, pid: int) -> ControllerFiles:
    """The state file of a controller whose process is this one."""
    files = ControllerFiles(directory.path, "school")
    controller = AttachedController(
        member="school",
        pid=pid,
        process_started_s=psutil.Process().create_time(),
        source=TARGET,
        roles=["battery"],
        since=datetime(2024, 6, 18, tzinfo=UTC),
        session=None,
        slot=None,
        setpoint=SetpointTable(target=TARGET, max_charge_kw=3, max_discharge_kw=2),
    )
    files.save(controller)
    return files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("house", TARGET, *LIMITS), "house: has no battery to be steered"),
        (("barn", TARGET, *LIMITS), "found no member 'barn', expected one of house, school"),
        (("school", TARGET, *LIMITS[:2]), "--max-discharge-kw: found none"),
        (("school", TARGET, *LIMITS, "--ramp-kw-per-min", "0"), "--ramp-kw-per-min: found 0.0"),
        (("school", TARGET, *LIMITS), "is not running"),
    ],
)
def test_what_cannot_be_steered_is_named(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        setpoint("attach", prepared(tmp_path).path, *arguments)


def test_a_battery_has_one_controller(tmp_path):
    directory = prepared(tmp_path)
    files = attached(directory, os.getpid())
    with pytest.raises(InputError, match=rf"school: is steered by {TARGET} \(process {os.getpid()}\)"):
        setpoint("attach", directory.path, "school", TARGET, *LIMITS)
    (row,) = json.loads(setpoint("list", directory.path, "--json"))
    assert (row["member"], row["target"], row["dry_run"], row["state"]) == (
        "school",
        TARGET,
        True,
        "attached",
    )
    assert setpoint("list", directory.path) == f"school: {TARGET} (dry run): attached\n"
    files.state.unlink()
    with pytest.raises(InputError, match="school: no controller is attached to it"):
        setpoint("detach", directory.path, "school")
    assert setpoint("list", directory.path) == "no battery is steered\n"


def test_a_controller_that_was_killed_can_be_cleared_away(tmp_path):
    directory = prepared(tmp_path)
    files = attached(directory, 2**22 + 1)  # beyond the greatest pid
    files.output.write_text('{"agent": "school.controller", "phase": "attached"}\n')
    assert "its process was gone already: see to the device" in setpoint("detach", directory.path, "school")
    assert not files.state.exists()


def test_a_battery_that_the_run_steers_itself_is_not_attached_to(tmp_path):
    table = "[member.setpoint]\ntarget = 'mqtt://own/t'\nmax_charge_kw = 1\nmax_discharge_kw = 1"
    directory = prepared(tmp_path, ("soc_start = 0.5", f"soc_start = 0.5\n{table}"))
    with pytest.raises(
        InputError, match="school: is steered by the run itself, as the scenario says: mqtt://own"
    ):
        setpoint("attach", directory.path, "school", TARGET, *LIMITS)
    assert setpoint("list", directory.path) == "school: mqtt://own/t (dry run): of the run\n"


def test_a_target_is_tried_without_a_run(tmp_path):
    told = setpoint("test", TARGET, "--power-kw", "-1.5")
    assert told.startswith("would be written for -1.5 kW: school/battery {")
    event = json.loads(setpoint("test", TARGET, "--power-kw", "2", "--json"))
    assert (event["event"], event["power_kw"]) == ("dry-run", 2.0)
    with pytest.raises(InputError, match="target 'battery': expected a URL"):
        setpoint("test", "battery", "--power-kw", "1")

"""A meter is attached to a member of a whole running fleet, and detached before the day is over."""

import contextlib
import json
import subprocess
import sys
import time

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.records import MemberRecord
from runtime.rundir import RunDirectory

SLOTS = 24
SCENARIO = f"""
seed = 5
mechanism = "mid-market-rate"

[community]
name = "two houses"

[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 60
slots = {SLOTS}

[tariff]
import = 0.25
export = 0.05

[clock]
kind = "real-time"
speed = 6000            # an hour in 0.6 s

[[member]]
name = "school"
load = {{ constant = 1.0, unit = "kW" }}

[[member]]
name = "house"
load = {{ constant = 0.5, unit = "kW" }}
"""
CLI = [sys.executable, "-c", "from runtime.cli.meter import app; app()"]


def until(condition, limit_s, what):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


def said(directory, agent, kind):
    """How often messages of a kind are in an agent's log."""
    with contextlib.suppress(FileNotFoundError):
        return directory.log(agent).read_text().count(f'\\"type\\":\\"{kind}\\"')
    return 0


def meter(*arguments):
    done = subprocess.run([*CLI, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def fleet(tmp_path):
    (tmp_path / "village.toml").write_text(SCENARIO)
    command = [sys.executable, "-c", "from runtime.cli import main; main()", "run", tmp_path / "village.toml"]
    command += ["--runs", tmp_path / "runs", "--name", "village", "--no-figures", "--json"]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    yield process, RunDirectory(tmp_path / "runs" / "village"), tmp_path / "out"
    if process.poll() is None:
        process.terminate()
    process.wait(30)


def test_slots_between_attach_and_detach_are_the_attached_meters(fleet, tmp_path):
    process, directory, output = fleet
    device = tmp_path / "device.csv"
    device.write_text("load\n" + "".join(f"{2000 + slot}\n" for slot in range(SLOTS)))
    until(lambda: said(directory, "school", "delivery-request") >= 2, 60, "a day that has begun")

    attached = meter(
        *("attach", directory.path, "school", "--source", f"csv:{device}?load=load&unit=Wh", "--json")
    )
    until(lambda: said(directory, "school.meter2", "reading") >= 3, 30, "readings of the attached meter")
    detached = meter("detach", directory.path, "school", "--json")
    assert process.wait(90) == 0, output.read_text()

    first, after = attached["slot"], detached["slot"]
    assert first >= 2
    assert first + 3 <= after < SLOTS
    record = MemberRecord.load(directory.member_record("school")).sessions[0]
    by_attached = range(first, after)
    assert record.meter == [
        "school.meter2" if slot in by_attached else "school.meter" for slot in range(SLOTS)
    ]
    assert record.load_kwh == [(2000 + slot) / 1000 if slot in by_attached else 1.0 for slot in range(SLOTS)]
    assert record.quality == ["metered"] * SLOTS
    other = MemberRecord.load(directory.member_record("house")).sessions[0]
    assert other.meter == ["house.meter"] * SLOTS
    assert verify(log_paths(directory.logs_dir)) == []

"""A device joins a whole running fleet with the file it was handed, delivers, and takes its leave."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.records import MemberRecord
from tests.end_to_end.fleets import eventually
from tests.end_to_end.two_houses import real_time, running, said, two_houses

SLOTS = 24
SCENARIO = two_houses(SLOTS, real_time(slot_s=0.9))
REGISTER_WH_PER_S = 5000
"""What the device counts: 4.5 kWh in an hour of the community."""


@pytest.fixture
def fleet(tmp_path):
    yield from running(tmp_path, SCENARIO)


def measure(pipe, stop):
    """Count like a meter with a register, twenty times a second."""
    began_s = time.monotonic()
    with contextlib.suppress(BrokenPipeError, ValueError):
        while not stop.wait(0.05):
            pipe.write(f"{REGISTER_WH_PER_S * (time.monotonic() - began_s):.3f}\n")
            pipe.flush()


def test_what_a_device_measures_is_what_is_settled(fleet, tmp_path):
    process, directory, output = fleet
    join = [sys.executable, "-m", "runtime", "meter", "join", directory.path, "school"]
    eventually(lambda: said(directory, "school", "delivery-request") >= 2, "a day that has begun")
    made = subprocess.run(
        [*join, "--out", tmp_path / "join.json", "--json"], capture_output=True, text=True, timeout=60
    )
    assert json.loads(made.stdout)["account"] == "school.meter2", made.stderr
    assert json.loads((tmp_path / "join.json").read_text())["prosumer"] == "school@peerwatt.localhost"

    device = subprocess.Popen(
        [
            *(sys.executable, "-m", "agents.meters.device", "--join", tmp_path / "join.json"),
            *("--source", "pipe:?unit=Wh", "--log", directory.log("school.meter2")),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    stop = threading.Event()
    counting = threading.Thread(target=measure, args=(device.stdin, stop))
    counting.start()
    try:
        eventually(lambda: said(directory, "school.meter2", "reading") >= 4, "readings of the device")
        device.send_signal(signal.SIGTERM)
        steps = [json.loads(line) for line in device.stdout]
        assert device.wait(60) == 0
    finally:
        stop.set()
        device.kill()
        counting.join()
        device.wait()
    assert process.wait(180) == 0, output.read_text()

    steps = {step["phase"]: step for step in steps}
    first, after = steps["attached"]["slot"], steps["detached"]["slot"]
    assert 2 <= first < first + 4 <= after < SLOTS
    record = MemberRecord.load(directory.member_record("school")).sessions[0]
    by_device = [record.load_kwh[slot] for slot in range(first + 1, after - 1)]
    assert by_device == pytest.approx([4.5] * len(by_device), rel=0.2)
    assert [record.load_kwh[slot] for slot in range(first)] == [1.0] * first
    assert verify(log_paths(directory.logs_dir)) == []

"""A meter is attached to a member of a whole running fleet, and detached before the day is over."""

import json
import subprocess
import sys

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.records import MemberRecord
from tests.end_to_end.fleets import eventually
from tests.end_to_end.two_houses import real_time, running, said, two_houses

SLOTS = 36
SCENARIO = two_houses(SLOTS, real_time(slot_s=0.6))
CLI = [sys.executable, "-c", "from runtime.cli.meter import app; app()"]


def meter(*arguments):
    done = subprocess.run([*CLI, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def fleet(tmp_path):
    yield from running(tmp_path, SCENARIO)


def test_slots_between_attach_and_detach_are_the_attached_meters(fleet, tmp_path):
    process, directory, output = fleet
    device = tmp_path / "device.csv"
    device.write_text("load\n" + "".join(f"{2000 + slot}\n" for slot in range(SLOTS)))
    eventually(lambda: said(directory, "school", "delivery-request") >= 2, "a day that has begun")

    attached = meter(
        *("attach", directory.path, "school", "--source", f"csv:{device}?load=load&unit=Wh", "--json")
    )
    eventually(lambda: said(directory, "school.meter2", "reading") >= 3, "readings of the attached meter")
    detached = meter("detach", directory.path, "school", "--json")
    assert process.wait(180) == 0, output.read_text()

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

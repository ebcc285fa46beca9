"""A member's meter is a device on MQTT for a part of the day: it fails, comes back, and is detached again."""

from __future__ import annotations

import json
from itertools import groupby

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory
from tests.end_to_end.fleets import call, eventually, fleet
from tests.end_to_end.mqtt_device import TOPIC, Broker, Device
from tests.end_to_end.two_houses import real_time, two_houses

SLOTS = 40
SLOT_S = 1.0
DEVICE_KWH = 3.0
SCENARIO = two_houses(SLOTS, real_time(SLOT_S))


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def readings_of(directory):
    """What the attached meter answered so far: slot and quality, or none."""
    log = directory.log("school.meter2")
    found = []
    for line in log.read_text().splitlines() if log.exists() else ():
        record = json.loads(line)
        if (
            record["kind"] == "out"
            and record["protocol"] == "metering"
            and record["performative"] != "subscribe"
        ):
            body = json.loads(record["body"])
            found.append((body["type"], body.get("slot"), body.get("quality")))
    return found


def meter(*arguments):
    done = call("meter", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_device_that_fails_and_comes_back_leaves_every_slot_settled_once_and_marked(tmp_path, broker):
    (tmp_path / "village.toml").write_text(SCENARIO)
    directory = RunDirectory(tmp_path / "runs" / "village")
    device = Device(broker.port, DEVICE_KWH / SLOT_S, every_s=SLOT_S / 20)
    with device, fleet(tmp_path / "village.toml", tmp_path / "runs", name="village") as run:
        run.await_slot(1)
        source = f"mqtt://127.0.0.1:{broker.port}/{TOPIC}?path=total&unit=kWh&grace=0.4"
        attached = meter("attach", directory.path, "school", "--source", source)

        def metered(after=0):
            return sum(
                kind == "reading" and quality == "metered"
                for kind, _, quality in readings_of(directory)[after:]
            )

        eventually(lambda: metered() >= 3, "slots metered by the device")
        broker.stop()
        before = len(readings_of(directory))
        eventually(
            lambda: [kind for kind, _, _ in readings_of(directory)[before:]].count("reason") >= 4,
            "slots without a reading, more than a silent meter is allowed",
        )
        broker.start()
        lost_until = len(readings_of(directory))
        eventually(lambda: metered(lost_until) >= 3, "slots metered again")
        detached = meter("detach", directory.path, "school")
        run.succeed()

    first, after = attached["slot"], detached["slot"]
    assert first + 10 <= after < SLOTS
    own = MemberRecord.load(directory.member_record("school")).sessions[0]
    by_device = range(first, after)
    assert {own.meter[slot] for slot in range(SLOTS) if slot not in by_device} == {"school.meter"}
    assert {own.quality[slot] for slot in range(SLOTS) if slot not in by_device} == {"metered"}
    assert {own.load_kwh[slot] for slot in range(SLOTS) if slot not in by_device} == {1.0}

    settled = CoordinatorRecord.load(directory.coordinator_record).sessions[0]
    school = {each.slot: each for each in settled.deliveries if each.member == "school"}
    # Without a reading the slot is settled with the forecast and marked; with one it has the device's energy.
    runs = [
        (read, list(slots))
        for read, slots in groupby(by_device, key=lambda slot: bool(school[slot].as_settled.meters))
    ]
    assert sum(read for read, _ in runs) == 2
    for read, slots in runs:
        if not read:
            assert {school[slot].as_settled.quality for slot in slots} == {"estimated"}
            assert {school[slot].as_settled.net_kwh for slot in slots} == {1}
    outage = next(slots for read, slots in runs[1:] if not read)
    assert len(outage) >= 4
    for slots in (slots for read, slots in runs if read):
        sure = [slot for slot in slots if own.quality[slot] == "metered"]
        assert len(sure) >= 3
        total_kwh = sum(own.load_kwh[slot] for slot in sure)
        assert total_kwh == pytest.approx(DEVICE_KWH * len(sure), rel=0.1)
        assert all(own.load_kwh[slot] > 0 for slot in slots)
    # Once its register is heard again, slots of the outage are corrected, and marked as estimated still.
    assert {*outage} <= {*own.corrected_slots}
    assert {own.quality[slot] for slot in outage} == {"estimated"}
    assert {own.meter[slot] for slot in outage} == {"school.meter2"}
    counted_kwh = sum(own.load_kwh[slot] for slot in range(outage[0] - 1, outage[-1] + 2))
    assert counted_kwh == pytest.approx(DEVICE_KWH * (len(outage) + 2), rel=0.25)

    for member, record in (("school", own), ("house", None)):
        deliveries = [each for each in settled.deliveries if each.member == member]
        assert [each.slot for each in deliveries] == list(range(SLOTS))
        if record is not None:
            assert [each.quality for each in deliveries] == record.quality
            assert [float(each.net_kwh) for each in deliveries] == pytest.approx(record.load_kwh)
    assert verify(log_paths(directory.logs_dir)) == []

"""Targets against real counterparts: Debian's mosquitto, and pymodbus's server with a SunSpec storage."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from agents.setpoints.target import Order, TargetError, open_target
from runtime.errors import InputError
from tests.agents.setpoints.setpoint_devices import STORAGE_AT, Storage, Subscriber, model_124, sunspec_map
from tests.end_to_end.mqtt_device import Broker

START, END = datetime(2024, 6, 18, 10, tzinfo=UTC), datetime(2024, 6, 18, 10, 15, tzinfo=UTC)
TOPIC = "village/house/battery"


def order(power_kw, valid_s=960.0):
    return Order("house", power_kw, valid_s, START, END, 6.25)


RETURN = Order("house", None)


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_set_point_is_published_at_least_once_and_not_retained(broker):
    target = open_target(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}")
    with Subscriber(broker.port, TOPIC) as subscriber:
        told = target.carry_out(order(-1.5), dry_run=False)
        target.carry_out(RETURN, dry_run=False)
        first, second = subscriber.await_messages(2)
        assert [(qos, retain) for _, qos, retain in subscriber.messages] == [(1, False)] * 2
    assert first == {
        "member": "house",
        "mode": "setpoint",
        "power_kw": -1.5,
        "charge_kw": 1.5,
        "discharge_kw": 0.0,
        "stored_kwh": 6.25,
        "slot_start": "2024-06-18T10:00:00+00:00",
        "slot_end": "2024-06-18T10:15:00+00:00",
        "valid_s": 960.0,
    }
    assert second == {"member": "house", "mode": "auto", "power_kw": None}
    assert told.power_kw == -1.5
    assert told.wrote == f"{TOPIC} {json.dumps(first)}"
    with Subscriber(broker.port, TOPIC) as later:  # nothing is kept for who comes later
        target.carry_out(RETURN, dry_run=False)
        assert later.await_messages(1) == [second]


def test_a_dry_run_publishes_nothing_and_needs_no_broker(broker):
    target = open_target(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}")
    with Subscriber(broker.port, TOPIC) as subscriber:
        told = target.carry_out(order(1.0), dry_run=True)
        target.carry_out(order(2.0), dry_run=False)
        assert [each["power_kw"] for each in subscriber.await_messages(1)] == [2.0]
    assert '"power_kw": 1.0' in told.wrote
    broker.stop()
    assert target.carry_out(order(1.0), dry_run=True).power_kw == 1.0


def test_a_broker_that_is_gone_is_named(broker):
    broker.stop()
    with pytest.raises(TargetError, match=rf"broker 127.0.0.1:{broker.port}: "):
        open_target(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}").carry_out(order(1.0), dry_run=False)


def test_a_storage_charges_and_discharges_within_its_power_and_has_control_again():
    with Storage(sunspec_map(model_124())) as storage:
        target = open_target(f"modbus://127.0.0.1:{storage.port}/7")
        told = target.carry_out(order(-2.5), dry_run=False)
        assert told.power_kw == -2.5
        assert storage.read(5) == [3]
        assert storage.read(12, 2) == [0x10000 - 5000, 5000]
        assert storage.read(15) == [960]
        assert told.wrote == (
            f"{STORAGE_AT + 15} = 960, {STORAGE_AT + 12} = 60536 5000, {STORAGE_AT + 5} = 3"
        )
        assert target.carry_out(order(1.0), dry_run=False).power_kw == 1.0
        assert storage.read(12, 2) == [2000, 0x10000 - 2000]
        assert target.carry_out(order(8.0), dry_run=False).power_kw == 5.0
        assert storage.read(12, 2) == [10000, 0x10000 - 10000]
        assert target.carry_out(RETURN, dry_run=False).power_kw is None
        assert storage.read(5) == [0]


def test_a_dry_run_reads_a_storage_and_writes_nothing():
    words = model_124()
    with Storage(sunspec_map(words)) as storage:
        target = open_target(f"modbus://127.0.0.1:{storage.port}/7")
        assert target.carry_out(order(-2.5), dry_run=True).wrote.endswith("60536 5000, 40013 = 3")
        assert target.carry_out(RETURN, dry_run=True).power_kw is None
        assert storage.read(0, 26) == words


def test_a_storage_without_a_revert_timer_is_steered_and_that_is_said():
    with Storage(sunspec_map(model_124(at_15=0xFFFF))) as storage:
        target = open_target(f"modbus://127.0.0.1:{storage.port}/7")
        assert target.carry_out(order(1.0), dry_run=False).wrote.endswith("; the device has no revert timer")
        assert storage.read(15) == [0xFFFF]
        assert storage.read(5) == [3]


@pytest.mark.parametrize(
    ("registers", "options", "message"),
    [
        (sunspec_map([103, 2, 0, 0]), {}, r"found the models \[1, 103\], expected 124"),
        (sunspec_map(model_124(at_13=0x8000)), {}, "unit 7: the device does not implement InWRte"),
        ([0] * 40, {}, "found no SunSpec map at 40000"),
        (sunspec_map(model_124()), {"readonly": True}, "unit 7: writing 40023: "),
    ],
)
def test_a_device_that_cannot_be_steered_is_told_why(registers, options, message):
    with (
        Storage(registers, **options) as storage,
        pytest.raises(TargetError, match=message),
    ):
        open_target(f"modbus://127.0.0.1:{storage.port}/7").carry_out(order(1.0), dry_run=False)


def test_a_storage_that_is_gone_is_named():
    with Storage(sunspec_map(model_124())) as storage:
        target = open_target(f"modbus://127.0.0.1:{storage.port}/7?timeout=0.5")
    with pytest.raises(TargetError, match=rf"127.0.0.1:{storage.port}: "):
        target.carry_out(order(1.0), dry_run=False)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("battery", "target 'battery': expected a URL such as mqtt://HOST/TOPIC"),
        (
            "serial://x",
            "target 'serial://x': found the kind 'serial', expected one of modbus:, mqtt:, mqtts:",
        ),
        ("mqtt://broker", "expected a topic after the broker"),
        ("mqtt://broker/a/#", "target 'mqtt://broker/a/#': found a topic with a wildcard"),
        ("mqtt://broker/+/a", "found a topic with a wildcard"),
        ("mqtt://user:secret@broker/a", "found a password, which others could read"),
        ("mqtt://broker/a?password_env=NO_SUCH_THING", "found no environment variable 'NO_SUCH_THING'"),
        ("mqtt://broker/a?retain=1", "retain: found a parameter that this target does not have"),
        ("modbus://host/x", "found the unit 'x', expected 0 to 255"),
        ("modbus:///1", "expected modbus://host/"),
    ],
)
def test_a_target_that_will_not_do_is_named(url, message):
    with pytest.raises(InputError) as refused:
        open_target(url)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def steer(*arguments):
    command = [sys.executable, "-m", "agents", "steer", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_trial_writes_when_it_is_told_to_and_gives_control_back(broker):
    url = f"mqtt://127.0.0.1:{broker.port}/{TOPIC}"
    with Subscriber(broker.port, TOPIC) as subscriber:
        code, told, _ = steer("--target", url, "--power-kw", -1, "--seconds", 0.2)
        assert (code, [each["event"] for each in told]) == (0, ["dry-run"])
        code, told, _ = steer("--target", url, "--power-kw", -1, "--seconds", 0.2, "--write")
        assert (code, [each["event"] for each in told]) == (0, ["written", "returned"])
        payloads = subscriber.await_messages(2)
    assert [each["mode"] for each in payloads] == ["setpoint", "auto"]
    assert payloads[0]["power_kw"] == -1
    broker.stop()
    code, told, words = steer("--target", url, "--power-kw", -1, "--seconds", 0.2, "--write")
    assert (code, told) == (1, [])
    assert "broker 127.0.0.1" in words

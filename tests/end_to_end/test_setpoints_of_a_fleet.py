"""A fleet whose battery is steered over a real broker: a day, a dry run, a controller attached."""

from __future__ import annotations

import json
import signal

import pytest

from runtime.inspection.state import RunState
from runtime.inspection.tail import LogTail
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import FindingKind, check_logs, verify
from runtime.records import MemberRecord
from runtime.rundir import RunDirectory
from tests.agents.setpoints.setpoint_devices import Subscriber
from tests.end_to_end.fleets import METERS, call, eventually, fleet, records_of
from tests.end_to_end.mqtt_device import Broker
from tests.end_to_end.two_houses import two_houses

TOPIC = "village/school/battery"
SLOTS = 24


IMPORT_TARIFF = """[
  { from = "00:00", to = "07:00", price_eur_per_kwh = 0.10 },
  { from = "07:00", to = "24:00", price_eur_per_kwh = 0.30 },
]"""
BATTERY = "battery = { capacity_kwh = 10, charge_limit_kw = 3, discharge_limit_kw = 3 }"


def scenario(clock, steered=""):
    return two_houses(SLOTS, clock, import_tariff=IMPORT_TARIFF, school="\n".join((BATTERY, steered)))


def steered(port, *lines):
    table = ["[member.setpoint]", f'target = "mqtt://127.0.0.1:{port}/{TOPIC}"', "min_interval_s = 0", *lines]
    return "\n".join(table)


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def bodies(directory, agent, kind):
    """What an agent said for the first time; one that was killed repeats its last words."""
    said = [record for record in records_of(directory.path, agent) if record["kind"] == "out"]
    found = [record for record in said if "note" not in record]
    return [body for record in found if (body := json.loads(record["body"]))["type"] == kind]


def test_a_day_of_set_points_reaches_the_broker_and_control_is_given_back(tmp_path, broker):
    path = tmp_path / "village.toml"
    path.write_text(
        scenario('kind = "simulated"', steered(broker.port, "max_discharge_kw = 0.8", "dry_run = false"))
    )
    directory = RunDirectory(tmp_path / "run")
    with Subscriber(broker.port, TOPIC) as subscriber, fleet(path, tmp_path) as run:
        run.succeed()
        eventually(lambda: subscriber.payloads and subscriber.payloads[-1]["mode"] == "auto", "its end")
        *told, last = subscriber.payloads
    assert last == {"member": "school", "mode": "auto", "power_kw": None}
    assert {(qos, retain) for _, qos, retain in subscriber.messages} == {(1, False)}

    # In simulated time a slot may be over before the broker has acknowledged the one before.
    own = MemberRecord.load(directory.member_record("school")).sessions[0]
    planned_kw = [
        given - taken for given, taken in zip(own.battery_discharge_kwh, own.battery_charge_kwh, strict=True)
    ]
    assert max(planned_kw) > 0.8  # so that the limit counts
    assert min(planned_kw) == -3.0
    wanted = bodies(directory, "school", "setpoint")
    assert [each["slot"] for each in wanted] == list(range(SLOTS))
    assert [each["discharge_kw"] - each["charge_kw"] for each in wanted] == pytest.approx(planned_kw)
    starts = [each["slot_start"].replace("+00:00", "Z") for each in told]
    assert starts == sorted(set(starts))
    assert len(told) >= 2
    by_start = {each["slot_start"]: kw for each, kw in zip(wanted, planned_kw, strict=True)}
    for each, start in zip(told, starts, strict=True):
        assert each["power_kw"] == pytest.approx(min(by_start[start], 0.8))
    # What a broker acknowledges when the day is over is waited for.
    checked = check_logs(log_paths(directory.logs_dir))
    assert (checked.findings, checked.undelivered) == ([], [])
    page = call("why", directory.path, "school", "00:00").stdout
    assert "asked its battery to charge with 3 kW" in page


def test_a_dry_run_is_the_default_and_writes_nothing(tmp_path, broker):
    path = tmp_path / "village.toml"
    path.write_text(scenario('kind = "simulated"', steered(broker.port)))
    directory = RunDirectory(tmp_path / "run")
    with Subscriber(broker.port, TOPIC) as subscriber:
        with fleet(path, tmp_path) as run:
            run.succeed()
        told = bodies(directory, "school.controller", "setpoint-outcome")
        assert {each["outcome"] for each in told} <= {"dry-run", "scheduled"}
        first, *_ = (each for each in told if each["outcome"] == "dry-run")
        assert f'{TOPIC} {{"member": "school", "mode": "setpoint", "power_kw": -3.0' in first["wrote"]
        assert subscriber.payloads == []
    stepped = RunDirectory(tmp_path / "plain")
    path.write_text(scenario('kind = "simulated"'))
    with fleet(path, tmp_path, name="plain") as run:
        run.succeed()
    assert directory.ledger_csv.read_bytes() == stepped.ledger_csv.read_bytes()


def test_a_controller_is_attached_to_a_running_fleet_fails_recovers_and_is_detached(tmp_path, broker):
    path = tmp_path / "village.toml"
    path.write_text(scenario('kind = "real-time"\nspeed = 2400'))
    directory = RunDirectory(tmp_path / "run")
    target = f"mqtt://127.0.0.1:{broker.port}/{TOPIC}?timeout=0.5"
    options = ("--max-charge-kw", 2, "--max-discharge-kw", 2, "--min-interval-s", 0)

    def outcomes():
        return [each["outcome"] for each in bodies(directory, "school.controller", "setpoint-outcome")]

    with fleet(path, tmp_path) as run:
        run.await_slot(0)
        with Subscriber(broker.port, TOPIC) as subscriber:
            done = call("setpoint", "attach", directory.path, "school", target, *options, "--write", "--json")
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            assert (told["member"], told["target"], told["dry_run"]) == ("school", target, False)
            subscriber.await_messages(1)
        broker.stop()
        eventually(lambda: "failed" in outcomes(), "a failure told")
        failed = len(outcomes())
        broker.start()
        eventually(lambda: "written" in outcomes()[failed:], "a set-point written again")
        with Subscriber(broker.port, TOPIC) as subscriber:
            done = call("setpoint", "detach", directory.path, "school")
            assert done.returncode == 0, done.stderr
            eventually(
                lambda: [each["mode"] for each in subscriber.payloads][-1:] == ["auto"], "control back"
            )
        run.succeed()
    assert all(abs(each["power_kw"] or 0) <= 2 for each in subscriber.payloads)
    state = RunState(["school", "house"])
    for line in LogTail(directory.logs_dir).look(60):
        state.feed(*line)
    alarms = state.as_json(finished=True)["alarms"]
    failure = f"to school, failure: broker 127.0.0.1:{broker.port}: "
    assert any(alarm["text"].startswith(failure) for alarm in alarms), alarms
    assert verify(log_paths(directory.logs_dir)) == []


def test_a_run_that_is_stopped_gives_control_back_and_a_killed_process_takes_it_up_again(tmp_path, broker):
    path = tmp_path / "village.toml"
    path.write_text(scenario('kind = "real-time"\nspeed = 3600', steered(broker.port, "dry_run = false")))
    directory = RunDirectory(tmp_path / "run")

    def slots():
        return [each["slot"] for each in bodies(directory, "school.controller", "setpoint-outcome")]

    with Subscriber(broker.port, TOPIC) as subscriber, fleet(path, tmp_path) as run:
        subscriber.await_messages(3, limit_s=60)
        run.kill(METERS)
        before = len(subscriber.messages)
        subscriber.await_messages(before + 2, limit_s=30)
        run.process.send_signal(signal.SIGINT)
        code, _, _ = run.end()
        assert code == 130
        eventually(lambda: subscriber.payloads[-1]["mode"] == "auto", "control given back")
        *told, _ = subscriber.payloads
    assert {each["mode"] for each in told} == {"setpoint"}
    starts = [each["slot_start"] for each in told]
    assert starts == sorted(starts)
    assert slots() == sorted(slots())
    under_way = {FindingKind.NOT_RECEIVED}  # what was, when the run was stopped
    assert {found.kind for found in verify(log_paths(directory.logs_dir))} <= under_way

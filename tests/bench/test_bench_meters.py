"""``peerwatt bench meters`` as a person runs it, on a few meters; and that it would see a loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from runtime.bench import meters as bench_meters
from runtime.bench.asking import AskingMachine, Tally, energy_of
from runtime.bench.meters import MeterFigures, percentiles_ms
from runtime.cli.bench import app
from runtime.errors import FleetError
from runtime.protocol.bodies import MeterAttach, Reading, SenmlRecord
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Send


def message(body, message_id, in_reply_to=None):
    return Envelope(
        sender="house.meter2@example.org",
        recipient="house@example.org",
        performative=Performative.INFORM,
        protocol="metering",
        conversation="metering",
        message_id=message_id,
        body=body.to_json(),
        in_reply_to=in_reply_to,
    )


def test_a_few_meters_are_read_and_nothing_is_left(temporary):
    words = ["bench", "meters", "--meters", "5", "--interval-s", "0.5", "--seconds", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "runtime", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["meters"], found["meter_processes"], found["prosumer_processes"]) == (5, 2, 2)
    assert 5 * 5 <= found["readings_asked"] <= 5 * 7
    assert found["readings_received"] == found["readings_asked"]
    assert (found["readings_lost"], found["readings_wrong"]) == (0, 0)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["max"]
    assert all(found[name] > 0 for name in ("server_cpu_share", "server_rss_mib", "meter_uss_kib"))
    assert list(temporary.iterdir()) == []


def test_a_reading_that_is_not_what_was_measured_and_one_that_never_comes_are_seen():
    tally = Tally()
    machine = AskingMachine("house@example.org", tally, 10.0)
    machine.receive(message(attach := MeterAttach(roles=["load"], source="x"), "1"), attach)
    machine.begin(0.0)
    asked = [
        next(effect.envelope for effect in machine.timer("ask") if isinstance(effect, Send)) for _ in range(4)
    ]
    for number, energy_kwh in ((0, energy_of(0)), (1, energy_of(1)), (2, 7.0)):
        reading = Reading(session=0, slot=number, bt=0.0, e=[SenmlRecord(n="load", v=energy_kwh)])
        machine.receive(message(reading, f"r{number}", asked[number].message_id), reading)
    assert (tally.asked, tally.answered, tally.wrong) == (4, 3, 1)
    assert machine.waiting


@pytest.mark.parametrize(("received", "wrong", "lost"), [(9, 0, "1 readings lost"), (10, 2, "2 wrong")])
def test_a_loss_ends_the_measurement_with_an_error(monkeypatch, received, wrong, lost):
    figures = MeterFigures(
        meters=1,
        interval_s=1.0,
        seconds=10.0,
        meter_processes=1,
        prosumer_processes=1,
        connected_s=0.1,
        readings_asked=10,
        readings_received=received,
        readings_wrong=wrong,
        requests_resent=0,
        latency_ms={},
        server_cpu_share=0.1,
        server_rss_mib=60.0,
        meters_cpu_share=0.1,
        prosumers_cpu_share=0.1,
        meter_uss_kib=100.0,
    )
    monkeypatch.setattr(bench_meters, "measure_meters", lambda *_: figures)
    done = CliRunner().invoke(app, ["meters"])
    assert isinstance(done.exception, FleetError)
    assert lost in str(done.exception)
    assert f"10, {received}, {10 - received}" in done.output


def test_percentiles_are_those_by_nearest_rank():
    assert percentiles_ms([each / 1000 for each in range(1, 201)]) == {
        "p50": pytest.approx(100.0),
        "p95": pytest.approx(190.0),
        "p99": pytest.approx(198.0),
        "max": pytest.approx(200.0),
    }
    assert percentiles_ms([]) == {}

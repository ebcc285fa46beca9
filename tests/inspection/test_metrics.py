"""A run's metrics, read by Prometheus' own parser and held against its logs and records."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.inspection.access import Token
from runtime.inspection.counts import RunCounts
from runtime.inspection.dashboard import Dashboard, serve
from runtime.inspection.follower import RunFollower
from runtime.inspection.metrics import CONTENT_TYPE, exposition
from runtime.messagelog.reader import merge
from runtime.messagelog.record import RecordKind
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.inspection import RECONNECTED
from runtime.records import CoordinatorRecord
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    community = Community(seed=5, members=4, slots=6, sessions=2)
    directory = leave_behind(community, tmp_path_factory.mktemp("run") / "village")
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples_of(run: RunDirectory) -> Samples:
    follower = RunFollower(run.path, run.logs_dir)
    while follower.look():
        pass
    return read(exposition(follower).decode())


def by(samples: Samples, name: str) -> dict[frozenset[tuple[str, str]], float]:
    return {labels: value for (found, labels), value in samples.items() if found == name}


def test_messages_are_those_of_the_logs(finished: RunDirectory) -> None:
    expected: Counter[frozenset[tuple[str, str]]] = Counter()
    for record in merge(sorted(finished.logs_dir.glob("*.jsonl"))):
        if record.envelope is not None and record.note is None:
            labels = {
                "agent": record.agent,
                "performative": str(record.envelope.performative),
                "direction": "in" if record.kind is RecordKind.IN else "out",
            }
            expected[frozenset(labels.items())] += 1
    assert by(samples_of(finished), "peerwatt_messages_total") == expected
    assert len(expected) > 20


def test_rounds_slots_and_energies_are_those_of_the_record(finished: RunDirectory) -> None:
    samples = samples_of(finished)
    record = CoordinatorRecord.load(finished.coordinator_record)

    def one(name: str) -> float:
        (value,) = by(samples, name).values()
        return value

    assert one("peerwatt_slots_settled_total") == 12
    assert one("peerwatt_sessions_closed_total") == 2
    assert one("peerwatt_rounds_total") == sum(len(session.rounds) for session in record.sessions)
    assert one("peerwatt_session") == 1
    assert one("peerwatt_slot") == 5
    assert one("peerwatt_members") == 4
    assert one("peerwatt_finished") == 1
    ledger = record.sessions[-1].ledger
    for name, kind in (("grid_import", "grid-import"), ("traded", "local-purchase")):
        energy_kwh = sum(float(entry.energy_kwh) for entry in ledger if entry.kind == kind)
        assert one(f"peerwatt_session_{name}_kwh") == pytest.approx(energy_kwh)
    gaps = by(samples, "peerwatt_meter_gaps_total")
    assert set(gaps.values()) == {0.0}
    assert len(gaps) == 4
    ((labels, value),) = by(samples, "peerwatt_run_info").items()
    assert dict(labels)["run"] == "village"
    assert value == 1


def delivery(number: int, quality: str) -> Envelope:
    body = {"type": "delivery", "session": 0, "slot": number, "quality": quality}
    return Envelope(
        "m0@h", "coordinator@h", Performative.INFORM, "operation", "s", f"{number}", json.dumps(body)
    )


def test_gaps_repetitions_restarts_and_computations_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "m0.jsonl"
    with MessageLog.open(path, "m0") as log:
        for number, quality in enumerate(("metered", "estimated", "missing", "metered")):
            log.append_out(delivery(number, quality))
        log.append_out(delivery(3, "metered"), "resent")
        log.append_in(delivery(9, "metered"), "duplicate")
        log.append_event("computed", {"name": "plan-0-1", "seconds": 0.25})
        log.append_event("computed", {"name": "plan-0-2", "seconds": 0.5})
        log.append_event(RECONNECTED, {"after": "connection lost"})
    MessageLog.open(path, "m0").close()
    counts = RunCounts()
    for line in path.read_bytes().splitlines():
        counts.feed("m0", line)
    counts.feed("m0", b'{"seq":1,"at":"x","kind":"event"')
    counts.feed("m0", b"nothing")
    assert counts.deliveries == {("m0", "metered"): 2, ("m0", "estimated"): 1, ("m0", "missing"): 1}
    assert counts.messages == {("m0", "inform", "out"): 4}
    assert (counts.repeated["m0"], counts.duplicates["m0"]) == (1, 1)
    assert (counts.restarts["m0"], counts.reconnects["m0"], counts.unreadable) == (1, 1, 2)
    planning = counts.computed["m0"]
    assert (planning.count, planning.total_s, planning.longest_s) == (2, 0.75, 0.5)
    (tmp_path / "logs").mkdir()
    path.rename(tmp_path / "logs" / "m0.jsonl")
    samples = samples_of(RunDirectory(tmp_path))
    assert by(samples, "peerwatt_meter_gaps_total") == {frozenset({("member", "m0")}): 2}
    assert by(samples, "peerwatt_planning_seconds_sum") == {frozenset({("agent", "m0")}): 0.75}
    assert by(samples, "peerwatt_planning_seconds_count") == {frozenset({("agent", "m0")}): 2}
    assert by(samples, "peerwatt_reconnects_total") == {frozenset({("agent", "m0")}): 1}


async def test_a_scraper_is_served_with_the_token_as_credentials(finished: RunDirectory) -> None:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    dashboard = Dashboard(finished.path, finished.logs_dir, token=Token("secret"))
    serving = asyncio.create_task(serve(dashboard, "127.0.0.1", 0, ready.set_result))
    url = f"http://127.0.0.1:{await asyncio.wait_for(ready, 10)}/metrics"
    try:
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic secret"}):
                async with session.get(url, headers=headers) as answer:
                    assert answer.status == 403
            async with session.get(url, headers={"Authorization": "Bearer secret"}) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == CONTENT_TYPE
                assert ("peerwatt_members", frozenset()) in read(await answer.text())
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

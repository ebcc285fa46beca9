"""A real fleet watched while it runs: on a terminal, by a scraper, by the inspector; and its own log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from textual.widgets import DataTable, Static

from runtime.inspection.follower import RunFollower
from runtime.inspection.terminal.screen import RunScreen
from tests.end_to_end.fleets import (
    COORDINATOR,
    METERS,
    PATIENCE_S,
    SERVER,
    Run,
    call,
    eventually,
    ledger_of,
    peerwatt,
    records_of,
)
from tests.end_to_end.street import MEMBERS, write_street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Run]:
    scenario = write_street(tmp_path, rounds=3, slot_seconds=0.3)
    scenario.write_text(f"{scenario.read_text()}\n[timing]\ndelivery_deadline_s = 200\n")
    run = Run(str(scenario), tmp_path / "runs")
    try:
        yield run
    finally:
        run.abandon()


@contextlib.contextmanager
def held_up(run: Run) -> Iterator[None]:
    """The meters stand still, so that no slot is settled, however long it takes to look at the others."""
    meters = psutil.Process(eventually(lambda: run.pid_of(METERS), "the meters run"))
    meters.suspend()
    try:
        yield
    finally:
        meters.resume()


def inspected(*arguments: object) -> dict[str, Any]:
    """What agents say of themselves, by agent."""
    done = call("inspect", *arguments, "--once", "--json", "--limit-s", 30)
    assert done.returncode == 0, done.stderr + done.stdout
    return {each["agent"]: each["status"] for each in json.loads(done.stdout)["agents"]}


def scraped(run: Run) -> dict[str, float]:
    """Sums of a run's metrics, as its dashboard serves them, by name."""
    command = peerwatt("dashboard", run.path, "--port", 0)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found

        def read() -> dict[str, float]:
            with urllib.request.urlopen(f"{found[0]}metrics", timeout=10) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                sums: dict[str, float] = {}
                for family in families:
                    for sample in family.samples:
                        sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
                return sums

        return eventually(lambda: (sums := read()).get("peerwatt_slots_settled_total") and sums, "metrics")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def entries_of(run: Run, name: str) -> list[dict[str, Any]]:
    """What a process logged of its running."""
    text = (run.path / "logs" / f"{name}.stderr").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_a_fleet_is_watched_and_nothing_changes_by_it(street: Run, tmp_path: Path) -> None:
    await asyncio.to_thread(street.await_slot, 1)
    screen = RunScreen(RunFollower(street.path, street.path / "logs"))
    async with screen.run_test(size=(80, 24)) as pilot:

        async def until(text: str, name: str) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while text not in str(screen.query_one(f"#{name}", Static).visual):
                    await pilot.pause(0.1)

        await until("operating · session 1/1", "title")
        with held_up(street):
            standing = await asyncio.to_thread(inspected, street.path)
            assert list(standing) == [COORDINATOR, *MEMBERS]
            assert {status["phase"] for status in standing.values()} == {"operating"}
            assert standing[COORDINATOR]["slots"] == 16
            assert [member["name"] for member in standing[COORDINATOR]["members"]] == MEMBERS
            # from elsewhere, with nothing but the file
            out = tmp_path / "inspector.json"
            written = await asyncio.to_thread(call, "inspect", street.path, "--out", out)
            assert written.returncode == 0, written.stderr
            assert out.stat().st_mode & 0o777 == 0o600
            assert list(await asyncio.to_thread(inspected, "--join", out)) == [COORDINATOR, *MEMBERS]
            # the server dies under them: all come back, and say so
            await asyncio.to_thread(street.kill, SERVER)
            await pilot.press("a")
            await until("lost its connection and is back", "lines")
            metrics = await asyncio.to_thread(scraped, street)
            assert metrics["peerwatt_members"] == len(MEMBERS)
            again = await asyncio.to_thread(inspected, street.path)
            assert {status["reconnects"] for status in again.values()} == {1}
        await until("done", "title")
        assert screen.query_one("#members", DataTable).row_count == len(MEMBERS) + 1
    await asyncio.to_thread(street.succeed)
    metrics = await asyncio.to_thread(scraped, street)
    assert metrics["peerwatt_slots_settled_total"] == 16
    assert metrics["peerwatt_reconnects_total"] == 1 + 2 * len(MEMBERS)
    assert metrics["peerwatt_restarts_total"] == 0
    computed = [
        record["data"]["seconds"]
        for member in MEMBERS
        for record in records_of(street.path, member)
        if record.get("name") == "computed"
    ]
    assert metrics["peerwatt_planning_seconds_count"] == len(computed) > 0
    assert metrics["peerwatt_planning_seconds_sum"] == pytest.approx(sum(computed))
    assert min(computed) > 0
    events = [entry["event"] for entry in entries_of(street, "home")]
    assert [name for name in events if name != "not-connected"] == [
        "started", "connected", "ready", "connected", "reconnected", "finished",
    ]  # fmt: skip
    assert "not-connected" in events
    fleet = [json.loads(line) for line in (street.path / "logs" / "fleet.log").read_text().splitlines()]
    restarted = [entry for entry in fleet if entry["event"] == "restarted"]
    assert [entry["agent"] for entry in restarted] == ["xmpp server"]
    assert restarted[0]["level"] == "warning"
    # no message of the market came from the inspector, and the logs prove the same ledger
    names = [record.get("name") for record in records_of(street.path, COORDINATOR)]
    assert names.count("inspected") == 1
    verified = await asyncio.to_thread(call, "verify", street.path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert len({row["member"] for row in ledger_of(street.path)}) == len(MEMBERS)


def test_who_cannot_be_inspected_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    nowhere = call("inspect", tmp_path / "run", "--once")
    assert nowhere.returncode == 2
    assert "is not running: there is no" in nowhere.stderr
    both = call("inspect", tmp_path / "run", "--join", tmp_path / "x.json")
    assert both.returncode == 2
    (tmp_path / "x.json").write_text('{"format": "peerwatt-inspector/1", "port": 0}')
    bad = call("inspect", "--join", tmp_path / "x.json")
    assert bad.returncode == 2
    assert "x.json: domain: Field required" in bad.stderr

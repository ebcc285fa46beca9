"""A stack whose server is a cluster of two ejabberd nodes, of which one is killed, beside a local run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine import Project, peerwatt, run
from swarm import Stack, until

from runtime.messaging.dialling import Hosts
from runtime.rundir import COORDINATOR, RunDirectory, meter_account
from runtime.xmpp.local import free_port
from tests.end_to_end.street import MEMBERS, write_street

pytestmark = pytest.mark.docker

STACK = Stack.named("nodes")
NODES = ["xmpp-0", "xmpp-1"]
ACCOUNTS = [COORDINATOR, *MEMBERS, *map(meter_account, MEMBERS)]


@dataclass(frozen=True)
class Over:
    """A day that is over; the nodes still run.

    Attributes:
        run: the run in the stack's volume.
        ledger: of the same day in local processes.
        killed: the node that was.
        heard_before: accounts from which each node had taken messages before one was killed.
    """

    run: RunDirectory
    ledger: bytes
    killed: str
    heard_before: dict[str, set[str]]


def record_path(node: str) -> Path | None:
    """File in which a node notes the messages that it takes; None before it is there."""
    volume = STACK.volume(f"audit-{node.rpartition('-')[2]}")
    path = (volume or Path()) / "messages.jsonl"
    return path if volume is not None and path.is_file() else None


def heard(node: str) -> set[str]:
    """Accounts from which a node has taken messages."""
    path = record_path(node)
    whole = path.read_bytes().rpartition(b"\n")[0] if path is not None else b""
    records = map(json.loads, whole.splitlines())
    return {record["sender"].partition("@")[0] for record in records if "sender" in record}


@pytest.fixture(scope="module")
def over(built: Project, swarm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Over]:
    folder = tmp_path_factory.mktemp("nodes")
    scenario = write_street(folder, slot_seconds=1.0)
    deadlines = "join_deadline_s = 150\nround_deadline_s = 150\ndelivery_deadline_s = 150\n"
    scenario.write_text(f"{scenario.read_text()}\n[timing]\n{deadlines}")
    file = folder / "stack.yaml"
    peerwatt(
        *(built.source, "compose", scenario, "--stack", "--out", file, "--runs", folder / "runs"),
        *("--image", built.settings["PEERWATT_IMAGE"], "--outside", f"127.0.0.1:{free_port()}"),
        *("--members-per-container", "4", "--xmpp-nodes", "2"),
    )
    services = [COORDINATOR, "meters", "prosumers-1"]
    with ThreadPoolExecutor() as beside:
        words = ("run", scenario, "--runs", folder / "runs", "--name", "local", "--no-figures")
        local = beside.submit(peerwatt, built.source, *words, timeout_s=200)
        try:
            STACK.deploy(file)
            # All have joined and the first slots are over; the rest lasts for some seconds.
            until(
                lambda: {*ACCOUNTS} == heard(NODES[0]) | heard(NODES[1]),
                lambda: STACK.logs(*NODES, *services),
            )
            before = {node: heard(node) for node in NODES}
            killed = max(NODES, key=lambda node: len(before[node] - {COORDINATOR}))
            os.kill(STACK.process_of(killed, "beam.smp"), signal.SIGKILL)
            STACK.wait_until_complete(*services)
            volume = STACK.volume("runs")
            assert volume is not None
            local.result()
            ledger = RunDirectory(folder / "runs" / "local").ledger_csv.read_bytes()
            yield Over(RunDirectory(volume / "stack-street"), ledger, killed, before)
        finally:
            STACK.remove()


def test_the_ledger_is_that_of_a_local_run(over: Over) -> None:
    assert over.run.ledger_csv.read_bytes() == over.ledger


def test_agents_began_on_both_nodes_and_most_on_their_own(over: Over) -> None:
    own = {account: Hosts(NODES, account).own for account in ACCOUNTS}
    at_home = {node: {name for name in over.heard_before[node] if own[name] == node} for node in NODES}
    # All of them, unless a node took very long to come up beside the other.
    assert min(map(len, at_home.values())) >= 2
    assert sum(map(len, at_home.values())) > len(ACCOUNTS) / 2


def test_agents_of_the_node_that_was_killed_went_on_at_the_other(over: Over) -> None:
    (other,) = {*NODES} - {over.killed}
    assert over.heard_before[over.killed] <= heard(other)
    newest, *earlier = STACK.tasks(over.killed)
    assert newest.startswith(("Running", "Starting", "Ready", "Preparing"))
    assert len(earlier) == 1
    assert len(STACK.tasks(other)) == 1


def test_both_nodes_records_together_hold_exactly_what_the_agents_logged(
    over: Over, built: Project, tmp_path: Path
) -> None:
    whole = tmp_path / "messages.jsonl"
    whole.write_text(run("sort", "-s", "-t:", "-k2,2", *filter(None, map(record_path, NODES)), timeout_s=30))
    words = ("verify", over.run.path, "--server-record", whole, "--json")
    proof = json.loads(peerwatt(built.source, *words))
    assert proof["server"]["messages"] > 200
    assert not proof["findings"]

"""The example as a Docker Swarm stack on one node, left to itself, beside a local run."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from engine import Project, free_port, outcome, peerwatt, run

from runtime.deployment.address import DOMAIN
from runtime.deployment.holders import prosumer
from runtime.rundir import COORDINATOR, RunDirectory, meter_account
from runtime.scenario.load import load_scenario

pytestmark = pytest.mark.docker

MEMBERS = [member.name for member in load_scenario("example").members]
STACK = f"peerwatt-test-{os.getpid()}"
LIMIT_S = 150.0


def until(condition: Callable[[], bool], what: Callable[[], str], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def logs(service: str) -> str:
    said = outcome("docker", "service", "logs", "--raw", "--tail", "40", f"{STACK}_{service}", timeout_s=30)
    return said.stdout + said.stderr


def task(service: str) -> str:
    """What became of a service's newest container, such as ``Complete 3 seconds ago``."""
    return run(
        *("docker", "service", "ps", "--format", "{{.CurrentState}}", f"{STACK}_{service}"), timeout_s=30
    ).splitlines()[0]


def left() -> str:
    """What the engine still has of the stack."""
    mine = f"label=com.docker.stack.namespace={STACK}"
    return "".join(
        run("docker", kind, "ls", "--quiet", "--filter", mine, timeout_s=30)
        for kind in ("container", "network", "secret", "config")
    )


@pytest.fixture(scope="module")
def finished(built: Project, scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything that the stack's containers wrote, copied out of its volumes."""
    folder = tmp_path_factory.mktemp("swarm")
    image = built.settings["PEERWATT_IMAGE"]
    file = folder / "stack.yaml"
    peerwatt(
        *(built.source, "compose", scenario, "--stack", "--out", file, "--runs", folder / "runs"),
        *("--image", image, "--outside", f"127.0.0.1:{free_port()}"),
    )
    mine = run("docker", "info", "--format", "{{.Swarm.LocalNodeState}}", timeout_s=30).strip() != "active"
    if mine:
        run("docker", "swarm", "init", "--advertise-addr", "127.0.0.1", timeout_s=60)
    try:
        run("docker", "stack", "deploy", "--resolve-image", "never", "-c", file, STACK, timeout_s=120)
        until(
            lambda: all(
                task(service).startswith("Complete")
                for service in (COORDINATOR, "meters", *(prosumer(member) for member in MEMBERS))
            ),
            lambda: f"{logs(COORDINATOR)}\n{logs('xmpp')}",
        )
        assert "(healthy)" in run("docker", "ps", "--filter", f"name={STACK}_xmpp", timeout_s=30)
        for volume, inside in (("runs", "/runs"), ("audit", "/audit")):
            target = folder / "copied" / volume
            target.mkdir(parents=True)
            run(
                *("docker", "run", "--rm", "--user", "0:0", "--volume", f"{STACK}_{volume}:{inside}:ro"),
                *("--volume", f"{target}:/copy", image, "cp", "-r", f"{inside}/.", "/copy"),
                timeout_s=60,
            )
        yield folder / "copied"
    finally:
        outcome("docker", "stack", "rm", STACK, timeout_s=120)
        until(lambda: not left(), left, 60)
        for volume in ("runs", "audit", "stored"):
            outcome("docker", "volume", "rm", f"{STACK}_{volume}", timeout_s=30)
        if mine:
            run("docker", "swarm", "leave", "--force", timeout_s=60)


def test_ledger_equals_that_of_a_local_run(finished: Path, local_ledger: Future[bytes]) -> None:
    results = RunDirectory(finished / "runs" / "stack-patient")
    assert results.ledger_csv.read_bytes() == local_ledger.result()
    assert results.indicators_json.is_file()


def test_server_heard_exactly_what_the_agents_logged_as_sent(finished: Path) -> None:
    results = RunDirectory(finished / "runs" / "stack-patient")
    sent = {
        (record["from"], record["to"], record["id"], hashlib.sha256(record["body"].encode()).hexdigest())
        for log in results.logs_dir.glob("*.jsonl")
        for record in map(json.loads, log.read_text().splitlines())
        if record["kind"] == "out"
    }
    heard = {
        (
            record["sender"].split("/")[0],
            record["recipient"],
            record["fields"]["reply-with"],
            record["body_sha256"],
        )
        for record in map(json.loads, (finished / "audit" / "messages.jsonl").read_text().splitlines())
        if "sender" in record
    }
    agents = {COORDINATOR, *MEMBERS, *(meter_account(member) for member in MEMBERS)}
    assert {sender for sender, *_ in sent} == {f"{agent}@{DOMAIN}" for agent in agents}
    assert heard == sent

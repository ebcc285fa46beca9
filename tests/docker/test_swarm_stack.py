"""The example as a Docker Swarm stack on one node, four members a container, beside a local run.

After the compose fleet, by the files' names: an engine that joins or leaves a swarm cuts its other networks.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import yaml
from engine import Project, peerwatt, run
from swarm import Stack, until

from runtime.deployment.address import DOMAIN
from runtime.deployment.containers import SIGNS_DIR, sign_command
from runtime.deployment.deployment import Deployment
from runtime.rundir import COORDINATOR, RunDirectory, meter_account
from runtime.scenario.load import load_scenario
from runtime.xmpp.local import free_port

pytestmark = pytest.mark.docker

MEMBERS = [member.name for member in load_scenario("example").members]
STACK = Stack.named("swarm")
CONTAINERS = ["prosumers-1", "prosumers-2", "prosumers-3"]
HUNG = CONTAINERS[1]


def asked_often(file: Path, service: str) -> None:
    """Have a service asked for a sign of life every second, so that the test need not wait for minutes."""
    stack = yaml.safe_load(file.read_text())
    alive = ["CMD-SHELL", sign_command(SIGNS_DIR / "alive", 10)]
    stack["services"][service]["healthcheck"].update({"test": alive, "interval": "1s", "retries": 2})
    stack["services"][service]["stop_grace_period"] = "1s"
    file.write_text(yaml.safe_dump(stack))


def logged(member: str) -> int:
    """Lines of a member's log in the stack's volume; 0 before that is there."""
    runs = STACK.volume("runs")
    log = RunDirectory((runs or Path()) / "stack-patient").log(member)
    return log.read_bytes().count(b"\n") if runs and log.is_file() else 0


@pytest.fixture(scope="module")
def over(
    built: Project, swarm: None, scenario: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of a stack whose day is over, with a copy of its volumes; dashboard and server still run.

    In the middle of the day one container hung.
    """
    folder = tmp_path_factory.mktemp("swarm")
    image = built.settings["PEERWATT_IMAGE"]
    file = folder / "stack.yaml"
    peerwatt(
        *(built.source, "compose", scenario, "--stack", "--out", file, "--runs", folder / "runs"),
        *("--image", image, "--outside", f"127.0.0.1:{free_port()}"),
        *("--members-per-container", "4", "--dashboard-port", str(free_port())),
    )
    asked_often(file, HUNG)
    try:
        STACK.deploy(file)
        until(lambda: logged(MEMBERS[4]) > 20, lambda: STACK.logs(HUNG))
        os.kill(STACK.process_of(HUNG, "python"), signal.SIGSTOP)  # its agents hang, as by a deadlock
        STACK.wait_until_complete(COORDINATOR, "meters", *CONTAINERS)
        assert "(healthy)" in run("docker", "ps", "--filter", f"name={STACK.name}_xmpp", timeout_s=30)
        for volume, inside in (("runs", "/runs"), ("audit", "/audit")):
            target = folder / "copied" / volume
            target.mkdir(parents=True)
            run(
                *("docker", "run", "--rm", "--user", "0:0", "--volume", f"{STACK.name}_{volume}:{inside}:ro"),
                *("--volume", f"{target}:/copy", image, "cp", "-r", f"{inside}/.", "/copy"),
                timeout_s=60,
            )
        yield folder
    finally:
        STACK.remove()


def test_ledger_equals_that_of_a_local_run(over: Path, local_ledger: Future[bytes]) -> None:
    results = RunDirectory(over / "copied" / "runs" / "stack-patient")
    assert results.ledger_csv.read_bytes() == local_ledger.result()
    assert results.indicators_json.is_file()


def test_server_heard_exactly_what_the_agents_logged_as_sent(over: Path) -> None:
    results = RunDirectory(over / "copied" / "runs" / "stack-patient")
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
        for record in map(json.loads, (over / "copied" / "audit" / "messages.jsonl").read_text().splitlines())
        if "sender" in record
    }
    agents = {COORDINATOR, *MEMBERS, *(meter_account(member) for member in MEMBERS)}
    assert {sender for sender, *_ in sent} == {f"{agent}@{DOMAIN}" for agent in agents}
    assert heard == sent


def test_a_container_that_hung_was_replaced_and_no_other(over: Path) -> None:
    newest, *earlier = STACK.tasks(HUNG)
    assert newest.startswith("Complete")
    assert len(earlier) == 1
    assert earlier[0].startswith("Failed")
    assert "unhealthy" in earlier[0]
    for service in (COORDINATOR, "meters", *CONTAINERS):
        assert service == HUNG or len(STACK.tasks(service)) == 1, STACK.tasks(service)


def test_the_dashboard_shows_the_day_to_who_has_its_token(over: Path) -> None:
    stack = yaml.safe_load((over / "stack.yaml").read_text())
    port = stack["services"]["dashboard"]["ports"][0]["published"]
    token = Deployment(RunDirectory(over / "runs" / "stack-patient")).dashboard_token.read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/state", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        state = json.load(answer)
    assert state["finished"]
    assert {member["name"] for member in state["members"]} == {*MEMBERS}

"""One day of the example in containers, on which happens what may; who looks at it comes afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import Project, compose_commands, outcome, peerwatt, run

from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import DASHBOARD, METERS, prosumer
from runtime.rundir import COORDINATOR, RunDirectory
from runtime.scenario.load import load_scenario
from tests.deployment import attacks

MEMBERS = [member.name for member in load_scenario("example").members]
METERED, KILLED, REMOTE, TRAITOR, AWAITED = MEMBERS[0], MEMBERS[5], MEMBERS[-1], MEMBERS[2], MEMBERS[1]
RUN_LIMIT_S = 300.0


def lines_of(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.is_file() else 0


def wait_for_progress(project: Project, agent: str, lines: int) -> None:
    """Wait until an agent has logged so many lines more."""
    log = RunDirectory(project.run_directory).log(agent)
    target, deadline = lines_of(log) + lines, time.monotonic() + RUN_LIMIT_S
    while lines_of(log) < target:
        assert time.monotonic() < deadline, f"{agent} does not go on:\n{project.logs()}"
        time.sleep(0.05)


def kill(project: Project, service: str) -> None:
    """Kill a container's first process, as a crash would."""
    state = project.state(service)
    pid = state["Pid"]
    assert isinstance(pid, int)
    assert state["Running"]
    assert pid > 1, f"{service} is over too early: this would prove nothing"
    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def paused(project: Project, service: str) -> Iterator[None]:
    """A container that stands still for a while."""
    container = str(project.container(service)["Id"])
    run("docker", "pause", container, timeout_s=30)
    try:
        yield
    finally:
        run("docker", "unpause", container, timeout_s=30)


@contextlib.contextmanager
def member_elsewhere(project: Project, folder: Path) -> Iterator[None]:
    """A member in a container on none of the fleet's networks, with nothing but its invitation."""
    file, container = folder / "invited" / "join.json", f"{project.name}-remote"
    file.parent.mkdir()
    peerwatt(
        project.source,
        "invite",
        project.run_directory,
        REMOTE,
        "--address",
        f"127.0.0.1:{project.port}",
        "--out",
        file,
    )
    user = project.settings["PEERWATT_UID"]
    (folder / "remote").mkdir()
    for path in (file, folder / "remote"):
        os.chown(path, int(user), int(user))
    try:
        run(
            *(
                "docker",
                "run",
                "--detach",
                "--name",
                container,
                "--network",
                "host",
                "--user",
                f"{user}:{user}",
            ),
            *("--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp", "--restart", "on-failure"),
            *("--volume", f"{file.parent}:/invited:ro", "--volume", f"{folder / 'remote'}:/runs/{REMOTE}"),
            *(project.settings["PEERWATT_IMAGE"], "peerwatt", "join", "/invited/join.json"),
            *("--run", f"/runs/{REMOTE}"),
            timeout_s=60,
        )
        yield
    finally:
        outcome("docker", "rm", "--force", container, timeout_s=30)


@dataclass(frozen=True)
class Day:
    """A day that is over; the fleet's server and dashboard still run.

    Attributes:
        project: the fleet.
        elsewhere: folder of the member that ran on a host of its own.
        shown: what the dashboard said in the middle of the day.
        health: state of health of each service then, but of the one that was made to stand still.
        restarts: how often each service had been started again by then.
        inspected: what the agents said of themselves then.
        first_token: what the dashboard asked for before it was changed.
    """

    project: Project
    elsewhere: Path
    shown: dict[str, Any]
    health: dict[str, str]
    restarts: dict[str, int]
    inspected: dict[str, Any]
    first_token: str


def dashboard_address(project: Project) -> str:
    """The address with the token that holds now."""
    return peerwatt(project.source, "dashboard", project.run_directory, "--address").strip()


def dashboard_state(project: Project) -> dict[str, Any]:
    """What the dashboard answers to somebody on this machine who has the token."""
    address, token = dashboard_address(project).split("?token=")
    request = urllib.request.Request(f"{address}state", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        state: dict[str, Any] = json.load(answer)
    return state


def wait_until_healthy(project: Project, *services: str) -> None:
    deadline = time.monotonic() + 120
    while not all(project.health(service) == "healthy" for service in services):
        assert time.monotonic() < deadline, {service: project.health(service) for service in services}
        time.sleep(0.3)


@contextlib.contextmanager
def disturbed_day(built: Project, scenario: Path, folder: Path) -> Iterator[Day]:
    """A day on which the coordinator and a member are killed, the server is restarted, secrets are rotated, a
    meter is attached from this machine, strangers try what they can, and everything is taken down and up
    again, by the other version of Compose where both are here.
    """
    file = built.file.with_name("patient.yaml")
    runs = built.source / "runs"
    words = ("--out", file, "--runs", runs, "--source", built.source, "--remote", REMOTE)
    peerwatt(built.source, "compose", scenario, *words)
    project = Project(f"peerwatt-test-{os.getpid()}", file, "disturbed", built.settings)
    directory = RunDirectory(project.run_directory)
    try:
        project.up(timeout_s=180)
        with member_elsewhere(project, folder):
            wait_for_progress(project, KILLED, 20)
            kill(project, prosumer(KILLED))
            kill(project, COORDINATOR)
            here = [member for member in MEMBERS if member != REMOTE]
            first_token = dashboard_address(project).partition("?token=")[2]
            peerwatt(built.source, "secrets", "rotate", directory.path, COORDINATOR, *here, DASHBOARD)
            # Not by Compose, whose second version restarts all that depends on it too.
            run("docker", "restart", "--time", "3", str(project.container("xmpp")["Id"]), timeout_s=60)
            wait_for_progress(project, COORDINATOR, 20)
            # However fast this machine is, the day does not go on without one of its members.
            with paused(project, prosumer(AWAITED)):
                peerwatt(built.source, "meter", "attach", directory.path, METERED, "--source", "simulated:")
                connection = Deployment(directory).outside()
                for attack in attacks.STRANGERS:
                    attack(connection, TRAITOR)
                attacks.floods(connection, TRAITOR)
                wait_until_healthy(project, COORDINATOR, METERS, prosumer(KILLED), DASHBOARD)
                shown = dashboard_state(project)
                # What stands still is unhealthy, and rightly so.
                health = {name: project.health(name) for name in project.services()}
                del health[prosumer(AWAITED)]
            asked = peerwatt(built.source, "inspect", directory.path, "--once", "--json", "--limit-s", "60")
            assert project.state(COORDINATOR)["Running"], (
                "the day was over too early: this would prove nothing"
            )
            restarts = {name: project.restarts(name) for name in project.services()}
            project.compose("down", "--timeout", "5", timeout_s=120)
            project.tool = compose_commands()[-1]
            project.up(timeout_s=180)
            code = project.wait_until_ended(COORDINATOR, RUN_LIMIT_S)
            assert code == 0, project.logs()
        yield Day(project, folder / "remote", shown, health, restarts, json.loads(asked), first_token)
    finally:
        project.remove()
        assert project.left_behind() == ""

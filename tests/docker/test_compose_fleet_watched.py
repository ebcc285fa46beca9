"""What an operator sees of a fleet in containers: its dashboard, its health, results from several hosts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from disturbed_fleet import KILLED, MEMBERS, REMOTE, Day, dashboard_address, wait_until_healthy
from engine import Project, outcome, peerwatt, run

from runtime.deployment.containers import HANDOUT, SIGNS_DIR, process_command, sign_command
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import DASHBOARD, METERS, prosumer
from runtime.rundir import COORDINATOR, RunDirectory
from tests.inspection.browser import browser

pytestmark = pytest.mark.docker


def test_in_the_middle_of_the_day_nothing_that_ran_was_found_to_hang(day: Day) -> None:
    ran = {name for name in day.health if name != "prepare"}
    assert {COORDINATOR, METERS, DASHBOARD, "xmpp", prosumer(KILLED)} <= ran
    assert {name for name in ran if day.health[name] == "unhealthy"} == set()


def test_only_what_was_killed_was_started_again_and_others_reconnected(day: Day) -> None:
    again = {name for name, times in day.restarts.items() if times}
    assert again == {COORDINATOR, prosumer(KILLED)}


def test_the_agents_were_asked_from_this_machine_how_they_stood(day: Day) -> None:
    assert {each["agent"] for each in day.inspected["agents"]} == {COORDINATOR, *MEMBERS}


def test_the_dashboard_followed_the_day_while_it_went_on(day: Day) -> None:
    assert not day.shown["finished"]
    assert day.shown["problem"] is None
    assert {member["name"] for member in day.shown["members"]} == {*MEMBERS}


async def test_the_dashboard_still_shows_the_day_in_a_browser_when_it_is_over(finished: Project) -> None:
    async with browser(dashboard_address(finished)) as tab:
        await tab.until("document.getElementById('facts').textContent.startsWith('ended')", 30)
        names = await tab.run("document.body.textContent")
        assert all(member in names for member in MEMBERS)
        await tab.until("document.querySelectorAll('#soc path').length > 0", 30)
        await tab.until("document.querySelectorAll('#messages tr').length === 100", 30)
        assert tab.errors == []


def test_the_dashboard_wants_its_token_and_changes_nothing(day: Day) -> None:
    finished = day.project
    wait_until_healthy(finished, DASHBOARD)
    address, token = dashboard_address(finished).split("?token=")
    assert token != day.first_token
    for wrong in ("", "?token=other", f"?token={day.first_token}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + wrong, timeout=20)
        assert refused.value.code == 403
    container = finished.container(DASHBOARD)
    assert all(not mount["RW"] for mount in container["Mounts"] if mount["Type"] == "bind")
    published = container["NetworkSettings"]["Ports"]["8765/tcp"]
    assert {each["HostIp"] for each in published} == {"127.0.0.1"}
    said = finished.logs(DASHBOARD)
    assert f"{address} asks for the token in {HANDOUT}/token" in said
    assert token not in said


@contextlib.contextmanager
def agent_beside(project: Project, member: str, folder: Path) -> Iterator[str]:
    """One more process of a member, on an empty run, asked often for signs of life; its container."""
    handout = folder / "handout"
    shutil.copytree(Deployment(RunDirectory(project.run_directory)).handout(prosumer(member)), handout)
    (folder / "run").mkdir()
    user = int(project.settings["PEERWATT_UID"])
    for path in (folder / "run", handout, *handout.rglob("*")):
        os.chown(path, user, user)
    container = f"{project.name}-beside"
    try:
        run(
            *(
                "docker",
                "run",
                "--detach",
                "--init",
                "--name",
                container,
                "--network",
                f"{project.name}_fleet",
            ),
            *("--user", f"{user}:{user}", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
            *("--health-cmd", sign_command(SIGNS_DIR / "connected", 6), "--health-interval", "1s"),
            *("--health-retries", "1", "--health-start-period", "60s"),
            *("--volume", f"{folder / 'run'}:/runs/copy", "--volume", f"{handout}:{HANDOUT}:ro"),
            *(project.settings["PEERWATT_IMAGE"], *process_command(prosumer(member), "/runs/copy", [member])),
            timeout_s=60,
        )
        yield container
    finally:
        outcome("docker", "rm", "--force", container, timeout_s=30)


def wait_for_health(container: str, expected: str) -> None:
    deadline = time.monotonic() + 90
    while (
        status := run(
            "docker", "inspect", "--format", "{{.State.Health.Status}}", container, timeout_s=30
        ).strip()
    ) != expected:
        assert time.monotonic() < deadline, (status, outcome("docker", "logs", container, timeout_s=30))
        time.sleep(0.3)


def process_in(container: str, program: str) -> int:
    """Number, on this machine, of the process of a container that runs a program."""
    lines = run("docker", "top", container, "-eo", "pid,comm", timeout_s=30).splitlines()[1:]
    (found,) = [int(line.split()[0]) for line in lines if line.split()[1] == program]
    return found


def test_an_agent_that_hangs_is_unhealthy_until_it_goes_on(finished: Project, tmp_path: Path) -> None:
    with agent_beside(finished, MEMBERS[0], tmp_path) as container:
        wait_for_health(container, "healthy")
        process = process_in(container, "python")
        os.kill(process, signal.SIGSTOP)
        wait_for_health(container, "unhealthy")
        os.kill(process, signal.SIGCONT)
        wait_for_health(container, "healthy")


def test_results_have_what_a_member_elsewhere_knows_once_it_is_collected(day: Day, tmp_path: Path) -> None:
    ran = RunDirectory(day.project.run_directory)
    copy = RunDirectory(tmp_path / "copy")
    for path in ("run.json", "scenario.toml"):
        copy.path.mkdir(exist_ok=True)
        shutil.copy(ran.path / path, copy.path)
    for folder in ("config", "logs", "records"):
        shutil.copytree(ran.path / folder, copy.path / folder)
    words = ("report", copy.path, "--json", "--no-figures", "--collect", day.elsewhere)
    members = json.loads(peerwatt(day.project.source, *words, timeout_s=120))["run"]["members"]
    assert all(members[member]["pv_kwh"] is not None for member in MEMBERS)
    before = json.loads(ran.indicators_json.read_text())["run"]["members"]
    assert before[REMOTE]["pv_kwh"] is None
    assert before[REMOTE]["bill_eur"] == members[REMOTE]["bill_eur"]
    for known in ("load_kwh", "pv_kwh", "import_kwh", "bill_eur"):
        for member in MEMBERS:
            assert member == REMOTE or members[member][known] == before[member][known], (member, known)
    assert peerwatt(day.project.source, "verify", copy.path, timeout_s=120)

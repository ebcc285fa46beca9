"""The built-in example as a fleet of containers on a real engine, beside the same run in local processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from engine import (
    REPOSITORY,
    Outcome,
    Project,
    base_image,
    docker_engine,
    fill_wheelhouse,
    outcome,
    run,
    source_copy,
)

from runtime.cli.compose import ContainerFleet, render
from runtime.deployment.address import DOMAIN
from runtime.deployment.containers import HANDOUT, process_command
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import prosumer
from runtime.records import MemberRecord
from runtime.rundir import COORDINATOR, RunDirectory, attached_meter_account, meter_account
from runtime.scenario.load import load_scenario
from runtime.xmpp.authority import ensure_credentials

pytestmark = pytest.mark.docker

# Not root's even where the tests run as root: the containers must not be.
USER_ID = str(os.getuid() or 12345)
MEMBERS = [member.name for member in load_scenario("example").members]
RUN_LIMIT_S = 150.0


@pytest.fixture(scope="module", autouse=True)
def _engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with docker_engine(tmp_path_factory.mktemp("engine") / "dockerd.log"):
        yield


@pytest.fixture(scope="module")
def local_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[bytes]]:
    """Ledger of the example in local processes, run while the images are made."""
    runs = tmp_path_factory.mktemp("local")

    def ledger() -> bytes:
        peerwatt = Path(sys.executable).with_name("peerwatt")
        run(peerwatt, "run", "example", "--runs", runs, "--name", "local", timeout_s=RUN_LIMIT_S)
        return RunDirectory(runs / "local").ledger_csv.read_bytes()

    with ThreadPoolExecutor() as beside:
        yield beside.submit(ledger)


@pytest.fixture(scope="module")
def built(_engine: None, local_ledger: Future[bytes], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The image, from a copy of the source tree."""
    source = source_copy(tmp_path_factory.mktemp("source"))
    with ThreadPoolExecutor() as at_once:
        wheels = at_once.submit(fill_wheelhouse, source)
        base = at_once.submit(base_image).result()
        wheels.result()
    project = Project(
        name="peerwatt-test",
        file=source / "docker" / "compose.yaml",
        run_name="",
        settings={
            "PEERWATT_UID": USER_ID,
            "PEERWATT_GID": USER_ID,
            "PEERWATT_BASE": base,
            "PEERWATT_IMAGE": "peerwatt-test",
        },
    )
    project.compose("build", timeout_s=300)
    return project


def started(built: Project, run_name: str) -> Iterator[Project]:
    project = Project(f"peerwatt-test-{os.getpid()}-{run_name}", built.file, run_name, built.settings)
    try:
        project.up(timeout_s=90)
        yield project
    finally:
        project.remove()
        assert project.left_behind() == ""


@pytest.fixture(scope="module")
def finished(built: Project) -> Iterator[Project]:
    """A fleet left to itself until its session is over; its server still runs."""
    for project in started(built, "undisturbed"):
        code = project.wait_until_ended("coordinator", RUN_LIMIT_S)
        assert code == 0, project.logs()
        yield project


@pytest.fixture
def running(built: Project) -> Iterator[Project]:
    yield from started(built, "disturbed")


def restarts(project: Project) -> dict[str, object]:
    services = ["coordinator", "meters", *(f"prosumer-{member}" for member in MEMBERS)]
    return {service: project.container(service)["RestartCount"] for service in services}


def test_compose_file_is_the_one_written_for_the_example() -> None:
    of = ContainerFleet(
        load_scenario("example").community.name, MEMBERS, "example", REPOSITORY, REPOSITORY / "runs"
    )
    file = REPOSITORY / "docker" / "compose.yaml"
    assert file.read_text() == render(of, file), "run: peerwatt compose example --out docker/compose.yaml"


def test_ledger_equals_that_of_a_local_run(finished: Project, local_ledger: Future[bytes]) -> None:
    assert len(MEMBERS) >= 10
    results = RunDirectory(finished.run_directory)
    assert results.ledger_csv.read_bytes() == local_ledger.result()
    for service in ("meters", *(f"prosumer-{member}" for member in MEMBERS)):
        assert finished.wait_until_ended(service, 20) == 0, finished.logs(service)
    assert set(restarts(finished).values()) == {0}


def test_results_belong_to_the_user_and_secrets_to_nobody_else(finished: Project) -> None:
    results = RunDirectory(finished.run_directory)
    for path in (results.path, *results.path.rglob("*")):
        assert path.stat().st_uid == int(USER_ID), path
    assert results.indicators_json.is_file()
    deployment = Deployment(results)
    assert deployment.path.stat().st_mode & 0o077 == 0
    secrets = [*deployment.path.rglob("secrets/*"), deployment.server_accounts]
    assert len(secrets) > 5 * len(MEMBERS)
    for path in secrets:
        assert path.stat().st_mode & 0o077 == 0, path


def inside(project: Project, service: str, *command: str) -> str:
    """What a command says in a container like a service's, started for it."""
    return project.compose("run", "--rm", "--no-deps", "-T", service, *command)


def test_containers_hold_their_own_secrets_only_and_cannot_change_what_they_run(finished: Project) -> None:
    seen = "find / -xdev -path /proc -prune -o -path '*/secrets/*' -type f -print 2> /dev/null | sort"
    for service, accounts in {
        "coordinator": [COORDINATOR],
        "meters": sorted(meter_account(member) for member in MEMBERS),
        f"prosumer-{MEMBERS[0]}": [MEMBERS[0]],
    }.items():
        found = inside(
            finished, service, "sh", "-c", f"{seen}; find /run/peerwatt -path '*/secrets/*'"
        ).split()
        assert sorted({Path(path).name for path in found}) == accounts, service
    tries = "touch /opt/peerwatt/x /run/peerwatt/x /etc/x 2>&1; id -u; grep CapEff /proc/self/status"
    said = inside(finished, f"prosumer-{MEMBERS[0]}", "sh", "-c", tries)
    assert said.count("Read-only file system") == 3, said
    assert USER_ID in said.split()
    assert "CapEff:\t0000000000000000" in said


def test_no_process_of_the_server_is_roots(finished: Project) -> None:
    container = str(finished.container("xmpp")["Id"])
    lines = run("docker", "top", container, "-eo", "pid,uid,comm", timeout_s=30).splitlines()[1:]
    assert any("lua" in line or "prosody" in line for line in lines), lines
    assert {line.split()[1] for line in lines} == {USER_ID}


def handshake(project: Project, ca_file: Path) -> Outcome:
    return outcome(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{project.port}"),
        *("-starttls", "xmpp", "-xmpphost", DOMAIN, "-verify_hostname", DOMAIN, "-verify_return_error"),
        *("-CAfile", ca_file, "-no-CApath", "-no-CAstore"),
        timeout_s=20,
    )


def test_server_is_reached_from_this_machine_and_proves_itself_with_the_deployments_ca(
    finished: Project, tmp_path: Path
) -> None:
    seen = Deployment(RunDirectory(finished.run_directory)).outside()
    assert (seen.domain, seen.host, seen.port) == (DOMAIN, "127.0.0.1", finished.port)
    assert handshake(finished, seen.ca_file).returncode == 0
    other = ensure_credentials(tmp_path, DOMAIN).ca_file
    refused = handshake(finished, other)
    assert refused.returncode != 0
    assert "verify error" in refused.stderr


def one_more_agent(project: Project, member: str, ca_file: Path, tmp_path: Path) -> tuple[list[str], str]:
    """Start one more process of a member, on a copy of the run, that trusts ``ca_file``.

    Returns:
        The steps that it told of, ``ready`` being the last it is given time for, and what it complained of.
    """
    handout, run_copy = tmp_path / "handout", tmp_path / "run"
    shutil.copytree(Deployment(RunDirectory(project.run_directory)).handout(prosumer(member)), handout)
    shutil.copyfile(ca_file, handout / "ca.pem")
    run_copy.mkdir()
    for path in (run_copy, handout, *handout.rglob("*")):
        os.chown(path, int(USER_ID), int(USER_ID))
    container, complaints = f"{project.name}-one-more", tmp_path / "complaints"
    told: list[str] = []
    with complaints.open("wb") as errors:
        agent = subprocess.Popen(
            [
                *("docker", "run", "--rm", "--name", container, "--network", f"{project.name}_fleet"),
                *("--user", f"{USER_ID}:{USER_ID}"),
                *("--volume", f"{run_copy}:/runs/copy", "--volume", f"{handout}:{HANDOUT}:ro"),
                *(project.settings["PEERWATT_IMAGE"], "timeout", "--kill-after", "5", "30"),
                *process_command(prosumer(member), "/runs/copy"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert agent.stdout is not None
        for line in agent.stdout:
            told.append(json.loads(line)["phase"])
            if told[-1] == "ready":
                break
    finally:
        outcome("docker", "rm", "--force", container, timeout_s=30)
        agent.communicate(timeout=30)
    return told, complaints.read_text(errors="replace")


def test_agent_with_another_ca_does_not_connect(finished: Project, tmp_path: Path) -> None:
    other = ensure_credentials(tmp_path, DOMAIN).ca_file
    told, complaints = one_more_agent(finished, MEMBERS[0], other, tmp_path)
    assert told == ["failed"]
    assert "certificate is not accepted" in complaints


def test_agent_with_the_deployments_ca_connects(finished: Project, tmp_path: Path) -> None:
    own = Deployment(RunDirectory(finished.run_directory)).server_dir / "ca.pem"
    told, complaints = one_more_agent(finished, MEMBERS[0], own, tmp_path)
    assert told == ["ready"], complaints


def test_server_heard_exactly_what_the_agents_logged_as_sent(finished: Project) -> None:
    results = RunDirectory(finished.run_directory)
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
        for record in map(json.loads, (results.server_dir / "messages.jsonl").read_text().splitlines())
    }
    agents = {COORDINATOR, *MEMBERS, *(meter_account(member) for member in MEMBERS)}
    assert {sender for sender, *_ in sent} == {f"{agent}@{DOMAIN}" for agent in agents}
    assert heard == sent


def attach_a_meter(project: Project, member: str) -> None:
    """From this machine, through the published port; it plays what the member's own meter plays."""
    command = [sys.executable, "-m", "runtime", "meter", "attach", str(project.run_directory), member]
    attached = outcome(*command, "--source", "simulated:", timeout_s=60)
    assert attached.returncode == 0, attached.stderr


def test_meter_is_attached_and_member_killed_and_the_ledger_is_the_same(
    running: Project, local_ledger: Future[bytes]
) -> None:
    results = RunDirectory(running.run_directory)
    victim = MEMBERS[len(MEMBERS) // 2]
    log = results.log(victim)
    deadline = time.monotonic() + RUN_LIMIT_S
    while not (log.is_file() and log.read_bytes().count(b"\n") >= 20):
        assert time.monotonic() < deadline, running.logs()
        time.sleep(0.05)
    pid = running.state(f"prosumer-{victim}")["Pid"]
    assert isinstance(pid, int)
    assert pid > 1
    assert running.state("coordinator")["Running"]
    os.kill(pid, signal.SIGKILL)
    attach_a_meter(running, MEMBERS[0])

    assert running.wait_until_ended("coordinator", RUN_LIMIT_S) == 0, running.logs()
    assert running.wait_until_ended(f"prosumer-{victim}", 20) == 0, running.logs()
    assert {service for service, count in restarts(running).items() if count} == {f"prosumer-{victim}"}
    assert results.ledger_csv.read_bytes() == local_ledger.result()
    sessions = MemberRecord.load(results.member_record(MEMBERS[0])).sessions
    readers = [meter for session in sessions for meter in session.meter]
    assert attached_meter_account(MEMBERS[0]) in readers

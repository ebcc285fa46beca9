"""The example as a fleet of containers on a real engine, with all that may befall it, beside a local run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from concurrent.futures import Future
from pathlib import Path

import pytest
from disturbed_fleet import KILLED, MEMBERS, METERED, REMOTE, TRAITOR, Day, lines_of
from engine import REPOSITORY, Outcome, Project, outcome, peerwatt, run

from runtime.cli.compose import ContainerFleet, render
from runtime.deployment.address import DOMAIN
from runtime.deployment.containers import HANDOUT, process_command
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import prosumer
from runtime.records import MemberRecord
from runtime.rundir import COORDINATOR, INSPECTOR, RunDirectory, attached_meter_account, meter_account
from runtime.scenario.load import load_scenario
from runtime.xmpp.authority import ensure_credentials

pytestmark = pytest.mark.docker


def test_compose_file_is_the_one_written_for_the_example() -> None:
    of = ContainerFleet(
        load_scenario("example").community.name, MEMBERS, "example", REPOSITORY, REPOSITORY / "runs"
    )
    file = REPOSITORY / "docker" / "compose.yaml"
    assert file.read_text() == render(of, file), "run: peerwatt compose example --out docker/compose.yaml"


def test_ledger_equals_that_of_a_local_run_that_nothing_disturbed(
    finished: Project, local_ledger: Future[bytes]
) -> None:
    assert len(MEMBERS) >= 10
    ledger = RunDirectory(finished.run_directory).ledger_csv.read_bytes()
    # The attached meter plays what the built-in one does; the ledger names it where it was read.
    attached, built_in = attached_meter_account(METERED), meter_account(METERED)
    assert f"{attached}\n".encode() in ledger
    assert ledger.replace(f"{attached}\n".encode(), f"{built_in}\n".encode()) == local_ledger.result()
    for service in ("meters", *(prosumer(member) for member in MEMBERS if member != REMOTE)):
        assert finished.wait_until_ended(service, 20) == 0, finished.logs(service)


def test_the_attached_meter_was_read(finished: Project) -> None:
    sessions = MemberRecord.load(RunDirectory(finished.run_directory).member_record(METERED)).sessions
    assert attached_meter_account(METERED) in {meter for session in sessions for meter in session.meter}


def test_the_member_elsewhere_kept_its_log_and_record_there(day: Day) -> None:
    here, there = RunDirectory(day.project.run_directory), RunDirectory(day.elsewhere)
    assert not here.log(REMOTE).exists()
    assert not here.member_record(REMOTE).exists()
    assert MemberRecord.load(there.member_record(REMOTE)).sessions
    assert lines_of(there.log(REMOTE)) > 100


def test_messages_are_read_from_this_machine_as_those_of_a_local_run(finished: Project) -> None:
    said = peerwatt(
        finished.source, "messages", finished.run_directory, "--agent", METERED, "--stats", "--json"
    )
    assert json.loads(said)


def test_no_stranger_and_no_forger_is_in_the_servers_record(finished: Project) -> None:
    results = RunDirectory(finished.run_directory)
    lines = (results.server_dir / "messages.jsonl").read_text().splitlines()
    looked = f"{INSPECTOR}@{DOMAIN}"  # who asked from here how the agents stood
    records = [
        record
        for record in map(json.loads, lines)
        if "sender" in record and looked not in (record["sender"].split("/")[0], record["recipient"])
    ]
    senders = {record["sender"] for record in records}
    agents = {
        COORDINATOR,
        *MEMBERS,
        *(meter_account(member) for member in MEMBERS),
        attached_meter_account(METERED),
    }
    flood = f"{TRAITOR}@{DOMAIN}/outsider"
    assert flood in senders
    assert {sender.split("@")[0] for sender in senders} == agents
    said = {
        (
            record["sender"].split("/")[0],
            record["recipient"],
            record["fields"]["reply-with"],
            record["body_sha256"],
        )
        for record in records
        if record["sender"] != flood
    }
    logged = {
        (record["from"], record["to"], record["id"], hashlib.sha256(record["body"].encode()).hexdigest())
        for log in results.logs_dir.glob("*.jsonl")
        for record in map(json.loads, log.read_text().splitlines())
        if record["kind"] == "out"
    }
    assert {one for one in said if one[0] != f"{REMOTE}@{DOMAIN}"} <= logged


def test_results_belong_to_the_user_and_secrets_to_nobody_else(finished: Project) -> None:
    results = RunDirectory(finished.run_directory)
    mine = int(finished.settings["PEERWATT_UID"])
    # What this machine's commands wrote belongs to whoever ran them.
    from_here = {os.getuid(), mine}
    for path in (results.path, *results.path.rglob("*")):
        assert path.stat().st_uid in from_here, path
    for path in (results.ledger_csv, results.log(KILLED), results.member_record(KILLED)):
        assert path.stat().st_uid == mine, path
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
    assert finished.settings["PEERWATT_UID"] in said.split()
    assert "CapEff:\t0000000000000000" in said


def test_no_process_of_the_server_is_roots(finished: Project) -> None:
    container = str(finished.container("xmpp")["Id"])
    lines = run("docker", "top", container, "-eo", "pid,uid,comm", timeout_s=30).splitlines()[1:]
    assert any("lua" in line or "prosody" in line for line in lines), lines
    assert {line.split()[1] for line in lines} == {finished.settings["PEERWATT_UID"]}


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
        os.chown(path, int(project.settings["PEERWATT_UID"]), int(project.settings["PEERWATT_UID"]))
    container, complaints = f"{project.name}-one-more", tmp_path / "complaints"
    told: list[str] = []
    with complaints.open("wb") as errors:
        agent = subprocess.Popen(
            [
                *("docker", "run", "--rm", "--name", container, "--network", f"{project.name}_fleet"),
                *("--user", ":".join([project.settings["PEERWATT_UID"]] * 2)),
                *("--volume", f"{run_copy}:/runs/copy", "--volume", f"{handout}:{HANDOUT}:ro"),
                *(project.settings["PEERWATT_IMAGE"], "timeout", "--kill-after", "5", "30"),
                *process_command(prosumer(member), "/runs/copy", [member]),
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
    assert told[-1] == "failed"
    assert "ready" not in told
    assert "certificate is not accepted" in complaints


def test_agent_with_the_deployments_ca_connects(finished: Project, tmp_path: Path) -> None:
    own = Deployment(RunDirectory(finished.run_directory)).server_dir / "ca.pem"
    told, complaints = one_more_agent(finished, MEMBERS[0], own, tmp_path)
    assert told[-1] == "ready", complaints

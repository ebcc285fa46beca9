"""A deployment's server, with its own configuration, against strangers and members who turn on the others."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator

import pytest

from runtime.cli.prepare import prepare_run
from runtime.errors import AgentRefusedError
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import account_on
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.local import free_port
from tests.deployment import attacks, changed_secrets
from tests.deployment.deployed_prosody import DeployedProsody
from tests.deployment.outsider import Outsider
from tests.messaging.recording_agent import RecordingAgent
from tests.scenario.scenarios import write


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[DeployedProsody]:
    folder = tmp_path_factory.mktemp("deployment")
    outside = f"127.0.0.1:{free_port()}"
    with DeployedProsody(prepare_run(str(write(folder)), folder / "run", None, None, outside)) as running:
        yield running


@pytest.mark.parametrize("attack", [*attacks.STRANGERS, *attacks.MEMBERS], ids=lambda each: each.__name__)
def test_is_refused(server, attack):
    attack(server.connection, "school")
    assert server.process.poll() is None


def test_an_account_has_one_session(server):
    attacks.opens_many_sessions(server.connection, "school")
    assert server.process.poll() is None


@pytest.mark.parametrize("what", attacks.MALFORMED)
def test_malformed_xml_ends_the_stream(server, what):
    attacks.sends_malformed_xml(server.connection, "school", attacks.MALFORMED[what])
    assert server.process.poll() is None


def test_nothing_else_listens(server):
    with Outsider(server.connection) as client:
        client.log_in("school", present=False)
    for port in (5223, 5269, 5280, 5281, 5347):
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection((server.connection.host, port), 1)


def test_a_flood_is_paced_and_others_are_served_meanwhile(server):
    with Outsider(server.connection) as other:
        other.log_in("house", present=False)
        idle_s = []
        for _ in range(20):
            began_s = time.monotonic()
            other.ping()
            idle_s.append(time.monotonic() - began_s)
        began_s = time.monotonic()
        sent = attacks.floods(server.connection, "school", seconds=4.0, to="inspector")
        took_s = time.monotonic() - began_s
        began_s = time.monotonic()
        other.ping()
        assert time.monotonic() - began_s < 1.0 + 10 * max(idle_s)  # busy as the machine may be
    # 256 kB/s with a burst of 4 s, and what the kernel's buffers hold.
    assert sent < 256_000 * (took_s + 4) + 8_000_000
    assert server.process.poll() is None


async def test_a_server_with_another_authority_is_not_trusted(server, tmp_path):
    other = ensure_credentials(tmp_path, server.connection.domain)
    connection = server.connection.model_copy(update={"ca_file": other.ca_file})
    with pytest.raises(AgentRefusedError, match="certificate"):
        await asyncio.wait_for(RecordingAgent(connection, "school").start(), 10)


async def test_agents_and_devices_log_in(server):
    agent = RecordingAgent(server.connection, "school")
    await asyncio.wait_for(agent.start(), 10)
    device = LeanAgent(account_on(server.connection, "inspector"))
    await asyncio.wait_for(device.start(), 10)
    await asyncio.gather(agent.stop(), device.stop())


def test_a_new_secret_counts_at_once_and_ends_what_logged_in_with_another(server):
    changed_secrets.keeps_no_session_beyond_a_change(server.deployment, server.connection, "house", "school")
    assert server.process.poll() is None


async def test_an_agent_whose_secret_is_changed_is_back_within_seconds(server):
    await changed_secrets.is_back_after_a_change(server.deployment, server.connection, "house", "school")


def test_who_has_no_account_any_more_has_no_session(server):
    changed_secrets.loses_its_sessions_with_its_account(server.deployment, server.connection, "house")
    assert server.process.poll() is None


def test_half_a_file_of_accounts_ends_no_session(server):
    changed_secrets.lives_through_half_a_file(server.deployment, server.connection, "house")
    assert server.process.poll() is None


def test_the_servers_record_names_the_authenticated_sender_and_no_body(server):
    domain = server.connection.domain
    size = server.audit.stat().st_size
    with Outsider(server.connection) as client:
        jid = client.log_in("school", present=False)
        client.send(
            f"<message from='coordinator@{domain}' to='house@{domain}' id='m1'><body>sécret</body></message>"
        )
        client.message(f"house@{domain}", "my own", id="m2")
        client.ping()
    lines = server.audit.read_bytes()[size:].decode().splitlines()
    records = {each["stanza_id"]: each for each in map(json.loads, lines) if "stanza_id" in each}
    assert {*records} == {"m1", "m2"}
    assert {record["sender"] for record in records.values()} == {jid}
    assert records["m2"]["recipient"] == f"house@{domain}"
    assert records["m2"]["body_bytes"] == 6
    assert "sécret" not in "".join(lines)

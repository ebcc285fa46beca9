"""A deployment's ejabberd against strangers and members who turn on the others; its record; strange nodes."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from runtime.cli.prepare import prepare_run
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.ejabberd.local import loopback_hosts
from runtime.xmpp.local import free_port
from tests.deployment import attacks, changed_secrets
from tests.deployment.deployed_ejabberd import DeployedEjabberd
from tests.deployment.outsider import Outsider
from tests.scenario.scenarios import write


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[DeployedEjabberd]:
    folder = tmp_path_factory.mktemp("deployment")
    outside = f"127.0.0.1:{free_port(loopback_hosts(2))}"
    deployment = prepare_run(str(write(folder)), folder / "run", None, None, outside)
    with DeployedEjabberd(deployment, nodes=2) as running:
        yield running


@pytest.mark.parametrize("attack", [*attacks.STRANGERS, *attacks.MEMBERS], ids=lambda each: each.__name__)
def test_is_refused(server, attack):
    attack(server.connection, "school")
    assert not server.ended


def test_an_account_has_one_session(server):
    attacks.opens_many_sessions(server.connection, "school")
    assert not server.ended


PASSED_OVER = {"comment", "processing instruction"}


@pytest.mark.parametrize("what", sorted({*attacks.MALFORMED} - PASSED_OVER))
def test_malformed_xml_ends_the_stream(server, what):
    attacks.sends_malformed_xml(server.connection, "school", attacks.MALFORMED[what])
    assert not server.ended


@pytest.mark.parametrize("what", sorted(PASSED_OVER))
def test_what_is_no_element_reaches_nobody(server, what):
    """Comments and the like the parser drops, and the stream goes on; Prosody ends it."""
    domain = server.connection.domain
    text = attacks.MALFORMED[what].removesuffix("<presence/>")
    with Outsider(server.connection) as victim, Outsider(server.connection) as client:
        jid = victim.log_in("inspector", present=False)
        client.log_in("school", present=False)
        client.send(f"<message to='{jid}'><body>be{text}gun</body></message>")
        client.message(f"school@{domain}", "later")
        client.ping()
        assert "<body>begun</body>" in victim.ping()


def test_a_flood_is_paced(server):
    size = server.audit.stat().st_size
    began_s = time.monotonic()
    sent = attacks.floods(server.connection, "school", seconds=4.0, to="inspector")
    taken = server.audit.read_bytes()[size:].decode().splitlines()
    took_s = time.monotonic() - began_s
    carried_bytes = sum(json.loads(line)["body_bytes"] for line in taken)
    # 256 kB/s with a burst of 4 s; what else was sent is in the kernel's buffers.
    assert 100_000 < carried_bytes < 256_000 * (took_s + 5)
    assert sent > carried_bytes
    assert not server.ended


@pytest.mark.parametrize("node", [0, 1])
def test_a_new_secret_counts_at_once_and_ends_what_logged_in_with_another(server, node):
    connection = server.connection.model_copy(update={"host": server.connection.hosts[node]})
    changed_secrets.keeps_no_session_beyond_a_change(server.deployment, connection, "house", "school")
    assert not server.ended


async def test_an_agent_whose_secret_is_changed_is_back_within_seconds(server):
    await changed_secrets.is_back_after_a_change(server.deployment, server.connection, "house", "school")
    assert not server.ended


def test_half_a_file_of_accounts_locks_nobody_out(server):
    whole = server.deployment.server_accounts.read_text()
    try:
        server.deployment.server_accounts.write_text(whole[: len(whole) // 2])
        with Outsider(server.connection) as client:
            assert "<success" in client.authenticate("house")
    finally:
        server.deployment.server_accounts.write_text(whole)


def test_who_has_no_account_any_more_has_no_session(server):
    changed_secrets.loses_its_sessions_with_its_account(server.deployment, server.connection, "house")
    assert not server.ended


def test_half_a_file_of_accounts_ends_no_session(server):
    changed_secrets.lives_through_half_a_file(server.deployment, server.connection, "house")
    assert not server.ended


def test_the_servers_record_names_the_authenticated_sender_and_no_body(server):
    domain = server.connection.domain
    size = server.audit.stat().st_size
    with Outsider(server.connection) as client:
        jid = client.log_in("school", present=False)
        client.message(f"house@{domain}", "sécret", id="m1")
        client.message(f"house@{domain}", "my own", id="m2")
        client.ping()
    lines = server.audit.read_bytes()[size:].decode().splitlines()
    records = {each["stanza_id"]: each for each in map(json.loads, lines) if "stanza_id" in each}
    assert {*records} == {"m1", "m2"}
    assert {record["sender"] for record in records.values()} == {jid}
    assert records["m2"]["recipient"] == f"house@{domain}"
    assert records["m1"]["body_bytes"] == 7
    assert "sécret" not in "".join(lines)


def nodes_address(server):
    node = server.server.nodes[0].node
    return node.nodes_interface, node.nodes_port


def test_nothing_but_clients_and_nodes_is_listened_for(server):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 4369), 1)  # epmd, which tells where nodes listen
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.3", nodes_address(server)[1]), 1)


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_who_holds_no_key_of_the_servers_is_no_node(server, tmp_path, whose):
    """Erlang trusts a node with everything, so the door is TLS with a certificate on both sides."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if whose == "a stranger's":
        made = ensure_credentials(tmp_path, server.connection.domain)
        context.load_cert_chain(made.certificate_file, made.key_file)
    with (
        socket.create_connection(nodes_address(server), 5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        talk_to_a_node(context, plain)


def talk_to_a_node(context, plain):
    with context.wrap_socket(plain) as secured:
        # TLS 1.3 tells a client that its certificate is refused when it reads.
        secured.sendall(b"\0\x15N\0\0\0\0\0\0\0\0")
        secured.recv(100)


def test_a_server_with_its_own_key_gets_through_the_door(server):
    """The control for the test above: what is refused there is refused for its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(server.connection.ca_file)
    folder = server.deployment.server_dir
    context.load_cert_chain(folder / "server.pem", folder / "server.key.pem")
    with socket.create_connection(nodes_address(server), 5) as plain, context.wrap_socket(plain) as secured:
        assert secured.version() == "TLSv1.3"
        # The handshake is over and was not refused: the node waits for what it is told, in silence.
        secured.settimeout(1)
        with pytest.raises(TimeoutError):
            secured.recv(1)

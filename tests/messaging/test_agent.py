"""What the agent does by itself, whatever the server: trust, failing hooks, logs, silence on the line."""

import asyncio
import contextlib
import logging
import time

import pytest
from recording_agent import RecordingAgent, inform

from runtime.errors import AgentRefusedError, InputError
from runtime.messaging import agent as agent_module
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets, write_secret
from runtime.messaging.spade_message import message_of, stanza_text_of
from runtime.xmpp import protocol as protocol_module
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.server import EmbeddedServer, server_tls_context

DOMAIN = "peerwatt.localhost"


@contextlib.asynccontextmanager
async def embedded(directory, certificate_domain=DOMAIN):
    """A server in this process, and the way to it."""
    credentials = ensure_credentials(directory, certificate_domain)
    connection = Connection(
        domain=DOMAIN,
        host="127.0.0.1",
        port=1,
        ca_file=credentials.ca_file,
        secrets_dir=directory / "secrets",
    )
    passwords = ensure_secrets(connection.secrets_dir, ("a", "b"))
    server = EmbeddedServer(DOMAIN, passwords, server_tls_context(credentials))
    port = await server.listen(0)
    try:
        yield server, connection.model_copy(update={"port": port})
    finally:
        await server.close()


async def test_a_certificate_of_the_authority_for_another_name_is_refused(tmp_path):
    async with embedded(tmp_path, certificate_domain="elsewhere.localhost") as (_, connection):
        agent = RecordingAgent(connection, "a")
        with pytest.raises(AgentRefusedError, match="Hostname mismatch"):
            await asyncio.wait_for(agent.start(), 30)


@pytest.mark.parametrize(
    "features",
    [
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
    ],
)
async def test_a_server_that_offers_no_encryption_gets_neither_password_nor_session(tmp_path, features):
    heard = bytearray()

    async def strip(reader, writer):
        writer.write(
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
            b"id='1' version='1.0' from='peerwatt.localhost'>"
            + f"<stream:features>{features}</stream:features>".encode()
        )
        while data := await reader.read(4096):
            heard.extend(data)
            if b"<iq" in data:
                identifier = data.split(b'id="')[1].split(b'"')[0]
                writer.write(
                    b"<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                    b"<jid>a@peerwatt.localhost/agent</jid></bind></iq>" % identifier
                )
        writer.close()

    listener = await asyncio.start_server(strip, "127.0.0.1", 0)
    credentials = ensure_credentials(tmp_path, DOMAIN)
    connection = Connection(
        domain=DOMAIN,
        host="127.0.0.1",
        port=listener.sockets[0].getsockname()[1],
        ca_file=credentials.ca_file,
        secrets_dir=tmp_path / "secrets",
    )
    ensure_secrets(connection.secrets_dir, ["a"])
    agent = RecordingAgent(connection, "a")
    with pytest.raises(AgentRefusedError, match=r"without TLS|no way to log in"):
        await asyncio.wait_for(agent.start(), 30)
    assert b"<auth" not in heard
    assert b"<message" not in heard
    assert agent.connects == 0
    listener.close()


async def test_a_failing_hook_is_logged_without_content_and_the_agent_goes_on(tmp_path, caplog):
    class Clumsy(RecordingAgent):
        def on_envelope(self, envelope):
            super().on_envelope(envelope)
            if envelope.body == '"confidential"':
                raise ValueError(envelope.body)

    caplog.set_level(logging.DEBUG)
    async with embedded(tmp_path) as (_, connection):
        agent = Clumsy(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        for body in ('"confidential"', "1"):
            agent.transmit(inform(agent.bare_jid, agent.bare_jid, body=body))
        await agent.until(lambda: len(agent.envelopes) == 2)
        await agent.stop()
    assert "on_envelope failed with ValueError" in caplog.text
    assert "confidential" not in caplog.text


async def test_a_bounce_with_the_whole_message_in_it_is_dropped(tmp_path):
    async with embedded(tmp_path) as (_, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        envelope = inform(agent.bare_jid, agent.bare_jid)
        bounce = stanza_text_of(envelope, "1").replace('type="chat"', 'type="error"')
        agent.client.send_raw(bounce)
        agent.transmit(inform(agent.bare_jid, agent.bare_jid, message_id="after"))
        await agent.until(lambda: agent.envelopes)
        assert [received.message_id for received in agent.envelopes] == ["after"]
        await agent.stop()


async def test_a_silent_server_is_given_up_and_dialled_again(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_module, "PING_AFTER_S", 0.2)
    monkeypatch.setattr(agent_module, "PING_TIMEOUT_S", 0.3)
    async with embedded(tmp_path) as (server, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        await asyncio.sleep(1.0)
        assert agent.connects == 1, "answered pings keep the connection"
        (protocol,) = server.protocols
        protocol.data_received = lambda data: None
        await agent.until(lambda: agent.connects == 2)
        assert agent.last_ending == "no answer from the server for 0.3 s"
        await agent.stop()


async def test_an_attempt_has_a_time_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_module, "ATTEMPT_LIMIT_S", 0.2)
    dialled = 0

    async def mute(reader, writer):
        nonlocal dialled
        dialled += 1
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    credentials = ensure_credentials(tmp_path, DOMAIN)
    connection = Connection(
        domain=DOMAIN,
        host="127.0.0.1",
        port=listener.sockets[0].getsockname()[1],
        ca_file=credentials.ca_file,
        secrets_dir=tmp_path / "secrets",
    )
    ensure_secrets(connection.secrets_dir, ["a"])
    agent = RecordingAgent(connection, "a")
    starting = asyncio.create_task(agent.start())
    async with asyncio.timeout(20):
        while dialled < 2:
            await asyncio.sleep(0.02)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert agent.last_ending == "not connected within 0.2 s"
    await agent.stop()
    listener.close()


async def test_the_embedded_server_closes_connections_that_do_not_log_in(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol_module, "LOGIN_LIMIT_S", 1.5)
    async with embedded(tmp_path) as (_, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        reader, writer = await asyncio.open_connection(connection.host, connection.port)
        assert b"connection-timeout" in await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert agent.disconnects == 0
        await agent.stop()


async def test_what_arrived_with_the_end_of_a_connection_is_still_handled(tmp_path):
    async with embedded(tmp_path) as (server, connection):
        sender, receiver = RecordingAgent(connection, "a"), RecordingAgent(connection, "b")
        await asyncio.wait_for(asyncio.gather(sender.start(), receiver.start()), 30)
        (line,) = (p for p in server.protocols if p.local_part == "a")
        sent = inform(sender.bare_jid, receiver.bare_jid)
        stanza = str(message_of(sent).prepare(sender.client))
        line.data_received(stanza.encode())
        line.connection_lost(None)
        await receiver.until(lambda: receiver.envelopes, 20)
        assert receiver.envelopes == [sent]
        await asyncio.gather(sender.stop(), receiver.stop())


async def test_an_agent_that_cannot_dial_any_more_says_so(tmp_path):
    async with embedded(tmp_path) as (server, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        (connection.secrets_dir / "a").unlink()
        (line,) = server.protocols
        line.close()
        error = await asyncio.wait_for(agent.refused, 30)
        assert "cannot read the secret" in str(error)
        await agent.stop()


async def disconnect(server):
    (line,) = server.protocols
    line.close()


async def test_an_agent_whose_secret_is_being_changed_comes_back_with_the_new_one(tmp_path):
    async with embedded(tmp_path) as (server, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        server._passwords["a"] = "the new one"  # the server has it before the agent's file
        await disconnect(server)
        while "password" not in agent.last_ending:
            await asyncio.sleep(0.02)
        assert not agent.refused.done()
        write_secret(connection.secrets_dir, "a", "the new one")
        while not agent.connected:
            await asyncio.sleep(0.02)
        assert not agent.refused.done()
        await agent.stop()


async def test_an_agent_that_starts_while_its_secret_is_being_changed_waits_for_the_new_one(tmp_path):
    async with embedded(tmp_path) as (server, connection):
        connection = connection.model_copy(update={"secrets_may_change": True})
        server._passwords["a"] = "the new one"
        agent = RecordingAgent(connection, "a")
        starting = asyncio.create_task(agent.start())
        async with asyncio.timeout(30):
            while "password" not in agent.last_ending:
                await asyncio.sleep(0.02)
        assert not starting.done()
        write_secret(connection.secrets_dir, "a", "the new one")
        await asyncio.wait_for(starting, 30)
        assert agent.connected
        await agent.stop()


async def test_an_agent_whose_first_password_stays_refused_says_for_how_long(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_module, "SECRET_CHANGE_LIMIT_S", 0.5)
    async with embedded(tmp_path) as (server, connection):
        server._passwords["a"] = "another's"
        agent = RecordingAgent(connection.model_copy(update={"secrets_may_change": True}), "a")
        began_s = time.monotonic()
        with pytest.raises(AgentRefusedError, match=r"refused the password of a@.*, for 0.5 s$"):
            await asyncio.wait_for(agent.start(), 30)
        assert time.monotonic() - began_s >= 0.5


async def test_an_agent_whose_account_is_closed_gives_up(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_module, "SECRET_CHANGE_LIMIT_S", 0.5)
    async with embedded(tmp_path) as (server, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        server._passwords["a"] = "another's"
        await disconnect(server)
        error = await asyncio.wait_for(agent.refused, 30)
        assert "refused the password" in str(error)
        await agent.stop()


async def test_a_missing_secret_is_said_at_the_start(tmp_path):
    async with embedded(tmp_path) as (_, connection):
        (connection.secrets_dir / "a").unlink()
        with pytest.raises(InputError, match="cannot read the secret"):
            await asyncio.wait_for(RecordingAgent(connection, "a").start(), 30)


async def test_an_agent_that_was_not_stopped_lets_its_event_loop_close(tmp_path):
    async with embedded(tmp_path) as (_, connection):
        before = asyncio.all_tasks()
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)
        tasks = {
            task
            for task in asyncio.all_tasks() - before
            if "messaging" in repr(task) or "spade" in repr(task)
        }
        assert len(tasks) >= 2
        try:
            for task in tasks:
                task.cancel()
            _, pending = await asyncio.wait(tasks, timeout=2)
            assert not pending
        finally:
            await agent.stop()


async def test_stop_sends_what_is_queued_and_leaves_nothing_running(tmp_path):
    async with embedded(tmp_path) as (server, connection):
        sender, receiver = RecordingAgent(connection, "a"), RecordingAgent(connection, "b")
        await asyncio.wait_for(asyncio.gather(sender.start(), receiver.start()), 30)
        before = asyncio.all_tasks()
        # More than the sockets hold, so that some of it is still with the sender.
        body = "1" * 100_000
        sent = [inform(sender.bare_jid, receiver.bare_jid, body=body) for _ in range(60)]
        for envelope in sent:
            sender.transmit(envelope)
        await sender.stop()
        await receiver.until(lambda: len(receiver.envelopes) == 60)
        await receiver.stop()
        await asyncio.sleep(0.1)
        left = [task for task in asyncio.all_tasks() if task in before and task is not asyncio.current_task()]
        assert [task for task in left if "feed" not in repr(task)] == []
        assert not server.protocols


async def test_what_is_sent_at_once_is_written_at_once_and_in_order(tmp_path):
    async with embedded(tmp_path) as (_, connection):
        sender, receiver = RecordingAgent(connection, "a"), RecordingAgent(connection, "b")
        await asyncio.wait_for(asyncio.gather(sender.start(), receiver.start()), 30)
        writes = []
        write = sender.client.transport.write
        sender.client.transport.write = lambda data: (writes.append(data), write(data))
        sent = [inform(sender.bare_jid, receiver.bare_jid, message_id=f"m{n}") for n in range(50)]
        for envelope in sent:
            sender.transmit(envelope)
        await receiver.until(lambda: len(receiver.envelopes) == len(sent), 20)
        assert receiver.envelopes == sent
        assert len(writes) == 1
        await asyncio.gather(sender.stop(), receiver.stop())


async def test_an_agent_dials_again_though_its_transport_cannot_be_aborted_any_more(
    tmp_path,
):
    """As asyncio's in Python 3.11.2, that of Debian 12, when the connection was lost before it is aborted."""
    async with embedded(tmp_path) as (server, connection):
        agent = RecordingAgent(connection, "a")
        await asyncio.wait_for(agent.start(), 30)

        def cannot_be():
            raise AttributeError("'NoneType' object has no attribute '_abort'")

        agent.client.abort = cannot_be
        await disconnect(server)
        await agent.until(lambda: agent.connects == 2)
        assert not agent.refused.done()
        await agent.stop()

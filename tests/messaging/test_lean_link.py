"""The link of a device without SPADE, against the embedded server and a real Prosody."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from recording_agent import RecordingAgent, inform
from xmpp_servers import SERVERS

from runtime.errors import AgentRefusedError
from runtime.messaging import lean_agent, taken_place
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import Account, tls_context
from runtime.xmpp.authority import ensure_credentials


class RecordingDevice(LeanAgent):
    def __init__(self, account):
        super().__init__(account)
        self.envelopes, self.malformed, self.count = asyncio.Queue(), [], Counter()

    def on_envelope(self, envelope):
        self.envelopes.put_nowait(envelope)

    def on_malformed(self, sender, reason):
        self.malformed.append((sender, reason))

    def on_connected(self):
        self.count["connected"] += 1

    def on_disconnected(self):
        self.count["disconnected"] += 1


@pytest.fixture(params=list(SERVERS))
def server(request, tmp_path):
    directory = tmp_path / "server"
    directory.mkdir()
    made = SERVERS[request.param](directory)
    made.connection = made.start()
    yield made
    made.kill()


def account_of(connection, local_part="meter", **changes):
    return Account(
        **{
            "local_part": local_part,
            "domain": connection.domain,
            "host": connection.host,
            "port": connection.port,
            "password": lambda: connection.password_for(local_part),
            "tls": tls_context(connection.ca_file.read_text()),
            **changes,
        }
    )


async def until(condition, limit_s=15.0):
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_envelopes_pass_between_a_device_and_a_spade_agent_unchanged(server):
    device = RecordingDevice(account_of(server.connection))
    agent = RecordingAgent(server.connection, "coordinator")
    async with asyncio.timeout(20):
        await asyncio.gather(device.start(), agent.start())
        reading = inform(device.bare_jid, agent.bare_jid, protocol="metering", expects_reply=True)
        assert device.transmit(reading) is True
        await until(lambda: agent.envelopes)
        answer = inform(agent.bare_jid, device.bare_jid, in_reply_to=reading.message_id)
        agent.transmit(answer)
        assert await device.envelopes.get() == answer
        await asyncio.gather(device.stop(), agent.stop())
    assert agent.envelopes == [reading]
    assert device.malformed == []
    assert device.transmit(reading) is False


async def test_a_device_refuses_a_server_of_another_authority(server, tmp_path):
    other = ensure_credentials(tmp_path / "other", server.connection.domain)
    device = RecordingDevice(account_of(server.connection, tls=tls_context(other.ca_file.read_text())))
    with pytest.raises(AgentRefusedError, match="certificate is not accepted"):
        await asyncio.wait_for(device.start(), 40)


def test_the_servers_certificate_has_to_name_the_domain(tmp_path):
    context = tls_context(ensure_credentials(tmp_path, "peerwatt.localhost").ca_file.read_text())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_a_wrong_password_ends_it_for_good(server):
    device = RecordingDevice(account_of(server.connection, password=lambda: "not the secret"))
    with pytest.raises(AgentRefusedError, match="refused the password of meter@"):
        await asyncio.wait_for(device.start(), 40)


class YieldingDevice(RecordingDevice):
    most_returns = 0


async def test_a_device_whose_place_is_taken_says_so_and_comes_back(server, caplog):
    first, second = (kind(account_of(server.connection)) for kind in (RecordingDevice, YieldingDevice))
    await asyncio.wait_for(first.start(), 40)
    await asyncio.wait_for(second.start(), 40)
    assert "another session of meter@" in str(await asyncio.wait_for(second.refused, 40))
    await until(lambda: first.connected)
    assert [each.levelname for each in caplog.records if each.message == taken_place.EVENT] == ["ERROR"]
    await first.stop()


async def test_a_second_device_of_the_account_does_not_go_unnoticed(server):
    first, second = (kind(account_of(server.connection)) for kind in (YieldingDevice, RecordingDevice))
    await asyncio.wait_for(first.start(), 40)
    await asyncio.wait_for(second.start(), 40)
    refused = await asyncio.wait_for(first.refused, 40)
    assert "another session of meter@" in str(refused)
    assert second.connected
    await second.stop()


async def test_a_device_comes_back_when_its_server_does(server, monkeypatch):
    monkeypatch.setattr(lean_agent, "BACKOFF_LIMIT_S", 0.5)
    device = RecordingDevice(account_of(server.connection))
    await asyncio.wait_for(device.start(), 40)
    server.kill()
    await until(lambda: not device.connected)
    assert device.transmit(inform(device.bare_jid, device.bare_jid)) is False
    server.start()
    await until(lambda: device.connected)
    echo = inform(device.bare_jid, device.bare_jid)
    assert device.transmit(echo) is True
    assert await asyncio.wait_for(device.envelopes.get(), 40) == echo
    assert device.count == {"connected": 2, "disconnected": 1}
    await device.stop()


async def test_what_is_no_message_of_the_market_is_told_and_the_device_goes_on(server):
    device = RecordingDevice(account_of(server.connection))
    agent = RecordingAgent(server.connection, "coordinator")
    async with asyncio.timeout(20):
        await asyncio.gather(device.start(), agent.start())
        to = f'to="{device.bare_jid}" type="chat"'
        agent.client.send_raw(f"<message {to}><body>hello</body></message>")
        form = '<x xmlns="jabber:x:data" type="nonsense"/>'
        form = '<x xmlns="jabber:x:data" type="nonsense"/>'
        agent.client.send_raw(f"<message {to}><body>{{}}</body>{form}</message>")
        after = inform(agent.bare_jid, device.bare_jid)
        agent.transmit(after)
        assert await device.envelopes.get() == after
        await asyncio.gather(device.stop(), agent.stop())
    assert {sender for sender, _ in device.malformed} == {agent.bare_jid}
    assert len(device.malformed) == 2


def test_the_parts_of_aioxmpp_that_a_device_loads_leave_out_the_heavy_libraries():
    program = (
        "import sys, runtime.messaging.lean_agent; heavy = {'lxml', 'OpenSSL', 'cryptography', 'pyasn1',"
        " 'dns', 'pytz', 'babel', 'tzlocal', 'slixmpp', 'spade', 'numpy', 'aiohttp'};"
        "print(*sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []

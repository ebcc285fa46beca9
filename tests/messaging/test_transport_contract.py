"""What agents rely on, held by the embedded server and by a real Prosody alike."""

import asyncio
import shutil
from dataclasses import replace
from xml.sax.saxutils import escape

import pytest
from recording_agent import RecordingAgent, inform, say_until_heard
from slixmpp import JID
from xmpp_servers import ACCOUNTS, SERVERS

from runtime.errors import AgentRefusedError, ProtocolError
from runtime.messaging import taken_place
from runtime.messaging.wire import FORM_TITLE, MAX_ESCAPED_BODY_BYTES, fields_of
from runtime.protocol.envelope import MAX_BODY_BYTES, Performative
from runtime.xmpp.authority import ensure_credentials


@pytest.fixture(scope="module", params=list(SERVERS))
def connection(request, tmp_path_factory):
    server = SERVERS[request.param](tmp_path_factory.mktemp(request.param))
    yield server.start()
    server.kill()


@pytest.fixture(params=list(SERVERS))
def own_server(request, tmp_path):
    """A server of the test's own, which it may kill."""
    server = SERVERS[request.param](tmp_path)
    yield server
    server.kill()


@pytest.fixture
async def agents():
    """Makes agents and stops them."""
    made = []

    def make(connection, local_part):
        made.append(RecordingAgent(connection, local_part))
        return made[-1]

    yield make
    await asyncio.gather(*(agent.stop() for agent in made))


@pytest.fixture
async def pair(connection, agents):
    """A coordinator and a member, connected, nothing left over from earlier tests."""
    coordinator, member = agents(connection, "coordinator"), agents(connection, "member-000")
    async with asyncio.timeout(60):
        await asyncio.gather(coordinator.start(), member.start())
    for agent in (coordinator, member):
        last = inform(agent.bare_jid, agent.bare_jid)
        agent.transmit(last)
        await agent.until(lambda agent=agent, last=last: last in agent.envelopes)
        agent.envelopes.clear()
        agent.malformed.clear()
    return coordinator, member


async def test_envelope_arrives_as_it_was_sent_and_is_answered(pair):
    coordinator, member = pair
    cfp = inform(
        coordinator.bare_jid,
        member.bare_jid,
        performative=Performative.CFP,
        reply_by="2026-05-01T12:00:00+00:00",
        expects_reply=True,
        body='{"text": "<&>\\u20ac \\"quoted\\" \'", "price_eur_per_kwh": [0.1, 1e-7, 3]}',
    )
    assert coordinator.transmit(cfp)
    await member.until(lambda: member.envelopes)
    answer = inform(
        member.bare_jid,
        coordinator.bare_jid,
        performative=Performative.PROPOSE,
        in_reply_to=cfp.message_id,
        body="[1]",
    )
    assert member.transmit(answer)
    await coordinator.until(lambda: coordinator.envelopes)
    assert member.envelopes == [cfp]
    assert coordinator.envelopes == [answer]
    assert not member.malformed
    assert not coordinator.malformed


async def test_the_connection_is_encrypted(pair):
    coordinator, _ = pair
    assert coordinator.client.transport.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")


async def test_a_server_of_another_authority_is_refused(connection, agents, tmp_path):
    other = ensure_credentials(tmp_path, connection.domain)
    agent = agents(connection.model_copy(update={"ca_file": other.ca_file}), "coordinator")
    with pytest.raises(AgentRefusedError, match="certificate"):
        await asyncio.wait_for(agent.start(), 40)
    assert not agent.connected


async def test_a_wrong_password_ends_it_for_good(connection, agents, tmp_path):
    (tmp_path / "coordinator").write_text("not the secret\n")
    agent = agents(connection.model_copy(update={"secrets_dir": tmp_path}), "coordinator")
    with pytest.raises(AgentRefusedError, match="password of coordinator"):
        await asyncio.wait_for(agent.start(), 40)


async def test_an_unknown_account_is_not_made(connection, agents, tmp_path):
    (tmp_path / "stranger").write_text("my own secret\n")
    agent = agents(connection.model_copy(update={"secrets_dir": tmp_path}), "stranger")
    with pytest.raises(AgentRefusedError, match="stranger"):
        await asyncio.wait_for(agent.start(), 40)


async def test_a_burst_arrives_whole_and_in_order(pair):
    coordinator, member = pair
    sent = [inform(coordinator.bare_jid, member.bare_jid, body=str(list(range(200)))) for _ in range(2000)]
    for envelope in sent:
        assert coordinator.transmit(envelope)
    await member.until(lambda: len(member.envelopes) >= len(sent), 40)
    assert member.envelopes == sent


async def test_messages_wait_for_an_absent_receiver_in_order(connection, pair, agents):
    coordinator, _ = pair
    absent = agents(connection, "member-001")
    sent = [inform(coordinator.bare_jid, absent.bare_jid) for _ in range(50)]
    for envelope in sent:
        coordinator.transmit(envelope)
    # The server has handled them once it has handled what came after them.
    last = inform(coordinator.bare_jid, coordinator.bare_jid)
    coordinator.transmit(last)
    await coordinator.until(lambda: last in coordinator.envelopes)
    await absent.start()
    await absent.until(lambda: len(absent.envelopes) >= len(sent))
    assert absent.envelopes == sent


async def test_many_connect_at_once(connection, agents):
    many = [agents(connection, account) for account in ACCOUNTS[10:90]]
    async with asyncio.timeout(60):
        await asyncio.gather(*(agent.start() for agent in many))
    for agent, neighbour in zip(many, many[1:] + many[:1], strict=True):
        agent.transmit(inform(agent.bare_jid, neighbour.bare_jid))
    for agent in many:
        await agent.until(lambda agent=agent: agent.envelopes)
    assert [agent.connects for agent in many] == [1] * 80


async def test_agents_come_back_after_the_server_was_killed(own_server, agents):
    connection = own_server.start()
    coordinator, member = agents(connection, "coordinator"), agents(connection, "member-000")
    await asyncio.gather(coordinator.start(), member.start())
    own_server.kill()
    for agent in (coordinator, member):
        await agent.until(lambda agent=agent: agent.disconnects == 1)
    assert not coordinator.transmit(inform(coordinator.bare_jid, member.bare_jid))
    await asyncio.sleep(0.5)
    own_server.start()
    for agent in (coordinator, member):
        await agent.until(lambda agent=agent: agent.connects == 2, 40)
    again = inform(coordinator.bare_jid, member.bare_jid)
    assert coordinator.transmit(again)
    await member.until(lambda: member.envelopes)
    assert member.envelopes == [again]


async def test_an_agent_waits_for_a_server_that_is_not_up_yet(own_server, agents):
    connection = own_server.start()
    own_server.kill()
    agent = agents(connection, "coordinator")
    starting = asyncio.create_task(agent.start())
    await asyncio.sleep(0.5)
    assert not starting.done()
    assert agent.last_ending.startswith("cannot connect")
    own_server.start()
    await asyncio.wait_for(starting, 40)
    assert agent.connected


class YieldingAgent(RecordingAgent):
    most_returns = 0


async def test_who_gives_way_is_over_when_another_session_takes_its_place(connection, agents):
    first = YieldingAgent(connection, "member-004")
    await first.start()
    second = agents(connection, "member-004")
    await second.start()
    assert "another session" in str(await asyncio.wait_for(first.refused, 40))
    await asyncio.sleep(1.5)
    assert (second.connects, second.disconnects, first.connects) == (1, 0, 1)
    await first.stop()


async def test_an_agent_whose_place_is_taken_says_so_and_comes_back(connection, pair, agents, caplog):
    coordinator, member = pair
    thief = YieldingAgent(connection, "member-000")
    await thief.start()
    assert "another session" in str(await asyncio.wait_for(thief.refused, 40))
    assert not member.refused.done()
    await member.until(lambda: member.connects == 2)
    (alarm,) = [record for record in caplog.records if record.message == taken_place.EVENT]
    assert (alarm.agent, alarm.levelname) == ("member-000", "ERROR")
    assert alarm.fields["times"] == 1
    assert "another session of member-000@" in alarm.fields["reason"]
    await say_until_heard(coordinator, member, inform(coordinator.bare_jid, member.bare_jid))
    await thief.stop()


class ThiefElsewhere(YieldingAgent):
    """Logs in with the account's secret as something else than its agent."""

    def __init__(self, connection, local_part, *, present):
        super().__init__(connection, local_part)
        self.present = present

    async def _hold(self, client, loop):
        client.requested_jid = JID(f"{self.bare_jid}/elsewhere")
        if not self.present:
            client.send_presence = lambda: None
        return await super()._hold(client, loop)


@pytest.mark.parametrize("present", [True, False])
async def test_a_thief_under_another_name_takes_the_place_too(connection, pair, agents, caplog, present):
    """Nobody listens, or speaks, in an agent's name beside it."""
    coordinator, member = pair
    thief = ThiefElsewhere(connection, "member-000", present=present)
    await thief.start()
    assert "another session" in str(await asyncio.wait_for(thief.refused, 40))
    await member.until(lambda: member.connects == 2)
    (alarm,) = [record for record in caplog.records if record.message == taken_place.EVENT]
    assert alarm.agent == "member-000"
    sent = inform(coordinator.bare_jid, member.bare_jid)
    await say_until_heard(coordinator, member, sent)
    assert sent not in thief.envelopes
    await thief.stop()


def raw_message(envelope, **attributes):
    """A message as text, with attributes of the test's choice."""
    given = {"to": envelope.recipient, "type": "chat", **attributes}
    fields = {**fields_of(envelope), "_thread_node": envelope.conversation}
    form = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    head = "".join(f" {name}='{value}'" for name, value in given.items())
    return (
        f"<message{head}>"
        f"<body>{escape(envelope.body)}</body>"
        f"<x xmlns='jabber:x:data' type='form'><title>{FORM_TITLE}</title>{form}</x></message>"
    )


async def test_a_sender_cannot_be_forged(connection, pair, agents):
    coordinator, member = pair
    forger = agents(connection, "member-002")
    await forger.start()
    forged = inform(coordinator.bare_jid, member.bare_jid)
    for claimed in (coordinator.bare_jid, str(coordinator.client.boundjid), connection.domain):
        await forger.until(lambda: forger.connected)
        forger.client.send_raw(raw_message(forged, **{"from": claimed}))
        await asyncio.sleep(0.1)
    honest = inform(coordinator.bare_jid, member.bare_jid)
    coordinator.transmit(honest)
    await member.until(lambda: honest in member.envelopes)
    assert {envelope.sender for envelope in member.envelopes} <= {coordinator.bare_jid, forger.bare_jid}
    assert [e for e in member.envelopes if e.sender == coordinator.bare_jid] == [honest]
    assert {sender for sender, _ in member.malformed} <= {forger.bare_jid}


async def test_bodies_up_to_the_limit_pass_and_longer_ones_are_not_sent(pair):
    coordinator, member = pair
    quotes = (MAX_ESCAPED_BODY_BYTES - 150_000) // 5
    bodies = ["1" * MAX_BODY_BYTES, '"' * quotes + "1" * (MAX_ESCAPED_BODY_BYTES - 6 * quotes)]
    sent = [inform(coordinator.bare_jid, member.bare_jid, body=body) for body in bodies]
    for envelope in sent:
        assert coordinator.transmit(envelope)
    await member.until(lambda: len(member.envelopes) == 2)
    assert member.envelopes == sent
    for body in ("1" * (MAX_BODY_BYTES + 1), bodies[1] + "1", '"\x00"', '"\ud800"', ""):
        with pytest.raises(ProtocolError):
            coordinator.transmit(inform(coordinator.bare_jid, member.bare_jid, body=body))
    with pytest.raises(ProtocolError, match="sender"):
        coordinator.transmit(inform(member.bare_jid, coordinator.bare_jid))
    assert (coordinator.connects, coordinator.disconnects) == (1, 0)


async def test_what_is_no_market_message_is_named_and_the_agent_goes_on(pair):
    coordinator, member = pair
    good = inform(coordinator.bare_jid, member.bare_jid)
    for text in (
        raw_message(good).replace("<value>inform</value>", "<value>shout</value>"),
        raw_message(good).replace("<value>peerwatt/1</value>", "<value>peerwatt/9</value>"),
        raw_message(good).replace(" var='protocol'", ""),
        f"<message to='{member.bare_jid}' type='chat'><body>hello</body></message>",
        raw_message(good).replace("reply-with", "unheard-of"),
    ):
        coordinator.client.send_raw(text)
    coordinator.transmit(good)
    await member.until(lambda: member.envelopes)
    assert member.envelopes == [good]
    # Stanzas without the market's ontology are named on arrival, the others when their turn comes.
    reasons = sorted(reason for _, reason in member.malformed)
    assert {sender for sender, _ in member.malformed} == {coordinator.bare_jid}
    assert [reason.split(":")[0][:34] for reason in reasons] == sorted(
        [
            "performative 'shout' is not unders",
            "expected ontology 'peerwatt/1', fo",
            "unreadable",
            "expected ontology 'peerwatt/1', fo",
            "message field reply-with is missin",
        ]
    )


async def test_a_bounce_is_not_taken_for_a_message(pair):
    coordinator, _ = pair
    coordinator.transmit(inform(coordinator.bare_jid, f"nobody@{coordinator.connection.domain}"))
    after = inform(coordinator.bare_jid, coordinator.bare_jid)
    coordinator.transmit(after)
    await coordinator.until(lambda: after in coordinator.envelopes)
    await asyncio.sleep(0.1)
    assert coordinator.envelopes == [after]
    assert not coordinator.malformed
    assert coordinator.connected


def test_prosody_is_there():
    assert shutil.which("prosody"), "the contract is tested against a real Prosody: apt-get install prosody"


async def test_transmit_before_start_sends_nothing(connection, agents):
    agent = agents(connection, "member-003")
    envelope = inform(agent.bare_jid, agent.bare_jid)
    assert agent.transmit(envelope) is False
    await agent.start()
    assert agent.transmit(replace(envelope, message_id="second")) is True
    await agent.until(lambda: agent.envelopes)
    assert [e.message_id for e in agent.envelopes] == ["second"]

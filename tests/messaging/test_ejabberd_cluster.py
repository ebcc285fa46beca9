"""A cluster of two ejabberd nodes: who is on which, what waits is on both, and they come together again."""

import asyncio
import dataclasses
import os
import signal
import time
import zlib

import pytest
from ejabberd_servers import EjabberdProcesses
from recording_agent import RecordingAgent, inform
from xmpp_servers import ACCOUNTS, DOMAIN

from runtime.messaging import dialling
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import account_on
from runtime.xmpp.ejabberd.local import loopback_hosts


def accounts_on(node):
    """Accounts that dial node 0 or 1 first."""
    return [account for account in ACCOUNTS if zlib.crc32(account.encode()) % 2 == node]


@pytest.fixture
def stopped(tmp_path):
    made = EjabberdProcesses(tmp_path, DOMAIN, ACCOUNTS, nodes=2)
    for node in made.server.nodes:
        node.node = dataclasses.replace(node.node, nodes_silence_s=4)
    yield made
    for node in made.server.nodes:
        if node.process is not None and node.exit_code is None:
            os.kill(node.process.pid, signal.SIGCONT)
    made.kill()


@pytest.fixture
def cluster(stopped):
    stopped.start()
    return stopped


@pytest.fixture
async def agents(stopped):
    """Six, of which each node is three's own; not started."""
    made = [RecordingAgent(stopped.connection, name) for node in (0, 1) for name in accounts_on(node)[:3]]
    yield made
    await asyncio.gather(*(agent.stop() for agent in made))


def node_of(agent):
    """Number of the node that an agent is on; None without a connection."""
    peer = agent.client.transport.get_extra_info("peername") if agent.connected else None
    return loopback_hosts(2).index(peer[0]) if peer else None


def nodes_of(agents):
    return [node_of(agent) for agent in agents]


async def until(condition, limit_s=20.0):
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.05)


async def come_up(node):
    node.start()
    await asyncio.to_thread(node.await_ready)


async def test_agents_are_spread_though_nodes_come_one_after_the_other(stopped, agents, monkeypatch):
    monkeypatch.setattr(dialling, "OWN_FIRST_S", 120.0)  # however slow this machine is
    first, second = stopped.server.nodes
    starting = asyncio.gather(*(agent.start() for agent in agents))
    await come_up(first)
    await until(lambda: nodes_of(agents) == [0, 0, 0, None, None, None])
    await come_up(second)
    await asyncio.wait_for(starting, 40)
    assert nodes_of(agents) == [0, 0, 0, 1, 1, 1]
    assert [agent.disconnects for agent in agents] == [0] * 6


async def test_agents_go_back_to_their_own_node_when_it_is_there_again(cluster, agents, monkeypatch):
    monkeypatch.setattr(dialling, "LOOK_FIRST_S", 1.0)
    device = LeanAgent(account_on(cluster.connection, accounts_on(1)[3]))
    first_host, second_host = loopback_hosts(2)
    await asyncio.wait_for(asyncio.gather(*(each.start() for each in (*agents, device))), 40)
    assert nodes_of(agents) == [0, 0, 0, 1, 1, 1]
    assert device._link._host == second_host
    _, second = cluster.server.nodes
    second.kill()
    await until(lambda: nodes_of(agents) == [0] * 6)
    await until(lambda: device.connected and device._link._host == first_host)
    await come_up(second)
    await until(lambda: nodes_of(agents) == [0, 0, 0, 1, 1, 1])
    await until(lambda: device.connected and device._link._host == second_host)
    assert device.last_ending == f"left for its own node, {second_host}"
    await device.stop()
    # Once away from the node that was lost, once back; those whose own it is not never moved.
    assert [agent.connects for agent in agents] == [1, 1, 1, 3, 3, 3]
    assert "left for its own node, 127.0.0.2" in {agent.last_ending for agent in agents[3:]}
    sent = [inform(one.bare_jid, other.bare_jid) for one in agents for other in agents]
    for envelope, one in zip(sent, (one for one in agents for _ in agents), strict=True):
        assert one.transmit(envelope)
    await until(lambda: sum(len(agent.envelopes) for agent in agents) == len(sent))


async def test_what_waits_for_an_absent_agent_outlives_the_node_that_took_it(cluster):
    agents = [RecordingAgent(cluster.connection, accounts_on(0)[0])]
    sender, absent = agents[0], f"{accounts_on(1)[0]}@{DOMAIN}"
    await asyncio.wait_for(sender.start(), 40)
    sent = [inform(sender.bare_jid, absent) for _ in range(20)]
    last = inform(sender.bare_jid, sender.bare_jid)
    for envelope in [*sent, last]:
        sender.transmit(envelope)
    await sender.until(lambda: last in sender.envelopes)
    cluster.server.nodes[0].kill()
    agents.append(RecordingAgent(cluster.connection, accounts_on(1)[0]))
    await asyncio.wait_for(agents[1].start(), 40)
    await agents[1].until(lambda: len(agents[1].envelopes) >= len(sent))
    assert agents[1].envelopes == sent
    await sender.until(lambda: sender.connects == 2, 40)
    answer = inform(agents[1].bare_jid, sender.bare_jid)
    agents[1].transmit(answer)
    await sender.until(lambda: answer in sender.envelopes)
    await asyncio.gather(*(agent.stop() for agent in agents))


async def test_a_node_that_comes_back_takes_over_what_the_others_have(cluster):
    """What it stored itself is of earlier; the order in which nodes went does not matter."""
    first, second = cluster.server.nodes
    second.kill()
    sender = RecordingAgent(cluster.connection, accounts_on(0)[0])
    await asyncio.wait_for(sender.start(), 40)
    absent = f"{accounts_on(1)[0]}@{DOMAIN}"
    sent = [inform(sender.bare_jid, absent) for _ in range(5)]
    last = inform(sender.bare_jid, sender.bare_jid)
    for envelope in [*sent, last]:
        sender.transmit(envelope)
    await sender.until(lambda: last in sender.envelopes)
    await sender.stop()
    second.start()
    second.await_ready()
    first.kill()
    receiver = RecordingAgent(cluster.connection, accounts_on(1)[0])
    await asyncio.wait_for(receiver.start(), 40)
    await receiver.until(lambda: len(receiver.envelopes) >= len(sent))
    assert receiver.envelopes == sent
    await receiver.stop()


def test_nodes_that_carried_on_apart_come_together_again(cluster):
    first, second = cluster.server.nodes
    os.kill(second.process.pid, signal.SIGSTOP)
    time.sleep(8)  # the first gives it up after 3 to 5 s of silence
    os.kill(second.process.pid, signal.SIGCONT)
    assert second.process.wait(30) == 1
    assert f"carried on apart from {first.node.name}" in second.log.read_text()
    assert first.exit_code is None
    second.start()
    second.await_ready()
    assert second.log.read_text().count(f"joins {first.node.name}") == 2

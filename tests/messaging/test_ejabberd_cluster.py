"""A cluster of two ejabberd nodes: what waits is on both, and nodes that were apart come together again."""

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


def accounts_on(node):
    """Accounts that dial node 0 or 1 first."""
    return [account for account in ACCOUNTS if zlib.crc32(account.encode()) % 2 == node]


@pytest.fixture
def cluster(tmp_path):
    made = EjabberdProcesses(tmp_path, DOMAIN, ACCOUNTS, nodes=2)
    for node in made.server.nodes:
        node.node = dataclasses.replace(node.node, nodes_silence_s=4)
    made.start()
    yield made
    for node in made.server.nodes:
        if node.exit_code is None:
            os.kill(node.process.pid, signal.SIGCONT)
    made.kill()


async def test_what_waits_for_an_absent_agent_outlives_the_node_that_took_it(cluster):
    agents = [RecordingAgent(cluster.connection, accounts_on(0)[0])]
    sender, absent = agents[0], f"{accounts_on(1)[0]}@{DOMAIN}"
    await asyncio.wait_for(sender.start(), 10)
    sent = [inform(sender.bare_jid, absent) for _ in range(20)]
    last = inform(sender.bare_jid, sender.bare_jid)
    for envelope in [*sent, last]:
        sender.transmit(envelope)
    await sender.until(lambda: last in sender.envelopes)
    cluster.server.nodes[0].kill()
    agents.append(RecordingAgent(cluster.connection, accounts_on(1)[0]))
    await asyncio.wait_for(agents[1].start(), 15)
    await agents[1].until(lambda: len(agents[1].envelopes) >= len(sent))
    assert agents[1].envelopes == sent
    await sender.until(lambda: sender.connects == 2, 15)
    answer = inform(agents[1].bare_jid, sender.bare_jid)
    agents[1].transmit(answer)
    await sender.until(lambda: answer in sender.envelopes)
    await asyncio.gather(*(agent.stop() for agent in agents))


async def test_a_node_that_comes_back_takes_over_what_the_others_have(cluster):
    """What it stored itself is of earlier; the order in which nodes went does not matter."""
    first, second = cluster.server.nodes
    second.kill()
    sender = RecordingAgent(cluster.connection, accounts_on(0)[0])
    await asyncio.wait_for(sender.start(), 10)
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
    await asyncio.wait_for(receiver.start(), 15)
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

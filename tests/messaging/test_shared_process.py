"""Agents that share a process: one thread plans for all, and few connect at once."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from recording_agent import RecordingAgent, inform
from toy_machines import Clerk
from xmpp_servers import EmbeddedProcess

from runtime.clock import SimulatedClock
from runtime.messagelog.writer import MessageLog
from runtime.messaging import dialling
from runtime.messaging.carrier import planning_thread
from runtime.messaging.client import SlimClient
from runtime.messaging.host import MachineAgent
from runtime.protocol.bodies import Join
from runtime.protocol.envelope import Performative

CLERKS = [f"member-{number:03d}" for number in range(4)]


async def test_one_thread_plans_for_all_and_outlives_the_agent_that_leaves(tmp_path: Path) -> None:
    server = EmbeddedProcess(tmp_path)
    connection = server.start()
    others = set(threading.enumerate())  # of agents in tests before
    planning = planning_thread()
    threads: list[str] = []
    release = threading.Event()

    def work() -> str:
        release.wait(10)
        threads.append(threading.current_thread().name)
        return "reckoned"

    agents: list[MachineAgent] = []
    for name in CLERKS:
        log = MessageLog.open(tmp_path / f"{name}.jsonl", name)
        machine = Clerk(connection.jid(name), work=work)
        agents.append(
            MachineAgent(connection, name, machine, log, SimulatedClock(), lambda *_: None, planning=planning)
        )
    visitor = RecordingAgent(connection, "coordinator")
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(visitor.start(), *(agent.start() for agent in agents))
            for agent in agents:  # the first one's work runs, the others' waits
                visitor.transmit(
                    inform(
                        visitor.bare_jid,
                        agent.bare_jid,
                        performative=Performative.REQUEST,
                        body=Join(member="reckon").to_json(),
                    )
                )
                while not agent._computing:
                    await asyncio.sleep(0.01)
            new = set(threading.enumerate()) - others
            running = [thread for thread in new if thread.name.startswith("planning")]
            assert len(running) == 1
            await agents[-1].stop()  # what it wanted reckoned is no longer done
            await asyncio.sleep(0.05)  # the loop takes it out of the queue in its next turn
            release.set()
            await visitor.until(lambda: len(visitor.envelopes) == len(CLERKS) - 1)
            assert planning.submit(lambda: "still there").result(5) == "still there"
    finally:
        release.set()
        await asyncio.gather(visitor.stop(), *(agent.stop() for agent in agents[:-1]))
        planning.shutdown()
        server.kill()
    assert len(threads) == len(CLERKS) - 1
    assert len(set(threads)) == 1


async def test_few_connect_at_once_and_all_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "CONNECTING_AT_ONCE", 2)
    dialled: list[SlimClient] = []
    most = 0

    def connect(client: SlimClient, **where: Any) -> Any:
        nonlocal most
        dialled.append(client)
        most = max(most, sum(not each.logged_in.done() for each in dialled))
        return plain_connect(client, **where)

    plain_connect = SlimClient.connect
    monkeypatch.setattr(SlimClient, "connect", connect)
    server = EmbeddedProcess(tmp_path)
    connection = server.start()
    agents = [RecordingAgent(connection, f"member-{number:03d}") for number in range(12)]
    try:
        began_s = time.monotonic()
        await asyncio.wait_for(asyncio.gather(*(agent.start() for agent in agents)), 30)
        assert time.monotonic() - began_s < 30
    finally:
        await asyncio.gather(*(agent.stop() for agent in agents))
        server.kill()
    assert len(dialled) == len(agents)
    assert most == 2

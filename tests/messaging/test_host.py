"""Agents that carry machines, over the embedded server: log before act, once each, whatever crashes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from recording_agent import RecordingAgent, inform
from slixmpp.exceptions import IqError
from toy_machines import QUESTIONS, Clerk, CrashError, CrashingLog, Customer
from xmpp_servers import EmbeddedProcess

from runtime.clock import SimulatedClock
from runtime.errors import FleetError
from runtime.messagelog.record import utc_now
from runtime.messagelog.writer import MessageLog
from runtime.messaging import carrier
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.protocol import exchange
from runtime.protocol.bodies import Acknowledged, AnyBody, Join, Reason, parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Machine, StartTimer
from runtime.protocol.reactions import PROTESTS_PER_SENDER


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def said(path: Path) -> list[tuple[str, str | None, str]]:
    """What an agent sent, first sendings only."""
    return [
        (record["id"], record["re"], record["body"])
        for record in records(path)
        if record["kind"] == "out" and "note" not in record
    ]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier, "RESEND_CHECK_S", 0.05)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    server = EmbeddedProcess(tmp_path_factory.mktemp("server"))
    yield server.start()
    server.kill()


class Hall:
    """Makes agents, and has them leave at the end."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.folder = connection, folder
        self.agents: list[MachineAgent | RecordingAgent] = []

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def machine_agent(self, machine: Machine, log: Any = None) -> MachineAgent:
        name = machine.jid.split("@")[0]
        log = log or MessageLog.open(self.path(name), name)
        agent = MachineAgent(self.connection, name, machine, log, SimulatedClock(), lambda *_: None)
        agent._exchange.resend_after_s = 0.3
        self.agents.append(agent)
        return agent

    def clerk(self, name: str = "coordinator", **more: Any) -> Clerk:
        return Clerk(self.connection.jid(name), **more)

    async def visitor(self, name: str = "meter") -> RecordingAgent:
        agent = RecordingAgent(self.connection, name)
        self.agents.append(agent)
        await agent.start()
        return agent


@pytest.fixture
async def hall(connection: Connection, tmp_path: Path) -> AsyncIterator[Hall]:
    made = Hall(connection, tmp_path)
    async with asyncio.timeout(60):
        yield made
        await asyncio.gather(*(agent.stop() for agent in made.agents))


def joining(sender: RecordingAgent, recipient: Machine, member: str, **more: Any) -> Envelope:
    more = {"performative": Performative.REQUEST, "body": Join(member=member).to_json(), **more}
    return inform(sender.bare_jid, recipient.jid, **more)


def crash(agent: MachineAgent, log: MessageLog) -> None:
    """Leave as a killed process does: nothing is said or written any more, the kernel closes what is open."""
    for task in (agent._dialling, agent._resending):
        if task is not None:
            task.cancel()
    for timer in agent._timers.values():
        timer.cancel()
    if agent.client is not None:
        agent.client.discard()
    for behaviour in agent.behaviours:
        behaviour.kill()
    agent._receiver.queue.put_nowait(None)
    log.close()


async def talk(hall: Hall, number: int, crash_at: int | None, written: bool) -> list[str]:
    """A whole conversation in which the clerk may crash once; what the customer heard."""
    names = f"member-{2 * number:03d}", f"member-{2 * number + 1:03d}"
    clerk = hall.clerk(names[0])
    customer = Customer(hall.connection.jid(names[1]), clerk.jid)
    clerk.customer = names[1]
    log: Any = MessageLog.open(hall.path(names[0]), names[0])
    clerk_agent = hall.machine_agent(clerk, log if crash_at is None else CrashingLog(log, crash_at, written))
    await asyncio.gather(clerk_agent.start(), hall.machine_agent(customer).start())
    await asyncio.wait((clerk_agent.finished,))
    if crash_at is not None:
        assert isinstance(clerk_agent.finished.exception(), CrashError)
        crash(clerk_agent, log)
        hall.agents.remove(clerk_agent)
        again = hall.clerk(names[0])
        again.customer = names[1]
        clerk_agent = hall.machine_agent(again)
        await clerk_agent.start()
        await clerk_agent.finished
    while len(customer.heard) <= len(QUESTIONS):
        await asyncio.sleep(0.01)
    return customer.heard


async def test_a_crash_at_any_record_changes_nothing_that_is_said_or_heard(hall: Hall) -> None:
    calm = await talk(hall, 0, None, written=True)
    assert calm == ["sum 1", "reckoned 2", "reckoned 3", "sum 4", "goodbye"]
    undisturbed = records(hall.path("member-000"))[1:]  # the first says that the log was opened
    kinds = {record["name"] if record["kind"] == "event" else record["kind"] for record in undisturbed}
    assert kinds == {"started", "in", "out", "computed", "timer"}
    points = [(at, written) for at in range(1, len(undisturbed) + 1) for written in (False, True)]
    heard = await asyncio.gather(
        *(talk(hall, number, *point) for number, point in enumerate(points, start=1))
    )
    for number, (point, words) in enumerate(zip(points, heard, strict=True), start=1):
        path = hall.path(f"member-{2 * number:03d}")
        # An answer that was logged and not sent is heard when the question is repeated, maybe after the next.
        assert sorted(words) == sorted(calm), point
        assert said(path) == said(hall.path("member-000")), point
        taken = [r["id"] for r in records(path) if r["kind"] == "in" and "note" not in r]
        assert len(taken) == len(set(taken)) == len(QUESTIONS) + 1, point
        assert "log-continued" in [record.get("name") for record in records(path)]


async def test_every_message_is_in_the_log_before_it_has_an_effect_or_leaves(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk, path = hall.clerk(), hall.path("coordinator")
    seen: list[tuple[str, str]] = []

    def look(envelope: Envelope) -> None:
        last = records(path)[-1]
        seen.append(("in", envelope.message_id))
        assert (last["kind"], last["id"], last["from"]) == ("in", envelope.message_id, envelope.sender)

    clerk.look = look
    agent = hall.machine_agent(clerk)
    transmit = agent.transmit

    def look_and_transmit(envelope: Envelope) -> bool:
        last = records(path)[-1]
        seen.append(("out", envelope.message_id))
        assert (last["kind"], last["id"], last["body"]) == ("out", envelope.message_id, envelope.body)
        return transmit(envelope)

    monkeypatch.setattr(agent, "transmit", look_and_transmit)
    await agent.start()
    visitor = await hall.visitor()
    asked = joining(visitor, clerk, "sum")
    visitor.transmit(asked)
    await visitor.until(lambda: visitor.envelopes)
    assert seen == [("in", asked.message_id), ("out", "1")]


class Herald(Machine):
    """Says something to three at once, then to a fourth once a timer is set."""

    def on_start(self) -> None:
        for number in range(4):
            if number == 3:
                self.do(StartTimer("later", 60.0))
            self.send(
                f"v{number}@x", Performative.INFORM, Acknowledged(), protocol="market", conversation="c"
            )

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        raise AssertionError("nobody answers")


async def test_all_that_is_said_at_once_is_in_the_log_before_the_first_of_it_leaves(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Herald(hall.clerk().jid)
    agent = hall.machine_agent(machine)
    path, seen = hall.path("coordinator"), []

    def look(envelope: Envelope) -> bool:
        logged = [record["id"] for record in records(path) if record["kind"] == "out"]
        seen.append((envelope.message_id, logged))
        return True

    monkeypatch.setattr(agent, "transmit", look)
    await agent.start()
    first = ["1", "2", "3"]
    assert seen == [("1", first), ("2", first), ("3", first), ("4", [*first, "4"])]


@pytest.mark.parametrize("kept", [exchange.REPLIES_KEPT, 0])  # in memory; without, it is in the log
async def test_a_repeated_question_gets_the_same_answer_and_has_no_second_effect(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(exchange, "REPLIES_KEPT", kept)
    clerk = hall.clerk()
    await hall.machine_agent(clerk).start()
    visitor = await hall.visitor()
    asked = joining(visitor, clerk, "sum", expects_reply=True)
    for number in range(1, 4):
        visitor.transmit(asked)
        await visitor.until(lambda number=number: len(visitor.envelopes) == number)
    assert visitor.envelopes[0].in_reply_to == asked.message_id
    assert visitor.envelopes == [visitor.envelopes[0]] * 3
    assert clerk.effects == ["sum"]
    notes = [(r["kind"], r.get("note")) for r in records(hall.path("coordinator")) if r["kind"] != "event"]
    assert notes == [("in", None), ("out", None), *[("in", "duplicate"), ("out", "resent")] * 2]


async def test_who_leaves_says_since_when_in_its_log_and_who_crashes_does_not(hall: Hall) -> None:
    clerk = hall.clerk()
    path = hall.path("coordinator")
    agent = hall.machine_agent(clerk)
    await agent.start()
    crash(agent, agent._log)
    assert "left" not in [record.get("name") for record in records(path)]
    agent = hall.machine_agent(hall.clerk())
    await agent.start()
    before = utc_now()
    await agent.stop()
    await agent.stop()
    *_, last = records(path)
    assert last["name"] == "left"
    assert last["data"]["finished"] is False
    assert before <= last["data"]["since"] <= last["at"] <= utc_now()
    assert [record.get("name") for record in records(path)].count("left") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"type": "join"}', "join.member"),
        ('{"type": "join", "member": 3}', "join.member"),
        ('{"type": "dance"}', "dance"),
        ("not JSON", "JSON"),
        ("[1, 2]", "object"),
    ],
)
async def test_what_cannot_be_read_is_not_understood_and_the_agent_goes_on(
    hall: Hall, body: str, words: str
) -> None:
    clerk = hall.clerk()
    await hall.machine_agent(clerk).start()
    visitor = await hall.visitor()
    asked = joining(visitor, clerk, "sum", body=body)
    visitor.transmit(asked)
    visitor.transmit(joining(visitor, clerk, "sum"))
    await visitor.until(lambda: len(visitor.envelopes) == 2)
    complaint, answer = visitor.envelopes
    assert (complaint.performative, complaint.in_reply_to) == (Performative.NOT_UNDERSTOOD, asked.message_id)
    reason = parse_body(complaint.body)
    assert isinstance(reason, Reason)
    assert words in reason.reason
    assert answer.performative is Performative.AGREE
    assert clerk.effects == ["sum"]


async def test_what_may_not_be_said_is_refused_with_the_reason(hall: Hall) -> None:
    clerk = hall.clerk()
    await hall.machine_agent(clerk).start()
    visitor = await hall.visitor()
    asked = joining(visitor, clerk, "nobody")
    visitor.transmit(asked)
    await visitor.until(lambda: visitor.envelopes)
    (refusal,) = visitor.envelopes
    assert (refusal.performative, refusal.in_reply_to) == (Performative.REFUSE, asked.message_id)
    assert parse_body(refusal.body) == Reason(reason="nobody may not join")
    visitor.transmit(asked)
    await visitor.until(lambda: len(visitor.envelopes) == 2)
    assert visitor.envelopes[1] == refusal


@pytest.mark.parametrize(
    "performative", [Performative.REFUSE, Performative.NOT_UNDERSTOOD, Performative.FAILURE]
)
async def test_complaints_are_not_answered_with_complaints(hall: Hall, performative: Performative) -> None:
    clerk = hall.clerk()
    await hall.machine_agent(clerk).start()
    visitor = await hall.visitor()
    for body in ("not JSON", Join(member="nobody").to_json()):
        visitor.transmit(joining(visitor, clerk, "", body=body, performative=performative))
    visitor.transmit(joining(visitor, clerk, "sum"))
    await visitor.until(lambda: visitor.envelopes)
    assert [envelope.performative for envelope in visitor.envelopes] == [Performative.AGREE]


async def test_messages_of_another_vocabulary_are_told_off_a_few_times_only(hall: Hall) -> None:
    clerk = hall.clerk()
    await hall.machine_agent(clerk).start()
    visitor = await hall.visitor()
    for _ in range(PROTESTS_PER_SENDER + 2):
        visitor.transmit(joining(visitor, clerk, "sum", ontology="weather/1"))
    visitor.transmit(joining(visitor, clerk, "sum"))
    await visitor.until(lambda: len(visitor.envelopes) > PROTESTS_PER_SENDER)
    told = [envelope.performative for envelope in visitor.envelopes]
    assert told == [Performative.NOT_UNDERSTOOD] * PROTESTS_PER_SENDER + [Performative.AGREE]
    events = [r for r in records(hall.path("coordinator")) if r.get("name") == "malformed"]
    assert len(events) == PROTESTS_PER_SENDER + 2
    assert "weather/1" in events[0]["data"]["reason"]


async def test_messages_are_answered_while_a_computation_runs(hall: Hall) -> None:
    go_on = threading.Event()
    threads: list[str] = []

    def work() -> str:
        threads.append(threading.current_thread().name)
        assert go_on.wait(30)
        return "reckoned"

    clerk = hall.clerk(work=work)
    agent = hall.machine_agent(clerk)
    await agent.start()
    visitor = await hall.visitor()
    visitor.transmit(joining(visitor, clerk, "reckon"))
    visitor.transmit(joining(visitor, clerk, "sum"))
    await visitor.until(lambda: visitor.envelopes)
    ping = visitor.client.Iq(sto=f"{agent.bare_jid}/agent", stype="get")  # type: ignore[union-attr]
    ping.append(ElementTree.Element("{urn:xmpp:ping}ping"))
    with contextlib.suppress(IqError):  # an error is an answer too: somebody is there
        await ping.send(timeout=5)
    assert len(visitor.envelopes) == 1
    go_on.set()
    await visitor.until(lambda: len(visitor.envelopes) == 2)
    assert [parse_body(envelope.body) for envelope in visitor.envelopes] == [
        Reason(reason="sum 1"),
        Reason(reason="reckoned 2"),
    ]
    assert threads[0].startswith("planning")


def busy_for(seconds: float) -> Callable[[], str]:
    """Work as planning does: Python and numpy, until so much processor time of the thread has passed."""

    def work() -> str:
        began = time.thread_time()
        levels = np.linspace(0.0, 1.0, 60_000)
        while time.thread_time() - began < seconds:
            levels = np.sort(np.cos(levels + sum(range(500)) % 7))
        return "planned"

    return work


async def test_messages_and_pings_are_answered_while_a_plan_takes_a_second_of_processor_time(
    hall: Hall,
) -> None:
    planner, visitor = hall.clerk(work=busy_for(1.0)), await hall.visitor()
    agent = hall.machine_agent(planner)
    await agent.start()
    visitor.transmit(joining(visitor, planner, "reckon"))
    for number in range(1, 4):
        visitor.transmit(joining(visitor, planner, "sum"))
        await visitor.until(lambda number=number: len(visitor.envelopes) >= number)
        ping = visitor.client.Iq(sto=f"{agent.bare_jid}/agent", stype="get")  # type: ignore[union-attr]
        ping.append(ElementTree.Element("{urn:xmpp:ping}ping"))
        with contextlib.suppress(IqError):  # an error is an answer too: somebody is there
            await ping.send(timeout=5)
    assert planner.effects == ["sum"] * 3, "answered before the plan was ready"
    await visitor.until(lambda: len(visitor.envelopes) == 4)
    assert parse_body(visitor.envelopes[-1].body) == Reason(reason="planned 4")


async def test_what_could_not_be_sent_is_sent_after_the_server_is_back(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = EmbeddedProcess(tmp_path / "server")
    try:
        hall = Hall(server.start(), tmp_path)
        clerk = hall.clerk()
        customer = Customer(hall.connection.jid("member-000"), clerk.jid)
        clerk.customer = "member-000"
        clerk_agent, customer_agent = hall.machine_agent(clerk), hall.machine_agent(customer)
        for agent in (clerk_agent, customer_agent):  # nothing is repeated but for the new connection
            agent._exchange.resend_after_s = 1000.0
        async with asyncio.timeout(40):
            go_on = threading.Event()
            clerk.work = lambda: "reckoned" if go_on.wait(30) else "given up"
            await asyncio.gather(clerk_agent.start(), customer_agent.start())
            while not clerk.asked:
                await asyncio.sleep(0.01)
            server.kill()
            while clerk_agent.connected or customer_agent.connected:
                await asyncio.sleep(0.01)
            go_on.set()  # the answer is ready while there is no server
            while "reckoned" not in clerk.effects:
                await asyncio.sleep(0.01)
            assert customer.heard == ["sum 1"]
            server.start()
            await clerk_agent.finished
        assert customer.heard == ["sum 1", "reckoned 2", "reckoned 3", "sum 4", "goodbye"]
        assert any(record.get("note") == "resent" for record in records(hall.path("member-000")))
        assert len(said(hall.path("coordinator"))) == len(QUESTIONS) + 1
        await asyncio.gather(*(agent.stop() for agent in hall.agents))
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("word", "error", "words"),
    [("breakage", ZeroDivisionError, "a fault"), ("failure", FleetError, "coordinator: the books are lost")],
)
async def test_a_machine_that_fails_ends_its_agent_which_does_nothing_more(
    hall: Hall, word: str, error: type[Exception], words: str
) -> None:
    clerk = hall.clerk()
    agent = hall.machine_agent(clerk)
    await agent.start()
    visitor = await hall.visitor()
    for member in (word, "sum"):
        visitor.transmit(joining(visitor, clerk, member))
    with pytest.raises(error, match=words):
        await asyncio.wait_for(asyncio.shield(agent.finished), 40)
    last = inform(visitor.bare_jid, visitor.bare_jid)
    visitor.transmit(last)
    await visitor.until(lambda: last in visitor.envelopes)
    await asyncio.sleep(0.1)
    assert clerk.effects == []
    assert visitor.envelopes == [last]

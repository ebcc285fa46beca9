"""An agent answers the inspector how it stands and refuses everything else; its machine hears none of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from recording_agent import RecordingAgent, inform
from toy_machines import Clerk
from xmpp_servers import SERVERS

from runtime.clock import SimulatedClock
from runtime.errors import AgentRefusedError, ProtocolError
from runtime.inspection.live.access import InspectorAccess
from runtime.inspection.live.client import Inspector
from runtime.inspection.live.words import answers_json, answers_table
from runtime.messagelog.verify import verify
from runtime.messagelog.writer import MessageLog
from runtime.messaging import inspected
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.protocol.bodies import Join, Reason, parse_body
from runtime.protocol.envelope import Performative
from runtime.protocol.inspection import Status, StatusQuery, parse_query, parse_status
from runtime.rundir import INSPECTOR


class Watched(Clerk):
    """A clerk that says how it stands, or cannot."""

    broken = False

    def standing(self) -> dict[str, Any]:
        if self.broken:
            raise ZeroDivisionError("a fault in what it tells")
        return {"phase": "negotiating", "session": 0, "sessions": 2, "round": len(self.effects)}


class Office:
    """A server with one agent that carries a machine."""

    def __init__(self, connection: Connection, folder: Path, account: str = "coordinator") -> None:
        self.connection = connection
        self.clerk = Watched(connection.jid(account))
        self.path = folder / f"{account}.jsonl"
        log = MessageLog.open(self.path, account)
        self.agent = MachineAgent(
            connection, account, self.clerk, log, SimulatedClock(), lambda phase, detail: None
        )

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def access(self) -> InspectorAccess:
        return InspectorAccess(
            domain=self.connection.domain,
            host=self.connection.host,
            port=self.connection.port,
            ca_pem=self.connection.ca_file.read_text(),
            secret=self.connection.password_for(INSPECTOR),
            coordinators=["coordinator"],
        )


@pytest.fixture(params=list(SERVERS))
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    (tmp_path / "server").mkdir()
    server = SERVERS[request.param](tmp_path / "server")
    made = Office(server.start(), tmp_path)
    async with asyncio.timeout(40):
        await made.agent.start()
        yield made
        await made.agent.stop()
    server.kill()


async def test_a_status_is_told_and_leaves_no_trace_but_that_somebody_looked(office: Office) -> None:
    sequence = office.clerk._messages
    inspector = Inspector(office.access().account())
    await inspector.start()
    try:
        for _ in range(2):
            (answer,) = await inspector.look(["coordinator"], limit_s=20)
            assert answer.status is not None
        (answer, absent) = await inspector.look(["coordinator"], ["member-000"], limit_s=3)
        status = answer.status
        assert status is not None
        assert (status.agent, status.role, status.phase) == ("coordinator", "coordinator", "negotiating")
        assert (status.session, status.sessions, status.round) == (0, 2, 0)
        assert status.reconnects == 0
        assert status.up_s > 0
        assert answer.delay_s is not None
        assert answer.delay_s < 3
        assert (absent.status, absent.problem) == (None, "no answer")
    finally:
        await inspector.stop()
    names = [record.get("name") for record in office.records()]
    assert names == ["log-opened", "started", "inspected"]
    assert office.clerk._messages == sequence
    assert verify([office.path]) == []
    shown = answers_table([answer, absent])
    assert "negotiating" in shown
    assert "no answer" in shown
    told = answers_json("now", [answer, absent])
    assert [each["problem"] for each in told["agents"]] == [None, "no answer"]


async def test_whatever_else_the_inspector_says_is_refused_and_the_machine_hears_nothing(
    office: Office,
) -> None:
    agent = RecordingAgent(office.connection, INSPECTOR)
    await agent.start()

    async def answered(**changes: Any) -> tuple[Performative, str]:
        before = len(agent.envelopes)
        agent.transmit(inform(agent.bare_jid, office.clerk.jid, **changes))
        await agent.until(lambda: len(agent.envelopes) > before)
        envelope = agent.envelopes[-1]
        body = parse_body(envelope.body)
        assert isinstance(body, Reason)
        return envelope.performative, body.reason

    join = Join(member="sum").to_json()
    for performative in Performative:
        if performative not in (
            Performative.REFUSE, Performative.NOT_UNDERSTOOD, Performative.FAILURE
        ):  # fmt: skip
            said, reason = await answered(performative=performative, body=join, expects_reply=True)
            assert said is Performative.REFUSE
            assert f"not {performative}" in reason
    asking = {"performative": Performative.QUERY_REF, "protocol": "inspection"}
    said, reason = await answered(body=join, **asking)
    assert said is Performative.NOT_UNDERSTOOD
    for performative in (Performative.REFUSE, Performative.NOT_UNDERSTOOD, Performative.FAILURE):
        agent.transmit(inform(agent.bare_jid, office.clerk.jid, performative=performative, body=join))
    before = len(agent.envelopes)
    agent.transmit(inform(agent.bare_jid, office.clerk.jid, body=StatusQuery().to_json(), **asking))
    await agent.until(lambda: len(agent.envelopes) > before)
    assert agent.envelopes[-1].performative is Performative.INFORM
    await agent.stop()
    assert office.clerk.effects == []
    assert office.clerk._messages == 0
    kinds = {record["kind"] for record in office.records()}
    assert kinds == {"event"}
    refused = [record for record in office.records() if record["name"] == "inspection-refused"]
    assert len(refused) == len(Performative) - 3 + 1


async def test_only_the_inspector_is_answered_so(office: Office) -> None:
    agent = RecordingAgent(office.connection, "member-001")
    await agent.start()
    agent.transmit(
        inform(
            agent.bare_jid, office.clerk.jid, performative=Performative.QUERY_REF, protocol="inspection",
            body=StatusQuery().to_json(),
        )
    )  # fmt: skip
    await agent.until(lambda: agent.envelopes)
    assert agent.envelopes[0].performative is Performative.NOT_UNDERSTOOD
    await agent.stop()
    assert [record["kind"] for record in office.records()][2:] == ["in", "out"]


async def test_a_question_that_cannot_be_answered_ends_nobody(office: Office) -> None:
    office.clerk.broken = True
    inspector = Inspector(office.access().account())
    await inspector.start()
    (answer,) = await inspector.look(["coordinator"], limit_s=20)
    assert answer.problem == "answered failure"
    office.clerk.broken = False
    (answer,) = await inspector.look(["coordinator"], limit_s=20)
    assert answer.status is not None
    assert not office.agent.finished.done()
    await inspector.stop()


async def test_refusals_do_not_fill_the_log(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspected, "MOST_REFUSALS_LOGGED", 3)
    agent = RecordingAgent(office.connection, INSPECTOR)
    await agent.start()
    for _ in range(10):
        agent.transmit(inform(agent.bare_jid, office.clerk.jid, body=Join(member="sum").to_json()))
    await agent.until(lambda: len(agent.envelopes) == 10)
    await agent.stop()
    assert len(office.records()) == 2 + 3


async def test_a_second_inspector_takes_the_firsts_place_and_the_first_says_so(office: Office) -> None:
    first, second = (Inspector(office.access().account()) for _ in range(2))
    await first.start()
    await second.start()
    await asyncio.wait((first.refused,))
    with pytest.raises(AgentRefusedError, match="another session"):
        await first.look(["coordinator"], limit_s=0.2)
    (answer,) = await second.look(["coordinator"], limit_s=20)
    assert answer.status is not None
    await first.stop()
    await second.stop()


def test_bodies_are_checked() -> None:
    status = Status(agent="a", role="member", phase="joining", up_s=1.5, records=3, reconnects=0)
    assert parse_status(status.to_json()) == status
    assert parse_query(StatusQuery().to_json()) == StatusQuery()
    for text in ("", "[]", '{"type":"status-query","more":1}', '{"type":"join"}'):
        with pytest.raises(ProtocolError):
            parse_query(text)
    with pytest.raises(ProtocolError, match="up_s"):
        parse_status(status.to_json().replace("1.5", "-1.5"))

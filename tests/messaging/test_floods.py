"""Whoever floods an agent costs it little room, and ``verify`` still knows of every message."""

from __future__ import annotations

import asyncio
import hashlib
import json
from types import SimpleNamespace

import pytest
from recording_agent import inform
from toy_machines import Clerk

from runtime.cli.verify import _flood_lines
from runtime.clock import SimulatedClock
from runtime.messagelog.server_check import check_against_server
from runtime.messagelog.verify import check_logs
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import MachineCarrier
from runtime.messaging.wire import fields_of
from runtime.protocol import floods
from runtime.protocol.bodies import Acknowledged, Join
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.floods import FLOODED, Floods, flooded_by

CLERK, FLOODER, HONEST = (f"{name}@x" for name in ("clerk", "flooder", "honest"))


class Carrier(MachineCarrier):
    """A carrier whose messages go nowhere."""

    local_part, last_ending, connected = "clerk", "", True

    def __init__(self, path):
        self.said = []
        self.carry(Clerk(CLERK), MessageLog.open(path, "clerk"), SimulatedClock(), lambda *_: None)

    def transmit(self, envelope):
        self.said.append(envelope)
        return True

    def leave(self):
        self.leave_off()
        self.let_go()


@pytest.fixture(autouse=True)
def modest(monkeypatch):
    monkeypatch.setattr(floods, "ALLOWANCE", 20)
    monkeypatch.setattr(floods, "REFILL_PER_S", 20 / 3600)


@pytest.fixture
async def made(tmp_path):
    """Makes carriers on one log, one after the other."""
    carriers = []

    def make():
        carriers.append(Carrier(tmp_path / "clerk.jsonl"))
        carriers[-1].on_connected()
        return carriers[-1]

    yield make
    for carrier in carriers:
        carrier.leave()


def question(number, sender=FLOODER, member="nobody"):
    return inform(
        sender,
        CLERK,
        performative=Performative.REQUEST,
        protocol="join",
        message_id=str(number),
        expects_reply=True,
        body=Join(member=member).to_json(),
    )


def records(path, **like):
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    return [line for line in lines if all(line.get(key) == value for key, value in like.items())]


def test_the_allowance_is_used_up_and_comes_back_in_an_hour():
    found = Floods()
    for _ in range(20):
        assert not found.exceeds(FLOODER, 0.0)
        found.note_no_effect(FLOODER, 0.0)
    assert found.exceeds(FLOODER, 0.0)
    assert not found.exceeds(HONEST, 0.0)
    assert found.exceeds(FLOODER, 0.99 / floods.REFILL_PER_S)
    assert not found.exceeds(FLOODER, 1.01 / floods.REFILL_PER_S)
    found.note_no_effect(FLOODER, 1e9)
    for _ in range(19):
        assert not found.exceeds(FLOODER, 1e9)
        found.note_no_effect(FLOODER, 1e9)
    assert found.exceeds(FLOODER, 1e9)


def test_what_was_not_listened_to_is_told_now_and_then_each_once():
    found = Floods()
    for sender in (FLOODER, HONEST):
        found.note_no_effect(sender, 0.0)
    assert [found.count(FLOODER, 7), found.count(FLOODER, 5), found.count(HONEST, 1)] == [True, False, True]
    assert found.due(floods.TELL_EVERY_S - 0.1) == []
    told = found.due(floods.TELL_EVERY_S)
    assert told == [
        {"sender": FLOODER, "messages": 2, "body_bytes": 12},
        {"sender": HONEST, "messages": 1, "body_bytes": 1},
    ]
    assert found.rest(100.0) == []
    assert found.count(FLOODER, 3)
    assert found.due(floods.TELL_EVERY_S + 9.9) == []
    assert [each["messages"] for each in found.rest(floods.TELL_EVERY_S + 9.9)] == [1]


@pytest.mark.parametrize("event", [None, {}, {"sender": 3, "messages": 4}, {"sender": "a", "messages": -4}])
def test_an_event_that_says_nothing_of_use_counts_for_nothing(event):
    assert flooded_by(event) == ("", 0)


@pytest.mark.parametrize("kind", ["refused", "unreadable", "repeated", "malformed", "refusals"])
async def test_a_flood_takes_little_room_whatever_it_is_of(made, tmp_path, kind):
    carrier = made()
    path = tmp_path / "clerk.jsonl"
    for number in range(1, 3001):
        if kind == "malformed":
            carrier.on_malformed(FLOODER, "no market message")
        elif kind == "repeated":
            carrier.on_envelope(question(1))
        elif kind == "unreadable":
            carrier.on_envelope(inform(FLOODER, CLERK, message_id=str(number), body="[1]"))
        elif kind == "refusals":
            refusal = inform(FLOODER, CLERK, performative=Performative.REFUSE, message_id=str(number))
            carrier.on_envelope(refusal)
        else:
            carrier.on_envelope(question(number))
    carrier.leave()
    taken = len(records(path, kind="in")) + len(records(path, name="malformed"))
    assert taken in (20, 21)  # a repeated message had its effect the first time
    assert len(carrier.said) <= taken
    (told,) = records(path, name=FLOODED)
    assert told["data"]["messages"] == 3000 - taken
    assert path.stat().st_size < 40_000


async def test_who_is_flooded_hears_others_and_the_flooders_answers(made, tmp_path):
    carrier = made()
    for number in range(1, 101):
        carrier.on_envelope(question(number))
    carrier.on_envelope(question(1, sender=HONEST, member="sum"))
    assert carrier.said[-1].recipient == HONEST
    asked = question(7, sender=CLERK)
    carrier._exchange.sent(Envelope(**{**vars_of(asked), "recipient": FLOODER}), 0.0)
    before = len(records(tmp_path / "clerk.jsonl", kind="in"))
    foreign = inform(HONEST, CLERK, message_id="2", in_reply_to="7", body=Acknowledged().to_json())
    answer = inform(FLOODER, CLERK, message_id="101", in_reply_to="7", body=Acknowledged().to_json())
    unasked = inform(FLOODER, CLERK, message_id="102", in_reply_to="7", body=Acknowledged().to_json())
    assert not carrier._exchange.is_awaited(foreign)
    for envelope in (answer, unasked):
        carrier.on_envelope(envelope)
    taken = records(tmp_path / "clerk.jsonl", kind="in")[before:]
    assert [line["id"] for line in taken] == ["101"]
    assert carrier.finished.done()  # the machine heard it


def vars_of(envelope):
    return {name: getattr(envelope, name) for name in Envelope.__dataclass_fields__}


async def test_the_number_is_in_the_log_while_the_flood_goes_on(made, tmp_path, monkeypatch):
    monkeypatch.setattr(floods, "TELL_EVERY_S", 0.2)
    monkeypatch.setattr("runtime.messaging.carrier.RESEND_CHECK_S", 0.05)
    carrier = made()
    carrier.begin()
    async with asyncio.timeout(20):
        number = 0
        while len(records(tmp_path / "clerk.jsonl", name=FLOODED)) < 2:
            number += 1
            carrier.on_envelope(question(number))
            await asyncio.sleep(0.01)


async def test_a_life_that_was_flooded_is_replayed(made, tmp_path):
    first = made()
    for number in range(1, 101):
        first.on_envelope(question(number))
    first.on_envelope(question(1, sender=HONEST, member="sum"))
    first.leave()
    second = made()
    assert second._machine.effects == first._machine.effects == ["sum"]
    repeated = len(second.said)  # what may not have left the first
    second.on_envelope(question(50))  # was counted, not taken: it is new
    assert len(second.said) == repeated + 1


class Both:
    """The logs of a flooder that logs what it sends, and of whom it floods; and the server's record."""

    def __init__(self, folder, number=100):
        self.folder = folder
        carrier = Carrier(folder / "clerk.jsonl")
        carrier.on_connected()
        log = MessageLog.open(folder / "flooder.jsonl", "flooder")
        carried = [{"opened_unix_s": 1.0}]
        for each in range(1, number + 1):
            envelope = question(each)
            log.append_out(envelope)
            carrier.on_envelope(envelope)
            carried.append(carried_line(envelope))
        for answer in carrier.said:
            log.append_in(answer)
            carried.append(carried_line(answer))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(floods, "TELL_EVERY_S", 0.0)
            carrier._tell_floods()
        carrier._log.close()  # it did not leave: whoever has left is excused
        self.log, self.carried = log, carried

    def say_one_that_is_lost(self):
        envelope = question(9999)
        self.log.append_out(envelope)
        self.carried.append(carried_line(envelope))

    def check(self):
        self.log.close()
        record = self.folder / "messages.jsonl"
        record.write_text("".join(json.dumps(line) + "\n" for line in self.carried))
        logs = check_logs([self.folder / "clerk.jsonl", self.folder / "flooder.jsonl"], speakers=False)
        return logs, check_against_server(record, logs.audit.logs)


def carried_line(envelope):
    body = envelope.body.encode()
    return {
        "time_unix_s": 2.0,
        "sender": f"{envelope.sender}/agent",
        "recipient": envelope.recipient,
        "type": "chat",
        "thread": envelope.conversation,
        "fields": fields_of(envelope),
        "body_bytes": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }


async def test_verify_knows_how_many_were_not_listened_to(tmp_path):
    logs, server = Both(tmp_path).check()
    assert logs.findings == []
    assert logs.flooded == {("clerk", FLOODER): 80}
    (line,) = _flood_lines(SimpleNamespace(logs=logs))
    assert line.strip() == "but for 80 messages of flooder@x: clerk was flooded, and logged their number"
    assert (server.findings, server.counts["flooded"], server.counts["unheard"]) == ([], 80, 0)


async def test_one_message_more_than_was_counted_is_found(tmp_path):
    both = Both(tmp_path)
    both.say_one_that_is_lost()
    logs, server = both.check()
    (missing,) = logs.findings
    assert (missing.kind, missing.text.endswith("sent, not received")) == ("not-received", True)
    assert len(server.findings) == 1

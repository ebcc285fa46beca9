"""When a prosumer tells a set-point: once a slot, not of one that is over, again to who asks anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.building import SlotOutcome
from agents.operation.steering import UNANSWERED, Steering
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import (
    Acknowledged,
    Setpoint,
    SetpointCancel,
    SetpointOutcome,
    SetpointsEnded,
    SetpointSubscribe,
    parse_body,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Machine, Send, Withdraw

HORIZON = Horizon(start="2024-06-18T00:00:00Z", zone="UTC", slot_minutes=15, slots=8)


class Prosumer(Machine):
    def on_start(self):
        pass

    def on_message(self, envelope, body):
        pass

    def taken(self):
        """The effects since this was asked last."""
        return self._take()


class Session:
    """A session in which so many slots have passed; its battery gives 0.5 kWh in each."""

    number, horizon = 0, HORIZON

    def __init__(self, passed=0):
        self.passed = passed

    def next_slot_foreseen(self):
        return SlotOutcome(0.5, 4.0, 0.0) if self.passed < HORIZON.slots else None


@pytest.fixture
def prosumer():
    return Prosumer("house@h")


def steering(prosumer, steered=True):
    return Steering(prosumer, SimpleNamespace(name="house", steered=steered, battery=object()))


def setpoints(effects):
    bodies = [parse_body(effect.envelope.body) for effect in effects if isinstance(effect, Send)]
    return [(body.slot, body.power_kw, body.stored_kwh) for body in bodies if isinstance(body, Setpoint)]


def test_a_slot_is_told_once_and_not_while_it_is_being_read(prosumer):
    steers = steering(prosumer)
    steers.follow(Session(2), gathering=True)
    assert prosumer.taken() == []
    steers.follow(Session(2), gathering=False)
    steers.follow(Session(2), gathering=False)
    assert setpoints(prosumer.taken()) == [(2, 2.0, 4.0)]
    steers.follow(Session(HORIZON.slots), gathering=False)
    steers.follow(None, gathering=False)
    assert prosumer.taken() == []


def test_who_asks_anew_is_told_the_slot_that_runs_again(prosumer):
    steers = steering(prosumer, steered=False)
    steers.follow(Session(1), gathering=False)
    assert prosumer.taken() == []
    for number in ("1", "2"):
        body = SetpointSubscribe(target="mqtt://h/t", dry_run=True)
        asks = Envelope(
            "house.controller@h", "house@h", Performative.SUBSCRIBE, "setpoint", "s", number, body.to_json()
        )
        steers.hear(asks, body)
        steers.follow(Session(1), gathering=False)
        assert setpoints(prosumer.taken()) == [(1, 2.0, 4.0)]


def test_only_the_latest_set_points_are_repeated_and_none_once_the_session_is_over(prosumer):
    steers = steering(prosumer)
    for slot in range(5):
        steers.follow(Session(slot), gathering=False)
    effects = prosumer.taken()
    sent = [effect.envelope.message_id for effect in effects if isinstance(effect, Send)]
    withdrawn = [effect.message_id for effect in effects if isinstance(effect, Withdraw)]
    assert withdrawn == sent[: 5 - UNANSWERED]
    steers.hear(*answer_to(sent[3], SetpointOutcome(session=0, slot=3, outcome="written", **POWER)))
    steers.leave()
    assert [e.message_id for e in prosumer.taken() if isinstance(e, Withdraw)] == [sent[4]]


POWER = {"charge_kw": 0, "discharge_kw": 2}


def answer_to(asked, body):
    sender = "house.controller@h"
    said = Envelope(sender, "house@h", Performative.CONFIRM, "setpoint", "s", "9", body.to_json(), asked)
    return said, body


def test_at_the_end_set_points_and_the_end_itself_are_to_be_answered_and_no_more_are_told(prosumer):
    steers = steering(prosumer)
    assert steers.all_answered
    steers.follow(Session(0), gathering=False)
    (told,) = prosumer.taken()
    assert not steers.all_answered
    steers.end()
    steers.end()
    (ended,) = prosumer.taken()
    assert parse_body(ended.envelope.body) == SetpointsEnded()
    assert ended.envelope.expects_reply
    steers.follow(Session(1), gathering=False)
    assert prosumer.taken() == []
    steers.hear(*answer_to(ended.envelope.message_id, Acknowledged()))
    assert not steers.all_answered
    outcome = SetpointOutcome(session=0, slot=0, outcome="written", **POWER)
    steers.hear(*answer_to(told.envelope.message_id, outcome))
    assert steers.all_answered
    steers.leave()
    assert prosumer.taken() == []


def test_a_controller_that_does_not_answer_is_left_and_one_that_was_detached_not_waited_for(prosumer):
    steers = steering(prosumer)
    steers.follow(Session(0), gathering=False)
    steers.end()
    sent = [effect.envelope.message_id for effect in prosumer.taken()]
    steers.leave()
    assert {effect.message_id for effect in prosumer.taken()} == {*sent}
    assert steers.all_answered

    steers = steering(prosumer)
    steers.follow(Session(0), gathering=False)
    steers.hear(*answer_to(None, SetpointCancel()))
    prosumer.taken()
    steers.end()
    assert prosumer.taken() == []
    assert steers.all_answered


def test_only_an_answer_to_something_is_an_acknowledgement(prosumer):
    with pytest.raises(ProtocolError, match="may not send acknowledged"):
        steering(prosumer).hear(*answer_to("77", Acknowledged()))

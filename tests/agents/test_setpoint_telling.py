"""When a prosumer tells a set-point: once a slot, not of one that is over, again to who asks anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.building import SlotOutcome
from agents.steering import UNANSWERED, Steering
from runtime.horizon import Horizon
from runtime.protocol.bodies import Setpoint, SetpointOutcome, SetpointSubscribe, parse_body
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
    answer = SetpointOutcome(session=0, slot=3, outcome="written", charge_kw=0, discharge_kw=2)
    steers.hear(
        Envelope(
            *("house.controller@h", "house@h", Performative.CONFIRM, "setpoint", "s", "9"),
            *(answer.to_json(), sent[3]),
        ),
        answer,
    )
    steers.end()
    assert [e.message_id for e in prosumer.taken() if isinstance(e, Withdraw)] == [sent[4]]

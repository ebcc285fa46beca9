"""Garbage that a meter sends is refused with a reason, and neither its member nor the market is disturbed."""

from __future__ import annotations

import json

import pytest

from runtime.protocol.bodies import Reading, Reason
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Send
from runtime.protocol.meter_bodies import records_of
from tests.machines.test_meters_of_a_member import LOAD, SLOTS, Attached, community, run


class Garbled(Attached):
    """Sends what ``change`` makes of its reading of slot 2, and then the reading itself."""

    def __init__(self, change):
        super().__init__(2, ["load"], {"load": LOAD})
        self.change = change

    def answer(self, envelope, body):
        if body.slot == 2 and self.change is not None:
            start_s = body.slot_start.timestamp()
            good = Reading(session=0, slot=2, bt=start_s, e=records_of("load", LOAD))
            text = self.change(json.loads(good.to_json()))
            self._messages += 1
            self.do(
                Send(
                    Envelope(
                        sender=self.jid,
                        recipient=envelope.sender,
                        performative=Performative.INFORM,
                        protocol="metering",
                        conversation="m",
                        message_id=f"{self._messages}",
                        body=text,
                        expects_reply=True,
                    )
                )
            )
        super().answer(envelope, body)


def with_record(**changes):
    def change(body):
        return json.dumps({**body, "e": [{**body["e"][0], **changes}]})

    return change


def with_field(**changes):
    return lambda body: json.dumps({**body, **changes})


BAD = [
    (lambda body: "/KFM5KAIFA-METER\r\n1-0:1.8.1(000581.161*kWh)\r\n!D3B6", "Invalid JSON"),
    (lambda body: '{"type": "reading"', "Invalid JSON"),
    (with_record(u="Wh"), "Input should be 'kWh'"),
    (with_record(n="heat"), "Input should be 'load'"),
    (lambda body: json.dumps(body).replace(f'"v": {LOAD}', '"v": NaN'), "finite"),
    (with_record(v=-0.5), "greater than or equal to 0"),
    (with_record(v=2e6), "less than or equal to 1000000"),
    (with_field(bt=0.0), "bt: found 0, expected 17"),
    (with_field(slot=5), "the slot's start"),
    (with_field(session=7), "session 7 is not being read"),
    (with_field(padding="x" * 1_000_000), "Extra inputs are not permitted"),
    (with_field(e=[{"n": "load", "u": "kWh", "v": 0.1}] * 7), "at most 6 items"),
    (with_record(n="grid_import"), "found grid_import without grid_export"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason[:30] for _, reason in BAD])
def test_a_bad_message_of_a_meter_is_refused_and_the_ledger_is_as_without_it(change, reason):
    calm, calm_own = run(community(), Garbled(None))
    meter = Garbled(change)
    session, own = run(community(), meter)
    reasons = [body.reason for body in meter.heard if isinstance(body, Reason)]
    assert len(reasons) == 1
    assert reason in reasons[0]
    assert session.ledger == calm.ledger
    assert session.deliveries == calm.deliveries
    assert replace_planning(own) == replace_planning(calm_own)
    assert own.load_kwh == [LOAD] * SLOTS


def replace_planning(own):
    """A record without the time that planning took."""
    return own.model_copy(update={"planning_seconds": 0.0})

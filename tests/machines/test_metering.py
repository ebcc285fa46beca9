"""What a meter says about its readings, and that it has none, reaches record and settlement."""

from __future__ import annotations

import pytest

from agents.prosumer import ProsumerMachine
from runtime.protocol.bodies import Reading, ReadingRequest, Reason, SenmlRecord
from runtime.protocol.envelope import Performative
from tests.machines import communities
from tests.machines.communities import Community

SLOTS = 4


@pytest.fixture
def run(monkeypatch):
    """Runs a community in which the first member's meter answers some slots in its own way."""

    def go(answer):
        class Meter(communities.PlayedMeter):
            def on_message(self, envelope, body):
                if (
                    isinstance(body, ReadingRequest)
                    and self.jid.startswith("m0.")
                    and answer(self, envelope, body)
                ):
                    return
                super().on_message(envelope, body)

        monkeypatch.setattr(communities, "PlayedMeter", Meter)
        record, members = Community(7, 3, SLOTS).run()
        deliveries = record.sessions[0].deliveries
        assert {each.quality for each in deliveries if each.member != "m0"} == {"metered"}
        own = members["m0"].sessions[0]
        assert own.quality == [each.quality for each in deliveries if each.member == "m0"]
        return own

    return go


def test_a_bridged_reading_counts_and_is_marked_estimated(run):
    def bridged(meter, envelope, body):
        if body.slot != 2:
            return False
        records = [SenmlRecord(n=role, v=0.125) for role in body.roles]
        reading = Reading(session=0, slot=2, bt=body.slot_start.timestamp(), quality="estimated", e=records)
        meter.reply(envelope, Performative.INFORM, reading)
        return True

    own = run(bridged)
    assert own.quality == ["metered", "metered", "estimated", "metered"]
    assert 0.125 in (own.load_kwh[2], own.pv_kwh[2])
    assert own.meter == ["m0.meter"] * SLOTS


def test_a_meter_that_has_no_reading_is_not_waited_for(run, monkeypatch):
    def without(meter, envelope, body):
        if body.slot == 0:
            return False
        meter.reply(envelope, Performative.FAILURE, Reason(reason="cable cut"))
        return True

    waited = []
    on_timer = ProsumerMachine.on_timer
    monkeypatch.setattr(
        ProsumerMachine, "on_timer", lambda self, name: (waited.append(name), on_timer(self, name))
    )
    own = run(without)
    assert own.quality == ["metered", "estimated", "estimated", "estimated"]
    assert own.meter == ["m0.meter", "", "", ""]
    assert waited == []


@pytest.mark.parametrize("reply_to", ["999", None])
def test_only_the_refusal_of_what_was_asked_ends_the_waiting(run, reply_to):
    def other(meter, envelope, body):
        meter.send(
            envelope.sender,
            Performative.FAILURE,
            Reason(reason="of something else"),
            protocol="metering",
            conversation="metering",
            in_reply_to=reply_to,
        )
        return False

    assert run(other).quality == ["metered"] * SLOTS

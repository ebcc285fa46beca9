import math
from datetime import UTC, datetime

import pytest
from meter_setup import ATTACHED, OWN, PROSUMER, horizon, reading_request, to_meter

from agents.meters.machine import ATTACH_LIMIT_S, AttachedMeterMachine, MeterMachine
from agents.meters.source import ReadingError
from runtime.errors import ProtocolError
from runtime.protocol.bodies import (
    Acknowledged,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reading,
    Reason,
    SessionClosed,
    parse_body,
)
from runtime.protocol.envelope import Performative
from runtime.protocol.machine import Compute, Fail, Finish, Progress, Send, StartTimer, StopTimer, Withdraw

HORIZONS = [horizon("2024-06-18T00:00"), horizon("2024-06-19T00:00")]


class FakeSource:
    def __init__(self, value=lambda session, slot, role: 1.0, immediate=True):
        self.roles = frozenset({"load", "pv"})
        self.immediate = immediate
        self._value = value

    def read(self, session, slot, horizon, role):
        return self._value(session, slot, role)


def own_meter(source=None, roles=("load", "pv"), **options):
    return MeterMachine(OWN, PROSUMER, source or FakeSource(), roles, HORIZONS, **options)


def attached_meter(source=None, roles=("load",)):
    return AttachedMeterMachine(
        ATTACHED, PROSUMER, source or FakeSource(), "csv:load.csv", roles, HORIZONS, id_prefix="9f-"
    )


def tell(machine, body, **changes):
    meter = machine.jid
    return machine.receive(to_meter(body, meter=meter, **changes), body)


def sent(effects):
    return [(effect.envelope, parse_body(effect.envelope.body)) for effect in effects if type(effect) is Send]


def only_answer(effects):
    ((envelope, body),) = sent(effects)
    return envelope, body


def test_a_reading_is_senml_of_the_slots_start_in_the_requests_own_conversation():
    machine = own_meter(FakeSource(lambda session, slot, role: {"load": 1.23456789049, "pv": 0.5}[role]))
    assert machine.start() == []
    envelope, body = only_answer(tell(machine, reading_request(1, 3, ["pv", "load"])))
    assert (envelope.recipient, envelope.performative) == (PROSUMER, Performative.INFORM)
    assert (envelope.in_reply_to, envelope.conversation, envelope.protocol) == ("17", "session-0", "metering")
    assert not envelope.expects_reply
    start = datetime(2024, 6, 19, 1, 0, tzinfo=UTC)  # 03:00 in Paris, in summer
    assert isinstance(body, Reading)
    assert (body.session, body.slot, body.bt) == (1, 3, start.timestamp())
    assert [(record.n, record.u, record.v) for record in body.e] == [
        ("pv", "kWh", 0.5),
        ("load", "kWh", 1.23456789),
    ]


@pytest.mark.parametrize("sender", [ATTACHED, "town-hall@peerwatt.localhost", "school@elsewhere.localhost"])
def test_nobody_but_the_prosumer_is_answered(sender):
    with pytest.raises(ProtocolError, match="not the prosumer"):
        tell(own_meter(), reading_request(0, 0, ["load"]), sender=sender)


def test_bodies_a_prosumer_has_no_business_to_send_are_refused():
    closed = SessionClosed(session=0, amount_eur=1, last=True)
    for body in (closed, Acknowledged(), MeterAttached(session=0, slot=0)):
        with pytest.raises(ProtocolError):
            tell(own_meter(), body)
    for body in (closed, Acknowledged(), MeterAttached(session=0, slot=0)):
        with pytest.raises(ProtocolError):
            tell(attached_meter(), body, in_reply_to="1")


@pytest.mark.parametrize(
    ("request_body", "reason"),
    [
        (reading_request(2, 0, ["load"]), "session 2"),
        (reading_request(0, 4, ["load"]), "slot 4"),
        (reading_request(0, 0, ["load", "pv"]), "found pv"),
        (reading_request(0, 0, []), "found nothing"),
    ],
)
def test_what_cannot_be_read_is_answered_with_a_failure(request_body, reason):
    envelope, body = only_answer(tell(own_meter(roles=["load"]), request_body))
    assert envelope.performative is Performative.FAILURE
    assert envelope.in_reply_to == "17"
    assert isinstance(body, Reason)
    assert reason in body.reason


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda *_: math.nan, "nan kWh"),
        (lambda *_: math.inf, "inf kWh"),
        (lambda *_: -0.001, "-0.001 kWh"),
        (lambda *_: 2e6, "2000000.0 kWh"),
        (lambda *_: _raise(ReadingError("not measured")), "load: not measured"),
        (lambda *_: _raise(OSError("cable cut")), "the source failed: OSError: cable cut"),
    ],
)
def test_a_source_that_measures_nonsense_or_fails_is_a_failure_not_the_end(value, reason):
    machine = own_meter(FakeSource(value))
    effects = tell(machine, reading_request(0, 0, ["load"]))
    envelope, body = only_answer(effects)
    assert envelope.performative is Performative.FAILURE
    assert reason in body.reason
    assert len(effects) == 1


def test_a_source_that_takes_its_time_is_read_off_the_loop_and_answers_go_to_their_requests():
    machine = own_meter(FakeSource(lambda session, slot, role: float(slot), immediate=False))
    jobs = []
    for slot in (0, 1):
        request = reading_request(0, slot, ["load"])
        (job,) = tell(machine, request, message_id=f"ask-{slot}")
        assert isinstance(job, Compute)
        jobs.append(job)
    assert jobs[0].name != jobs[1].name
    for slot in (1, 0):
        envelope, body = only_answer(machine.computed(jobs[slot].name, jobs[slot].work()))
        assert (envelope.in_reply_to, body.slot, body.e[0].v) == (f"ask-{slot}", slot, float(slot))


def test_metering_ends_when_the_prosumer_says_so():
    effects = tell(own_meter(), MeteringEnded(), performative=Performative.INFORM)
    assert effects[-1] == Finish()


def test_the_same_requests_give_the_same_messages_so_that_a_replay_repeats_nothing():
    lives = []
    for value in (1.0, 2.0):  # even a source that measures something else by now
        machine = own_meter(FakeSource(lambda *_, value=value: value))
        ids = []
        for slot in (0, 1, 2):
            envelope, _ = only_answer(tell(machine, reading_request(0, slot, ["load"])))
            ids.append((envelope.message_id, envelope.recipient))
        lives.append(ids)
    assert lives[0] == lives[1]


def attach(machine):
    envelope, body = only_answer(machine.start())
    return envelope, body


def test_an_attached_meter_asks_and_tells_from_where_it_counts():
    machine = attached_meter()
    effects = machine.start()
    envelope, body = only_answer(effects)
    assert (envelope.performative, envelope.protocol) == (Performative.SUBSCRIBE, "metering")
    assert envelope.recipient == PROSUMER
    assert envelope.expects_reply
    assert envelope.message_id == "9f-1"
    assert body == MeterAttach(roles=["load"], source="csv:load.csv")
    assert StartTimer("attach", ATTACH_LIMIT_S) in effects
    effects = tell(machine, MeterAttached(session=0, slot=3), in_reply_to="9f-1")
    assert effects == [
        StopTimer("attach"),
        Progress("attached", {"roles": ["load"], "session": 0, "slot": 3}),
    ]


@pytest.mark.parametrize(
    ("told", "counts"), [((0, 4), (1, 0)), ((1, 3), (1, 3)), ((1, 4), (None, None)), ((2, 0), (None, None))]
)
def test_a_meter_attached_at_the_end_of_a_session_counts_from_the_next(told, counts):
    machine = attached_meter()
    attach(machine)
    effects = tell(machine, MeterAttached(session=told[0], slot=told[1]), in_reply_to="9f-1")
    detail = effects[-1].detail
    assert (detail["session"], detail["slot"]) == counts


def test_a_refused_meter_fails_with_the_prosumers_reason():
    machine = attached_meter()
    attach(machine)
    other = tell(machine, Reason(reason="old"), in_reply_to="8a-1", performative=Performative.REFUSE)
    assert [type(effect) for effect in other] == [Progress]
    effects = tell(machine, Reason(reason="no pv"), in_reply_to="9f-1", performative=Performative.REFUSE)
    assert effects == [Fail("not attached: no pv")]


def test_a_prosumer_that_does_not_answer_is_given_up_and_told_so():
    machine = attached_meter()
    attach(machine)
    effects = machine.timer("attach")
    assert Withdraw("9f-1") in effects
    (envelope, body) = only_answer(effects)
    assert (envelope.performative, body, envelope.expects_reply) == (
        Performative.CANCEL,
        MeterDetach(),
        False,
    )
    assert isinstance(effects[-1], Fail)
    assert f"{ATTACH_LIMIT_S:g} s" in effects[-1].reason


def test_a_meter_that_was_attached_asks_again_for_as_long_as_it_takes():
    machine = attached_at(1)
    effects = machine.start()
    (envelope, body) = only_answer(effects)
    assert (type(body), envelope.expects_reply) == (MeterAttach, True)
    assert not [effect for effect in effects if isinstance(effect, StartTimer)]
    (asked_anew, _) = only_answer(again := machine.start())
    assert again[:2] == [Withdraw(envelope.message_id), StopTimer("attach")]
    (told,) = tell(machine, MeterAttached(session=0, slot=3), in_reply_to=asked_anew.message_id)[1:]
    assert (told.phase, told.detail["slot"]) == ("attached", 3)


def attached_at(slot, source=None):
    machine = attached_meter(source)
    attach(machine)
    tell(machine, MeterAttached(session=0, slot=slot), in_reply_to="9f-1")
    return machine


def test_detaching_tells_from_where_the_own_meter_counts_again():
    machine = attached_at(1)
    tell(machine, reading_request(0, 1, ["load"]))
    tell(machine, reading_request(0, 2, ["load"]))
    envelope, body = only_answer(machine.detach())
    assert (envelope.performative, body, envelope.expects_reply) == (Performative.CANCEL, MeterDetach(), True)
    assert sent(machine.detach()) == []  # once is enough
    effects = tell(machine, Acknowledged(), in_reply_to=envelope.message_id)
    assert effects == [Progress("detached", {"session": 0, "slot": 3}), Finish()]


def test_detaching_before_anything_was_read_leaves_the_slot_it_was_attached_for():
    machine = attached_at(2)
    envelope, _ = only_answer(machine.detach())
    effects = tell(machine, Acknowledged(), in_reply_to=envelope.message_id)
    assert effects[0] == Progress("detached", {"session": 0, "slot": 2})


def test_detaching_while_attaching_withdraws_the_wish():
    machine = attached_meter()
    attach(machine)
    effects = machine.detach()
    assert Withdraw("9f-1") in effects
    assert StopTimer("attach") in effects
    with pytest.raises(ProtocolError, match="not being attached"):
        tell(machine, MeterAttached(session=0, slot=0), in_reply_to="9f-1")


def test_a_detached_meter_answers_what_it_was_still_asked_before_it_leaves():
    machine = attached_at(0, FakeSource(immediate=False))
    (job,) = tell(machine, reading_request(0, 0, ["load"]))
    envelope, _ = only_answer(machine.detach())
    assert Finish() not in tell(machine, Acknowledged(), in_reply_to=envelope.message_id)
    effects = machine.computed(job.name, job.work())
    assert isinstance(only_answer(effects)[1], Reading)
    assert effects[-1] == Finish()

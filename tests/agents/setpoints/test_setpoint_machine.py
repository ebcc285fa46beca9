"""The controller's machine: limits, stale set-points, ramps, pauses, failures, watchdog, leaving, replay."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from agents.setpoints import attached_machine, machine
from agents.setpoints.attached_machine import AttachedControllerMachine
from agents.setpoints.machine import ControllerMachine
from agents.setpoints.moments import Moment, moment_of
from agents.setpoints.target import Carried, TargetError
from runtime.configuration import ClockConfig
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import (
    Acknowledged,
    Reason,
    Setpoint,
    SetpointOutcome,
    SetpointsEnded,
    parse_body,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import AwaitSlotEnd, Compute, Fail, Finish, Progress, Send, StartTimer
from runtime.protocol.setpoint_bodies import power_pair
from runtime.setpoints import SetpointTable

HORIZON = Horizon(start="2024-06-18T00:00:00Z", zone="UTC", slot_minutes=15, slots=4)
PROSUMER, CONTROLLER = "house@h", "house.controller@h"


class Device:
    """Takes what it is told; fails while it is told to."""

    def __init__(self):
        self.told, self.dry, self.fails = [], [], ""

    def carry_out(self, order, *, dry_run):
        if self.fails:
            raise TargetError(self.fails)
        (self.dry if dry_run else self.told).append(order)
        return Carried(order.power_kw, "registers")

    @property
    def powers_kw(self):
        return [order.power_kw for order in self.told]


class Around:
    """Carries out a machine's effects: computations when they are let, timers when they are run."""

    def __init__(self, kind=ControllerMachine, clock="real-time", now_s=0.0, **given):
        self.device = Device()
        self.now_s = now_s
        table = {"target": "mqtt://h/t", "max_charge_kw": 3, "max_discharge_kw": 2, "dry_run": False}
        table = SetpointTable(**(table | {"min_interval_s": 0} | given))
        config = ClockConfig(kind=clock)
        moment = partial(moment_of, clock=config, now_s=lambda: self.now_s)
        prefix = {"id_prefix": "x-"} if kind is AttachedControllerMachine else {}
        self.machine = kind(
            CONTROLLER,
            PROSUMER,
            self.device,
            table,
            [HORIZON, HORIZON],
            moment,
            live=clock == "live",
            timed=clock != "simulated",
            **prefix,
        )
        self.sent, self.timers, self.jobs, self.progress = [], {}, [], []
        self.finished, self.failed, self.held = False, None, False
        self.ids = 0
        self.do(self.machine.start())

    def do(self, effects):
        for effect in effects:
            match effect:
                case Send(envelope, _):
                    self.sent.append((envelope.performative, parse_body(envelope.body), envelope))
                case Compute(name, work, brief=brief, kept=kept):
                    if brief or not self.held:
                        self.compute(name, work, kept)
                    else:
                        self.jobs.append((name, work, kept))
                case StartTimer(name, seconds):
                    self.timers[name] = seconds
                case AwaitSlotEnd(name, _, _, slot):
                    self.timers[name] = ("end of slot", slot)
                case Progress(phase, _):
                    self.progress.append(phase)
                case Finish():
                    self.finished = True
                case Fail(reason):
                    self.failed = reason
                case _:
                    self.timers.pop(getattr(effect, "name", ""), None)

    def compute(self, name, work, kept):
        self.do(self.machine.computed(name, kept.read(kept.written(work()))))

    def let_go(self):
        """Let the computations be done that were held back."""
        self.held, jobs, self.jobs = False, self.jobs, []
        for job in jobs:
            self.compute(*job)

    def ring(self, name):
        self.timers.pop(name)
        self.do(self.machine.timer(name))

    def hear(self, body, performative=Performative.INFORM, reply_to=None, sender=PROSUMER):
        self.ids += 1
        envelope = Envelope(
            sender, CONTROLLER, performative, "setpoint", "s", str(self.ids), body.to_json(), reply_to
        )
        self.do(self.machine.receive(envelope, body))

    def want(self, power_kw, slot=0, session=0):
        self.hear(setpoint(power_kw, slot, session))

    @property
    def said(self):
        return [
            (performative.value, body.outcome, body.power_kw)
            for performative, body, _ in self.sent
            if isinstance(body, SetpointOutcome)
        ]


def setpoint(power_kw, slot=0, session=0):
    return Setpoint(
        session=session,
        slot=slot,
        slot_start=HORIZON.slot_start(slot),
        slot_end=HORIZON.slot_end(slot),
        stored_kwh=5,
        **power_pair(power_kw),
    )


def test_a_set_point_is_written_within_the_limits_and_what_was_done_is_said():
    around = Around()
    around.want(1.5)
    around.want(-9.0, slot=1)
    assert around.device.powers_kw == [1.5, -3.0]
    assert around.said == [("confirm", "written", 1.5), ("confirm", "written", -3.0)]
    whole, limited = (body for _, body, _ in around.sent)
    assert (whole.limited, whole.reason, whole.wrote) == (False, "", "registers")
    assert limited.limited
    assert limited.reason == "wanted -9 kW, limits are 3 kW charge and 2 kW discharge"
    order = around.device.told[0]
    assert (order.member, order.slot_start) == ("house", datetime(2024, 6, 18, tzinfo=UTC))
    assert order.valid_s == 900 + 60
    assert around.sent[0][2].in_reply_to == "1"


def test_a_dry_run_writes_nothing_not_even_at_its_end():
    around = Around(dry_run=True)
    around.want(1.0)
    around.ring("watchdog")
    around.hear(SetpointsEnded())
    assert around.device.told == []
    assert [order.power_kw for order in around.device.dry] == [1.0]
    assert around.said == [("confirm", "dry-run", 1.0)]
    assert around.finished


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (setpoint(1, slot=0), "slot 0 of session 0 has passed"),
        (setpoint(1, slot=1).model_copy(update={"slot": 2}), "expected 2024-06-18T00:30"),
        (setpoint(1).model_copy(update={"slot": 4}), "found slot 4, expected one of 4"),
        (setpoint(1).model_copy(update={"session": 2}), "found session 2, expected one of 2"),
    ],
)
def test_a_set_point_of_a_slot_that_is_over_or_is_none_is_refused(body, message):
    around = Around()
    around.want(1, slot=1)
    with pytest.raises(ProtocolError, match=message):
        around.hear(body)
    with pytest.raises(ProtocolError, match="is not the prosumer"):
        around.hear(setpoint(1, slot=2), sender="other@h")
    assert around.device.powers_kw == [1]


def test_a_live_set_point_is_late_by_the_clock_too():
    start_s = HORIZON.start.timestamp()
    around = Around(clock="live", now_s=start_s + 901)
    around.want(1.0)
    ((performative, body, _),) = around.sent
    assert performative is Performative.REFUSE
    assert isinstance(body, Reason)
    assert body.reason == "slot 0 of session 0 ended 1 s ago"
    around.want(1.0, slot=1)
    assert around.device.powers_kw == [1.0]
    assert around.device.told[0].valid_s == pytest.approx(899 + 60)


def test_a_live_write_that_was_held_up_until_its_slot_was_over_is_not_made():
    around = Around(clock="live", now_s=HORIZON.start.timestamp())
    around.held = True
    around.want(1.0)
    around.now_s += 900
    around.let_go()
    assert around.device.told == []
    assert around.said == [("failure", "failed", 0.0)]


def test_a_live_set_point_waits_for_its_slot_and_the_one_before_keeps_its_watchdog():
    start_s = HORIZON.start.timestamp()
    around = Around(clock="live", now_s=start_s + 3 * 900)
    around.want(1.0, slot=3)
    around.now_s = start_s - 3600  # the next session is to come, whatever the dates
    around.want(-2.0, slot=0, session=1)
    assert around.device.powers_kw == [1.0]
    assert around.said[-1] == ("confirm", "scheduled", -2.0)
    assert around.timers["begin"] == ("end of slot", -1)
    around.ring("over")
    around.ring("watchdog")
    assert around.device.powers_kw == [1.0, None]
    assert around.said[-1] == ("inform", "returned", 0.0)  # the session was over: nothing is wrong
    around.now_s = start_s
    around.ring("begin")
    assert around.device.powers_kw == [1.0, None, -2.0]
    assert around.said[-1] == ("inform", "written", -2.0)


def test_without_a_next_set_point_the_device_has_control_again():
    around = Around(margin_s=5)
    around.want(1.0)
    assert around.timers["watchdog"] == 905
    around.want(2.0, slot=1)
    around.ring("watchdog")
    assert around.device.powers_kw == [1.0, 2.0, None]
    assert around.said[-1] == ("failure", "returned", 0.0)
    assert around.sent[-1][1].reason == "no set-point came within 5 s of the end of slot 1"
    assert "setpoint-failed" in around.progress
    around.want(0.5, slot=2)
    assert around.device.powers_kw[-1] == 0.5


def test_simulated_time_has_no_watchdog_and_a_dry_run_in_it_no_pause():
    around = Around(clock="simulated", dry_run=True, min_interval_s=60)
    around.want(1.0)
    around.want(2.0, slot=1)
    assert around.timers == {}
    assert [order.power_kw for order in around.device.dry] == [1.0, 2.0]


def test_a_failing_device_is_told_of_once_and_tried_until_it_takes_it():
    around = Around()
    around.device.fails = "no connection"
    around.want(1.0)
    assert around.said == [("failure", "failed", 0.0)]
    assert around.sent[0][1].reason == "no connection"
    waits = []
    for _ in range(7):
        waits.append(around.timers["retry"])
        around.ring("retry")
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert len(around.said) == 1
    around.device.fails = ""
    around.ring("retry")
    assert around.said[1:] == [("inform", "written", 1.0)]
    assert around.device.powers_kw == [1.0]


def test_a_new_set_point_is_not_kept_waiting_by_a_failure_of_the_one_before():
    around = Around()
    around.device.fails = "no connection"
    around.want(1.0)
    around.device.fails = ""
    around.want(2.0, slot=1)
    assert around.device.powers_kw == [2.0]
    assert "retry" not in around.timers


def test_the_device_is_not_written_more_often_than_allowed_and_the_latest_counts():
    around = Around(min_interval_s=30)
    around.want(1.0)
    around.want(2.0, slot=1)
    around.want(0.5, slot=2)
    assert around.device.powers_kw == [1.0]
    assert around.said[1:] == [("confirm", "scheduled", 2.0), ("confirm", "scheduled", 0.5)]
    assert around.timers["rest"] == 30
    around.ring("rest")
    assert around.device.powers_kw == [1.0, 0.5]
    assert around.said[-1] == ("inform", "written", 0.5)


def test_a_ramp_is_climbed_in_steps():
    around = Around(ramp_kw_per_min=3)  # half a kilowatt in ten seconds
    around.want(1.2)
    assert around.sent[0][1].reason == "on its way to 1.2 kW by 3 kW/min"
    around.ring("rest")
    around.ring("rest")
    assert around.device.powers_kw == [0.5, 1.0, 1.2]
    around.ring("rest")
    assert len(around.device.told) == 3
    around.want(-0.1, slot=1)
    assert around.device.powers_kw[3:] == [0.7]
    assert len(around.said) == 2


def test_a_set_point_that_comes_while_one_is_written_goes_after_it():
    around = Around()
    around.held = True
    around.want(1.0)
    around.want(2.0, slot=1)
    assert around.device.told == []
    around.let_go()
    assert around.device.powers_kw == [1.0, 2.0]
    assert [outcome for _, outcome, _ in around.said] == ["scheduled", "written", "written"]


def test_a_controller_that_leaves_gives_control_back_and_may_be_resumed():
    around = Around()
    around.want(1.0)
    around.do(around.machine.timer(machine.LEAVE))
    assert around.device.powers_kw == [1.0, None]
    assert around.progress == [machine.RETURNED]
    assert not around.finished
    around.want(2.0, slot=1)
    assert around.device.powers_kw == [1.0, None, 2.0]
    around.hear(SetpointsEnded())
    assert around.device.powers_kw[-1] is None
    assert around.finished


def test_the_end_is_answered_last_once_what_was_said_is_acknowledged():
    around = Around()
    around.want(1.0)
    around.ring("watchdog")  # "returned" is said by itself
    returned = around.sent[-1][2]
    assert returned.expects_reply
    around.hear(SetpointsEnded())
    ended = str(around.ids)
    assert not around.finished
    around.hear(Acknowledged(), Performative.CONFIRM, reply_to=returned.message_id)
    performative, body, envelope = around.sent[-1]
    assert (performative, body, envelope.in_reply_to) == (Performative.CONFIRM, Acknowledged(), ended)
    assert around.finished
    assert machine.ENDED not in around.timers
    count = len(around.sent)
    around.hear(Acknowledged(), Performative.CONFIRM, reply_to=returned.message_id)
    assert len(around.sent) == count


def test_an_acknowledgement_that_never_comes_is_not_waited_for_any_longer():
    around = Around()
    around.want(1.0)
    around.ring("watchdog")
    around.hear(SetpointsEnded())
    assert not around.finished
    around.ring(machine.ENDED)
    assert around.sent[-1][1] == Acknowledged()
    assert around.finished


def test_leaving_tries_a_device_that_fails_once_and_goes():
    around = Around()
    around.want(1.0)
    around.device.fails = "gone"
    around.hear(SetpointsEnded())
    assert around.finished
    assert around.progress == ["ended", "setpoint-failed", machine.RETURNED]


def test_a_device_that_failed_half_way_is_given_control_back():
    around = Around()
    around.device.fails = "lost"
    around.want(1.0)
    around.device.fails = ""
    around.hear(SetpointsEnded())
    assert around.device.powers_kw == [None]


def test_control_that_could_not_be_returned_is_tried_again():
    around = Around()
    around.want(1.0)
    around.device.fails = "gone"
    around.ring("watchdog")
    assert around.said[-1][:2] == ("failure", "failed")
    around.ring("retry")
    assert len(around.said) == 2
    around.device.fails = ""
    around.ring("retry")
    assert around.device.powers_kw == [1.0, None]
    assert around.said[-1][1] == "returned"


def test_a_target_of_anybodys_code_may_fail_as_it_likes():
    around = Around()
    around.device.carry_out = lambda order, dry_run: 1 / 0
    around.want(1.0)
    assert around.sent[0][1].reason == "the target failed: ZeroDivisionError: division by zero"


# -- attached


def attached(**given):
    around = Around(AttachedControllerMachine, **given)
    around.hear(Acknowledged(), Performative.AGREE, reply_to="x-1")
    return around


def test_an_attached_controller_asks_and_leaves_when_all_is_done():
    around = attached()
    assert around.sent[0][1].type == "setpoint-subscribe"
    assert around.progress == ["attached"]
    around.want(1.0)
    around.held = True
    around.do(around.machine.detach())
    cancel = around.sent[-1][2]
    around.hear(Acknowledged(), Performative.CONFIRM, reply_to=cancel.message_id)
    assert not around.finished
    around.let_go()
    assert around.device.powers_kw == [1.0, None]
    assert around.finished


def test_an_attached_controller_is_refused_or_not_answered():
    around = Around(AttachedControllerMachine)
    around.hear(Reason(reason="house has no battery"), Performative.REFUSE, reply_to="x-1")
    assert around.failed == "not attached: house has no battery"
    around = Around(AttachedControllerMachine)
    around.ring(attached_machine.ATTACH)
    assert "did not answer within 20 s" in around.failed


def test_the_end_of_the_run_is_the_end_of_an_attached_controller():
    around = attached()
    around.want(1.0)
    around.hear(SetpointsEnded())
    assert around.device.powers_kw == [1.0, None]
    assert around.finished


def test_a_moment_is_by_the_clock_where_slots_have_instants():
    body = setpoint(1.0)
    start_s = HORIZON.start.timestamp()
    live = ClockConfig(kind="live")
    assert moment_of(body, live, lambda: start_s - 10) == Moment(10, 910)
    assert moment_of(body, live, lambda: start_s + 1000) == Moment(0, -100)
    assert moment_of(body, ClockConfig(kind="real-time", speed=60), lambda: 0.0) == Moment(0, 15)

"""A battery's controller as a state machine: set-points to a device, within limits, and not too often.

A set-point is kept within the limits, its ramp climbed step by step, and given to the device once its slot
has begun; one that comes after its slot is refused. Should the next not come in time, and when the controller
leaves, the device has control again. What is written is a computation whose result is kept in the log, so
that a replay writes nothing. A device that fails is tried again, and holds nobody up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from agents.setpoints.aims import POWER_DECIMALS, Aim, why_less
from agents.setpoints.limits import next_step_kw, within_limits_kw
from agents.setpoints.moments import Moment
from agents.setpoints.target import SetpointTarget
from agents.setpoints.writing import KEPT_MOMENT, KEPT_WRITTEN, Written, give_back, write
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import Acknowledged, AnyBody, Reason, Setpoint, SetpointOutcome, SetpointsEnded
from runtime.protocol.envelope import SETPOINT, Envelope, Performative
from runtime.protocol.machine import AwaitSlotEnd, Compute, Finish, Machine, Progress, StartTimer, StopTimer
from runtime.protocol.setpoint_bodies import Outcome, power_pair
from runtime.setpoints import SetpointTable

BEGIN, OVER, WATCHDOG, REST, RETRY, LEAVE = "begin", "over", "watchdog", "rest", "retry", "leave"
"""Timers: a slot to come begins; the slot is over; no next set-point came; the device may be written again;
it is tried again; the controller's process is told to leave."""

RETURNED = "control-returned"
"""Progress: nothing is the controller's any more, so that it may leave."""

FIRST_RETRY_S, LAST_RETRY_S = 2.0, 60.0
"""How long after a failure a device is tried again: twice as long each time."""

RAMP_STEP_S = 10.0
"""Steps of a ramp are at least so far apart."""

ENDED, ENDED_LIMIT_S = "ended", 20.0
"""Timer, once the run is over: so long the prosumer may take to acknowledge what it was told."""


class ControllerMachine(Machine):
    """The controller of a member's battery that is in the run from its start."""

    def __init__(
        self,
        jid: str,
        prosumer: str,
        target: SetpointTarget,
        given: SetpointTable,
        horizons: Sequence[Horizon],
        moment: Callable[[Setpoint], Moment],
        *,
        live: bool = False,
        timed: bool = True,
        id_prefix: str = "",
    ) -> None:
        """Set up a controller.

        Args:
            jid: its own bare JID.
            prosumer: bare JID of the one whose set-points it takes.
            target: the device.
            given: limits and habits; both limits are said.
            horizons: slots of each session.
            moment: where now is beside the slot of a set-point.
            live: whether slots are at their own instants.
            timed: whether time passes at all; without there is no watchdog.
            id_prefix: tells apart lives that are not replayed.
        """
        super().__init__(jid, id_prefix)
        self._prosumer = prosumer
        self._member = prosumer.split("@", 1)[0]
        self._target = target
        self._given = given
        self._horizons = list(horizons)
        self._moment = moment
        self._live = live
        self._timed = timed
        self._place: tuple[int, int] | None = None
        self._placing: dict[str, Aim] = {}
        self._writing: dict[str, tuple[Aim | None, float]] = {}
        self._computations = 0
        self._next: Aim | None = None
        self._aim: Aim | None = None
        self._waiting: set[str] = set()
        self._last_kw = 0.0
        self._in_control = False
        self._to_return: Aim | None = None
        self._leaving = False
        self._ending: Envelope | None = None  # the message that says so, until it is answered
        self._over = False
        self._unacknowledged: set[str] = set()
        self._retry_s = FIRST_RETRY_S

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """A controller that is in the run from its start is told set-points without asking."""

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the prosumer."""
        if envelope.sender != self._prosumer:
            raise ProtocolError(f"{envelope.sender} is not the prosumer of this controller")
        match body:
            case Setpoint():
                self._take_setpoint(envelope, body)
            case SetpointsEnded():
                self.do(Progress("ended"))
                self.do(StartTimer(ENDED, ENDED_LIMIT_S))
                self._ending, self._over = envelope, True
                self._leave()
                self._go_on()
            case Acknowledged():
                self._acknowledged(envelope)
            case Reason():
                self.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
                self._acknowledged(envelope)
            case _:
                raise ProtocolError(f"a prosumer may not send {body.type} to this controller")

    def on_timer(self, name: str) -> None:
        """Go on, or give control back."""
        if name == BEGIN:
            if self._next is not None:
                self._activate(self._next, 0.0)
        elif name == OVER:
            self.do(StartTimer(WATCHDOG, self._given.margin_s))
        elif name == WATCHDOG:
            self._no_next_one()
        elif name in (REST, RETRY):
            self._waiting.discard(name)
        elif name == LEAVE:
            self._leave()
        elif name == ENDED:
            self._unacknowledged.clear()
        else:
            super().on_timer(name)
        self._go_on()

    def on_computed(self, name: str, result: Any) -> None:  # noqa: ANN401 - a moment, or what was written
        """Go on with a set-point, now that it is known when its slot is, or what the device did."""
        aim = self._placing.pop(name, None)
        if aim is not None:
            self._placed(aim, result)
        else:
            written, power_kw = self._writing.pop(name)
            if written is None:
                self._gave_back(result)
            else:
                self._wrote(written, power_kw, result)
        self._go_on()

    # -- set-points ------------------------------------------------------------------------------------

    def _take_setpoint(self, envelope: Envelope, body: Setpoint) -> None:
        if body.session >= len(self._horizons):
            raise ProtocolError(f"found session {body.session}, expected one of {len(self._horizons)}")
        horizon = self._horizons[body.session]
        if body.slot >= horizon.slots:
            raise ProtocolError(f"found slot {body.slot}, expected one of {horizon.slots}")
        horizon.check_slot(body.slot, body.slot_start, body.slot_end)
        place = body.session, body.slot
        if self._over or (self._place is not None and place < self._place):
            raise ProtocolError(
                f"slot {body.slot} of session {body.session} has passed: a later one was told"
            )
        self._place = place
        given = self._given
        assert given.max_charge_kw is not None, "both limits are said"
        assert given.max_discharge_kw is not None, "both limits are said"
        power_kw = within_limits_kw(body.power_kw, given.max_charge_kw, given.max_discharge_kw)
        name = self._compute("moment", partial(self._moment, body), moment=True)
        self._placing[name] = Aim(body, power_kw, envelope)

    def _placed(self, aim: Aim, moment: Moment) -> None:
        if moment.ends_s <= 0:
            assert aim.asked is not None, "nothing was answered yet"
            reason = f"slot {aim.body.slot} of session {aim.body.session} ended {-moment.ends_s:.0f} s ago"
            self.reply(aim.asked, Performative.REFUSE, Reason(reason=reason))
        elif moment.begins_s > 0:  # until then the device is as it is, and the slot before has its watchdog
            self._next = aim
            horizon, slot = self._horizons[aim.body.session], aim.body.slot
            self.do(AwaitSlotEnd(BEGIN, horizon, aim.body.session, slot - 1))
            self._tell(aim, "scheduled", aim.power_kw)
        else:
            self._activate(aim, moment.ends_s)

    def _activate(self, aim: Aim, ends_s: float) -> None:
        """Have a set-point count from now on, in the place of any other."""
        for timer in (BEGIN, OVER, WATCHDOG, RETRY):
            self.do(StopTimer(timer))
        self._waiting.discard(RETRY)
        self._next, self._aim, self._to_return, self._leaving = None, aim, None, False
        self._retry_s = FIRST_RETRY_S
        if self._live:
            self.do(AwaitSlotEnd(OVER, self._horizons[aim.body.session], *aim.place))
        elif self._timed:
            self.do(StartTimer(WATCHDOG, ends_s + self._given.margin_s))
        if aim.asked is not None and (self._writing or REST in self._waiting):
            self._tell(aim, "scheduled", aim.power_kw)

    def _no_next_one(self) -> None:
        aim, self._aim = self._aim, None
        if self._in_control:
            self._to_return = aim

    def _leave(self) -> None:
        self._next, self._aim, self._to_return, self._leaving = None, None, None, True
        for timer in (BEGIN, OVER, WATCHDOG, RETRY):
            self.do(StopTimer(timer))
        self._waiting.discard(RETRY)

    # -- the device ------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Do what is next to be done with the device, if anything is and may be now."""
        if self._writing or RETRY in self._waiting:
            return
        if self._leaving or self._to_return is not None:
            self._return_control()
            return
        aim = self._aim
        if aim is None or aim.reached or REST in self._waiting:
            return
        power_kw = next_step_kw(self._last_kw, aim.power_kw, self._greatest_step_kw)
        given = self._given
        name = self._compute(
            "write",
            partial(
                write,
                self._target,
                self._member,
                aim.body,
                round(power_kw, POWER_DECIMALS),
                self._moment,
                given.margin_s,
                given.dry_run,
            ),
        )
        self._writing[name] = aim, power_kw

    def _return_control(self) -> None:
        if self._in_control:
            name = self._compute("give-back", partial(give_back, self._target, self._member))
            self._writing[name] = None, 0.0
            return
        self._to_return = None
        if self._leaving:
            self.do(Progress(RETURNED))
            self._left()

    def _left(self) -> None:
        """The device has control: finish if the run is over; one that is told to leave may be resumed.

        The answer to the run's end is the last that the prosumer waits for, so all else is said before.
        """
        if not self._over or self._unacknowledged:
            return
        ending, self._ending = self._ending, None
        if ending is not None:
            self.do(StopTimer(ENDED))
            self.reply(ending, Performative.CONFIRM, Acknowledged())
        self.do(Finish())

    def _acknowledged(self, envelope: Envelope) -> None:
        self._unacknowledged.discard(envelope.in_reply_to or "")
        if self._leaving:
            self._go_on()

    @property
    def _interval_s(self) -> float:
        least_s = RAMP_STEP_S if self._given.ramp_kw_per_min is not None else 0.0
        return max(self._given.min_interval_s, least_s)

    @property
    def _greatest_step_kw(self) -> float | None:
        ramp = self._given.ramp_kw_per_min
        return None if ramp is None else ramp * self._interval_s / 60.0

    def _rest(self) -> None:
        """Leave the device in peace for a while; a dry run in simulated time has none to leave."""
        if self._interval_s > 0 and (self._timed or not self._given.dry_run):
            self._waiting.add(REST)
            self.do(StartTimer(REST, self._interval_s))

    def _wrote(self, aim: Aim, power_kw: float, written: Written) -> None:
        if written.over:
            if aim is self._aim:
                self._aim = None
            if not aim.told:
                self._tell(aim, "failed", 0.0, reason=written.reason)
            return
        self._in_control = not self._given.dry_run  # also where it failed: it may have got half of it
        if not written.done:
            self._failed(aim, written)
            return
        self._last_kw = power_kw
        self._retry_s = FIRST_RETRY_S
        aim.reached = power_kw == aim.power_kw
        self._rest()
        if not aim.told or aim.failed:
            aim.failed = False
            has_kw = 0.0 if written.power_kw is None else written.power_kw
            less = why_less(aim, self._given, power_kw, has_kw)
            outcome: Outcome = "dry-run" if self._given.dry_run else "written"
            self._tell(aim, outcome, has_kw, wrote=written.wrote, reason=less, limited=bool(less))
            aim.told = True

    def _failed(self, aim: Aim, written: Written) -> None:
        if not aim.failed:
            self._tell(aim, "failed", 0.0, reason=written.reason)
            aim.failed = aim.told = True
        if aim is self._aim:
            self._try_again()

    def _try_again(self) -> None:
        self._waiting.add(RETRY)
        self.do(StartTimer(RETRY, self._retry_s))
        self._retry_s = min(2.0 * self._retry_s, LAST_RETRY_S)

    def _gave_back(self, written: Written) -> None:
        aim = self._to_return
        if not written.done:
            self.do(Progress("setpoint-failed", {"slot": None, "reason": written.reason}))
            if self._leaving:  # it was tried: the device's own watchdog is what is left
                self._in_control = False
            elif aim is not None:
                if not aim.failed:
                    self._tell(aim, "failed", self._last_kw, reason=f"control not returned: {written.reason}")
                    aim.failed = True
                self._try_again()
            return
        self._in_control, self._last_kw = False, 0.0
        if aim is not None:
            waited = f"no set-point came within {self._given.margin_s:g} s of the end of slot {aim.body.slot}"
            self._tell(aim, "returned", 0.0, wrote=written.wrote, reason=waited)

    # -- the prosumer ----------------------------------------------------------------------------------

    def _tell(
        self,
        aim: Aim,
        outcome: Outcome,
        power_kw: float,
        *,
        wrote: str = "",
        reason: str = "",
        limited: bool = False,
    ) -> None:
        """Say how a set-point stands: as the answer to it, or later by itself."""
        session, slot = aim.place
        body = SetpointOutcome(
            session=session,
            slot=slot,
            outcome=outcome,
            limited=limited,
            wrote=wrote,
            reason=reason,
            **power_pair(round(power_kw, POWER_DECIMALS)),
        )
        last_of_session = slot == self._horizons[session].slots - 1
        wrong = outcome == "failed" or (outcome == "returned" and not last_of_session)
        if wrong:
            self.do(Progress("setpoint-failed", {"slot": slot, "reason": reason}))
        if aim.asked is not None:
            asked, aim.asked = aim.asked, None
            self.reply(asked, Performative.FAILURE if wrong else Performative.CONFIRM, body)
            return
        message_id = self.send(
            self._prosumer,
            Performative.FAILURE if wrong else Performative.INFORM,
            body,
            protocol=SETPOINT,
            conversation=f"session-{session}",
            expects_reply=True,
        )
        self._unacknowledged.add(message_id)

    def _compute(self, what: str, work: Callable[[], Any], *, moment: bool = False) -> str:
        self._computations += 1
        name = f"{what}-{self._computations}"
        self.do(Compute(name, work, brief=moment, kept=KEPT_MOMENT if moment else KEPT_WRITTEN))
        return name

"""Set-points: what the plan wants of the battery in the slot that has begun, told to its controller.

Whoever runs this member's controller asks for them, or is in the run from its start. What becomes of a
set-point is noted and changes nothing in the market: a slot counts as it is metered.
"""

from __future__ import annotations

from collections import deque

from agents.session.own_session import OwnSession
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import (
    Acknowledged,
    AnyBody,
    Reason,
    Setpoint,
    SetpointCancel,
    SetpointOutcome,
    SetpointsEnded,
    SetpointSubscribe,
)
from runtime.protocol.envelope import SETPOINT, Envelope, Performative
from runtime.protocol.machine import Machine, Progress, Withdraw
from runtime.protocol.setpoint_bodies import power_pair
from runtime.rundir import controller_account

UNANSWERED = 2
"""So many set-points are repeated at most while the controller does not answer: earlier ones are over."""

POWER_DECIMALS = 6
"""Decimals of a power [kW]: milliwatts."""


class Steering:
    """What a prosumer tells its battery's controller; it speaks through the prosumer's machine.

    Attributes:
        controller: JID of the controller.
    """

    def __init__(self, machine: Machine, config: MemberConfig) -> None:
        """Set up for the member of ``config``."""
        self.controller = f"{controller_account(config.name)}@{machine.jid.split('@', 1)[1]}"
        self._machine = machine
        self._config = config
        self._wanted = config.steered
        self._told: tuple[int, int] | None = None
        self._unanswered: deque[str] = deque()
        self._ending: str | None = None  # id of the message that says that the last session is closed
        self._ended = False

    @property
    def all_answered(self) -> bool:
        """Whether the controller has nothing more to say: it answers the end once all else is said."""
        return not self._unanswered and (self._ending is None or self._ended)

    def follow(self, session: OwnSession | None, *, gathering: bool) -> None:
        """Tell what the slot that has begun asks of the battery, once.

        Args:
            session: the session that is open, if one is.
            gathering: whether the slot before is still being read: what is stored is known only then.
        """
        if not self._wanted or session is None or gathering or self._ending is not None:
            return
        place = session.number, session.passed
        if place == self._told:
            return
        foreseen = session.next_slot_foreseen()
        if foreseen is None:
            return
        self._told = place
        while len(self._unanswered) >= UNANSWERED:
            self._machine.do(Withdraw(self._unanswered.popleft()))
        horizon, slot = session.horizon, session.passed
        power_kw = round(foreseen.battery_kwh / horizon.slot_hours, POWER_DECIMALS)
        message_id = self._machine.send(
            self.controller,
            Performative.INFORM,
            Setpoint(
                session=session.number,
                slot=slot,
                slot_start=horizon.slot_start(slot),
                slot_end=horizon.slot_end(slot),
                stored_kwh=round(max(0.0, foreseen.stored_kwh), POWER_DECIMALS),
                **power_pair(power_kw),
            ),
            protocol=SETPOINT,
            conversation=f"session-{session.number}",
            expects_reply=True,
        )
        self._unanswered.append(message_id)

    def hear(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the controller.

        Raises:
            ProtocolError: it may not say this, or there is no battery to be steered.
        """
        answered = envelope.in_reply_to
        if answered is not None and answered in self._unanswered:
            self._unanswered.remove(answered)
        ends = answered is not None and answered == self._ending
        self._ended = self._ended or ends
        match body:
            case Acknowledged() if ends:
                pass
            case SetpointSubscribe():
                if self._config.battery is None:
                    raise ProtocolError(f"{self._config.name} has no battery to be steered")
                self._wanted, self._told = True, None
                self._machine.do(Progress("controller-attached", body.model_dump(exclude={"type"})))
                self._machine.reply(envelope, Performative.AGREE, Acknowledged())
            case SetpointCancel():
                self._wanted = False
                self._forget()
                self._machine.do(Progress("controller-detached"))
                self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
            case SetpointOutcome():
                if envelope.performative is Performative.FAILURE:
                    self._machine.do(Progress("setpoint-failed", {"slot": body.slot, "reason": body.reason}))
                if envelope.expects_reply:
                    self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
            case Reason():
                self._machine.do(Progress("setpoint-failed", {"slot": None, "reason": body.reason}))
            case _:
                raise ProtocolError(f"a controller may not send {body.type}")

    def end(self) -> None:
        """Tell the controller that the last session is closed; it answers once the device has control."""
        if self._wanted and self._ending is None:
            self._ending = self._machine.send(
                self.controller,
                Performative.INFORM,
                SetpointsEnded(),
                protocol=SETPOINT,
                conversation=SETPOINT,
                expects_reply=True,
            )

    def leave(self) -> None:
        """Wait for no answers any more."""
        if self._ending is not None and not self._ended:
            self._machine.do(Withdraw(self._ending))
            self._ended = True
        self._forget()

    def _forget(self) -> None:
        while self._unanswered:
            self._machine.do(Withdraw(self._unanswered.popleft()))

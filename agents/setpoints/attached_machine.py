"""A controller that is attached to a member of a running fleet, and detached again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.setpoints.machine import ControllerMachine
from agents.setpoints.moments import Moment
from agents.setpoints.target import SetpointTarget
from runtime.horizon import Horizon
from runtime.protocol.bodies import (
    Acknowledged,
    AnyBody,
    Reason,
    Setpoint,
    SetpointCancel,
    SetpointSubscribe,
)
from runtime.protocol.envelope import SETPOINT, Envelope, Performative
from runtime.protocol.machine import Effect, Fail, Finish, Progress, StartTimer, StopTimer, Withdraw
from runtime.setpoints import SetpointTable

ATTACH = "attach"
ATTACH_LIMIT_S = 20.0
"""How long a controller waits for its prosumer to take it."""


class AttachedControllerMachine(ControllerMachine):
    """Asks for set-points, and takes its leave when it is told to."""

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
        id_prefix: str,
    ) -> None:
        """Set up a controller as ``ControllerMachine``."""
        super().__init__(
            jid, prosumer, target, given, horizons, moment, live=live, timed=timed, id_prefix=id_prefix
        )
        self._attach_id: str | None = None
        self._attached_before = False
        self._detach_id: str | None = None
        self._released = False
        self._given_back = False

    def on_start(self) -> None:
        """Ask for set-points from now on; where they were granted before, for as long as it takes."""
        self._withdraw_attaching()
        body = SetpointSubscribe(target=self._given.target, dry_run=self._given.dry_run)
        self._attach_id = self._say(Performative.SUBSCRIBE, body, expects_reply=True)
        if not self._attached_before:
            self.do(StartTimer(ATTACH, ATTACH_LIMIT_S))

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the prosumer."""
        answered = envelope.in_reply_to if envelope.sender == self._prosumer else None
        match body:
            case Acknowledged() if answered is not None and answered == self._attach_id:
                self._attach_id, self._attached_before = None, True
                self.do(StopTimer(ATTACH))
                self.do(Progress("attached", {"dry_run": self._given.dry_run}))
            case Reason() if answered is not None and answered == self._attach_id:
                self.do(Fail(f"not attached: {body.reason}"))
            case Acknowledged() | Reason() if answered is not None and answered == self._detach_id:
                self._released = True
                self.do(Progress("detached"))
                self._finish_if_left()
            case _:
                super().on_message(envelope, body)

    def on_timer(self, name: str) -> None:
        """Give up where the prosumer does not answer."""
        if name != ATTACH:
            super().on_timer(name)
            return
        self._withdraw_attaching()
        self._say(Performative.CANCEL, SetpointCancel(), expects_reply=False)  # should it only be late
        self.do(Fail(f"{self._prosumer} did not answer within {ATTACH_LIMIT_S:g} s: is its fleet running?"))

    def detach(self) -> list[Effect]:
        """Give control back and take leave; the machine finishes when both are done."""
        if self._detach_id is None:
            self._withdraw_attaching()
            self._detach_id = self._say(Performative.CANCEL, SetpointCancel(), expects_reply=True)
            self._leave()
            self._go_on()
        return self._take()

    def _left(self) -> None:
        self._given_back = True
        super()._left()
        self._finish_if_left()

    def _finish_if_left(self) -> None:
        if self._released and self._given_back and not (self._over or self._unacknowledged):
            self.do(Finish())

    def _withdraw_attaching(self) -> None:
        if self._attach_id is not None:
            self.do(Withdraw(self._attach_id))
            self.do(StopTimer(ATTACH))
            self._attach_id = None

    def _say(
        self, performative: Performative, body: SetpointSubscribe | SetpointCancel, *, expects_reply: bool
    ) -> str:
        return self.send(
            self._prosumer,
            performative,
            body,
            protocol=SETPOINT,
            conversation=SETPOINT,
            expects_reply=expects_reply,
        )

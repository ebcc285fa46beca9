"""A meter as a state machine: it answers its prosumer with what its source measured, and nobody else.

A built-in meter lives as long as its run. An attached one asks its prosumer to be read in the built-in one's
place, and takes its leave when it is told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from agents.meters.answers import BODIES, corrections_of, take_reading
from agents.meters.source import MeterSource, RevisingSource
from runtime.configuration import MeterRole
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import (
    Acknowledged,
    AnyBody,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Reason,
)
from runtime.protocol.envelope import METERING, Envelope, Performative
from runtime.protocol.machine import (
    Compute,
    Effect,
    Fail,
    Finish,
    Machine,
    Progress,
    StartTimer,
    StopTimer,
    Withdraw,
)

LOOK_AGAIN = "look-again"
"""Timer, and computations, that look for what became known of earlier slots."""

FIRST_LOOK_AGAIN_S, LAST_LOOK_AGAIN_S = 1.0, 60.0
"""How long after a slot without a sure reading the source is asked again: twice as long each time."""

ATTACH_LIMIT_S = 20.0
"""How long an attached meter waits for its prosumer to take it."""


class MeterMachine(Machine):
    """A member's built-in meter."""

    def __init__(
        self,
        jid: str,
        prosumer: str,
        source: MeterSource,
        roles: Sequence[MeterRole],
        horizons: Sequence[Horizon],
        *,
        id_prefix: str = "",
    ) -> None:
        """Set up a meter.

        Args:
            jid: the meter's own bare JID.
            prosumer: bare JID of the one whom it answers.
            source: where readings come from.
            roles: what it measures.
            horizons: slots of each session.
            id_prefix: tells apart lives that are not replayed.
        """
        super().__init__(jid, id_prefix)
        self._prosumer = prosumer
        self._source = source
        self._roles = list(roles)
        self._horizons = list(horizons)
        self._being_read: dict[str, Envelope] = {}
        self._requests = 0
        self._look_again_s = FIRST_LOOK_AGAIN_S
        self._corrections: set[str] = set()

    def on_start(self) -> None:
        """A built-in meter waits to be asked."""

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the prosumer."""
        if envelope.sender != self._prosumer:
            raise ProtocolError(f"{envelope.sender} is not the prosumer of this meter")
        match body:
            case ReadingRequest():
                self._read(envelope, body)
            case Acknowledged():
                self._acknowledged(envelope)
            case MeteringEnded():
                self.do(Progress("ended"))
                self.do(Finish())
            case Reason():
                self._complaint(envelope, body)
            case _:
                raise ProtocolError(f"a prosumer may not send {body.type} to this meter")

    def on_timer(self, name: str) -> None:
        """See whether the source knows more of earlier slots by now."""
        if name != LOOK_AGAIN:
            super().on_timer(name)
        self._requests += 1
        look = partial(corrections_of, self._source, self._horizons)
        self.do(Compute(f"{LOOK_AGAIN}-{self._requests}", look, kept=BODIES))

    def on_computed(self, name: str, result: Any) -> None:  # noqa: ANN401 - a list of bodies
        """Answer with a reading that took its time, or why there is none; send corrections."""
        envelope = self._being_read.pop(name, None)
        if envelope is not None:
            self._answer(envelope, result[0])
        self._look_again(result)

    def _acknowledged(self, envelope: Envelope) -> None:
        if envelope.in_reply_to not in self._corrections:
            raise ProtocolError("nothing is to be acknowledged")
        self._corrections.discard(envelope.in_reply_to)

    def _complaint(self, envelope: Envelope, body: Reason) -> None:
        self.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))

    def _read(self, envelope: Envelope, request: ReadingRequest) -> None:
        self._requests += 1
        take = partial(take_reading, self._source, self._roles, self._horizons, request)
        if self._source.immediate:
            self._answer(envelope, take())
            return
        name = f"reading-{self._requests}"
        self._being_read[name] = envelope
        corrections = partial(corrections_of, self._source, self._horizons)
        self.do(Compute(name, lambda: [take(), *corrections()], kept=BODIES))

    def _answer(self, envelope: Envelope, result: Reading | Reason) -> None:
        performative = Performative.INFORM if isinstance(result, Reading) else Performative.FAILURE
        self.reply(envelope, performative, result)

    def _look_again(self, said: Sequence[AnyBody]) -> None:
        """Send corrections; look for more soon after a slot without a sure reading, later and later else."""
        for body in said:
            if isinstance(body, ReadingCorrection):
                message_id = self.send(
                    self._prosumer,
                    Performative.INFORM,
                    body,
                    protocol=METERING,
                    conversation=f"session-{body.session}",
                    expects_reply=True,
                )
                self._corrections.add(message_id)
        sure = all(isinstance(body, Reading) and body.quality == "metered" for body in said)
        if not isinstance(self._source, RevisingSource) or (sure and said):
            return
        again_s = FIRST_LOOK_AGAIN_S if said else min(2.0 * self._look_again_s, LAST_LOOK_AGAIN_S)
        self._look_again_s = again_s
        self.do(StartTimer(LOOK_AGAIN, again_s))


class AttachedMeterMachine(MeterMachine):
    """A meter that is attached to a member of a running fleet, and detached again."""

    def __init__(
        self,
        jid: str,
        prosumer: str,
        source: MeterSource,
        source_name: str,
        roles: Sequence[MeterRole],
        horizons: Sequence[Horizon],
        *,
        id_prefix: str,
    ) -> None:
        """Set up a meter as ``MeterMachine``; ``source_name`` is what people call the source."""
        super().__init__(jid, prosumer, source, roles, horizons, id_prefix=id_prefix)
        self._source_name = source_name
        self._attach_id: str | None = None
        self._attached_before = False
        self._detach_id: str | None = None
        self._released = False
        self._next_slot: tuple[int, int] | None = None

    def on_start(self) -> None:
        """Ask to be read from now on; where that was granted before, for as long as it takes."""
        self._withdraw_attaching()
        self._attach_id = self.send(
            self._prosumer,
            Performative.SUBSCRIBE,
            MeterAttach(roles=self._roles, source=self._source_name),
            protocol=METERING,
            conversation=METERING,
            expects_reply=True,
        )
        if not self._attached_before:
            self.do(StartTimer("attach", ATTACH_LIMIT_S))

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the prosumer."""
        if envelope.sender == self._prosumer:
            match body:
                case MeterAttached():
                    self._attached(envelope, body)
                    return
                case Acknowledged():
                    self._acknowledged(envelope)
                    return
                case ReadingRequest() if body.slot < self._slots(body.session):
                    self._next_slot = self._following(body.session, body.slot + 1)
        super().on_message(envelope, body)

    def on_timer(self, name: str) -> None:
        """Give up where the prosumer does not answer."""
        if name != "attach":
            super().on_timer(name)
            return
        self._withdraw_attaching()
        # Should the prosumer only be late, it must not wait for a meter that is gone.
        self._send_detach(expects_reply=False)
        self.do(Fail(f"{self._prosumer} did not answer within {ATTACH_LIMIT_S:g} s: is its fleet running?"))

    def on_computed(self, name: str, result: Any) -> None:  # noqa: ANN401 - as the base says
        """Answer with a reading that took its time; it may be the last."""
        super().on_computed(name, result)
        self._finish_if_released()

    def detach(self) -> list[Effect]:
        """Take leave of the prosumer; the machine finishes when that is acknowledged."""
        if self._detach_id is None:
            self._withdraw_attaching()
            self._detach_id = self._send_detach(expects_reply=True)
        return self._take()

    def _attached(self, envelope: Envelope, body: MeterAttached) -> None:
        if envelope.in_reply_to != self._attach_id or self._detach_id is not None:
            raise ProtocolError("this meter is not being attached")
        self._attach_id, self._attached_before = None, True
        self._next_slot = self._following(body.session, body.slot)
        self.do(StopTimer("attach"))
        self.do(Progress("attached", {"roles": self._roles, **self._from_where()}))

    def _acknowledged(self, envelope: Envelope) -> None:
        if self._detach_id is None or envelope.in_reply_to != self._detach_id:
            super()._acknowledged(envelope)
            return
        self._released = True
        self.do(Progress("detached", self._from_where()))
        self._finish_if_released()

    def _complaint(self, envelope: Envelope, body: Reason) -> None:
        if self._attach_id is not None and envelope.in_reply_to == self._attach_id:
            self.do(Fail(f"not attached: {body.reason}"))
        else:
            super()._complaint(envelope, body)
            if self._detach_id is not None and envelope.in_reply_to == self._detach_id:
                self.do(Finish())

    def _withdraw_attaching(self) -> None:
        if self._attach_id is not None:
            self.do(Withdraw(self._attach_id))
            self.do(StopTimer("attach"))
            self._attach_id = None

    def _send_detach(self, *, expects_reply: bool) -> str:
        return self.send(
            self._prosumer,
            Performative.CANCEL,
            MeterDetach(),
            protocol=METERING,
            conversation=METERING,
            expects_reply=expects_reply,
        )

    def _finish_if_released(self) -> None:
        if self._released and not self._being_read:
            self.do(Finish())

    def _slots(self, session: int) -> int:
        return self._horizons[session].slots if session < len(self._horizons) else 0

    def _following(self, session: int, slot: int) -> tuple[int, int]:
        """The slot itself, or the next session's first if the session has no such slot."""
        return (session + 1, 0) if slot >= self._slots(session) else (session, slot)

    def _from_where(self) -> dict[str, int | None]:
        """Session and slot from which on something counts; None after the last slot, or if not known."""
        session, slot = self._next_slot or (None, None)
        if session is None or session >= len(self._horizons):
            return {"session": None, "slot": None}
        return {"session": session, "slot": slot}

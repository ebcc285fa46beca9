"""What an agent decides, apart from how it talks: events in, effects out, no I/O, no clock.

A machine is told what happened (it started, a message came, a timer ran out, a computation is done) and says
what to do (send, time, compute, save). Fed the same events in the same order it says the same, so an agent
that crashed is rebuilt by replaying its message log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.horizon import Horizon
from runtime.packed_records import RecordOfMany
from runtime.protocol.bodies import AnyBody, Reason
from runtime.protocol.envelope import MARKET, Envelope, Performative
from runtime.record_base import Record


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; ``reply_within_s`` tells its recipient until when an answer is in time."""

    envelope: Envelope
    reply_within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stop repeating a message: its answer would come too late."""

    message_id: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Have ``name`` run out after ``seconds``; starting it again starts it afresh."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget the timer ``name``, whether it runs or not."""

    name: str


@dataclass(frozen=True, slots=True)
class AwaitSlotEnd:
    """Have the timer ``name`` run out when ``slot`` has passed on the community's clock."""

    name: str
    horizon: Horizon
    session: int
    slot: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How the result of a computation is written into the log, and read from it.

    Attributes:
        written: the result as text.
        read: the result from that text.
    """

    written: Callable[[Any], str]
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Compute:
    """Run ``work`` off the event loop; its result comes back under ``name``.

    ``brief`` work is done at once, on the event loop: handing it to another thread would take longer. Work
    that would not come to the same again has its result ``kept`` in the log, from where a replay takes it.
    """

    name: str
    work: Callable[[], Any]
    brief: bool = False
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Save:
    """Write a record to ``path``, whole."""

    path: Path
    record: Record | RecordOfMany[Any]

    def whole(self) -> Record:
        """The record, with all that is in it."""
        return self.record if isinstance(self.record, Record) else self.record.whole()


@dataclass(frozen=True, slots=True)
class Progress:
    """Tell whoever watches how far the agent is."""

    phase: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tidy:
    """Much of what the agent held is over: its process may give memory back."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The agent has done its part and may leave."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The agent cannot go on."""

    reason: str


Effect = (
    Send | Withdraw | StartTimer | StopTimer | AwaitSlotEnd | Compute | Save | Progress | Tidy | Finish | Fail
)


class Machine(ABC):
    """Base of the agents' state machines.

    Subclasses implement the ``on_…`` methods and call the helpers below; the caller takes the effects.
    Message ids count up from 1, so that a replay gives every message the id it had.
    """

    def __init__(self, jid: str, id_prefix: str = "") -> None:
        """Set up a machine that speaks as ``jid``; ``id_prefix`` tells apart lives that are not replayed."""
        self.jid = jid
        self._id_prefix = id_prefix
        self._messages = 0
        self._effects: list[Effect] = []
        self._written: tuple[AnyBody, str] | None = None

    def start(self) -> list[Effect]:
        """The agent is connected for the first time."""
        self.on_start()
        return self._take()

    def receive(self, envelope: Envelope, body: AnyBody) -> list[Effect]:
        """A message came that this agent has not seen before.

        Raises:
            ProtocolError: the sender may not say this, or not now; the caller answers ``refuse``.
        """
        self.on_message(envelope, body)
        return self._take()

    def timer(self, name: str) -> list[Effect]:
        """The timer ``name`` ran out."""
        self.on_timer(name)
        return self._take()

    def computed(self, name: str, result: Any) -> list[Effect]:  # noqa: ANN401 - whatever was computed
        """The computation ``name`` is done."""
        self.on_computed(name, result)
        return self._take()

    def complain(self, about: Envelope, performative: Performative, reason: str) -> list[Effect]:
        """Answer a message that cannot be taken with ``refuse`` or ``not-understood``."""
        self.reply(about, performative, Reason(reason=reason))
        return self._take()

    def protest(self, recipient: str, reason: str) -> list[Effect]:
        """Tell somebody that what it sent is no message of this market."""
        self.send(
            recipient,
            Performative.NOT_UNDERSTOOD,
            Reason(reason=reason),
            protocol=MARKET,
            conversation="malformed",
        )
        return self._take()

    def standing(self) -> dict[str, Any]:
        """How it stands, as fields of ``runtime.protocol.inspection.Status``; nothing is changed by it."""
        return {"phase": "running"}

    @abstractmethod
    def on_start(self) -> None:
        """See ``start``."""

    @abstractmethod
    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """See ``receive``."""

    def on_timer(self, name: str) -> None:
        """See ``timer``."""
        raise AssertionError(f"no timer {name!r} was started")

    def on_computed(self, name: str, result: Any) -> None:  # noqa: ANN401 - whatever was computed
        """See ``computed``."""
        raise AssertionError(f"no computation {name!r} was started")

    def send(
        self,
        recipient: str,
        performative: Performative,
        body: AnyBody,
        *,
        protocol: str,
        conversation: str,
        in_reply_to: str | None = None,
        expects_reply: bool = False,
        reply_within_s: float | None = None,
    ) -> str:
        """Send a message; returns its id."""
        self._messages += 1
        message_id = f"{self._id_prefix}{self._messages}"
        self.do(
            Send(
                Envelope(
                    sender=self.jid,
                    recipient=recipient,
                    performative=performative,
                    protocol=protocol,
                    conversation=conversation,
                    message_id=message_id,
                    body=self._json_of(body),
                    in_reply_to=in_reply_to,
                    expects_reply=expects_reply,
                ),
                reply_within_s,
            )
        )
        return message_id

    def reply(
        self, to: Envelope, performative: Performative, body: AnyBody, *, expects_reply: bool = False
    ) -> str:
        """Answer a message in its own conversation; returns the answer's id."""
        return self.send(
            to.sender,
            performative,
            body,
            protocol=to.protocol,
            conversation=to.conversation,
            in_reply_to=to.message_id,
            expects_reply=expects_reply,
        )

    def _json_of(self, body: AnyBody) -> str:
        """The body as it travels; what is said to all is written once."""
        if self._written is None or self._written[0] is not body:
            self._written = body, body.to_json()
        return self._written[1]

    def do(self, effect: Effect) -> None:
        """Add an effect to those the caller takes."""
        self._effects.append(effect)

    def _take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

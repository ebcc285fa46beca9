"""Effects once, messages as often as needed: the bookkeeping of one agent's messages, without I/O.

A message that expects a reply is repeated until the reply comes; the reply is the acknowledgement. A message
that arrives again has no second effect: it gets the reply it got before, if there is one by then.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from enum import Enum, auto

from runtime.protocol.envelope import Envelope
from runtime.protocol.seen import SeenIds

REPLIES_KEPT = 32
"""The latest replies to each agent are kept to be repeated; an earlier one is in the agent's log
(``runtime.messagelog.replies``)."""

RESEND_AFTER_PER_WAITING_S = 0.005
"""What each message that waits for its reply already adds to the wait: replies to hundreds sent at once come
one after the other, and repetitions would only delay them."""


class Verdict(Enum):
    """What to do with a message that came in."""

    NEW = auto()
    DUPLICATE = auto()
    UNASKED_REPLY = auto()


@dataclass(slots=True)
class _Waiting:
    envelope: Envelope
    sent_at_s: float
    interval_s: float


@dataclass(slots=True)
class Exchange:
    """One agent's unanswered messages and the messages it has seen.

    Attributes:
        resend_after_s: wait before the first repetition of a message that waits alone [s]; doubles up to
            ``resend_cap_s``.
        resend_cap_s: longest wait between repetitions [s].
    """

    resend_after_s: float = 2.0
    resend_cap_s: float = 15.0
    _outbox: dict[str, _Waiting] = field(default_factory=dict)
    _seen: dict[str, SeenIds] = field(default_factory=lambda: defaultdict(SeenIds))
    _replies: dict[str, OrderedDict[str, Envelope]] = field(default_factory=lambda: defaultdict(OrderedDict))

    def sent(self, envelope: Envelope, now_s: float) -> None:
        """Note a message that is sent for the first time."""
        if envelope.expects_reply:
            wait_s = self.resend_after_s + RESEND_AFTER_PER_WAITING_S * len(self._outbox)
            self._outbox[envelope.message_id] = _Waiting(envelope, now_s, wait_s)
        asked = envelope.in_reply_to
        if asked is not None and asked in self._seen[envelope.recipient]:
            replies = self._replies[envelope.recipient]
            replies[asked] = envelope
            while len(replies) > REPLIES_KEPT:
                replies.popitem(last=False)

    def received(self, envelope: Envelope) -> tuple[Verdict, Envelope | None]:
        """Judge a message that came in; for a duplicate, also the reply to repeat if it is still kept.

        A late reply that itself expects one is passed on, so that its sender is told and stops repeating it.
        """
        if not self._seen[envelope.sender].see(envelope.message_id):
            return Verdict.DUPLICATE, self._asked_again(envelope)
        if envelope.in_reply_to is not None:
            asked_for = self._take_reply(envelope)
            if not asked_for and not envelope.expects_reply:
                return Verdict.UNASKED_REPLY, None
        return Verdict.NEW, None

    def _asked_again(self, envelope: Envelope) -> Envelope | None:
        replies = self._replies[envelope.sender]
        if envelope.message_id in replies:
            replies.move_to_end(envelope.message_id)
        return replies.get(envelope.message_id)

    def _take_reply(self, reply: Envelope) -> bool:
        if not self.is_awaited(reply):
            return False
        del self._outbox[reply.in_reply_to or ""]
        return True

    def is_awaited(self, reply: Envelope) -> bool:
        """Whether a message answers an open question to its sender."""
        waiting = self._outbox.get(reply.in_reply_to or "")
        return waiting is not None and waiting.envelope.recipient == reply.sender

    def withdraw(self, message_id: str) -> None:
        """Stop repeating a message whose answer is no longer wanted."""
        self._outbox.pop(message_id, None)

    def due(self, now_s: float) -> list[Envelope]:
        """Messages to repeat now because their reply is overdue."""
        overdue = [entry for entry in self._outbox.values() if now_s - entry.sent_at_s >= entry.interval_s]
        for entry in overdue:
            entry.sent_at_s = now_s
            entry.interval_s = min(self.resend_cap_s, 2 * entry.interval_s)
        return [entry.envelope for entry in overdue]

    def awaits_reply(self, message_id: str) -> bool:
        """Whether a message of this agent still waits for its reply."""
        return message_id in self._outbox

    @property
    def waiting(self) -> list[Envelope]:
        """All messages whose reply has not come."""
        return [entry.envelope for entry in self._outbox.values()]

    def unanswered(self, now_s: float) -> list[Envelope]:
        """All messages without reply, to repeat at once after a new connection."""
        for before, entry in enumerate(self._outbox.values()):
            entry.sent_at_s = now_s
            entry.interval_s = self.resend_after_s + RESEND_AFTER_PER_WAITING_S * before
        return [entry.envelope for entry in self._outbox.values()]

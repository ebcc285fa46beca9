"""What an agent writes down of a sender whose messages come to nothing, in bounded room.

All that comes is logged, since whoever acts has to be able to show on what. What is refused, cannot be read
or came before has no effect: of such a sender so many messages an hour are logged and answered as ever, and
beyond that the agent listens only to its answers to open questions. The others are counted, and the log has
their number every few seconds (``FLOODED``), by which ``peerwatt verify`` knows of what was sent and is in no
other record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ALLOWANCE = 1000
"""Messages without effect that are taken of a sender at once, and again in an hour."""

REFILL_PER_S = ALLOWANCE / 3600.0

TELL_EVERY_S = 10.0
"""How often the log is told how many messages were not listened to."""

FLOODED = "flooded"
"""Name of the event: ``sender``, ``messages`` (how many) and ``body_bytes`` (of them all), since the last."""


@dataclass(slots=True)
class _Sender:
    left: float
    at_s: float
    messages: int = 0
    body_bytes: int = 0


class Floods:
    """Senders whose messages came to nothing of late; no I/O, the caller has the clock.

    Attributes:
        told_s: when the log was told last [s].
    """

    def __init__(self) -> None:
        """None so far."""
        self.told_s = 0.0
        self._senders: dict[str, _Sender] = {}
        self._untold: set[str] = set()

    def note_no_effect(self, sender: str, now_s: float) -> None:
        """A message was taken, and came to nothing."""
        known = self._senders.get(sender)
        if known is None:
            known = self._senders[sender] = _Sender(ALLOWANCE, now_s)
        known.left = min(ALLOWANCE, known.left + (now_s - known.at_s) * REFILL_PER_S) - 1.0
        known.at_s = now_s

    def exceeds(self, sender: str, now_s: float) -> bool:
        """Whether no more of this sender is taken just now, but answers."""
        known = self._senders.get(sender)
        return known is not None and known.left + (now_s - known.at_s) * REFILL_PER_S < 1.0

    def count(self, sender: str, body_bytes: int) -> bool:
        """Count a message that is not taken; whether it is the first since the log was told."""
        known = self._senders[sender]
        known.messages += 1
        known.body_bytes += body_bytes
        if sender in self._untold:
            return False
        self._untold.add(sender)
        return True

    def due(self, now_s: float) -> list[dict[str, Any]]:
        """What the log is to be told, if it is time."""
        return self.rest(now_s) if self._untold and now_s - self.told_s >= TELL_EVERY_S else []

    def rest(self, now_s: float) -> list[dict[str, Any]]:
        """What the log has not been told yet, by sender."""
        events = []
        for sender in sorted(self._untold):
            known = self._senders[sender]
            events.append({"sender": sender, "messages": known.messages, "body_bytes": known.body_bytes})
            known.messages = known.body_bytes = 0
        self._untold.clear()
        self.told_s = now_s
        return events


def flooded_by(event: object) -> tuple[str, int]:
    """Sender and number of messages by the data of a ``FLOODED`` event; nobody and 0 if it does not say."""
    if isinstance(event, dict):
        sender, messages = event.get("sender"), event.get("messages")
        if isinstance(sender, str) and isinstance(messages, int) and messages > 0:
            return sender, messages
    return "", 0

"""Messages that were not received because somebody had left: what the logs prove of why.

An agent's last record says since when it has been leaving (``EVENT_LEFT``). A message sent to it after that
could not reach it any more. And an answer that was lost on the way is repeated when it is asked for again, by
who is still there: where its sender had left by then, nobody could repeat it. Neither is anybody's fault, so
both are told apart from messages that a log should have and has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtime.messagelog.pairing import MessageTrace, Sighting
from runtime.messagelog.record import instant

UNDER_WAY_S = 1.0
"""What was sent so shortly before its recipient left may have been under way, and clocks differ."""


@dataclass(frozen=True, slots=True)
class Unreceived:
    """A message that was sent, and that no log shows as received.

    Attributes:
        sender: bare JID.
        recipient: bare JID.
        sent: records of sending it, the first first.
        asked: records of sending the message that it answers; none if it is no answer, or that is not known.
    """

    sender: str
    recipient: str
    sent: Sequence[Sighting]
    asked: Sequence[Sighting] = ()


def why_not_received(lost: Unreceived, sender_left: str | None, recipient_left: str | None) -> str | None:
    """Why a message was not received, in words; None if no leaving explains it.

    Args:
        lost: the message.
        sender_left: since when its sender has been leaving, in the form of ``LogRecord.at``; None if it has
            not left.
        recipient_left: likewise of its recipient.
    """
    if not lost.sent:
        return None
    if recipient_left is not None and _since(lost.sent[:1], recipient_left):
        return f"{lost.recipient} had left at {recipient_left}"
    if sender_left is not None and len(lost.asked) > 1:
        again = lost.asked[1:]
        if _since(again, sender_left):
            return (
                f"lost on the way; {lost.sender}, who could have repeated it, had left at "
                f"{sender_left} when it was asked for again at {again[0].at}"
            )
    return None


def asked_by(message: MessageTrace) -> tuple[str, str] | None:
    """Sender and id of the message that one answers; None if it is no answer."""
    envelope = message.envelope
    return None if envelope.in_reply_to is None else (envelope.recipient, envelope.in_reply_to)


def left_at(event: Mapping[str, object]) -> str | None:
    """Since when an agent has been leaving, by the data of its ``EVENT_LEFT``; None if it does not say."""
    since = event.get("since")
    try:
        return since if isinstance(since, str) and instant(since).tzinfo is not None else None
    except ValueError:
        return None


def _since(sightings: Sequence[Sighting], left: str) -> bool:
    """Whether all of these were after somebody left, or as good as."""
    moment: datetime = instant(left) - timedelta(seconds=UNDER_WAY_S)
    return all(instant(seen.at) >= moment for seen in sightings)

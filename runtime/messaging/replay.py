"""How an agent that crashed comes back: its machine is fed what its log holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from runtime.messagelog.record import EVENT_CONTINUED, EVENT_TORN_LINE, RecordKind, instant
from runtime.messagelog.writer import MessageLog
from runtime.messaging.feed import LogFeed
from runtime.protocol.envelope import Envelope
from runtime.protocol.machine import Effect
from runtime.protocol.reactions import Reactions

UNSURE_S = 1.0
"""Messages logged so shortly before a crash may not have left the process any more."""


class Replay:
    """Brings an agent back to where its log ends, without sending anything twice as new."""

    def __init__(self, reactions: Reactions) -> None:
        """Bring back the machine behind ``reactions``."""
        self._feed = LogFeed(reactions)
        self._unanswerable: dict[str, tuple[datetime, Envelope]] = {}

    def run(self, log: MessageLog) -> None:
        """Feed the machine what the log holds; what it wants saved is saved."""
        crashed_at = None
        feed = self._feed
        for record in log.records():
            if record.name not in (EVENT_CONTINUED, EVENT_TORN_LINE):  # a life that began, but did nothing
                crashed_at = instant(record.at)
            envelope = record.envelope
            if (
                envelope is not None
                and record.kind is RecordKind.OUT
                and not envelope.expects_reply
                # For the first time, or again: in an earlier life, or when it was asked for again.
                and (envelope.message_id in feed.unsent or envelope.message_id in self._unanswerable)
            ):
                self._unanswerable[envelope.message_id] = instant(record.at), envelope
            feed.feed(record)
            for effect in feed.saved:
                effect.record.save(effect.path)
            feed.saved.clear()
        if crashed_at is not None:
            since = crashed_at - timedelta(seconds=UNSURE_S)
            self._unanswerable = {
                message_id: (at, envelope)
                for message_id, (at, envelope) in self._unanswerable.items()
                if at >= since
            }

    def unsure(self) -> list[Envelope]:
        """Messages nobody answers that may not have been sent though they are in the log."""
        envelopes = [envelope for _, envelope in self._unanswerable.values()]
        self._unanswerable = {}
        return envelopes

    def left_over(self) -> list[Effect]:
        """What the agent had not got round to: sends, timers and computations."""
        feed = self._feed
        effects: list[Effect] = [*feed.unsent.values(), *feed.timers.values(), *feed.jobs.values()]
        effects += feed.ended
        feed.unsent, feed.timers, feed.jobs, feed.ended = {}, {}, {}, []
        return effects

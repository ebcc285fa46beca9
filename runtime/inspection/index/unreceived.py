"""Messages that no log shows as received, and what the logs say of why, by the index; as `verify` does."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.messagelog.pairing import Sighting
from runtime.messagelog.parting import Unreceived, left_at, why_not_received
from runtime.messagelog.record import EVENT_LEFT


@dataclass(slots=True)
class UnreceivedMessages:
    """Counts of messages that were not received.

    Attributes:
        lost: whose recipient's log should have them.
        parted: as somebody had left by then; nobody's fault.
        without_log: whose recipient has no log here.
    """

    lost: int = 0
    parted: int = 0
    without_log: int = 0
    _left: dict[str, str] = field(default_factory=dict)
    _doubtful: list[IndexedMessage] = field(default_factory=list)

    def know(self, query: MessageQuery) -> None:
        """Learn who has left.

        Raises:
            LogError: a log was changed since it was indexed.
        """
        for record in query.last_events():
            since = left_at(record.data or {}) if record.name == EVENT_LEFT else None
            if since is not None:
                self._left[record.agent] = since

    def add(self, message: IndexedMessage, query: MessageQuery) -> None:
        """Count a message that was not received."""
        if not query.has_log(message.recipient):
            self.without_log += 1
        elif self._why(message, []) is not None:
            self.parted += 1
        elif message.in_reply_to is not None and self._since(message.sender) is not None:
            self._doubtful.append(message)
        else:
            self.lost += 1

    def settle(self, query: MessageQuery) -> None:
        """Count those for which it matters when they were asked for again."""
        asking = {
            (message.recipient, message.in_reply_to) for message in self._doubtful if message.in_reply_to
        }
        asked = {(found.sender, found.message_id): found.sent for found in query.with_keys(asking)}
        for message in self._doubtful:
            sightings = asked.get((message.recipient, message.in_reply_to or ""), [])
            if self._why(message, sightings) is None:
                self.lost += 1
            else:
                self.parted += 1
        self._doubtful.clear()

    def _why(self, message: IndexedMessage, asked: list[Sighting]) -> str | None:
        ends = message.sender, message.recipient
        return why_not_received(Unreceived(*ends, message.sent, asked), *map(self._since, ends))

    def _since(self, jid: str) -> str | None:
        """Since when an agent has been leaving; None if it has not left."""
        return self._left.get(jid) or self._left.get(jid.partition("@")[0])

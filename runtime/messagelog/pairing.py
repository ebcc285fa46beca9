"""Each message once: what its sender logged brought together with what its recipient logged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runtime.messagelog.record import NOTE_DUPLICATE, LogRecord, RecordKind, instant
from runtime.protocol.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message in one log.

    Attributes:
        agent: whose log.
        seq: place in that log.
        at: when it was written there, in the form of ``LogRecord.at``.
        note: the record's note.
    """

    agent: str
    seq: int
    at: str
    note: str | None


@dataclass(slots=True)
class MessageTrace:
    """One message, told apart by sender and id, and where it was seen.

    Attributes:
        envelope: the message, as first seen.
        sent: records of sending it: the first, then resends.
        received: records of its receipt: the first, then duplicates.
        altered: sightings whose message is not the same as ``envelope``, and what it is there.
    """

    envelope: Envelope
    sent: list[Sighting] = field(default_factory=list)
    received: list[Sighting] = field(default_factory=list)
    altered: list[tuple[Sighting, Envelope]] = field(default_factory=list)

    @property
    def at(self) -> str:
        """When it was first sent; when it was first received if its sender's log is not known."""
        return (self.sent or self.received)[0].at

    @property
    def resends(self) -> int:
        """How often it was sent again."""
        return max(0, len(self.sent) - 1)

    @property
    def effective(self) -> list[Sighting]:
        """Receipts not marked as duplicate; one, if all is well."""
        return [seen for seen in self.received if not is_duplicate(seen.note)]

    @property
    def delay_s(self) -> float | None:
        """Time from first sending to first receipt by the two wall clocks [s]; None if one is not known."""
        if not self.sent or not self.received:
            return None
        return (instant(self.received[0].at) - instant(self.sent[0].at)).total_seconds()

    @property
    def notes(self) -> list[str]:
        """Notes of all its records, in order, each once."""
        return list(dict.fromkeys(seen.note for seen in (*self.sent, *self.received) if seen.note))


@dataclass(slots=True)
class Pairing:
    """All messages of some logs.

    Attributes:
        messages: each message once, in the order it was first seen.
        agents: agents whose logs were read.
    """

    messages: list[MessageTrace] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)


def is_duplicate(note: str | None) -> bool:
    """Tell whether a note marks a receipt as a repetition without effect."""
    return note is not None and note.startswith(NOTE_DUPLICATE)


def pair(records: Iterable[LogRecord]) -> Pairing:
    """Bring together the records of each message by (sender, id).

    Args:
        records: records of any number of logs, each log's in its own order, as ``merge`` gives them.
    """
    found: dict[tuple[str, str], MessageTrace] = {}
    pairing = Pairing()
    for record in records:
        pairing.agents.add(record.agent)
        envelope = record.envelope
        if envelope is None:
            continue
        key = (envelope.sender, envelope.message_id)
        trace = found.get(key)
        if trace is None:
            trace = found[key] = MessageTrace(envelope)
            pairing.messages.append(trace)
        seen = Sighting(record.agent, record.seq, record.at, record.note)
        (trace.sent if record.kind is RecordKind.OUT else trace.received).append(seen)
        if envelope != trace.envelope:
            trace.altered.append((seen, envelope))
    return pairing

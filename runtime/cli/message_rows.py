"""The lines that ``peerwatt messages`` shows, and their forms: text, JSON, CSV, counts."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messagelog.facts import BodyFacts, ConversationFacts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.pairing import MessageTrace, is_duplicate, pair
from runtime.messagelog.record import LogRecord, RecordKind
from runtime.messagelog.summaries import escaped, printable, summarise
from runtime.protocol.envelope import Envelope


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of one agent's log, to be shown among the messages."""

    record: LogRecord

    @property
    def at(self) -> str:
        """When it was written."""
        return self.record.at

    def as_json(self) -> dict[str, Any]:
        """Give the event as a JSON object."""
        record = self.record
        return {"at": record.at, "agent": record.agent, "event": record.name, "data": record.data}

    def columns(self) -> tuple[str, ...]:
        """Give time, agent, performative, type, place and text, as ``MessageRow.columns``."""
        text = printable(json.dumps(self.record.data))
        return (
            _time(self.at),
            escaped(self.record.agent),
            "event",
            escaped(self.record.name or ""),
            "",
            text,
        )


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message to be shown.

    Attributes:
        at: when it was sent (first received, if its sender has no log).
        envelope: the message.
        facts: what it is about.
        notes: remarks: notes of its records, how often it was resent, that it was not received.
        trace: what all logs know of it; None while following.
    """

    at: str
    envelope: Envelope
    facts: BodyFacts
    notes: Sequence[str] = ()
    trace: MessageTrace | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the message as a JSON object; its body too, where it is one."""
        envelope, facts = self.envelope, self.facts
        known: dict[str, Any] = {
            "at": self.at,
            "from": envelope.sender,
            "to": envelope.recipient,
            "performative": str(envelope.performative),
            "protocol": envelope.protocol,
            "conversation": envelope.conversation,
            "type": facts.type,
            "session": facts.session,
            "round": facts.round,
            "slot": facts.slot,
            "id": envelope.message_id,
            "re": envelope.in_reply_to,
            "by": envelope.reply_by,
            "expects_reply": envelope.expects_reply,
            "ontology": envelope.ontology,
            "notes": list(self.notes),
        }
        if self.trace is not None:
            known["sent"] = len(self.trace.sent)
            known["received"] = len(self.trace.received)
            known["received_at"] = self.trace.received[0].at if self.trace.received else None
            known["delay_s"] = self.trace.delay_s
        known["body"] = facts.fields or envelope.body
        return known

    def columns(self) -> tuple[str, ...]:
        """Give time, ends, performative, type, place (session, round, slot) and text, to be shown."""
        facts = self.facts
        place = " ".join(
            f"{name} {value}"
            for name, value in (("session", facts.session), ("round", facts.round), ("slot", facts.slot))
            if value is not None
        )
        ends = f"{_local(self.envelope.sender)} → {_local(self.envelope.recipient)}"
        text = summarise(self.envelope, facts)
        if self.notes:
            text = f"{text} [{printable('; '.join(self.notes))}]"
        kind = escaped(facts.type or "?")
        return (_time(self.at), escaped(ends), str(self.envelope.performative), kind, place, text)


Row = MessageRow | EventRow


def rows_of(records: Iterable[LogRecord], criteria: MessageFilter, *, events: bool = False) -> list[Row]:
    """List each message of some logs once, in the order of time.

    Args:
        records: the logs' records as ``merge`` gives them.
        criteria: which messages to list.
        events: whether to list events too.
    """
    kept: list[LogRecord] = []

    def keep_events() -> Iterator[LogRecord]:
        for record in records:
            if record.kind is RecordKind.EVENT and events and criteria.accepts_record(record):
                kept.append(record)
            yield record

    pairing = pair(keep_events())
    conversation = ConversationFacts()
    rows: list[Row] = [EventRow(record) for record in kept]
    for trace in sorted(pairing.messages, key=lambda message: message.at):
        facts = conversation.of(trace.envelope)
        if criteria.accepts(trace.envelope, trace.at, facts):
            recipient = trace.envelope.recipient
            notes = _notes(trace, not pairing.agents.isdisjoint((recipient, _local(recipient))))
            rows.append(MessageRow(trace.at, trace.envelope, facts, notes, trace))
    return sorted(rows, key=lambda row: row.at)


def rows_as_they_come(
    records: Iterable[LogRecord], criteria: MessageFilter, *, events: bool = False
) -> Iterator[Row]:
    """List messages as their records are written: at the first record of each, and again for every note."""
    conversation = ConversationFacts()
    seen: set[tuple[str, str]] = set()
    for record in records:
        envelope = record.envelope
        if envelope is None:
            if events and criteria.accepts_record(record):
                yield EventRow(record)
            continue
        key = (envelope.sender, envelope.message_id)
        if key in seen and record.note is None:
            continue
        seen.add(key)
        facts = conversation.of(envelope)
        if criteria.accepts(envelope, record.at, facts):
            yield MessageRow(record.at, envelope, facts, (record.note,) if record.note else ())


def export(rows: Iterable[Row], path: Path) -> int:
    """Write rows to a file, in the form its name ends in; whole or not at all.

    Returns:
        Number of rows written.

    Raises:
        InputError: the name ends neither in ``.jsonl`` nor in ``.csv``, or the file cannot be written.
    """
    forms = {".jsonl": _jsonl, ".csv": _csv}
    if path.suffix not in forms:
        raise InputError(f"--export {path}: expected a name ending in .jsonl or .csv")
    objects = [row.as_json() for row in rows]
    try:
        write_text_atomically(path, forms[path.suffix](objects))
    except OSError as error:
        raise InputError(f"--export {path}: cannot be written: {error.strerror}") from error
    return len(objects)


def _jsonl(objects: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in objects)


_CSV_COLUMNS = (
    "at", "from", "to", "performative", "protocol", "conversation", "type", "session", "round", "slot",
    "id", "re", "by", "expects_reply", "ontology", "notes", "sent", "received",
    "received_at", "delay_s", "body", "agent", "event", "data",
)  # fmt: skip


def _csv(objects: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in objects:
        cells = dict(entry)
        if "notes" in cells:
            cells["notes"] = "; ".join(cells["notes"])
        for key in ("body", "data"):
            if key in cells and not isinstance(cells[key], str):
                cells[key] = json.dumps(cells[key])
        writer.writerow(cells)
    return text.getvalue()


@dataclass(slots=True)
class Statistics:
    """Counts over messages, and how long they took.

    Attributes:
        messages: number of messages, each once.
        resends: times a message was sent again.
        duplicates: receipts marked as duplicate.
        not_received: messages no log shows as received.
        by_performative: messages by performative.
        by_type: messages by body type.
        sent_by_agent: messages by sender.
        received_by_agent: messages received, by recipient.
        delays_s: delivery delays, ascending [s].
    """

    messages: int = 0
    resends: int = 0
    duplicates: int = 0
    not_received: int = 0
    by_performative: Counter[str] = field(default_factory=Counter)
    by_type: Counter[str] = field(default_factory=Counter)
    sent_by_agent: Counter[str] = field(default_factory=Counter)
    received_by_agent: Counter[str] = field(default_factory=Counter)
    delays_s: list[float] = field(default_factory=list)

    def delay_s(self, fraction: float) -> float | None:
        """Give the delay that ``fraction`` of messages do not exceed [s], by nearest rank; None if none."""
        if not self.delays_s:
            return None
        return self.delays_s[max(0, math.ceil(fraction * len(self.delays_s)) - 1)]

    def as_json(self) -> dict[str, Any]:
        """Give the counts as a JSON object."""
        return {
            "messages": self.messages,
            "resends": self.resends,
            "duplicates": self.duplicates,
            "not_received": self.not_received,
            "delay_p50_s": self.delay_s(0.5),
            "delay_p95_s": self.delay_s(0.95),
            "delay_max_s": self.delay_s(1.0),
            "by_performative": dict(self.by_performative.most_common()),
            "by_type": dict(self.by_type.most_common()),
            "sent_by_agent": dict(sorted(self.sent_by_agent.items())),
            "received_by_agent": dict(sorted(self.received_by_agent.items())),
        }


def statistics_of(rows: Iterable[Row]) -> Statistics:
    """Count the messages among rows of ``rows_of``."""
    counts = Statistics()
    for row in rows:
        if not isinstance(row, MessageRow) or row.trace is None:
            continue
        counts.messages += 1
        counts.resends += row.trace.resends
        counts.duplicates += sum(is_duplicate(seen.note) for seen in row.trace.received)
        counts.by_performative[str(row.envelope.performative)] += 1
        counts.by_type[row.facts.type or "?"] += 1
        counts.sent_by_agent[_local(row.envelope.sender)] += 1
        if row.trace.received:
            counts.received_by_agent[_local(row.envelope.recipient)] += 1
        else:
            counts.not_received += 1
        if row.trace.delay_s is not None:
            counts.delays_s.append(row.trace.delay_s)
    counts.delays_s.sort()
    return counts


def _notes(trace: MessageTrace, recipient_has_log: bool) -> list[str]:
    notes = trace.notes
    if not trace.received:
        notes.append("not received" if recipient_has_log else "its recipient has no log here")
    elif not trace.sent:
        notes.append("its sender has no record of it")
    return notes


def _local(jid: str) -> str:
    return jid.partition("@")[0]


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:23]}"

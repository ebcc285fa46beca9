"""The lines that ``peerwatt messages`` shows, and their forms: text, JSON, CSV."""

from __future__ import annotations

import contextlib
import csv
import heapq
import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from runtime.errors import InputError
from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.messagelog.facts import BodyFacts, ConversationFacts, body_facts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.pairing import MessageTrace
from runtime.messagelog.record import LogRecord
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
        session = None if facts.session is None else facts.session + 1  # people count sessions from 1
        place = " ".join(
            f"{name} {value}"
            for name, value in (("session", session), ("round", facts.round), ("slot", facts.slot))
            if value is not None
        )
        ends = f"{_local(self.envelope.sender)} → {_local(self.envelope.recipient)}"
        text = summarise(self.envelope, facts)
        if self.notes:
            text = f"{text} [{printable('; '.join(self.notes))}]"
        kind = escaped(facts.type or "?")
        return (_time(self.at), escaped(ends), str(self.envelope.performative), kind, place, text)


Row = MessageRow | EventRow

REMEMBERED = 100_000
"""So many messages are known while following: their other ends' records do not show them again."""


def listed_rows(
    query: MessageQuery, criteria: MessageFilter, *, events: bool = False, message_id: str | None = None
) -> Iterator[Row]:
    """List each message of some logs once, in the order of time.

    Args:
        query: asks the logs' index.
        criteria: which messages to list.
        events: whether to list events too.
        message_id: only messages with this id.

    Raises:
        LogError: a message's line was changed.
    """
    messages: Iterator[Row] = (
        message_row(query, found, envelope) for found, envelope in query.matching(criteria, message_id)
    )
    if not events or message_id is not None:
        return messages
    happened: Iterator[Row] = (EventRow(record) for record in query.events(criteria))
    return heapq.merge(messages, happened, key=lambda row: row.at)


def message_row(query: MessageQuery, found: IndexedMessage, envelope: Envelope) -> MessageRow:
    """The row of a message."""
    facts = replace(body_facts(envelope), session=found.session, round=found.round, slot=found.slot)
    trace = MessageTrace(envelope, found.sent, found.received)
    return MessageRow(found.at, envelope, facts, _notes(trace, query.has_log(found.recipient)), trace)


def rows_as_they_come(
    records: Iterable[LogRecord],
    criteria: MessageFilter,
    *,
    events: bool = False,
    before: Iterable[tuple[tuple[str, str], BodyFacts]] = (),
) -> Iterator[Row]:
    """List messages as their records are written: at the first record of each, and again for every note.

    Args:
        records: in the order of time.
        criteria: which messages to list.
        events: whether to list events too.
        before: sender and id of messages that were listed already, and what they are about.
    """
    conversation = ConversationFacts()
    seen: OrderedDict[tuple[str, str], None] = OrderedDict()
    for key, facts in before:
        seen[key] = None
        conversation.remember(key, facts)
    for record in records:
        envelope = record.envelope
        if envelope is None:
            if events and criteria.accepts_record(record):
                yield EventRow(record)
            continue
        key = (envelope.sender, envelope.message_id)
        if key in seen and record.note is None:
            continue
        seen[key] = None
        if len(seen) > REMEMBERED:
            seen.popitem(last=False)
        facts = conversation.of(envelope)
        if criteria.accepts(envelope, record.at, facts):
            yield MessageRow(record.at, envelope, facts, (record.note,) if record.note else ())


def export(rows: Iterable[Row], path: Path) -> int:
    """Write rows to a file as they come, in the form its name ends in; whole or not at all.

    Returns:
        Number of rows written.

    Raises:
        InputError: the name ends neither in ``.jsonl`` nor in ``.csv``, or the file cannot be written.
    """
    forms = {".jsonl": _write_jsonl, ".csv": _write_csv}
    if path.suffix not in forms:
        raise InputError(f"--export {path}: expected a name ending in .jsonl or .csv")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            count = forms[path.suffix]((row.as_json() for row in rows), file)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"--export {path}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return count


def _write_jsonl(objects: Iterable[dict[str, Any]], file: TextIO) -> int:
    count = 0
    for entry in objects:
        file.write(json.dumps(entry) + "\n")
        count += 1
    return count


_CSV_COLUMNS = (
    "at", "from", "to", "performative", "protocol", "conversation", "type", "session", "round", "slot",
    "id", "re", "by", "expects_reply", "ontology", "notes", "sent", "received",
    "received_at", "delay_s", "body", "agent", "event", "data",
)  # fmt: skip


def _write_csv(objects: Iterable[dict[str, Any]], file: TextIO) -> int:
    writer = csv.DictWriter(file, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    count = 0
    for entry in objects:
        cells = dict(entry)
        if "notes" in cells:
            cells["notes"] = "; ".join(cells["notes"])
        for key in ("body", "data"):
            if key in cells and not isinstance(cells[key], str):
                cells[key] = json.dumps(cells[key])
        writer.writerow(cells)
        count += 1
    return count


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

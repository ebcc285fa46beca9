"""Holds an agent's log against its machine: fed what happened by the log, does it say what is there?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from runtime.differences import differences
from runtime.messagelog.facts import body_facts
from runtime.messagelog.record import LogRecord, RecordKind
from runtime.messaging.feed import COMPUTED, MALFORMED, STARTED, TIMER, LogFeed
from runtime.protocol.envelope import Envelope
from runtime.protocol.exchange import Verdict
from runtime.protocol.machine import Finish, Machine, Send
from runtime.protocol.reactions import Reactions
from runtime.record_base import Record

MOST_DIVERGENCES = 200
"""What follows from a first wrong message is wrong too: beyond so many, divergences are only counted."""

MOST_VALUES = 3
"""So many wrong values of one message are named."""

_TOLD = frozenset({STARTED, TIMER, COMPUTED, MALFORMED})
_FREE = frozenset({"reply_by", "body"})
"""Fields of a message that its machine does not decide, and the one that is compared value by value."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a log is not what its machine makes of it.

    Attributes:
        seq: the record's place in the log.
        subject: the record or message, as findings name it.
        text: what was found there, and what was expected.
    """

    seq: int
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(slots=True)
class Retraced:
    """What came of feeding a machine its log.

    Attributes:
        machine: the machine, as it is at the log's end; None before.
        events: what the machine was told: messages, timers, computations.
        messages: messages it said that are in the log as it would say them.
        rounded: of them, those equal but for the last decimals of numbers.
        divergences: what is not as the machine makes it, in the log's order.
        more: how many further ones there were.
        ended: whether the machine has finished, and the log with it.
        saved: the records that the machine wanted kept, in order.
    """

    machine: Machine | None = None
    events: int = 0
    messages: int = 0
    rounded: int = 0
    divergences: list[Divergence] = field(default_factory=list)
    more: int = 0
    ended: bool = False
    saved: list[Record] = field(default_factory=list)

    def add(self, divergence: Divergence) -> None:
        """Note a divergence."""
        if len(self.divergences) < MOST_DIVERGENCES:
            self.divergences.append(divergence)
        else:
            self.more += 1


def retrace(records: Iterable[LogRecord], machine: Machine) -> Retraced:
    """Feed a machine its log and compare what it says with what the log says that it said.

    Args:
        records: the log's records, in order.
        machine: as it was when the log began.

    Raises:
        LogError: as the reading of ``records`` does.
    """
    found = Retraced(machine)
    feed = LogFeed(Reactions(machine))
    due: dict[str, int] = {}  # message the machine wants sent -> record that it follows from
    said: set[str] = set()
    for record in records:
        envelope = record.envelope
        if envelope is not None and record.kind is RecordKind.OUT:
            _compare(record, envelope, feed.unsent.get(envelope.message_id), said, found)
            said.add(envelope.message_id)
            due.pop(envelope.message_id, None)
            feed.feed(record)
            continue
        if envelope is None and (record.name not in _TOLD or not _may_happen(record, feed, found)):
            continue
        found.events += 1
        if record.name != COMPUTED:  # brief work is done, and told, amid what else is to be done
            _miss(feed, due, record, found)
        try:
            feed.feed(record)
        except Exception as error:  # the machine cannot go on from what is no true account of its life
            text = f"the {type(machine).__name__} cannot follow: {type(error).__name__}: {error}"
            found.add(Divergence(record.seq, _place(record), text))
            return found
        if envelope is not None and (feed.verdict is Verdict.NEW) != (record.note is None):
            text = f"noted as {record.note!r}" if record.note else "taken in as a message of its own"
            expected = feed.verdict.name.lower().replace("_", " ")
            found.add(Divergence(record.seq, message_name(record, envelope), f"{text}, expected: {expected}"))
        for message_id in feed.unsent:
            due.setdefault(message_id, record.seq)
        found.saved += [effect.whole() for effect in feed.saved]
        feed.saved.clear()
    found.ended = any(isinstance(effect, Finish) for effect in feed.ended)
    if found.ended:
        _miss(feed, due, None, found)
    return found


def _may_happen(record: LogRecord, feed: LogFeed, found: Retraced) -> bool:
    """Whether what a record says happened can have happened to this machine; says so if not."""
    name = (record.data or {}).get("name")
    wrong = None
    if record.name == TIMER and name not in feed.timers:
        wrong = f"the timer {name!r} ran out, but it was not running"
    elif record.name == COMPUTED and name not in feed.jobs:
        wrong = f"the computation {name!r} is done, but it was not begun"
    elif record.name == STARTED and feed.reactions.started:
        wrong = "started a second time"
    if wrong is not None:
        found.add(Divergence(record.seq, _place(record), wrong))
    return wrong is None


def _compare(
    record: LogRecord, said: Envelope, wanted: Send | None, earlier: set[str], found: Retraced
) -> None:
    if wanted is None:
        if record.note is None or said.message_id not in earlier:
            text = "was sent, but nothing that is in the log before led to it"
            found.add(Divergence(record.seq, message_name(record, said), text))
        return
    expected = wanted.envelope
    wrong = [
        f"{each.name}: found {getattr(said, each.name)}, expected {getattr(expected, each.name)}"
        for each in fields(Envelope)
        if each.name not in _FREE and getattr(said, each.name) != getattr(expected, each.name)
    ]
    if said.body != expected.body:
        values = list(differences(_parsed(said.body), _parsed(expected.body)))
        wrong += values[:MOST_VALUES]
        if len(values) > MOST_VALUES:
            wrong.append(f"{len(values) - MOST_VALUES} more values differ")
        found.rounded += not values
    if wrong:
        found.add(Divergence(record.seq, message_name(record, said), "; ".join(wrong)))
    else:
        found.messages += 1


def _miss(feed: LogFeed, due: dict[str, int], record: LogRecord | None, found: Retraced) -> None:
    """Note messages that were to be sent before this record, and were not."""
    for message_id in list(feed.unsent):
        envelope = feed.unsent[message_id].envelope
        seq = due.pop(message_id, 0)
        if record is not None:
            del feed.unsent[message_id]
        subject = f"{envelope.sender.partition('@')[0]}.jsonl, after record {seq}"
        kind = body_facts(envelope).type or "message"
        text = f"expected {kind} {message_id!r} to {envelope.recipient}, which was not sent"
        found.add(Divergence(seq, subject, text))


def message_name(record: LogRecord, envelope: Envelope) -> str:
    """A message of a log as findings name it."""
    kind = body_facts(envelope).type or "message"
    return f"{_place(record)}, {kind} {envelope.message_id!r} from {envelope.sender} to {envelope.recipient}"


def _place(record: LogRecord) -> str:
    return f"{record.agent}.jsonl, record {record.seq}"


def _parsed(body: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body

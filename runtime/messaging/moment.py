"""An agent's machine as it was at one record of its log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from runtime.errors import InputError
from runtime.messagelog.facts import body_facts
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import LogRecord, RecordKind
from runtime.messaging.feed import LogFeed
from runtime.protocol.machine import Machine, StartTimer
from runtime.protocol.reactions import Reactions

M = TypeVar("M", bound=Machine)

_FIRST_RECORDS = 1000


@dataclass(frozen=True)
class Moment(Generic[M]):
    """A machine at a moment of its life.

    Attributes:
        machine: as it was, with that record taken in.
        record: the record.
        feed: what was asked for and not done yet.
    """

    machine: M
    record: LogRecord
    feed: LogFeed

    def as_json(self) -> dict[str, Any]:
        """When it was, after which record, and what was to come; JSON-ready."""
        record, envelope = self.record, self.record.envelope
        said = None
        if envelope is not None:
            said = {
                "id": envelope.message_id,
                "from": envelope.sender,
                "to": envelope.recipient,
                "performative": str(envelope.performative),
                "type": body_facts(envelope).type,
            }
        return {
            "agent": record.agent,
            "record": record.seq,
            "at": record.at,
            "kind": str(record.kind),
            "message": said,
            "event": record.name,
            "timers": {
                name: timer.seconds if isinstance(timer, StartTimer) else None
                for name, timer in self.feed.timers.items()
            },
            "unanswered": [
                {"id": asked.message_id, "to": asked.recipient, "type": body_facts(asked).type}
                for asked in self.feed.reactions.exchange.waiting
            ],
            "computing": list(self.feed.jobs),
            "to_send": list(self.feed.unsent),
        }


def moment_of(
    log: Path, make_machine: Callable[[str], M], until: str | None = None, record: int | None = None
) -> Moment[M]:
    """Rebuild an agent's machine from its log.

    Args:
        log: the agent's log.
        make_machine: gives the machine of a JID, as it was when the log began.
        until: a message: its id if the agent sent it, else ``SENDER:ID``; None for the log's end.
        record: number of a record instead.

    Raises:
        InputError: the log has no such message or record.
        LogError: the log cannot be read, or its chain is broken.
    """
    feed = None
    last = None
    wanted = None if until is None else _wanted(until, log.stem)
    for each in read_log(log):
        if feed is None:
            machine = make_machine(jid_of(log))
            feed = LogFeed(Reactions(machine))
        feed.feed(each)
        feed.saved.clear()
        last = each
        if each.seq == record or (wanted is not None and _is(each, wanted)):
            break
    else:
        if wanted is not None or record is not None:
            name = f"--record: found {record}" if wanted is None else f"--until: found {until!r}"
            expected = "ID of a message that it sent, or SENDER:ID of one that came"
            count = 0 if last is None else last.seq
            raise InputError(f"{name}, which is not in {log}: expected {expected}, or a record up to {count}")
    if feed is None or last is None:
        raise InputError(f"{log}: is empty")
    return Moment(machine, last, feed)


def jid_of(log: Path) -> str:
    """An agent's JID, from the first message in its log.

    Raises:
        LogError: the log cannot be read.
    """
    records: Iterable[LogRecord] = islice(read_log(log, check_hashes=False), _FIRST_RECORDS)
    for record in records:
        envelope = record.envelope
        if envelope is not None:
            return envelope.sender if record.kind is RecordKind.OUT else envelope.recipient
    return f"{log.stem}@localhost"


def _wanted(until: str, agent: str) -> tuple[str, str]:
    sender, colon, message_id = until.rpartition(":")
    return (sender if colon else agent), message_id


def _is(record: LogRecord, wanted: tuple[str, str]) -> bool:
    envelope = record.envelope
    return (
        envelope is not None
        and envelope.message_id == wanted[1]
        and wanted[0] in (envelope.sender, envelope.sender.partition("@")[0])
    )

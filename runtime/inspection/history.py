"""The newest messages that a filter lets through, read from the ends of the logs."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.inspection.tail import written_at
from runtime.messagelog.facts import body_facts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.reader import log_paths
from runtime.messagelog.record import RecordKind, decode
from runtime.messagelog.summaries import summarise

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, the newest first.

    Attributes:
        rows: JSON-ready.
        complete: whether all that could match was looked at; False if there are older ones, or time was up.
        reached: all written after this was looked at; the next page is what was written before it.
    """

    rows: list[dict[str, Any]]
    complete: bool
    reached: str = ""


def newest(
    logs_dir: Path,
    criteria: MessageFilter,
    *,
    limit: int,
    after: str = "",
    before: str = "",
    budget_s: float = 2.0,
) -> Page:
    """Look for messages from the newest back.

    A message is listed where it was sent, or received by somebody who notes something about it, or whose
    sender has no log here. One agent's messages are all in its own log: no other is looked at then.

    Args:
        logs_dir: a run's folder of logs.
        criteria: which messages.
        limit: how many at most.
        after: only those written later than this, in the form of ``LogRecord.at``; empty for any.
        before: only those written earlier; empty for any.
        budget_s: time after which the search ends with what was found [s].
    """
    ends_s = time.monotonic() + budget_s
    paths = log_paths(logs_dir)
    present = {path.stem for path in paths}
    own = [path for path in paths if path.stem == criteria.agent]
    if own:
        paths, present = own, set()
    wanted = (criteria.text or "").lower().encode()
    kind = f'\\"{criteria.body_type or ""}'.encode()
    rows: list[dict[str, Any]] = []
    for looked, (at, agent, line) in enumerate(
        heapq.merge(*(_reversed(path) for path in paths), key=lambda entry: entry[0], reverse=True)
    ):
        if at <= after:
            return Page(rows, True)
        if looked % 256 == 0 and time.monotonic() > ends_s:
            return Page(rows, False, at)
        if (before and at >= before) or b'"kind":"event"' in line[:90]:
            continue
        if kind not in line:
            continue
        if wanted.isascii() and wanted.isalnum() and wanted not in line.lower():
            continue
        row = _row(line, agent, criteria, present)
        if row is not None:
            if len(rows) == limit:
                return Page(rows, False, rows[-1]["at"])
            rows.append(row)
    return Page(rows, True)


def _row(line: bytes, agent: str, criteria: MessageFilter, present: set[str]) -> dict[str, Any] | None:
    try:
        record = decode(line, agent, check_hash=False)
    except (ValueError, KeyError):
        return None
    envelope = record.envelope
    if envelope is None:
        return None
    sender = envelope.sender.partition("@")[0]
    if record.kind is RecordKind.IN and record.note is None and sender in present:
        return None
    facts = body_facts(envelope)
    if not criteria.accepts(envelope, record.at, facts):
        return None
    return {
        "at": record.at,
        "agent": agent,
        "seq": record.seq,
        "from": sender,
        "to": envelope.recipient.partition("@")[0],
        "performative": str(envelope.performative),
        "type": facts.type or "?",
        "session": facts.session,
        "round": facts.round,
        "slot": facts.slot,
        "id": envelope.message_id,
        "note": record.note,
        "text": summarise(envelope, facts),
    }


def _reversed(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """A log's lines, the last first; a torn last line is left out."""
    for line in _reversed_lines(path):
        yield written_at(line), path.stem, line


def _reversed_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        position = file.seek(0, 2)
    rest = b""
    first = True
    while position:
        length = min(_BLOCK_BYTES, position)
        position -= length
        with path.open(
            "rb"
        ) as file:  # anew for each block: a large fleet has more logs than files may be open
            file.seek(position)
            block = file.read(length) + rest
        lines = block.split(b"\n")
        rest = lines[0]
        if first:
            lines, first = lines[:-1] or [b""], False
        yield from reversed(lines[1:])
    if rest and not first and rest.endswith(b"}"):
        yield rest

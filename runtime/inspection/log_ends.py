"""Messages read from the ends of the logs back."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.inspection.tail import written_at
from runtime.messagelog.facts import body_facts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.record import RecordKind, decode
from runtime.messagelog.summaries import summarise

_BLOCK_BYTES = 1 << 16
_MARK_EACH = 256

Entry = tuple[str, dict[str, Any] | None]
"""When a message was written, and its row, JSON-ready; or how far was looked, without one."""


def looked_back(
    paths: Sequence[Path], starts: Mapping[Path, int], criteria: MessageFilter, before: str
) -> Iterator[Entry]:
    """Look through logs from their ends back.

    A message is listed where it was sent, or received by somebody who notes something about it, or whose
    sender has no log here. Where whole logs are looked through, one agent's messages are all in its own log:
    no other is looked at then.

    Args:
        paths: the logs.
        starts: where each begins to be of interest [bytes]; those that are missing at their beginning.
        criteria: which messages.
        before: only those written earlier than this, in the form of ``LogRecord.at``; empty for any.

    Raises:
        OSError: a log cannot be read.
    """
    present = {path.stem for path in paths}
    own = [path for path in paths if path.stem == criteria.agent]
    if own and not starts:
        paths, present = own, set()
    wanted = (criteria.text or "").lower().encode()
    kind = b"" if criteria.body_type is None else f'\\"{criteria.body_type}'.encode()
    ends = (_reversed(path, starts.get(path, 0)) for path in paths)
    lines = heapq.merge(*ends, key=lambda entry: entry[0], reverse=True)
    for looked, (at, agent, line) in enumerate(lines):
        if looked % _MARK_EACH == 0:
            yield at, None
        if (before and at >= before) or b'"kind":"event"' in line[:90]:
            continue
        if kind not in line:
            continue
        if wanted.isascii() and wanted.isalnum() and wanted not in line.lower():
            continue
        row = _row(line, agent, criteria, present)
        if row is not None:
            yield at, row


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


def _reversed(path: Path, start: int) -> Iterator[tuple[str, str, bytes]]:
    """A log's lines from ``start`` on, the last first; a torn last line is left out."""
    for line in _reversed_lines(path, start):
        yield written_at(line), path.stem, line


def _reversed_lines(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        position = file.seek(0, 2)
    rest = b""
    is_last = True
    while position > start:
        length = min(_BLOCK_BYTES, position - start)
        position -= length
        # Opened anew for each block: a large fleet has more logs than files may be open.
        with path.open("rb") as file:
            file.seek(position)
            block = file.read(length) + rest
        lines = block.split(b"\n")
        rest = lines[0]
        if is_last:
            lines, is_last = lines[:-1] or [b""], False
        yield from reversed(lines[1:])
    if rest and not is_last and rest.endswith(b"}"):
        yield rest

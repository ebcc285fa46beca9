"""One record of a message log: a JSON line whose hash covers it and all before it.

A line is ASCII, its keys in a fixed order, ending with ``prev`` (the hash of the line before) and ``hash``::

    {"seq":3,"at":"2026-06-01T10:00:00.000125Z","kind":"out","from":"school@localhost",…,"prev":"…","hash":"…"}

``hash`` is the SHA-256, in hexadecimal, of the line as it would be without its ``hash`` field. So whoever
changes a byte has to write all later lines anew. Times are the wall clock of the process that wrote, in UTC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar

from runtime.protocol.envelope import Envelope, Performative

FIRST_PREV = "0" * 64
"""``prev`` of the first record of a log."""

EVENT_OPENED = "log-opened"
"""First record of every log: names its agent and the version of the format."""
EVENT_CONTINUED = "log-continued"
"""The agent was started again on a log that was there."""
EVENT_TORN_LINE = "torn-line-removed"
"""A crash had left half a line at the end; its text is in the event's data."""

EVENT_LEFT = "left"
"""Last record of an agent that left by itself or was told to: since when it has heard nothing for sure."""

FORMAT_VERSION = 1

_T = TypeVar("_T")

NOTE_RESENT = "resent"
"""Note on an ``out`` record: the message was sent before, and was not answered."""
NOTE_DUPLICATE = "duplicate"
"""Note on an ``in`` record: the message had been received before and has no further effect."""

HASH_KEY = b',"hash":"'
"""What stands before a line's hash."""
HASH_TAIL_LENGTH = len(HASH_KEY) + 64 + len(b'"}')
"""Length of all that the hash does not cover [bytes]."""
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

_HEAD_KEYS = ("seq", "at", "kind")
_CHAIN_KEYS = ("prev", "hash")
_ABOUT_MESSAGE = (
    "from", "to", "performative", "protocol", "conversation", "id", "re", "by",
    "expects_reply", "ontology", "body",
)  # fmt: skip
MESSAGE_KEYS = (*_HEAD_KEYS, *_ABOUT_MESSAGE, *_CHAIN_KEYS)
"""Fields of a message's line, in order."""
MESSAGE_KEYS_WITH_NOTE = (*_HEAD_KEYS, *_ABOUT_MESSAGE, "note", *_CHAIN_KEYS)
"""The same with a remark."""
EVENT_KEYS = (*_HEAD_KEYS, "name", "data", *_CHAIN_KEYS)
"""Fields of an event's line, in order."""


class RecordKind(StrEnum):
    """What a record is about: a message received, a message sent, or something else that happened."""

    IN = "in"
    OUT = "out"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as read back.

    Attributes:
        agent: whose log it is from.
        seq: place in that log, from 0.
        at: UTC instant of writing, ISO 8601 with microseconds, ending in ``Z``; sorts as text.
        kind: received, sent, or an event.
        envelope: the message of an ``in`` or ``out`` record, else None.
        note: a remark on the message: ``resent``, ``duplicate``, why it was refused; or None.
        name: what an event record is about, else None.
        data: what an event record says, else None.
        prev: hash of the record before.
        hash: hash of this record.
    """

    agent: str
    seq: int
    at: str
    kind: RecordKind
    envelope: Envelope | None
    note: str | None
    name: str | None
    data: dict[str, Any] | None
    prev: str
    hash: str


def utc_now() -> str:
    """Read the wall clock as records carry it, e.g. ``2026-06-01T10:00:00.000125Z``."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second_text(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=1)
def _second_text(seconds: int) -> str:
    """A second since 1970 as records carry it, without its fraction; many records fall into one."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6]


def instant_text(moment: datetime) -> str:
    """Write a time zone-aware datetime as records do; such texts sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def instant(at: str) -> datetime:
    """The ``at`` of a record as a time zone-aware datetime."""
    return datetime.fromisoformat(at)


def encode_message(
    seq: int, at: str, kind: RecordKind, envelope: Envelope, note: str | None, prev: str
) -> tuple[bytes, str]:
    """The line of a message, with its newline, and its hash."""
    # Put together by hand: a third of the time of a JSON encoder.
    text = encode_basestring_ascii
    in_reply_to = "null" if envelope.in_reply_to is None else text(envelope.in_reply_to)
    reply_by = "null" if envelope.reply_by is None else text(envelope.reply_by)
    remark = "" if note is None else f',"note":{text(note)}'
    unsealed = (
        f'{{"seq":{seq},"at":{text(at)},"kind":"{kind}",'
        f'"from":{text(envelope.sender)},"to":{text(envelope.recipient)},'
        f'"performative":"{envelope.performative}","protocol":{text(envelope.protocol)},'
        f'"conversation":{text(envelope.conversation)},"id":{text(envelope.message_id)},'
        f'"re":{in_reply_to},"by":{reply_by},"expects_reply":{"true" if envelope.expects_reply else "false"},'
        f'"ontology":{text(envelope.ontology)},"body":{text(envelope.body)}{remark},"prev":"{prev}"}}'
    )
    return _seal(unsealed)


def encode_event(seq: int, at: str, name: str, data: Mapping[str, Any], prev: str) -> tuple[bytes, str]:
    """The line of an event, with its newline, and its hash.

    Raises:
        TypeError: ``data`` holds something JSON has no form for.
        ValueError: ``data`` holds NaN or an infinity.
    """
    text = encode_basestring_ascii
    return _seal(
        f'{{"seq":{seq},"at":{text(at)},"kind":"{RecordKind.EVENT}","name":{text(name)},'
        f'"data":{_encode(dict(data))},"prev":"{prev}"}}'
    )


def _seal(text: str) -> tuple[bytes, str]:
    unsealed = text.encode("ascii")
    digest = sha256(unsealed).hexdigest()
    return b'%b,"hash":"%b"}\n' % (unsealed[:-1], digest.encode("ascii")), digest


def decode(line: bytes, agent: str, *, check_hash: bool = True) -> LogRecord:
    """The record of a line.

    Args:
        line: the line without its newline.
        agent: whose log the line is from.
        check_hash: whether to recompute the hash.

    Raises:
        ValueError: the line is no record, or does not have the hash it states; the text says which.
    """
    if check_hash:
        _check_hash(line)
    try:
        fields = json.loads(line.decode("ascii"))
    except ValueError as error:
        raise ValueError(f"not a JSON record: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"expected a JSON object, found {type(fields).__name__}")
    try:
        kind = RecordKind(str(fields.get("kind")))
        _check_keys(fields, kind)
        envelope = None if kind is RecordKind.EVENT else _envelope(fields)
        return LogRecord(
            agent=agent,
            seq=_typed(fields, "seq", int),
            at=_instant_text(fields),
            kind=kind,
            envelope=envelope,
            note=_typed(fields, "note", str) if "note" in fields else None,
            name=_typed(fields, "name", str) if envelope is None else None,
            data=_typed(fields, "data", dict) if envelope is None else None,
            prev=_typed(fields, "prev", str),
            hash=_typed(fields, "hash", str),
        )
    except ValueError as error:
        raise ValueError(f"not a record of a message log: {error}") from None


def _check_hash(line: bytes) -> None:
    if line[-HASH_TAIL_LENGTH:-66] != HASH_KEY or not line.endswith(b'"}'):
        raise ValueError("does not end with a hash: the line is cut short or was changed")
    if sha256(line[:-HASH_TAIL_LENGTH] + b"}").hexdigest().encode("ascii") != line[-66:-2]:
        raise ValueError("its hash does not match its content: the line was changed after it was written")


def _check_keys(fields: dict[str, Any], kind: RecordKind) -> None:
    expected: tuple[str, ...] = EVENT_KEYS if kind is RecordKind.EVENT else MESSAGE_KEYS
    if kind is not RecordKind.EVENT and "note" in fields:
        expected = MESSAGE_KEYS_WITH_NOTE
    if tuple(fields) != expected:
        raise ValueError(f"expected the fields {', '.join(expected)}; found {', '.join(map(str, fields))}")


def _envelope(fields: dict[str, Any]) -> Envelope:
    return Envelope(
        sender=_typed(fields, "from", str),
        recipient=_typed(fields, "to", str),
        performative=Performative(fields["performative"]),
        protocol=_typed(fields, "protocol", str),
        conversation=_typed(fields, "conversation", str),
        message_id=_typed(fields, "id", str),
        body=_typed(fields, "body", str),
        in_reply_to=None if fields["re"] is None else _typed(fields, "re", str),
        expects_reply=_typed(fields, "expects_reply", bool),
        reply_by=None if fields["by"] is None else _typed(fields, "by", str),
        ontology=_typed(fields, "ontology", str),
    )


def _instant_text(fields: dict[str, Any]) -> str:
    at = _typed(fields, "at", str)
    if len(at) != 27 or not at.endswith("Z"):
        raise ValueError(f"at: expected UTC with microseconds like 2026-06-01T10:00:00.000125Z, found {at!r}")
    datetime.fromisoformat(at)
    return at


def _typed(fields: dict[str, Any], key: str, kind: type[_T]) -> _T:
    value = fields[key]
    if type(value) is not kind:
        raise ValueError(f"{key}: expected {kind.__name__}, found {value!r}")
    return value

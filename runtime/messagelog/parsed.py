"""Lines of any kind, read with a JSON parser: what ``runtime.messagelog.canonical`` leaves."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from runtime.messagelog.canonical import FIRST_TYPE, NOTE_KEY, TAIL_LENGTH, TYPE_KEY, is_plain
from runtime.messagelog.chain import ChainCheck
from runtime.messagelog.record import (
    EVENT_KEYS,
    HASH_KEY,
    HASH_TAIL_LENGTH,
    MESSAGE_KEYS,
    MESSAGE_KEYS_WITH_NOTE,
)
from runtime.protocol.envelope import Performative

_PERFORMATIVES = frozenset(performative.value for performative in Performative)
_FROM = b'"from":"'
_BODY = b'"body":"'


def words_of(line: bytes) -> tuple[int, int]:
    """Where a message's words begin and end in its line: what both ends write alike, to the byte."""
    noted = line.rfind(NOTE_KEY)
    return line.index(_FROM) + len(_FROM), noted if noted >= 0 else len(line) - TAIL_LENGTH - 1


def type_of(line: bytes) -> str | None:
    """The type of a message's body; None if it has none."""
    start, end = line.index(_BODY) + len(_BODY), words_of(line)[1]
    first = FIRST_TYPE.match(line, start)
    if first and line.find(TYPE_KEY, first.end(), end) < 0 and is_plain(line[first.end() : end]):
        return first[1].decode()
    try:
        fields = json.loads(json.loads(line)["body"])
    except (ValueError, RecursionError):
        return None
    kind = fields.get("type") if isinstance(fields, dict) else None
    return kind if isinstance(kind, str) else None


def checked(line: bytes, check: ChainCheck) -> dict[str, Any]:
    """The fields of a log's next line.

    Raises:
        LogError: the line is no record, was changed, or does not follow the one before.
    """
    if check.next_seq and line[-HASH_TAIL_LENGTH:-66] == HASH_KEY:
        digest = sha256(line[:-HASH_TAIL_LENGTH] + b"}").hexdigest()
        try:
            fields: dict[str, Any] = json.loads(line)
            good = (
                fields["hash"] == digest
                and fields["prev"] == check.head
                and type(fields["seq"]) is int
                and fields["seq"] == check.next_seq
                and _well_formed(fields)
                and line.isascii()
            )
        except (ValueError, LookupError, TypeError, AttributeError):
            good = False
        if good:
            check.next_seq += 1
            check.head = digest
            check.checked_bytes += len(line) + 1
            return fields
    check.feed(line)
    known: dict[str, Any] = json.loads(line)
    return known


def _well_formed(fields: dict[str, Any]) -> bool:
    keys = tuple(fields)
    if keys == MESSAGE_KEYS or (keys == MESSAGE_KEYS_WITH_NOTE and type(fields["note"]) is str):
        return (
            fields["kind"] in ("in", "out")
            and fields["performative"] in _PERFORMATIVES
            and type(fields["expects_reply"]) is bool
            and len(fields["at"]) == 27
            and fields["at"].endswith("Z")
            and datetime.fromisoformat(fields["at"]) is not None
            and {type(fields[key]) for key in ("from", "to", "protocol", "conversation", "id", "body")}
            == {str}
        )
    return keys == EVENT_KEYS and fields["kind"] == "event" and type(fields["name"]) is str

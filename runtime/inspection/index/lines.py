"""What the index needs of a log's line, read without decoding all of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

from runtime.messagelog.record import NOTE_RESENT

_TEXT = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
_MESSAGE = re.compile(
    rb'\{"seq":(\d+),"at":"([^"]{27})","kind":"(in|out)","from":' + _TEXT + rb',"to":' + _TEXT
    + rb',"performative":' + _TEXT + rb',"protocol":' + _TEXT + rb',"conversation":' + _TEXT
    + rb',"id":' + _TEXT + rb',"re":(?:null|' + _TEXT + rb'),"by":(?:null|' + _TEXT
    + rb'),"expects_reply":(?:true|false),"ontology":' + _TEXT + rb',"body":'
)  # fmt: skip
_PLACED = re.compile(
    rb'"\{\\"type\\":\\"([a-z-]+)\\"(?:,\\"session\\":(0|[1-9]\d{0,8}))?(?:,\\"round\\":(0|[1-9]\d{0,8}))?'
    rb'(?:,\\"slot\\":(0|[1-9]\d{0,8}))?(?=[,}])'
)
_SESSION, _ROUND, _SLOT, _TYPE = rb"\"session\"", rb"\"round\"", rb"\"slot\"", rb"\"type\""
_ESCAPED = rb"\\"
"""What stands in a line for an escape in a body: behind it any of these may be said too."""
_TAIL_LENGTH = len(b',"prev":""') + 64 + len(b',"hash":""}') + 64
_NOTE = b'","note":"'
_EVENT = b'"kind":"event"'
AT_LENGTH = 27


@dataclass(slots=True)
class MessageLine:
    """A line of a message; texts are as they stand in the line, escaped.

    Attributes:
        seq: the record's place in its log.
        sent: whether the log's agent sent it.
        sender: bare JID.
        recipient: bare JID.
        performative: FIPA performative.
        protocol: interaction it belongs to.
        conversation: its conversation.
        message_id: its id.
        in_reply_to: id of the message that it answers, or None.
        note: the record's note, or None.
        start: where what can be searched begins in the line.
        body_start: where the body's JSON text begins.
        end: where it ends.
    """

    seq: int
    sent: bool
    sender: bytes
    recipient: bytes
    performative: bytes
    protocol: bytes
    conversation: bytes
    message_id: bytes
    in_reply_to: bytes | None
    note: bytes | None
    start: int
    body_start: int
    end: int

    @property
    def resent(self) -> bool:
        """Whether it is noted as sent before."""
        return self.note is not None and self.note.startswith(NOTE_RESENT.encode())


def is_event(line: bytes) -> bool:
    """Whether a line records an event."""
    return line.find(_EVENT, 0, 100) > 0


def message_line(line: bytes) -> MessageLine | None:
    """Read a message's line; None if it is no line that the writer makes."""
    head = _MESSAGE.match(line)
    if head is None:
        return None
    seq, _, kind, *texts = head.groups()
    sender, recipient, performative, protocol, conversation, message_id, asked, *_ = texts
    end, note = len(line) - _TAIL_LENGTH, None
    noted = line.rfind(_NOTE, head.end())
    if noted >= 0:
        note, end = line[noted + len(_NOTE) : end - 1], noted + 1
    return MessageLine(
        int(seq), kind == b"out", sender, recipient, performative, protocol, conversation, message_id, asked,
        note, head.start(4), head.end(), end,
    )  # fmt: skip


def body_place(line: bytes, known: MessageLine) -> tuple[str | None, int | None, int | None, int | None]:
    """Type, session, round and slot as the body states them, as ``body_facts``.

    A body that begins as agents write theirs, and says none of it again, is not read further.
    """
    begins = _PLACED.match(line, known.body_start)
    if begins is not None:
        rest = line[begins.end() : known.end]
        if not (_SESSION in rest or _ROUND in rest or _SLOT in rest or _TYPE in rest or _ESCAPED in rest):
            session, number, slot = begins[2], begins[3], begins[4]
            return (
                begins[1].decode(),
                None if session is None else int(session),
                None if number is None else int(number),
                None if slot is None else int(slot),
            )
    try:
        fields = json.loads(json.loads(line[known.body_start : known.end]))
    except (ValueError, RecursionError):
        return None, None, None, None
    if not isinstance(fields, dict):
        return None, None, None, None
    kind = fields.get("type")
    session, number, slot = (
        value if type(value := fields.get(key)) is int and abs(value) < 1 << 62 else None
        for key in ("session", "round", "slot")
    )
    return kind if isinstance(kind, str) else None, session, number, slot


def plain(text: bytes) -> str:
    """A text as it stands in a line, without its escapes."""
    if b"\\" not in text:
        return text.decode("ascii")
    unescaped: str = json.loads(b'"' + text + b'"')
    return unescaped


name = lru_cache(maxsize=1 << 14)(plain)
"""The same for texts that come again and again, as names."""


def at_of(line: bytes) -> bytes:
    """When a line was written, as it stands there; empty if it does not say."""
    place = line.find(b'"at":"', 0, 40) + 6
    return line[place : place + AT_LENGTH] if place >= 6 else b""


def at_number(at: bytes) -> int:
    """An instant in the form of ``LogRecord.at`` as a number that sorts alike."""
    return int(at[2:26].translate(None, b"-:T."))


def at_text(number: int) -> str:
    """The instant of ``at_number``; of this century."""
    d = f"{number:018d}"
    return f"20{d[:2]}-{d[2:4]}-{d[4:6]}T{d[6:8]}:{d[8:10]}:{d[10:12]}.{d[12:]}Z"

"""One pass over each log, fast and in little memory: its chain, its messages, who spoke.

The lines are those of ``runtime.messagelog.record``; what does not look like one is handed to ``ChainCheck``,
which says what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.errors import LogError
from runtime.messagelog.canonical import FROM, HEAD, PERFORMATIVES, REST, TAIL_LENGTH, is_plain, message_end
from runtime.messagelog.chain import ChainCheck, complete_lines
from runtime.messagelog.filters import is_agent
from runtime.messagelog.pairing import is_duplicate
from runtime.messagelog.record import (
    EVENT_CONTINUED,
    EVENT_KEYS,
    EVENT_TORN_LINE,
    HASH_KEY,
    HASH_TAIL_LENGTH,
    MESSAGE_KEYS,
    MESSAGE_KEYS_WITH_NOTE,
    NOTE_RESENT,
)
from runtime.messagelog.speakers import why_not
from runtime.messagelog.tally import Tally
from runtime.protocol.envelope import Performative

_BODY_TYPE = re.compile(rb'\\"type\\":\s*\\"([a-z-]+)\\"')
_PERFORMATIVES = frozenset(performative.value for performative in Performative)
_REFUSALS = frozenset({"refuse", "not-understood"})
_REFUSED_WITH = frozenset(name.encode() for name in _REFUSALS)


@dataclass(slots=True)
class LogPass:
    """What one log showed.

    Attributes:
        path: the log.
        agent: whose it is, or the file's name if it does not say.
        records: number of records whose chain is whole.
        events: of them, what is no message, by name.
        broken: what breaks its chain, None if nothing does.
        torn_bytes: length of a last line without end.
    """

    path: Path
    agent: str = ""
    records: int = 0
    events: Counter[str] = field(default_factory=Counter)
    broken: str | None = None
    torn_bytes: int = 0

    @property
    def whole(self) -> bool:
        """Whether it can be read from the first to the last byte."""
        return self.broken is None and not self.torn_bytes and self.records > 0

    @property
    def restarts(self) -> int:
        """How often its agent was started again."""
        return self.events[EVENT_CONTINUED]

    @property
    def torn_lines(self) -> int:
        """Records that were lost to a crash while they were written."""
        return self.events[EVENT_TORN_LINE]


@dataclass(slots=True)
class Audit:
    """All logs of a run, read once.

    Attributes:
        logs: what each showed.
        tally: the messages.
        misspoken: messages that their senders may not send, and why, by recipient, sender and id.
        refused: of those, which their recipients refused.
    """

    logs: list[LogPass] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    misspoken: dict[tuple[str, str, str], str] = field(default_factory=dict)
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    _own: str | None = None
    _texts: dict[bytes, str] = field(default_factory=dict)
    _reasons: dict[tuple[str, str, str, bytes], str | None] = field(default_factory=dict)

    def read(self, path: Path) -> None:
        """Read one log.

        Raises:
            LogError: the file cannot be read.
        """
        seen = LogPass(path)
        self._own = None
        self.logs.append(seen)
        check = ChainCheck(path)
        for line in complete_lines(path):
            if check.next_seq and self._canonical(line, check):
                continue
            try:
                fields = _checked(line, check)
            except LogError as error:
                seen.broken = str(error)
                break
            if fields["kind"] == "event":
                seen.events[fields["name"]] += 1
            else:
                self._message(fields, line, check.agent)
        seen.agent, seen.records = check.agent or path.stem, check.next_seq
        if seen.broken is None:
            seen.torn_bytes = path.stat().st_size - check.checked_bytes

    def _canonical(self, line: bytes, check: ChainCheck) -> bool:
        """Take a line if it is exactly as the writer makes that of a message, and follows; else False."""
        head = HEAD.match(line)
        if head is None or len(line) < head.end() + TAIL_LENGTH:
            return False
        seq, kind, sender_text, recipient_text, performative, _, _, id_text = head.groups()
        digest = sha256(line[:-HASH_TAIL_LENGTH] + b"}").hexdigest()
        tail = f'","prev":"{check.head}","hash":"{digest}"}}'.encode()
        spoken = PERFORMATIVES.get(performative)
        if not line.endswith(tail) or int(seq) != check.next_seq or spoken is None:
            return False
        end, note = message_end(line)
        if note is not None and not is_plain(note):
            return False
        texts = self._texts
        sender = texts.get(sender_text) or self._text(sender_text)
        recipient = texts.get(recipient_text) or self._text(recipient_text)
        said = hash(line[head.start(3) - len(FROM) : end + 1])
        number = int(id_text) if id_text.isdigit() and len(id_text) < 10 and id_text[0] != 48 else 0
        tally = self.tally
        place = tally.find(sender, id_text, number)
        alike = place >= 0 and tally.digest(place) == said
        # Words that the other end wrote alike were looked at there.
        if not alike and not _rest_is_plain(line, head.end(), end):
            return False
        if place < 0:
            place = tally.add(sender, recipient, id_text, said)
        elif not alike:
            tally.note_odd(place)
        if kind == b"out":
            own = sender
            self.tally.note_sent(place, again=note is not None and note.startswith(NOTE_RESENT.encode()))
            if (
                performative in _REFUSED_WITH
                and (rest := REST.match(line, head.end()))
                and rest[1] is not None
            ):
                self.refused.add((sender, recipient, rest[1].decode()))
        else:
            own = recipient
            self.tally.note_received(place, again=is_duplicate(None if note is None else note.decode()))
            if note is None:
                self._speaks(sender, recipient, spoken, id_text, line)
        if own is not self._own and not self._is_own(check.agent, own):
            self.tally.note_odd(place)
        check.next_seq += 1
        check.head = digest
        check.checked_bytes += len(line) + 1
        return True

    def _is_own(self, agent: str, jid: str) -> bool:
        """Whether a log's agent has this JID; which is remembered, as one text, until the next log."""
        if not is_agent(agent, jid):
            return False
        self._own = jid
        return True

    def _text(self, text: bytes) -> str:
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = text.decode()
        return known

    def _speaks(self, sender: str, recipient: str, performative: str, message_id: bytes, line: bytes) -> None:
        types = _BODY_TYPE.findall(line)
        kind = types[0] if len(types) == 1 else None
        if kind is None:
            known = _type_of(json.loads(line)["body"])
            reason = why_not(sender, recipient, performative, known)
        else:
            said = (sender, recipient, performative, kind)
            if said not in self._reasons:
                self._reasons[said] = why_not(sender, recipient, performative, kind.decode())
            reason = self._reasons[said]
        if reason is not None:
            self.misspoken[recipient, sender, message_id.decode()] = reason

    def _message(self, fields: dict[str, Any], line: bytes, agent: str) -> None:
        sender, recipient, message_id = fields["from"], fields["to"], fields["id"]
        # What both ends wrote of it is the same to the byte, from the sender's name to the body.
        digest = hash(
            line[line.index(b'"from":') : line.rindex(b',"note":' if "note" in fields else b',"prev":')]
        )
        note = fields.get("note")
        if fields["kind"] == "out":
            again = note is not None and note.startswith(NOTE_RESENT)
            self.tally.sent(sender, recipient, message_id, digest, again=again)
            own = sender
            if fields["performative"] in _REFUSALS and fields["re"] is not None:
                self.refused.add((sender, recipient, fields["re"]))
        else:
            self.tally.received(sender, recipient, message_id, digest, again=is_duplicate(note))
            own = recipient
            if note is None:
                self._speaks(sender, recipient, fields["performative"], message_id.encode(), line)
        if agent != own and agent != own.partition("@")[0]:
            self.tally.odd(sender, recipient, message_id, digest)


def _rest_is_plain(line: bytes, start: int, end: int) -> bool:
    """Whether what follows a message's id, up to its body's end, is as the writer makes it."""
    rest = REST.match(line, start)
    return rest is not None and is_plain(line[rest.end() : end])


def _type_of(body: str) -> str | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    kind = fields.get("type") if isinstance(fields, dict) else None
    return kind if isinstance(kind, str) else None


def _checked(line: bytes, check: ChainCheck) -> dict[str, Any]:
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
            and {type(fields[key]) for key in ("from", "to", "protocol", "conversation", "id", "body")}
            == {str}
        )
    return keys == EVENT_KEYS and fields["kind"] == "event" and type(fields["name"]) is str

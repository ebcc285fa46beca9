"""One pass over each log, fast and in little memory: its chain, its messages, who spoke.

The lines are those of ``runtime.messagelog.record``; what does not look like one is handed to ``ChainCheck``,
which says what is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.errors import LogError
from runtime.messagelog.canonical import (
    FRACTION_DIGITS,
    ID_KEY,
    REST,
    TAIL_LENGTH,
    TYPE_KEY,
    Route,
    is_plain,
    message_end,
    route_of,
    second_of,
)
from runtime.messagelog.chain import ChainCheck, blocks_of_lines
from runtime.messagelog.filters import is_agent
from runtime.messagelog.pairing import is_duplicate
from runtime.messagelog.parsed import checked, type_of, words_of
from runtime.messagelog.parting import left_at
from runtime.messagelog.record import (
    EVENT_CONTINUED,
    EVENT_LEFT,
    EVENT_TORN_LINE,
    HASH_TAIL_LENGTH,
    NOTE_RESENT,
)
from runtime.messagelog.speakers import why_not
from runtime.messagelog.tally import ALLOWED, GAP, ODD, RECEIVED, SENT, TAKEN_IN, Tally
from runtime.protocol.floods import FLOODED, flooded_by

_REFUSALS = frozenset({"refuse", "not-understood"})
_RESENT = NOTE_RESENT.encode()
_LINE_TAIL_LENGTH = len('"') + TAIL_LENGTH + len("\n")
_SEALED_TAIL_LENGTH = HASH_TAIL_LENGTH + len("\n")
_CLOSING_BRACE, _ZERO = ord("}"), ord("0")

_MOST_ROUTES = 20_000
"""So many are kept: a long run has them anew in each session."""


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
        flooded: messages that its agent did not listen to, by sender (``runtime.protocol.floods``).
        leaving: seq of its latest ``EVENT_LEFT``, and since when its agent had been leaving by that.
    """

    path: Path
    agent: str = ""
    records: int = 0
    events: Counter[str] = field(default_factory=Counter)
    broken: str | None = None
    torn_bytes: int = 0
    flooded: Counter[str] = field(default_factory=Counter)
    leaving: tuple[int, str] | None = None

    @property
    def left_at(self) -> str | None:
        """Since when its agent has been gone; None if it has not left by itself, or came back."""
        return self.leaving[1] if self.leaving is not None and self.leaving[0] == self.records - 1 else None

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
    _routes: dict[bytes, Route] = field(default_factory=dict)

    def read(self, path: Path) -> None:
        """Read one log.

        Raises:
            LogError: the file cannot be read.
        """
        seen = LogPass(path)
        self.logs.append(seen)
        check = ChainCheck(path)
        for lines in blocks_of_lines(path):
            taken = self._canonical(lines, 0, check)
            while taken < len(lines) and seen.broken is None:
                self._any(lines[taken][:-1], check, seen)
                taken = self._canonical(lines, taken + 1, check)
            if seen.broken is not None:
                break
        seen.agent, seen.records = check.agent or path.stem, check.next_seq
        if seen.broken is None:
            seen.torn_bytes = path.stat().st_size - check.checked_bytes

    def _any(self, line: bytes, check: ChainCheck, seen: LogPass) -> None:
        """Take a line of any kind, without its newline."""
        try:
            fields = checked(line, check)
        except LogError as error:
            seen.broken = str(error)
            return
        if fields["kind"] == "event":
            seen.events[fields["name"]] += 1
            if fields["name"] == FLOODED:
                sender, messages = flooded_by(fields["data"])
                seen.flooded[sender] += messages
            if fields["name"] == EVENT_LEFT and (since := left_at(fields["data"])) is not None:
                seen.leaving = fields["seq"], since
        else:
            self._message(fields, line, check.agent)

    def _canonical(self, lines: list[bytes], first: int, check: ChainCheck) -> int:
        """Take lines as long as they are exactly as the writer makes those of messages, and follow.

        Args:
            lines: of a log, with their newlines.
            first: place of the first to take.
            check: of the log up to there; a log's first line is never taken.

        Returns:
            Place of the first that is not taken.
        """
        # One long loop on purpose: a call or a look-up for each line is what it would cost most.
        if not check.next_seq:
            return first
        tally, routes = self.tally, self._routes
        states, digests = tally.states, tally.digests
        prev, second, own = check.head.encode(), b"no second", ""
        seq = check.next_seq
        for line in lines[first:] if first else lines:
            start = b'{"seq":%d,"at":"%b' % (seq, second)
            if not line.startswith(start):
                second = second_of(line) or second
                start = b'{"seq":%d,"at":"%b' % (seq, second)
                if not line.startswith(start):
                    break
            at_end = len(start) + FRACTION_DIGITS
            id_key = line.find(ID_KEY, at_end)
            text = line[at_end:id_key]
            route = routes.get(text) or self._route(text)
            digest = sha256(line[:-_SEALED_TAIL_LENGTH] + b"}").hexdigest().encode()
            if (
                route is None
                or not line[len(start) : at_end].isdigit()
                or not line.endswith(b'","prev":"%b","hash":"%b"}\n' % (prev, digest))
            ):
                break
            id_start = id_key + len(ID_KEY)
            id_end = line.find(b'"', id_start)
            id_text = line[id_start:id_end]
            number = int(id_text) if id_text.isdigit() and len(id_text) < 10 and id_text[0] != _ZERO else 0
            numbers = route.numbers
            place = numbers[number] - 1 if number < len(numbers) else -1
            end, note = len(line) - _LINE_TAIL_LENGTH, None
            if line[end - 1] != _CLOSING_BRACE:
                end, note = message_end(line[:-1])
                if note is not None and not is_plain(note):
                    break
            said = hash(line[at_end + route.from_start : end])
            # Words that the other end wrote alike were looked at there.
            if place < 0 or digests[place] != said:
                place = self._words(route, line, id_text, number, id_end, end, said)
                if place < 0:
                    break
            if route.sent:
                jid = route.sender
                if note is None and not states[place] & SENT:
                    states[place] |= SENT
                else:
                    tally.note_sent(place, again=note is not None and note.startswith(_RESENT))
                if route.refuses:
                    self._refuses(route, line, id_end)
            else:
                jid = route.recipient
                if note is None and states[place] & (TAKEN_IN | ALLOWED) == ALLOWED:
                    states[place] |= TAKEN_IN | RECEIVED
                else:
                    tally.note_received(place, again=is_duplicate(None if note is None else note.decode()))
                    if note is None and not states[place] & ALLOWED:
                        self._speaks(jid, route.sender, route.performative, id_text.decode(), line[:-1])
            if jid is not own:
                if is_agent(check.agent, jid):
                    own = jid
                else:
                    tally.note_odd(place)
            seq += 1
            prev = digest
        taken = seq - check.next_seq
        check.checked_bytes += sum(map(len, lines[first : first + taken]))
        check.next_seq, check.head = seq, prev.decode()
        return first + taken

    def _route(self, text: bytes) -> Route | None:
        route = route_of(text, self.tally)
        if route is not None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[text] = route
        return route

    def _words(
        self, route: Route, line: bytes, id_text: bytes, number: int, id_end: int, end: int, said: int
    ) -> int:
        """Look at words that are not, at the place known by the id's number, those of the other end.

        Args:
            route: the line's.
            line: a message's.
            id_text: its id.
            number: that id, if it is a number that counts; else 0.
            id_end: where the id ends in the line.
            end: where the body ends.
            said: the words' digest.

        Returns:
            Place of the message in the tally; -1 if the writer makes no such line.
        """
        rest = REST.match(line, id_end)
        if rest is None or not is_plain(line[rest.end() : end]) or not (number or is_plain(id_text)):
            return -1
        tally, numbers = self.tally, route.numbers
        place = numbers[number] - 1 if number < len(numbers) else -1
        if place < 0 and (not number or tally.others):
            place = tally.find(route.sender, id_text, number)
        if place >= 0:
            if tally.digests[place] != said:
                tally.states[place] = tally.states[place] & ~ALLOWED | ODD
            return place
        if number and number < len(numbers) + GAP:
            place = tally.add_counting(numbers, number, route.pair, said)
        else:
            place = tally.add(route.sender, route.recipient, id_text, said)
        kind = rest[4]
        if kind is not None and line.find(TYPE_KEY, rest.end(), end) < 0:
            allowed = route.may_say.get(kind)
            if allowed is None:
                reason = why_not(route.sender, route.recipient, route.performative, kind.decode())
                allowed = route.may_say[kind] = reason is None
            if allowed:
                tally.states[place] |= ALLOWED
        return place

    def _refuses(self, route: Route, line: bytes, id_end: int) -> None:
        rest = REST.match(line, id_end)
        if rest is not None and rest[1] is not None:
            self.refused.add((route.sender, route.recipient, rest[1].decode()))

    def _speaks(self, recipient: str, sender: str, performative: str, message_id: str, line: bytes) -> None:
        reason = why_not(sender, recipient, performative, type_of(line))
        if reason is not None:
            self.misspoken[recipient, sender, message_id] = reason

    def _message(self, fields: dict[str, Any], line: bytes, agent: str) -> None:
        sender, recipient, message_id = fields["from"], fields["to"], fields["id"]
        start, end = words_of(line)
        digest = hash(line[start:end])
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
                self._speaks(recipient, sender, fields["performative"], message_id, line)
        if agent != own and agent != own.partition("@")[0]:
            self.tally.odd(sender, recipient, message_id, digest)

"""One pass over logs in the order of time: a row for each message, for each event, and for what came late."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from runtime.errors import LogError
from runtime.inspection.index.entries import (
    EventEntry,
    Key,
    LateSighting,
    LogState,
    MessageEntry,
    Pass,
    Place,
    Receipt,
)
from runtime.inspection.index.lines import (
    MessageLine,
    at_number,
    at_of,
    body_place,
    is_event,
    message_line,
    name,
    plain,
)
from runtime.messagelog.chain import ChainCheck
from runtime.messagelog.record import HASH_TAIL_LENGTH

WINDOW = 20_000
"""So many messages are held back until their receipt is found; what comes later than that is kept apart."""

REMEMBERED = 50_000
"""Of so many messages it is known what they are about, for those that answer them."""

READ_BYTES = 1 << 16

BLOCK_BYTES = 1 << 16
"""Length of a block of text [bytes]: about so much, a message is not parted."""

Line = tuple[bytes, int, int, bytes]
"""When it was written, number of the log, offset, and the line without its newline."""


@dataclass(slots=True)
class Builder:
    """Goes over logs once.

    Attributes:
        out: where to.
        first: number of the first message.
        places: what earlier messages are about; the latest ``REMEMBERED`` are kept.
        early: receipts whose sending was not found, though there is a log of the sender, or that are noted
            as further ones.
        noted_only: earlier messages known by receipts with a note alone: their senders have no log here.
    """

    out: Pass
    first: int
    places: OrderedDict[Key, Place] = field(default_factory=OrderedDict)
    early: dict[Key, Receipt] = field(default_factory=dict)
    noted_only: set[Key] = field(default_factory=set)
    _next: int = 0
    _queue: deque[MessageEntry] = field(default_factory=deque)
    _pending: dict[Key, MessageEntry] = field(default_factory=dict)
    _text: list[bytes] = field(default_factory=list)
    _text_bytes: int = 0
    _text_first: int = 0

    def run(self, logs: list[LogState], present: set[str]) -> int:
        """Read what is new in logs.

        Args:
            logs: the logs, by number.
            present: agents that have a log.

        Returns:
            Number of the next message.

        Raises:
            LogError: a log cannot be read, or its chain is broken.
        """
        self._next = self.first
        for at, number, offset, line in heapq.merge(*(_new_lines(log) for log in logs)):
            log = logs[number]
            known = message_line(line)
            if known is None:
                if is_event(line):
                    self.out.event(EventEntry(at_number(at), number, offset, len(line)))
                continue
            sender = name(known.sender)
            key = (sender, plain(known.message_id))
            if known.sent:
                self._sent(log, at_number(at), offset, line, known, key)
            else:
                here = sender in present or sender.partition("@")[0] in present
                self._received(log, at_number(at), offset, line, known, key, sender_here=here)
        while self._queue:
            self._let_go()
        self._close_block()
        return self._next

    def orphans(self, keys: set[Key]) -> int:
        """Take receipts for messages whose sending is not in the logs: those of ``early`` with these keys.

        Returns:
            Number of the next message.
        """
        for key in [key for key in self.early if key in keys]:
            receipt = self.early.pop(key)
            with receipt.log.path.open("rb") as file:
                file.seek(receipt.offset)
                line = file.read(receipt.length)
            known = message_line(line)
            if known is not None:
                self._take(receipt.log, receipt.at, receipt.offset, line, known, key, from_receipt=True)
        while self._queue:
            self._let_go()
        self._close_block()
        return self._next

    # -- a record --------------------------------------------------------------------------------------

    def _sent(self, log: LogState, at: int, offset: int, line: bytes, known: MessageLine, key: Key) -> None:
        if known.resent:
            self.out.late(LateSighting(key, log.number, known.seq, at, True, _note(known)))
            return
        entry = self._take(log, at, offset, line, known, key)
        receipt = self.early.pop(key, None)
        if receipt is not None:
            self._complete(entry, receipt)

    def _received(
        self,
        log: LogState,
        at: int,
        offset: int,
        line: bytes,
        known: MessageLine,
        key: Key,
        *,
        sender_here: bool,
    ) -> None:
        entry = self._pending.get(key)
        receipt = Receipt(log, offset, len(line), known.seq, at, _note(known))
        if entry is not None:
            self._complete(entry, receipt)
        elif key in self.early or key in self.noted_only:
            self._late(key, receipt)
        elif not sender_here and known.note is None:
            self._take(log, at, offset, line, known, key, from_receipt=True)
        else:
            self.early[key] = receipt
            if key not in self.places:  # what answers it may come before its sending, by clocks that differ
                self._learn(line, known, key)

    def _late(self, key: Key, receipt: Receipt) -> None:
        self.out.late(LateSighting(key, receipt.log.number, receipt.seq, receipt.at, False, receipt.note))

    def _complete(self, entry: MessageEntry, receipt: Receipt) -> None:
        if entry.received is not None or receipt.note is not None:
            self._late(entry.key, receipt)
            return
        entry.received = (receipt.log.number, receipt.seq, receipt.at)
        while self._queue and self._queue[0].received is not None:
            self._let_go()

    def _take(
        self,
        log: LogState,
        at: int,
        offset: int,
        line: bytes,
        known: MessageLine,
        key: Key,
        *,
        from_receipt: bool = False,
    ) -> MessageEntry:
        kind, place, recipient, asked = self._learn(line, known, key)
        entry = MessageEntry(
            number=self._next,
            at=at,
            key=key,
            recipient=recipient,
            words=(name(known.performative), name(known.protocol), name(known.conversation), kind),
            place=place,
            in_reply_to=asked,
            log=log.number,
            offset=offset,
            length=len(line),
            seq=known.seq,
            received=(log.number, known.seq, at) if from_receipt and known.note is None else None,
            from_receipt=from_receipt,
        )
        if from_receipt and known.note is not None:
            self.out.late(LateSighting(key, log.number, known.seq, at, False, _note(known)))
        self._next += 1
        self._queue.append(entry)
        self._pending[key] = entry
        if not self._text:
            self._text_first = entry.number
        self._text.append(line[known.start : known.end])
        self._text_bytes += known.end - known.start
        if self._text_bytes >= BLOCK_BYTES:
            self._close_block()
        while len(self._queue) > WINDOW or (from_receipt and self._queue and self._queue[0].received):
            self._let_go()
        return entry

    def _learn(self, line: bytes, known: MessageLine, key: Key) -> tuple[str | None, Place, str, str | None]:
        """Type and place of a message, its recipient, and what it answers; the place is remembered."""
        kind, *own = body_place(line, known)
        asked = None if known.in_reply_to is None else plain(known.in_reply_to)
        recipient = name(known.recipient)
        place = self._in_its_light((own[0], own[1], own[2]), recipient, asked)
        self.places[key] = place
        if len(self.places) > REMEMBERED:
            self.places.popitem(last=False)
        return kind, place, recipient, asked

    def _in_its_light(self, own: Place, recipient: str, asked: str | None) -> Place:
        """As ``ConversationFacts``: an answer is about what it answers, as far as it does not say."""
        known = None if asked is None else self.places.get((recipient, asked))
        if known is None:
            return own
        session, number, slot = own
        return (
            known[0] if session is None else session,
            known[1] if number is None and slot is None else number,
            known[2] if slot is None and number is None else slot,
        )

    def _let_go(self) -> None:
        entry = self._queue.popleft()
        if self._pending.get(entry.key) is entry:
            del self._pending[entry.key]
        self.out.message(entry)

    def _close_block(self) -> None:
        if self._text:
            self.out.block(b"\n".join(self._text), self._text_first)
            self._text, self._text_bytes = [], 0


def _note(known: MessageLine) -> str | None:
    return None if known.note is None else plain(known.note)


def _new_lines(log: LogState) -> Iterator[Line]:
    """The lines of a log beyond what is indexed, each following from the one before.

    Raises:
        LogError: the file cannot be read, or a line was changed, removed or added.
    """
    end = log.path.stat().st_size
    while log.read_bytes < end:
        try:
            with log.path.open("rb") as file:
                file.seek(log.read_bytes)
                block = file.readlines(READ_BYTES)
        except OSError as error:
            raise LogError(f"{log.path}: cannot read the message log: {error.strerror}") from error
        for line in block:
            if not line.endswith(b"\n") or log.read_bytes + len(line) > end:
                return
            offset = log.read_bytes
            _follow(log, line[:-1])
            log.read_bytes += len(line)
            yield at_of(line), log.number, offset, line[:-1]


def _follow(log: LogState, line: bytes) -> None:
    """Check that a line follows from the one before."""
    digest = sha256(line[:-HASH_TAIL_LENGTH] + b"}").hexdigest()
    ends = line[-66 - len(b',"hash":"') - 65 :]  # the hash before, and its own
    expected = f'{log.head}","hash":"{digest}"}}'.encode()
    if not (log.next_seq and ends == expected and line.startswith(b'{"seq":%d,' % log.next_seq)):
        check = ChainCheck(log.path)
        check.next_seq, check.head, check.agent = log.next_seq, log.head, log.agent
        check.feed(line)
        log.agent = check.agent
    log.next_seq += 1
    log.head = digest

"""Which messages a filter lets through, from the index; each that is shown is read from its log."""

from __future__ import annotations

import heapq
import os
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runtime.errors import LogError
from runtime.inspection.index.conditions import Conditions
from runtime.inspection.index.entries import Key, Place
from runtime.inspection.index.lines import at_number, at_text
from runtime.inspection.index.store import IndexStore
from runtime.messagelog.chain import ChainCheck
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.pairing import Sighting
from runtime.messagelog.record import LogRecord, decode
from runtime.protocol.envelope import Envelope

_COLUMNS = (
    "number, at, sender, recipient, performative, type, session, round, slot, log, offset, length, seq, "
    "received_log, received_seq, received_at, from_receipt, id, re"
)
_OPEN_FILES = 64
_IDS_AT_ONCE = 500
_MOST_LATE_IN_MEMORY = 200_000

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class IndexedMessage:
    """A message as the index knows it.

    Attributes:
        at: when it was sent (received, if its sender's log is not here), in the form of ``LogRecord.at``.
        sender: bare JID.
        recipient: bare JID.
        performative: FIPA performative.
        type: its body's type, or None.
        session: market session, in the light of what it answers, or None; so are the two below.
        round: round of the negotiation.
        slot: slot of the session.
        message_id: its id.
        in_reply_to: id of the message that it answers, or None.
        sent: records of sending it.
        received: records of its receipt.
        log: number of the log where it is read.
        offset: where its line begins there [bytes].
        length: of its line, without newline [bytes].
    """

    at: str
    sender: str
    recipient: str
    performative: str
    type: str | None
    session: int | None
    round: int | None
    slot: int | None
    message_id: str
    in_reply_to: str | None
    sent: list[Sighting]
    received: list[Sighting]
    log: int
    offset: int
    length: int


class MessageQuery:
    """Asks an index."""

    def __init__(self, store: IndexStore, *, few: bool = False) -> None:
        """Ask ``store``, which must stay open.

        Args:
            store: the index.
            few: whether few messages are going to be asked for: then less is made ready before.
        """
        self._store = store
        self._files: OrderedDict[int, int] = OrderedDict()
        self._late = None if few else self._late_in_memory()
        self._agents = {agent for _, agent in store.logs.values()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._store.close()

    # -- messages --------------------------------------------------------------------------------------

    def messages(self, criteria: MessageFilter, message_id: str | None = None) -> Iterator[IndexedMessage]:
        """Messages in the order of time, apart from the filter's text.

        Args:
            criteria: which messages.
            message_id: only those with this id.
        """
        where = Conditions(self._store)
        where.criteria(criteria)
        if message_id is not None:
            where.add("id = ?", message_id)
        yield from self._select(where, self._ranges(criteria.text))

    def matching(
        self, criteria: MessageFilter, message_id: str | None = None
    ) -> Iterator[tuple[IndexedMessage, Envelope]]:
        """Messages that a filter lets through, with what they say, in the order of time.

        Raises:
            LogError: a message's line was changed.
        """
        text = MessageFilter(text=criteria.text)
        for found in self.messages(criteria, message_id):
            envelope = self.envelope(found)
            if criteria.text is None or text.accepts(envelope, found.at):
                yield found, envelope

    def newest(
        self, criteria: MessageFilter, *, after: str = "", before: str = ""
    ) -> Generator[tuple[IndexedMessage, Envelope | None]]:
        """Messages in the order of time, the newest first, with what they say.

        Args:
            criteria: which messages.
            after: only those of later than this, in the form of ``LogRecord.at``; empty for any.
            before: only those of earlier; empty for any.

        Yields:
            Each message that may match, and what it says; None instead if its text does not match.

        Raises:
            LogError: a message's line was changed.
        """
        where = Conditions(self._store)
        where.criteria(criteria)
        limits = (
            at_number(after.encode()) if after else None,
            at_number(before.encode()) if before else None,
        )
        ranges = [
            [limited for each in of_pass if (limited := self._limited(each, *limits))]
            for of_pass in self._ranges(criteria.text)
        ]
        text = MessageFilter(text=criteria.text)
        for found in self._select(where, ranges, newest_first=True):
            envelope = self.envelope(found)
            yield found, envelope if criteria.text is None or text.accepts(envelope, found.at) else None

    def _limited(self, numbers: Range, after: int | None, before: int | None) -> Range | None:
        """Of a pass's messages, which are in the order of time, those of between two instants."""
        first, following = numbers
        at_of = "SELECT at FROM message WHERE number = ?"

        def at(number: int) -> int:
            return int(self._store.database.execute(at_of, (number,)).fetchone()[0])

        if before is not None:
            following = bisect_left(range(first, following), before, key=at) + first
        if after is not None:
            first = bisect_right(range(first, following), after, key=at) + first
        return (first, following) if first < following else None

    def related(self, to: IndexedMessage) -> tuple[list[IndexedMessage], list[IndexedMessage]]:
        """What a message answers, and what answers it."""
        asked, answers = Conditions(self._store), Conditions(self._store)
        asked.names("sender", [to.recipient])
        asked.add("id = ?", to.in_reply_to)
        answers.names("sender", [to.recipient])
        answers.names("recipient", [to.sender])
        answers.add("re = ?", to.message_id)
        everything = self._ranges(None)
        return list(self._select(asked, everything)), list(self._select(answers, everything))

    def with_keys(self, keys: Iterable[Key]) -> Iterator[IndexedMessage]:
        """Messages by sender and id."""
        wanted = set(keys)
        ids = sorted({message_id for _, message_id in wanted})
        for first in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[first : first + _IDS_AT_ONCE]
            where = Conditions(self._store)
            where.add(f"id IN ({', '.join('?' * len(some))})", *some)
            for found in self._select(where, self._ranges(None)):
                if (found.sender, found.message_id) in wanted:
                    yield found

    def envelope(self, found: IndexedMessage) -> Envelope:
        """The message itself, from its log.

        Raises:
            LogError: its line was changed.
        """
        envelope = self._record(found.log, found.offset, found.length).envelope
        if envelope is None or (envelope.sender, envelope.message_id) != (found.sender, found.message_id):
            path, _ = self._store.logs[found.log]
            raise LogError(f"{path}: was changed since it was indexed; `peerwatt verify` says where")
        return envelope

    def events(self, criteria: MessageFilter) -> Iterator[LogRecord]:
        """Events that a filter lets through, in the order of time."""
        where = Conditions(self._store)
        where.time(criteria)
        query = f"SELECT log, offset, length FROM event WHERE {where.text} ORDER BY at, log, offset"
        for log, offset, length in self._store.database.execute(query, where.values):
            record = self._record(log, offset, length)
            if criteria.accepts_record(record):
                yield record

    def last_events(self) -> Iterator[LogRecord]:
        """Of each log that ends with an event, as far as it is indexed, that event."""
        query = (
            "SELECT log, offset, length FROM event JOIN logs ON logs.number = event.log "
            "WHERE event.offset + event.length + 1 = logs.read_bytes"
        )
        for place in self._store.database.execute(query):
            yield self._record(*place)

    def known_logs(self) -> dict[Path, ChainCheck]:
        """How far each log is indexed, for whoever reads on from there."""
        return {state.path: state.check() for state in self._store.states}

    def latest(self, number: int) -> list[tuple[Key, Place]]:
        """Sender and id of the latest messages, and session, round and slot; the latest last."""
        query = "SELECT sender, id, session, round, slot FROM message ORDER BY number DESC LIMIT ?"
        names = self._store.names
        return [
            ((names[sender], message_id), (place[0], place[1], place[2]))
            for sender, message_id, *place in self._store.database.execute(query, (number,))
        ][::-1]

    def has_log(self, jid: str) -> bool:
        """Whether an agent's log is among those indexed."""
        return not self._agents.isdisjoint((jid, jid.partition("@")[0]))

    # -- reading ---------------------------------------------------------------------------------------

    def _select(
        self, where: Conditions, ranges: list[list[Range]], *, newest_first: bool = False
    ) -> Iterator[IndexedMessage]:
        passes = [self._rows(where, of_pass, newest_first=newest_first) for of_pass in ranges]
        for row in heapq.merge(*passes, key=lambda row: (row[1], row[0]), reverse=newest_first):
            yield self._indexed(row)

    def _rows(
        self, where: Conditions, ranges: list[Range], *, newest_first: bool
    ) -> Iterator[tuple[Any, ...]]:
        chosen = f"number >= ? AND number < ? AND {where.text}"
        order = "DESC" if newest_first else "ASC"
        query = f"SELECT {_COLUMNS} FROM message WHERE {chosen} ORDER BY number {order}"
        for first, following in reversed(ranges) if newest_first else ranges:
            yield from self._store.database.execute(query, (first, following, *where.values))

    def _ranges(self, text: str | None) -> list[list[Range]]:
        """Of each pass, the numbers of messages that may contain a text."""
        database = self._store.database
        passes: list[Range] = database.execute("SELECT first, next FROM passes ORDER BY first").fetchall()
        if text is None:
            return [[each] for each in passes]
        from runtime.inspection.index.ngrams import candidate_blocks  # needs numpy, which takes its time

        starts = [first for (first,) in database.execute("SELECT first FROM blocks ORDER BY number")]
        found = candidate_blocks(self._store.text_path, len(starts), text)
        if found is None:
            return [[each] for each in passes]
        ends = [*starts[1:], passes[-1][1] if passes else 0]
        joined: list[list[int]] = []
        for place in found:
            if joined and joined[-1][1] == starts[place]:
                joined[-1][1] = ends[place]
            else:
                joined.append([starts[place], ends[place]])
        return [
            [(max(a, first), min(b, following)) for a, b in joined if a < following and b > first]
            for first, following in passes
        ]

    def _indexed(self, row: tuple[Any, ...]) -> IndexedMessage:
        (
            _, at, sender, recipient, performative, kind, session, number, slot, log, offset, length, seq,
            received_log, received_seq, received_at, from_receipt, message_id, asked,
        ) = row  # fmt: skip
        names = self._store.names
        instant = at_text(at)
        sent = [] if from_receipt else [Sighting(self._agent(log), seq, instant, None)]
        received = []
        if received_log is not None:
            received.append(Sighting(self._agent(received_log), received_seq, at_text(received_at), None))
        for late_log, late_seq, late_at, is_sent, note in self._late_of(sender, message_id):
            seen = Sighting(self._agent(late_log), late_seq, at_text(late_at), note)
            (sent if is_sent else received).append(seen)
        received.sort(key=lambda seen: seen.at)
        return IndexedMessage(
            instant, names[sender], names[recipient], names[performative],
            None if kind is None else names[kind], session, number, slot, message_id, asked, sent, received,
            log, offset, length,
        )  # fmt: skip

    def _agent(self, log: int) -> str:
        return self._store.logs[log][1]

    def _late_in_memory(self) -> dict[tuple[int, str], list[tuple[Any, ...]]] | None:
        database = self._store.database
        if database.execute("SELECT COUNT(*) FROM late").fetchone()[0] > _MOST_LATE_IN_MEMORY:
            return None
        found: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
        for sender, message_id, *seen in database.execute("SELECT * FROM late ORDER BY at"):
            found.setdefault((sender, message_id), []).append(tuple(seen))
        return found

    def _late_of(self, sender: int, message_id: str) -> list[tuple[Any, ...]]:
        if self._late is not None:
            return self._late.get((sender, message_id), [])
        query = "SELECT log, seq, at, sent, note FROM late WHERE sender = ? AND id = ? ORDER BY at"
        return self._store.database.execute(query, (sender, message_id)).fetchall()

    def _record(self, log: int, offset: int, length: int) -> LogRecord:
        path, agent = self._store.logs[log]
        line = os.pread(self._descriptor(log, path), length, offset)
        try:
            return decode(line, agent)
        except ValueError as error:
            raise LogError(f"{path}, byte {offset}: {error}") from error

    def _descriptor(self, log: int, path: Path) -> int:
        """An open file; few are open at a time, for a large fleet has more logs than files may be open."""
        if log in self._files:
            self._files.move_to_end(log)
            return self._files[log]
        if len(self._files) >= _OPEN_FILES:
            os.close(self._files.popitem(last=False)[1])
        try:
            self._files[log] = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise LogError(f"{path}: cannot read the message log: {error.strerror}") from error
        return self._files[log]

"""What a pass over logs takes in and hands on: logs, messages, events, and what came late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.messagelog.chain import ChainCheck
from runtime.messagelog.record import FIRST_PREV

Key = tuple[str, str]
"""Sender and id of a message."""
Place = tuple[int | None, int | None, int | None]
"""Session, round and slot."""


@dataclass(slots=True)
class LogState:
    """A log and how far it is indexed.

    Attributes:
        number: of the log in the index.
        path: the log.
        read_bytes: length of what is indexed.
        next_seq: number of its records.
        head: hash of the last.
        agent: whose it is, from its first record.
        written_ns: when the file was last written, as it was indexed.
    """

    number: int
    path: Path
    read_bytes: int = 0
    next_seq: int = 0
    head: str = FIRST_PREV
    agent: str = ""
    written_ns: int = 0

    def check(self) -> ChainCheck:
        """The log's chain, checked as far as it is indexed."""
        check = ChainCheck(self.path)
        check.agent, check.next_seq, check.head = self.agent, self.next_seq, self.head
        check.checked_bytes = self.read_bytes
        return check


@dataclass(slots=True)
class MessageEntry:
    """A message's row.

    Attributes:
        number: its place in the index, in the order of time within a pass.
        at: when it was sent, or received if its sender's log is not here, as ``at_number``.
        key: sender and id.
        recipient: bare JID.
        words: performative, protocol, conversation and type.
        place: session, round and slot, in the light of what it answers.
        in_reply_to: id of the message that it answers.
        log: number of the log it is read from.
        offset: where its line begins there.
        length: of its line, without newline.
        seq: place of its record in that log.
        received: log, place and instant of its first receipt; None if there is none so far.
        from_receipt: whether it is read from a receipt, for want of its sender's record.
    """

    number: int
    at: int
    key: Key
    recipient: str
    words: tuple[str, str, str, str | None]
    place: Place
    in_reply_to: str | None
    log: int
    offset: int
    length: int
    seq: int
    received: tuple[int, int, int] | None = None
    from_receipt: bool = False


@dataclass(slots=True)
class Receipt:
    """A message's receipt: which log, where its line is there and how long, its place, instant and note."""

    log: LogState
    offset: int
    length: int
    seq: int
    at: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class LateSighting:
    """A further record of a message: a repetition, a duplicate, or a receipt out of the window."""

    key: Key
    log: int
    seq: int
    at: int
    sent: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event's row: when it was written, and where."""

    at: int
    log: int
    offset: int
    length: int


@dataclass(slots=True)
class Pass:
    """Where one pass hands what it finds to.

    Attributes:
        message: takes messages, in the order of their numbers.
        late: takes further sightings.
        event: takes events.
        block: takes the text of a block of messages and the number of the first.
    """

    message: Callable[[MessageEntry], None]
    late: Callable[[LateSighting], None]
    event: Callable[[EventEntry], None]
    block: Callable[[bytes, int], None]

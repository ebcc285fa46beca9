"""What a fleet says, as texts of the same lengths, in the same order, after the same pauses.

Other systems carry this load to be compared with the fleet: a coordinator that calls for proposals and asks
for deliveries, members that answer and ask their meters, meters that answer. Nobody plans or settles.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Self

from runtime.errors import LogError
from runtime.messagelog.reader import log_paths, read_log
from runtime.messagelog.record import LogRecord, RecordKind, instant
from runtime.protocol.envelope import Envelope
from runtime.rundir import COORDINATOR, RunDirectory

_TYPE = re.compile(r'"type":"([a-z-]+)"')


class Said(StrEnum):
    """Messages of the market that a load has, by the type of their body."""

    CALL = "price-signal"
    PROPOSAL = "position"
    AGREEMENT = "agreement"
    ACKNOWLEDGED = "acknowledged"
    DELIVERY_REQUEST = "delivery-request"
    READING_REQUEST = "reading-request"
    READING = "reading"
    DELIVERY = "delivery"
    BILL_LINE = "bill-line"
    CLOSED = "session-closed"


class To(StrEnum):
    """Whom a member or meter speaks to."""

    COORDINATOR = "coordinator"
    METER = "meter"
    MEMBER = "member"


ANSWERED_WITH = {
    Said.CALL: Said.PROPOSAL,
    Said.AGREEMENT: Said.ACKNOWLEDGED,
    Said.DELIVERY_REQUEST: Said.DELIVERY,
    Said.CLOSED: Said.ACKNOWLEDGED,
}
"""What the coordinator asks of all members, and what it then waits for from each."""

REACTIONS = {
    Said.CALL: (Said.PROPOSAL, To.COORDINATOR),
    Said.AGREEMENT: (Said.ACKNOWLEDGED, To.COORDINATOR),
    Said.DELIVERY_REQUEST: (Said.READING_REQUEST, To.METER),
    Said.READING_REQUEST: (Said.READING, To.MEMBER),
    Said.READING: (Said.DELIVERY, To.COORDINATOR),
    Said.CLOSED: (Said.ACKNOWLEDGED, To.COORDINATOR),
}
"""What a member, or its meter, says to what it hears; to all else nothing."""

_LETTERS = {said: chr(ord("A") + place) for place, said in enumerate(Said)}
_SAID = {letter: said for said, letter in _LETTERS.items()}


@dataclass(frozen=True)
class Step:
    """What the coordinator asks all members next.

    Attributes:
        session: number of the market session.
        ask: what it asks.
        pause_s: since the step before was over [s].
    """

    session: int
    ask: Said
    pause_s: float


@dataclass(frozen=True)
class Load:
    """What a fleet said.

    Attributes:
        steps: what the coordinator asked, in order.
        lengths: of the bodies [characters], median by kind of message.
    """

    steps: list[Step]
    lengths: dict[Said, int]

    @classmethod
    def of(cls, directory: RunDirectory) -> Self:
        """Read it from the logs of a finished run.

        Raises:
            LogError: a log is damaged, or nothing was said.
        """
        steps = list(_steps(read_log(directory.log(COORDINATOR))))
        if not steps:
            raise LogError(f"{directory.log(COORDINATOR)}: found no price round")
        lengths: dict[Said, list[int]] = defaultdict(list)
        for path in log_paths(directory.logs_dir):
            for record in read_log(path):
                if record.envelope is not None and record.kind is RecordKind.OUT:
                    said = said_in(record.envelope)
                    if said is not None:
                        lengths[said].append(len(record.envelope.body))
        return cls(steps, {said: int(median(found)) for said, found in lengths.items()})

    def text(self, said: Said) -> str:
        """A text as long as such a message's body, from which it can be told what it stands for."""
        return text_of(said, self.lengths[said])

    def save(self, path: Path) -> None:
        """Write as JSON."""
        steps = [asdict(step) for step in self.steps]
        path.write_text(json.dumps({"steps": steps, "lengths": self.lengths}), encoding="ascii")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote."""
        found = json.loads(path.read_text(encoding="ascii"))
        steps = [Step(step["session"], Said(step["ask"]), step["pause_s"]) for step in found["steps"]]
        return cls(steps, {Said(said): length for said, length in found["lengths"].items()})


def said_in(envelope: Envelope) -> Said | None:
    """Which message of a load an envelope has; None where it is none of them."""
    found = _TYPE.search(envelope.body)
    try:
        return Said(found.group(1)) if found else None
    except ValueError:
        return None


def text_of(said: Said, length: int) -> str:
    """A JSON-like text of so many characters, with as many quotes as the market's messages have."""
    head = f'{_LETTERS[said]}{{"type":"plain","session":0,"round":0,"import_kwh":[],"export_kwh":['
    return (head + "0.123456,0.654321,0.0," * (length // 22 + 1))[:length]


def meaning_of(text: str) -> Said:
    """What such a text stands for.

    Raises:
        KeyError: it is none.
    """
    return _SAID[text[:1]]


@dataclass
class _Open:
    session: int
    ask: Said
    began: datetime
    ended: datetime


def _steps(records: Iterable[LogRecord]) -> Iterable[Step]:
    running: _Open | None = None
    over: datetime | None = None
    key: tuple[object, ...] = ()
    for record in records:
        if record.envelope is None or (said := said_in(record.envelope)) is None:
            continue
        at = instant(record.at)
        if record.kind is RecordKind.OUT and said in ANSWERED_WITH and record.note is None:
            body = json.loads(record.envelope.body)
            found = (said, body["session"], body.get("round"), body.get("slot"))
            if found != key:
                if running is not None:
                    yield Step(running.session, running.ask, _seconds(over, running.began))
                    over = running.ended
                running, key = _Open(body["session"], said, at, at), found
        elif running is not None:
            running.ended = at
    if running is not None:
        yield Step(running.session, running.ask, _seconds(over, running.began))


def _seconds(since: datetime | None, until: datetime) -> float:
    return 0.0 if since is None else max(0.0, (until - since).total_seconds())

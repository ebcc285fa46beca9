"""How long a market session took, read from its message logs, whose records carry their instants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import quantiles

from runtime.errors import LogError
from runtime.messagelog.reader import log_paths, read_log
from runtime.messagelog.record import LogRecord, RecordKind, instant
from runtime.protocol.envelope import METERING, OPERATION, Performative
from runtime.rundir import COORDINATOR, RunDirectory

SLOT_PROTOCOLS = frozenset({OPERATION, METERING})
"""Protocols of what is said about a slot."""


@dataclass(frozen=True)
class Spread:
    """Of some figures the median, the greatest, and between which the middle half of them lies."""

    median: float
    max: float
    lower: float
    upper: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The spread of ``figures``, which are not empty."""
        if len(figures) == 1:
            return cls(*figures, *figures, *figures, *figures)
        lower, middle, upper = quantiles(figures, n=4, method="inclusive")
        return cls(middle, max(figures), lower, upper)


@dataclass
class Timings:
    """What the logs of one run say.

    Attributes:
        rounds_s: by round in order, from the first call for proposals to the last proposal [s].
        first_session_rounds: how many of them belong to the first session.
        slots_s: by slot in order, from the first delivery request to the last bill line [s].
        first_session_slots: how many of them belong to the first session.
        solving_s: of every member and round, from the call for proposals to the plan [s].
        market_s: from the first call for proposals to the last message of the coordinator [s].
        call_bytes: bodies of calls for proposals.
        proposal_bytes: bodies of proposals.
        messages: received by all agents from the first call for proposals on.
        slot_messages: those of them that belong to the operation of slots.
        resent: messages sent more than once, by any agent.
    """

    rounds_s: list[float] = field(default_factory=list)
    first_session_rounds: int = 0
    slots_s: list[float] = field(default_factory=list)
    first_session_slots: int = 0
    solving_s: list[float] = field(default_factory=list)
    market_s: float = 0.0
    call_bytes: list[int] = field(default_factory=list)
    proposal_bytes: list[int] = field(default_factory=list)
    messages: int = 0
    slot_messages: int = 0
    resent: int = 0


@dataclass
class _Span:
    began: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


def read_timings(directory: RunDirectory) -> Timings:
    """Read all logs of a finished run.

    Raises:
        LogError: a log is damaged, or there is none of the coordinator.
    """
    timings = Timings()
    began = _read_coordinator(read_log(directory.log(COORDINATOR)), timings, directory.log(COORDINATOR))
    for path in log_paths(directory.logs_dir):
        _read_agent(read_log(path), began, timings)
    return timings


def _read_coordinator(records: Iterable[LogRecord], timings: Timings, path: Path) -> datetime:
    rounds: dict[tuple[int, int], _Span] = {}
    slots: dict[tuple[int, int], _Span] = {}
    last: datetime | None = None
    for record in records:
        if record.envelope is None:
            continue
        at = last = instant(record.at)
        body = json.loads(record.envelope.body)
        match record.kind, body["type"]:
            case RecordKind.OUT, "price-signal":
                rounds.setdefault((body["session"], body["round"]), _Span(at, at))
                timings.call_bytes.append(len(record.envelope.body))
            case RecordKind.IN, "position":
                rounds[body["session"], body["round"]].ended = at
                timings.proposal_bytes.append(len(record.envelope.body))
            case RecordKind.OUT, "delivery-request":
                slots.setdefault((body["session"], body["slot"]), _Span(at, at))
            case RecordKind.OUT, "bill-line":
                slots[body["session"], body["slot"]].ended = at
    if not rounds or last is None:
        raise LogError(f"{path}: found no price round")
    timings.rounds_s = [span.seconds for _, span in sorted(rounds.items())]
    timings.first_session_rounds = sum(session == 0 for session, _ in rounds)
    timings.slots_s = [span.seconds for _, span in sorted(slots.items())]
    timings.first_session_slots = sum(session == 0 for session, _ in slots)
    began = min(span.began for span in rounds.values())
    timings.market_s = (last - began).total_seconds()
    return began


def _read_agent(records: Iterable[LogRecord], began: datetime, timings: Timings) -> None:
    sent: Counter[str] = Counter()
    called: list[datetime] = []
    for record in records:
        at = instant(record.at)
        if record.envelope is None:
            if record.name == "computed" and called:
                timings.solving_s.append((at - called.pop(0)).total_seconds())
        elif record.kind is RecordKind.OUT:
            sent[record.envelope.message_id] += 1
        else:
            timings.messages += at >= began
            timings.slot_messages += record.envelope.protocol in SLOT_PROTOCOLS and at >= began
            if record.envelope.performative is Performative.CFP and record.note is None:
                called.append(at)
    timings.resent += sum(sent.values()) - len(sent)

"""What was said in a run, from its message logs: how many messages, how long it took, what members disclosed.

Counted are messages among coordinator and members, each once at its sender, however often it was sent again.
What a member and its own meter say to each other stays in its house.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import LogError
from runtime.messagelog.chain import complete_lines
from runtime.messagelog.facts import body_facts
from runtime.messagelog.record import NOTE_RESENT, RecordKind, decode, instant
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import COORDINATOR, COORDINATORS, RunDirectory

_SENT = b'"kind":"out"'
_SESSION = re.compile(r"session-(\d+)(?!\d)")
_PAIRS = (("grid_import_kwh", "grid_export_kwh"), ("purchase_kwh", "sale_kwh"))
"""Keys of energy taken and given, of which one is always 0."""

_PLACES = frozenset({"session", "round", "slot", "slots", "position_round", "seller", "buyer"})
"""Keys whose numbers say what a message is about, and disclose nothing of a member."""


@dataclass
class Traffic:
    """What was said in one session.

    Attributes:
        messages: number of messages among coordinator and members.
        disclosed: by member and type of message, how many numbers the member told others.
        negotiation_seconds: from the first call for positions to the first agreement, by the coordinator's
            wall clock; None if one of them is not there.
    """

    messages: int = 0
    disclosed: dict[str, Counter[str]] = field(default_factory=dict)
    negotiation_seconds: float | None = None

    def add(self, other: Traffic) -> None:
        """Add what was said in another session."""
        self.messages += other.messages
        for member, counts in other.disclosed.items():
            self.disclosed.setdefault(member, Counter()).update(counts)
        times = [s for s in (self.negotiation_seconds, other.negotiation_seconds) if s is not None]
        self.negotiation_seconds = sum(times) if times else None

    def numbers_of(self, member: str) -> int:
        """How many numbers a member told others."""
        return sum(self.disclosed.get(member, Counter()).values())


def traffic_of(run: Path, members: Sequence[str]) -> dict[int, Traffic] | None:
    """Read what was said in a run, session by session.

    Args:
        run: the run's directory.
        members: names of its members.

    Returns:
        By session number; None where a log of the coordinator or of a member is missing.

    Raises:
        LogError: a log cannot be read, or holds something that is no record.
    """
    directory = RunDirectory(run)
    further = [name for name in COORDINATORS[1:] if directory.log(name).is_file()]
    paths = {name: directory.log(name) for name in (COORDINATOR, *further, *members)}
    if not all(path.is_file() for path in paths.values()):
        return None
    found: dict[int, Traffic] = {}
    for name, path in paths.items():
        first: dict[int, str] = {}
        for at, envelope in _sent(path, name):
            session = _SESSION.fullmatch(envelope.conversation)
            if session is None or _local(envelope.recipient) not in paths:
                continue
            number = int(session[1])
            traffic = found.setdefault(number, Traffic())
            traffic.messages += 1
            if name not in COORDINATORS:
                _count(traffic.disclosed.setdefault(name, Counter()), envelope)
            elif envelope.performative is Performative.ACCEPT_PROPOSAL:
                if traffic.negotiation_seconds is None and number in first:
                    began, ended = instant(first[number]), instant(at)
                    traffic.negotiation_seconds = (ended - began).total_seconds()
            else:
                first.setdefault(number, at)
    return found


def numbers_in(body: Any) -> int:  # noqa: ANN401 - any JSON value
    """How many numbers a message's body discloses.

    Numbers, and exact decimals written as text. Which session, round and slot it is about does not count; of
    a pair of energy taken and given one is always 0, so a pair counts as one number.

    Args:
        body: JSON as Python has it.
    """
    if isinstance(body, Mapping):
        told_already = {given for taken, given in _PAIRS if taken in body}
        return sum(
            numbers_in(value) for key, value in body.items() if key not in _PLACES and key not in told_already
        )
    if isinstance(body, list):
        return sum(map(numbers_in, body))
    if isinstance(body, str):
        return int(re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", body) is not None)
    return int(isinstance(body, int | float) and not isinstance(body, bool))


def _sent(path: Path, agent: str) -> Iterable[tuple[str, Envelope]]:
    """Messages that an agent sent, without those sent again, and when."""
    for line in complete_lines(path):
        if _SENT not in line[:100]:  # far cheaper than reading all records
            continue
        try:
            record = decode(line, agent, check_hash=False)
        except ValueError as error:
            raise LogError(f"{path}: {error}") from None
        again = (record.note or "").startswith(NOTE_RESENT)
        if record.kind is RecordKind.OUT and record.envelope is not None and not again:
            yield record.at, record.envelope


def _count(disclosed: Counter[str], envelope: Envelope) -> None:
    facts = body_facts(envelope)  # a member may say what is no JSON
    numbers = numbers_in(facts.fields)
    if numbers:
        disclosed[str(facts.type)] += numbers


def _local(jid: str) -> str:
    return jid.partition("@")[0]

"""Checks a run's logs: chains whole, and every message sent arrived, with one effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from runtime.errors import LogError
from runtime.messagelog.audit import Audit, LogPass
from runtime.messagelog.chain import ChainCheck, complete_lines
from runtime.messagelog.filters import is_agent
from runtime.messagelog.pairing import MessageTrace, Pairing, pair
from runtime.messagelog.parting import Unreceived, asked_by, why_not_received
from runtime.messagelog.reader import in_order_of_time
from runtime.messagelog.record import NOTE_RESENT, LogRecord
from runtime.messagelog.tally import ODD, RECEIVED, SENT, TAKEN_IN
from runtime.protocol.envelope import Envelope
from runtime.wording import counted


class FindingKind(StrEnum):
    """What can be wrong with the logs of a run."""

    CHAIN = "chain"
    TORN = "torn-line"
    SAME_AGENT = "two-logs-of-one-agent"
    NO_LOG = "no-log"
    NOT_RECEIVED = "not-received"
    NOT_SENT = "not-sent"
    TWO_EFFECTS = "two-effects"
    NO_EFFECT = "no-effect"
    UNMARKED_RESEND = "unmarked-resend"
    ALTERED = "altered"
    WRONG_LOG = "wrong-log"
    MISSPOKEN = "not-allowed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong.

    Attributes:
        kind: what sort of thing.
        text: what was found, for a person, naming log or message.
    """

    kind: FindingKind
    text: str


MOST_NAMED = 1000
"""So many messages that something is wrong with are looked at one by one."""


@dataclass(frozen=True, slots=True)
class LogCheck:
    """What a check of a run's logs found, and over how much.

    Attributes:
        findings: what is wrong: chains first, then messages in the order of time; empty if all is well.
        audit: what was read.
        unnamed: messages that something is wrong with beyond those among the findings.
        undelivered: messages that were not received as somebody had left, and why; these are no findings.
        flooded: by recipient's log and sender, messages whose number alone the recipient logged.
    """

    findings: list[Finding]
    audit: Audit
    unnamed: int = 0
    undelivered: list[str] = field(default_factory=list)
    flooded: dict[tuple[str, str], int] = field(default_factory=dict)


def verify(paths: Iterable[Path]) -> list[Finding]:
    """Check logs one by one and against each other, whoever spoke; see ``check_logs``."""
    return check_logs(paths, speakers=False).findings


def check_logs(paths: Iterable[Path], *, speakers: bool = True) -> LogCheck:
    """Check logs one by one and against each other.

    Chains cannot show that whole records were cut off a log's end; that the cut messages are missing
    there does show, as long as the other ends' logs are whole. A message still under way in a running
    fleet is found as not received; one to who had left is told apart (``runtime.messagelog.parting``).

    Args:
        paths: all logs of a run.
        speakers: whether to check too that everybody only said what it may, or was refused.

    Raises:
        LogError: a log cannot be read.
    """
    paths = list(paths)
    audit = Audit()
    for path in paths:
        audit.read(path)
    owners = Counter(log.agent for log in audit.logs)
    incomplete = {log.agent for log in audit.logs if not log.whole}
    findings = [finding for log in audit.logs for finding in _log_findings(log)]
    findings += [
        Finding(FindingKind.SAME_AGENT, f"{count} logs say they are {agent!r}'s")
        for agent, count in owners.items()
        if count > 1
    ]
    findings += _agents_without_log(audit, set(owners))
    flooded = {(log.agent, sender): n for log in audit.logs for sender, n in log.flooded.items()}
    wrong, more = _wrong_messages(audit, set(owners), incomplete, flooded)
    reasons = {
        (sender, message_id): reason
        for (recipient, sender, message_id), reason in audit.misspoken.items()
        if speakers and (recipient, sender, message_id) not in audit.refused
    }
    undelivered = []
    if wrong or reasons:
        messages = _pair_only(paths, wrong | set(reasons)).messages
        whys = _why_not_received(paths, messages, audit, set(owners))
        for message in messages:
            key = message.envelope.sender, message.envelope.message_id
            if key in whys:
                undelivered.append(f"{_name(message)}: {whys[key]}")
            findings += _message_findings(message, set(owners), incomplete, excused=key in whys)
            reason = reasons.get(key)
            if reason is not None:
                findings.append(Finding(FindingKind.MISSPOKEN, f"{_name(message)}: {reason}"))
    return LogCheck(findings, audit, more, undelivered, flooded)


def _why_not_received(
    paths: Iterable[Path], messages: Iterable[MessageTrace], audit: Audit, agents: set[str]
) -> dict[tuple[str, str], str]:
    """By sender and id of messages that were not received since somebody had left: why."""
    left = {log.agent: log.left_at for log in audit.logs}
    lost = [message for message in messages if not message.received and message.sent]
    asking = {key for message in lost if (key := asked_by(message)) is not None}
    asked = {
        (trace.envelope.sender, trace.envelope.message_id): trace
        for trace in (_pair_only(paths, asking).messages if asking else ())
    }
    whys = {}
    for message in lost:
        ends = message.envelope.sender, message.envelope.recipient
        sender_left, recipient_left = (left.get(_owner(jid, agents) or "") for jid in ends)
        key = asked_by(message)
        about = None if key is None else asked.get(key)
        asked_sent = [] if about is None else about.sent
        why = why_not_received(Unreceived(*ends, message.sent, asked_sent), sender_left, recipient_left)
        if why is not None:
            whys[message.envelope.sender, message.envelope.message_id] = why
    return whys


def _log_findings(log: LogPass) -> Iterator[Finding]:
    if log.broken is not None:
        yield Finding(FindingKind.CHAIN, log.broken)
    elif log.torn_bytes:
        text = f"{log.path}: the last line has no end ({log.torn_bytes} bytes): cut by a crash or changed"
        yield Finding(FindingKind.TORN, text)
    elif log.records == 0:
        yield Finding(FindingKind.CHAIN, f"{log.path}: is empty")


def _wrong_messages(
    audit: Audit, agents: set[str], incomplete: set[str], flooded: Mapping[tuple[str, str], int]
) -> tuple[set[tuple[str, str]], int]:
    """Sender and id of messages to be looked at, and how many more there are.

    Of what was sent to who was flooded by its sender, so many may be missing there as it counted.
    """
    places: set[int] = set()
    not_taken = Counter(flooded)
    more = 0
    expecting = _Expecting(agents, incomplete)
    if not any(
        state & ODD or expecting[sender, recipient] & ~state
        for sender, recipient, state in audit.tally.counted_ends()
    ):
        return set(), 0
    for place, (sender, recipient, state) in enumerate(audit.tally.ends()):
        if state & ODD or expecting[sender, recipient] & ~state:
            ends = _owner(recipient, agents) or "", sender
            if not state & (ODD | RECEIVED) and not_taken[ends]:
                not_taken[ends] -= 1
            elif len(places) < MOST_NAMED:
                places.add(place)
            else:
                more += 1
    return audit.tally.keys(places), more


class _Expecting(dict[tuple[str, str], int]):
    """What is expected of the state of messages between two agents."""

    def __init__(self, agents: set[str], incomplete: set[str]) -> None:
        self._agents = agents
        self._incomplete = incomplete

    def __missing__(self, ends: tuple[str, str]) -> int:
        here, there = (_owner(jid, self._agents) for jid in ends)
        expected = SENT if here is not None and here not in self._incomplete else 0
        expected |= TAKEN_IN | RECEIVED if there is not None and there not in self._incomplete else 0
        self[ends] = expected
        return expected


def _pair_only(paths: Iterable[Path], keys: set[tuple[str, str]]) -> Pairing:
    """Bring together the records of some messages."""
    return pair(in_order_of_time([_records_of(path, keys) for path in paths]))


def _records_of(path: Path, keys: set[tuple[str, str]]) -> Iterator[LogRecord]:
    check = ChainCheck(path)
    try:
        for line in complete_lines(path):
            record = check.feed(line)
            envelope = record.envelope
            if envelope is not None and (envelope.sender, envelope.message_id) in keys:
                yield record
    except LogError:
        return  # Where its chain breaks is among the findings already.


def _owner(jid: str, agents: set[str]) -> str | None:
    return next((name for name in (jid, jid.partition("@")[0]) if name in agents), None)


def _agents_without_log(audit: Audit, agents: set[str]) -> list[Finding]:
    to: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for (sender, recipient, _), count in audit.tally.counted_ends().items():
        if _owner(recipient, agents) is None:
            to[recipient] += count
        if _owner(sender, agents) is None:
            of[sender] += count
    return [
        Finding(
            FindingKind.NO_LOG,
            f"{agent}: no log of it is here; {counted(to[agent], 'message')} to it and {of[agent]} from it "
            "cannot be checked",
        )
        for agent in sorted({*to, *of})
    ]


def _name(message: MessageTrace) -> str:
    envelope = message.envelope
    return (
        f"{envelope.performative} {envelope.message_id!r} of {message.at} "
        f"from {envelope.sender} to {envelope.recipient}"
    )


def _message_findings(
    message: MessageTrace, agents: set[str], incomplete: set[str], *, excused: bool
) -> Iterator[Finding]:
    envelope = message.envelope
    name = _name(message)
    sender, recipient = _owner(envelope.sender, agents), _owner(envelope.recipient, agents)
    if not (message.received or excused) and recipient is not None and recipient not in incomplete:
        yield Finding(FindingKind.NOT_RECEIVED, f"{name}: sent, not received")
    if not message.sent and sender is not None and sender not in incomplete:
        yield Finding(FindingKind.NOT_SENT, f"{name}: received, but its sender did not send it")
    if len(message.effective) > 1:
        yield Finding(FindingKind.TWO_EFFECTS, f"{name}: taken in {len(message.effective)} times")
    if message.received and not message.effective and recipient not in incomplete:
        yield Finding(FindingKind.NO_EFFECT, f"{name}: every receipt is marked as a duplicate")
    unmarked = [seen for seen in message.sent[1:] if not (seen.note or "").startswith(NOTE_RESENT)]
    if unmarked:
        yield Finding(
            FindingKind.UNMARKED_RESEND,
            f"{name}: sent {len(unmarked)} times more without the note {NOTE_RESENT!r}",
        )
    for seen, other in message.altered:
        differences = ", ".join(_differences(envelope, other))
        text = f"{name}: record {seen.seq} of {seen.agent} differs in {differences}"
        yield Finding(FindingKind.ALTERED, text)
    for seen, jid in [(s, envelope.sender) for s in message.sent] + [
        (s, envelope.recipient) for s in message.received
    ]:
        if not is_agent(seen.agent, jid):
            yield Finding(FindingKind.WRONG_LOG, f"{name}: is in the log of {seen.agent} (record {seen.seq})")


def _differences(one: Envelope, other: Envelope) -> list[str]:
    names = [field.name for field in fields(Envelope)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]

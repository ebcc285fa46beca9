"""Checks a run's logs: chains whole, and every message sent arrived, with one effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from runtime.errors import LogError
from runtime.messagelog.chain import ChainCheck, complete_lines
from runtime.messagelog.filters import is_agent
from runtime.messagelog.pairing import MessageTrace, Pairing, pair
from runtime.messagelog.reader import in_order_of_time
from runtime.messagelog.record import NOTE_RESENT, LogRecord
from runtime.protocol.envelope import Envelope


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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong.

    Attributes:
        kind: what sort of thing.
        text: what was found, for a person, naming log or message.
    """

    kind: FindingKind
    text: str


def verify(paths: Iterable[Path]) -> list[Finding]:
    """Check logs one by one and against each other.

    Chains cannot show that whole records were cut off a log's end; that the cut messages are missing
    there does show, as long as the other ends' logs are whole. A message still under way in a running
    fleet is found as not received.

    Args:
        paths: all logs of a run.

    Returns:
        What is wrong: chains first, then messages in the order of time; empty if all is well.
    """
    findings: list[Finding] = []
    readings = [_ReadLog(path) for path in paths]
    pairing = pair(in_order_of_time([reading.records() for reading in readings]))
    for reading in readings:
        findings += reading.findings
    owners = Counter(reading.agent for reading in readings)
    findings += [
        Finding(FindingKind.SAME_AGENT, f"{count} logs say they are {agent!r}'s")
        for agent, count in owners.items()
        if count > 1
    ]
    incomplete = {reading.agent for reading in readings if reading.findings}
    findings += _agents_without_log(pairing, set(owners))
    for message in pairing.messages:
        findings += _message_findings(message, set(owners), incomplete)
    return findings


class _ReadLog:
    """One log read as far as its chain is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._check = ChainCheck(path)
        self.findings: list[Finding] = []

    @property
    def agent(self) -> str:
        return self._check.agent or self._path.stem

    def records(self) -> Iterator[LogRecord]:
        try:
            for line in complete_lines(self._path):
                yield self._check.feed(line)
            rest_bytes = self._path.stat().st_size - self._check.checked_bytes
            if rest_bytes:
                text = (
                    f"{self._path}: the last line has no end ({rest_bytes} bytes): cut by a crash or changed"
                )
                self.findings.append(Finding(FindingKind.TORN, text))
            elif self._check.next_seq == 0:
                self.findings.append(Finding(FindingKind.CHAIN, f"{self._path}: is empty"))
        except LogError as error:
            self.findings.append(Finding(FindingKind.CHAIN, str(error)))


def _owner(jid: str, agents: set[str]) -> str | None:
    return next((name for name in (jid, jid.partition("@")[0]) if name in agents), None)


def _agents_without_log(pairing: Pairing, agents: set[str]) -> list[Finding]:
    to: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for message in pairing.messages:
        envelope = message.envelope
        if _owner(envelope.recipient, agents) is None:
            to[envelope.recipient] += 1
        if _owner(envelope.sender, agents) is None:
            of[envelope.sender] += 1
    return [
        Finding(
            FindingKind.NO_LOG,
            f"{agent}: no log of it is here; {to[agent]} messages to it and {of[agent]} from it "
            "cannot be checked",
        )
        for agent in sorted({*to, *of})
    ]


def _message_findings(message: MessageTrace, agents: set[str], incomplete: set[str]) -> Iterator[Finding]:
    envelope = message.envelope
    name = (
        f"{envelope.performative} {envelope.message_id!r} of {message.at} "
        f"from {envelope.sender} to {envelope.recipient}"
    )
    sender, recipient = _owner(envelope.sender, agents), _owner(envelope.recipient, agents)
    if not message.received and recipient is not None and recipient not in incomplete:
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

"""What a session's messages say, as far as money depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coordinator.calls import answer_of
from coordinator.two_communities.heard import OtherTerms
from coordinator.verification.across_evidence import AcrossEvidence
from coordinator.verification.findings import Findings
from runtime.errors import ProtocolError
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import NOTE_RESENT, LogRecord, RecordKind
from runtime.messagelog.speakers import check_allowed
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import (
    AdjustmentLine,
    Agreement,
    AnyBody,
    BillLine,
    DeliveryCorrection,
    DeliveryRequest,
    MeteredDelivery,
    PriceSignal,
    SessionClosed,
    parse_body,
)
from runtime.protocol.envelope import Envelope
from runtime.rundir import COORDINATORS, meter_accounts


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a log that took effect, with its body.

    Attributes:
        record: where it is.
        envelope: the message.
        body: what it says.
    """

    record: LogRecord
    envelope: Envelope
    body: AnyBody

    @property
    def name(self) -> str:
        """The message as findings name it."""
        envelope, record = self.envelope, self.record
        return (
            f"{record.agent}.jsonl, record {record.seq}, {self.body.type} {envelope.message_id!r} "
            f"from {envelope.sender} to {envelope.recipient}"
        )

    @property
    def sender(self) -> str:
        """Local part of who said it."""
        return self.envelope.sender.partition("@")[0]

    @property
    def recipient(self) -> str:
        """Local part of whom it was said to."""
        return self.envelope.recipient.partition("@")[0]


@dataclass(frozen=True, slots=True)
class TimerRanOut:
    """A deadline that passed, by its name."""

    name: str


def said_in(path: Path, findings: Findings) -> Iterator[Said | TimerRanOut]:
    """What a log's agent said and took in, each once, and the deadlines that passed, in order.

    Repetitions are left out, and so is what others said that is no message of the market, or is not theirs to
    say: it was refused. What the coordinator said must be one.

    Args:
        path: the log.
        findings: where to note what the coordinator said that is no message of the market.

    Raises:
        LogError: the log cannot be read, or its chain is broken.
    """
    for record in read_log(path, check_hashes=False):
        envelope = record.envelope
        if envelope is None:
            if record.name == "timer" and record.data:
                yield TimerRanOut(str(record.data.get("name")))
            continue
        repeated = (record.note or "").startswith(NOTE_RESENT)
        if repeated or (record.kind is RecordKind.IN and record.note is not None):
            continue
        from_coordinator = envelope.sender.partition("@")[0] in COORDINATORS
        try:
            body = parse_body(envelope.body)
            if not from_coordinator:
                check_allowed(envelope, body.type)
            yield Said(record, envelope, body)
        except ProtocolError as error:
            if from_coordinator:
                findings.add(
                    f"{record.agent}.jsonl, record {record.seq}, message {envelope.message_id!r} from "
                    f"{envelope.sender} to {envelope.recipient}: cannot be read: {error}"
                )


@dataclass(slots=True)
class SlotEvidence:
    """A slot: what was delivered before it was settled, and what members were told it comes to.

    Attributes:
        deliveries: by member, the one that counts.
        lines: bill lines by member.
        settled: whether its settlement has passed in the log.
    """

    deliveries: dict[str, Said] = field(default_factory=dict)
    lines: dict[str, Said] = field(default_factory=dict)
    settled: bool = False

    @property
    def delivered(self) -> dict[str, MeteredDelivery]:
        """What each member delivered."""
        return {
            name: said.body
            for name, said in self.deliveries.items()
            if isinstance(said.body, MeteredDelivery)
        }

    @property
    def told(self) -> dict[str, BillLine]:
        """Each member's bill line."""
        return {name: said.body for name, said in self.lines.items() if isinstance(said.body, BillLine)}


@dataclass(slots=True)
class SessionEvidence:
    """A session: what was agreed, slot by slot what was delivered, and how it was closed.

    Attributes:
        number: which.
        signals: the price signals of round 0, by member.
        reports: what members reported of their bargaining, by member.
        agreements: by member.
        slots: by number.
        closed: by member.
        adjustments: corrections of settled slots that were accepted, each with what it was told to come to,
            in the order in which they were.
        across: what was said between two communities' coordinators.
    """

    number: int
    signals: dict[str, Said] = field(default_factory=dict)
    reports: dict[str, Said] = field(default_factory=dict)
    agreements: dict[str, Said] = field(default_factory=dict)
    slots: dict[int, SlotEvidence] = field(default_factory=dict)
    closed: dict[str, Said] = field(default_factory=dict)
    adjustments: list[tuple[Said, Said]] = field(default_factory=list)
    across: AcrossEvidence = field(default_factory=AcrossEvidence)

    @property
    def agreed(self) -> dict[str, Agreement]:
        """What each member was told was agreed."""
        return {name: said.body for name, said in self.agreements.items() if isinstance(said.body, Agreement)}

    @property
    def bills(self) -> dict[str, SessionClosed]:
        """What each member was told its bill is."""
        return {name: said.body for name, said in self.closed.items() if isinstance(said.body, SessionClosed)}

    def slot(self, number: int) -> SlotEvidence:
        """The evidence of a slot."""
        return self.slots.setdefault(number, SlotEvidence())


def sessions_in(
    path: Path, findings: Findings, slots_of: Sequence[int], other: OtherTerms | None = None
) -> Iterator[SessionEvidence]:
    """The sessions of a coordinator's log, one after the other.

    A delivery counts if it answers what its member was asked, while its slot was open: after it was asked for
    and before the first bill line of the slot or the deadline; of several by one member the first. A report
    counts likewise, if it is in order: another was refused.

    Args:
        path: the coordinator's log.
        findings: as in ``said_in``.
        slots_of: number of slots of each session.
        other: what another community's coordinator can speak of; None where there is none.

    Raises:
        LogError: as ``said_in``.
    """
    session: SessionEvidence | None = None
    open_slot: SlotEvidence | None = None
    place = (-1, -1)
    asked: dict[tuple[str, str], Said] = {}
    questions: dict[str, str] = {}  # by member, id of what it was asked last
    ahead: dict[int, list[Said]] = {}  # what another coordinator said of a session before this one began it
    for said in said_in(path, findings):
        if isinstance(said, TimerRanOut):
            if said.name == "delivery" and open_slot is not None:
                open_slot.settled = True
            if session is not None:
                session.across.timer(said.name)
            continue
        body, sent = said.body, said.record.kind is RecordKind.OUT
        number = getattr(body, "session", None)
        if sent and number is not None and (session is None or number > session.number):
            if session is not None:
                yield session
            session, open_slot = SessionEvidence(number, across=AcrossEvidence(other)), None
            for early in ahead.pop(number, []):
                _take_across(session, early, findings)
        if session is None or number != session.number:
            if session is not None and number is None:
                _take_across(session, said, findings)
            elif number is not None and said.sender in COORDINATORS:
                ahead.setdefault(number, []).append(said)
            continue
        _take_across(session, said, findings)
        if not sent:
            if isinstance(body, BargainReport):
                if _answers(said, questions) and _in_order(body, slots_of):
                    session.reports.setdefault(said.sender, said)
            elif isinstance(body, DeliveryCorrection):
                asked[said.sender, said.envelope.message_id] = said
            elif (
                isinstance(body, MeteredDelivery)
                and open_slot is not None
                and not open_slot.settled
                and (body.session, body.slot) == place
                and said.sender in session.agreements
                and _answers(said, questions)
                and set(body.meters) <= {*meter_accounts(said.sender)}
            ):
                open_slot.deliveries.setdefault(said.sender, said)  # later ones were refused
            continue
        if said.envelope.expects_reply:
            questions[said.recipient] = said.envelope.message_id
        match body:
            case PriceSignal(round=0):
                session.signals[said.recipient] = said
            case Agreement():
                session.agreements[said.recipient] = said
                session.across.agreement()
            case DeliveryRequest():
                if (number, body.slot) != place:
                    place, open_slot = (number, body.slot), session.slot(body.slot)
            case BillLine():
                slot_evidence = session.slot(body.slot)
                slot_evidence.settled = True
                slot_evidence.lines[said.recipient] = said
            case AdjustmentLine():
                correction = asked.get((said.recipient, said.envelope.in_reply_to or ""))
                if correction is None:
                    findings.add(f"{said.name}: answers no correction")
                else:
                    session.adjustments.append((correction, said))
            case SessionClosed():
                session.closed[said.recipient] = said
    if session is not None:
        yield session


def _take_across(session: SessionEvidence, said: Said, findings: Findings) -> None:
    """Take what is said between two communities' coordinators."""
    if said.record.kind is RecordKind.OUT:
        session.across.sent(said.envelope, said.body)
    elif (contradiction := session.across.received(said.envelope, said.body)) is not None:
        findings.add(f"{said.name}: {contradiction}")


def _in_order(report: BargainReport, slots_of: Sequence[int]) -> bool:
    """Whether a report's series and trades are of the session's slots, as the market asks of it."""
    if report.session >= len(slots_of):
        return False
    try:
        answer_of(report, np.ones(slots_of[report.session]))
    except ProtocolError:
        return False
    return True


def _answers(said: Said, questions: dict[str, str]) -> bool:
    """Whether a member answers what it was asked last."""
    envelope = said.envelope
    return envelope.in_reply_to is not None and questions.get(said.sender) == envelope.in_reply_to

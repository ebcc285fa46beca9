"""The market session as a state machine: joining, price rounds, agreement, operation, closing.

One machine runs all sessions of a scenario, one after the other. It knows members by their JIDs, takes each
message only from whom and when it may come, and never waits without a deadline.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from coordinator import rounds, slots
from coordinator.agreeing import agreements
from coordinator.asking import Asked
from coordinator.closing import closings, session_record
from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Agreed, Call, mechanism_for
from coordinator.negotiation import Negotiation
from coordinator.operation import Operation
from coordinator.rolling import planned_slots
from coordinator.rounds import Rounds
from coordinator.slots import Slots
from coordinator.standing import standing_of
from coordinator.two_communities.course import TwoCommunities
from runtime.configuration import CoordinatorConfig
from runtime.errors import ProtocolError
from runtime.messagelog.speakers import check_allowed
from runtime.packed_records import PackedRecords, RecordOfMany
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import (
    Acknowledged,
    Admission,
    AnyBody,
    DeliveryCorrection,
    DeviceDeclaration,
    Join,
    MeteredDelivery,
    Position,
    Reason,
)
from runtime.protocol.envelope import MARKET, Envelope, Performative
from runtime.protocol.machine import (
    Fail,
    Finish,
    Machine,
    Progress,
    Save,
    StartTimer,
    StopTimer,
    Tidy,
)
from runtime.records import CoordinatorRecord, SessionRecord


class Phase(StrEnum):
    """Where a session stands."""

    JOINING = "joining"
    NEGOTIATING = "negotiating"
    AGREEING = "agreeing"
    OPERATING = "operating"
    CLOSING = "closing"
    DONE = "done"


class Deadline(StrEnum):
    """Timers of the market's own, beside those of ``rounds`` and ``slots``."""

    JOIN = "join"
    AGREEMENT = "agreement"
    CORRECTIONS = "corrections"
    CLOSING = "closing"


class MarketMachine(Machine):
    """The coordinator's side of every session of a scenario; of two communities, that of one of them.

    Attributes are there to be read; only the machine changes them.

    Attributes:
        phase: where the running session stands.
        session: number of the running session, from 0.
        config: the sessions, their terms, and who takes part.
        expected: members that may join.
        joined: members that have.
        members: who takes part in the sessions; nobody before these begin.
        negotiation: the running session's; none before it begins.
        operation: the running session's slots, likewise.
        asked: whom the market waits for.
        closed: the sessions that are closed.
    """

    def __init__(
        self, config: CoordinatorConfig, jid: str, record_path: Path, begun_path: Path | None = None
    ) -> None:
        """Set up for the sessions of ``config``.

        Args:
            config: the sessions, their terms, and who takes part.
            jid: the coordinator's bare JID.
            record_path: where the run's record is saved.
            begun_path: where it is saved before the first session; its folder is where each closed session
                is kept. In memory if None.

        Raises:
            InputError: the mechanism or one of its parameters is not known.
            OSError: that folder cannot be written to.
        """
        super().__init__(jid)
        self.phase = Phase.JOINING
        self.session = 0
        self.config = config
        self._record_path = record_path
        self._begun_path = begun_path
        account, self._domain = jid.split("@", 1)
        own = next((part for part in config.communities if part.coordinator == account), None)
        self.expected = config.members if own is None else own.members
        self._beside = None if own is None else TwoCommunities(self, config, own)
        self._new_mechanism = mechanism_for(config.mechanism, config.parameters)
        self.joined: set[str] = set()
        self.members: list[str] = []
        self.asked = Asked(self, config.timing, self._domain)
        self.negotiation: Negotiation
        self.operation: Operation
        beside, timing = self._beside, config.timing
        self._rounds = Rounds(self, self.asked, timing, beside, self._tell_round, self._agree)
        self._slots = Slots(self, self.asked, timing, beside, self._tell_slot, self._close)
        self.closed = PackedRecords(SessionRecord, begun_path and begun_path.parent)

    def standing(self) -> dict[str, Any]:
        """Say how it stands; see ``Machine.standing``."""
        return standing_of(self)

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Wait for the members."""
        self.do(StartTimer(Deadline.JOIN, self.config.timing.join_deadline_s))
        self._tell_joining()

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a member's message, or another coordinator's, if it may say this now."""
        check_allowed(envelope, body.type)
        if self._beside is not None and envelope.sender == self._beside.jid:
            self._beside.hear(envelope, body)
            return
        member = self._member_of(envelope.sender)
        match body:
            case Join():
                self._join(member, envelope, body)
            case (
                Position() | DeviceDeclaration() | BargainReport() | MeteredDelivery() | DeliveryCorrection()
            ) if member not in self.members:
                raise ProtocolError(f"{member} has no part in a session that is running")
            case Position() | DeviceDeclaration() | BargainReport():
                self._rounds.take(member, envelope, body)
            case MeteredDelivery():
                self._slots.take(member, envelope, body)
            case DeliveryCorrection():
                self._correct(member, envelope, body)
            case Acknowledged():
                if not self.asked.answered_by(member, envelope):
                    raise ProtocolError(f"{member} was asked nothing that this acknowledges")
                self._acknowledged(member)
            case Reason():
                self._declined(member, envelope, body)
            case _:
                raise ProtocolError(f"a member may not send {body.type}")

    def on_timer(self, name: str) -> None:
        """A deadline passed, or a slot."""
        match name:
            case rounds.TIMER:
                self._rounds.end()
            case slots.SLOT_TIMER:
                self._slots.request()
            case slots.DELIVERY_TIMER:
                self._slots.settle()
            case Deadline.JOIN:
                self._begin_sessions()
            case Deadline.AGREEMENT:
                self.asked.withdraw(self.asked.waiting)
                self._operate()
            case Deadline.CORRECTIONS:
                self._make_bills()
            case Deadline.CLOSING:
                self.asked.withdraw(self.asked.waiting)
                self._next_session()
            case _:
                if self._beside is None or not self._beside.deadline(name):
                    super().on_timer(name)

    # -- joining ---------------------------------------------------------------------------------------

    def _member_of(self, jid: str) -> str:
        name, _, domain = jid.partition("@")
        if domain != self._domain or name not in self.expected:
            raise ProtocolError(f"{jid} is not a member of {self.config.community}")
        return name

    def _join(self, member: str, envelope: Envelope, body: Join) -> None:
        if body.member != member:
            raise ProtocolError(f"{envelope.sender} may not join as {body.member!r}")
        if self.phase is not Phase.JOINING and member not in self.joined:
            raise ProtocolError("the session began without you: the join deadline had passed")
        self.reply(envelope, Performative.AGREE, self._admission())
        self.joined.add(member)
        self._tell_joining()
        if self.phase is Phase.JOINING and len(self.joined) == len(self.expected):
            self.do(StopTimer(Deadline.JOIN))
            self._begin_sessions()

    def _admission(self) -> Admission:
        return Admission(
            community=self.config.community,
            mechanism=self.config.mechanism,
            sessions=[session.operated for session in self.config.sessions],
            planned_slots=planned_slots(self.config.sessions),
        )

    def _begin_sessions(self) -> None:
        if not self.joined:
            self.do(Fail(f"no member joined within {self.config.timing.join_deadline_s:g} s"))
            return
        self.members = [name for name in self.expected if name in self.joined]
        if self._begun_path is not None:
            self.do(Save(self._begun_path, self._record()))
        self._begin_session()

    def _begin_session(self) -> None:
        session = self.config.sessions[self.session]
        mechanism = self._new_mechanism(CommunityTariff.of_session(session), len(self.members))
        beside = self._beside
        self.negotiation = Negotiation(mechanism, self.members, concluded_by_others=beside is not None)
        if beside is not None:
            beside.begin(self.session, self.negotiation, self.members)
        self.operation = Operation(self.session, session, self.negotiation, self.members)
        self._slots.begin(self.session, session.horizon, self.operation, self.members)
        self.phase = Phase.NEGOTIATING
        self._rounds.begin(self.session, self.negotiation, self.members)

    # -- negotiation -----------------------------------------------------------------------------------

    def on_computed(self, name: str, result: Call | Agreed) -> None:
        """Go on with what the mechanism made of a round."""
        self._rounds.follow(result)

    def _declined(self, member: str, envelope: Envelope, body: Reason) -> None:
        """A member refuses or does not understand: it is not waited for until the deadline."""
        self.do(Progress("complaint", {"member": member, "reason": body.reason}))
        if not self.asked.answered_by(member, envelope):
            return
        match self.phase:
            case Phase.NEGOTIATING if self.negotiation.asking:
                self._rounds.decline(member)
            case Phase.OPERATING if not (self.operation.counted or self.operation.passed):
                self._slots.decline(member)
            case _:
                self._acknowledged(member)

    def _agree(self) -> None:
        self.phase = Phase.AGREEING
        negotiation = self.negotiation
        agreed = negotiation.agreed
        assert agreed is not None, "the negotiation has ended"
        self._tell("agreement", round=agreed.round)
        bodies = agreements(self.session, negotiation, self.members, self.operation.free_kwh)
        self.asked.ask(self.session, Performative.ACCEPT_PROPOSAL, bodies, MARKET)
        self.do(StartTimer(Deadline.AGREEMENT, self.config.timing.round_deadline_s))

    def _acknowledged(self, member: str) -> None:
        """Wait no longer for a member that has heard of the agreement, or of its bill."""
        if self.phase not in (Phase.AGREEING, Phase.CLOSING):
            return  # no answer to what is asked now: the member is waited for until the deadline
        del self.asked.waiting[member]
        if self.asked.waiting:
            return
        if self.phase is Phase.AGREEING:
            self.do(StopTimer(Deadline.AGREEMENT))
            self._operate()
        else:
            self.do(StopTimer(Deadline.CLOSING))
            self._next_session()

    # -- operation -------------------------------------------------------------------------------------

    def _operate(self) -> None:
        self.phase = Phase.OPERATING
        self._slots.operate()

    def _correct(self, member: str, envelope: Envelope, body: DeliveryCorrection) -> None:
        """Take what a member knows by now of a slot that is settled, as long as its session is open."""
        if (self.phase, body.session) != (Phase.OPERATING, self.session):
            raise ProtocolError(f"slot {body.slot} cannot be corrected: session {body.session} is not open")
        self._slots.correct(member, envelope, body)

    # -- closing ---------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Make the bills, once the time for corrections has passed."""
        window_s = self.config.timing.correction_window_s
        if window_s:
            self.do(StartTimer(Deadline.CORRECTIONS, window_s))
        else:
            self._make_bills()

    def _make_bills(self) -> None:
        self.operation.close()
        self.phase = Phase.CLOSING
        self._tell("closing")
        bills = self.operation.bills()
        communities = [] if self._beside is None else [self._beside.record(self.operation)]
        self.closed.append(
            session_record(
                self.session,
                self.config.sessions[self.session],
                self.negotiation,
                self.operation,
                self.members,
                bills,
                communities,
            )
        )
        last = self.session + 1 == len(self.config.sessions)
        bodies = closings(self.session, bills, last=last)
        self.asked.ask(self.session, Performative.INFORM, bodies, MARKET)
        self.do(StartTimer(Deadline.CLOSING, self.config.timing.round_deadline_s))

    def _next_session(self) -> None:
        self.session += 1
        if self.session < len(self.config.sessions):
            self._begin_session()
            self.do(Tidy())
            return
        self.phase = Phase.DONE
        record = RecordOfMany(self._record(), "sessions", self.closed.so_far())
        self.do(Save(self._record_path, record))
        self.do(Finish())

    def _record(self) -> CoordinatorRecord:
        """The run's record, without any session yet."""
        return CoordinatorRecord(
            community=self.config.community,
            setting=self.config.setting,
            mechanism=self.config.mechanism,
            members=self.members,
            absent=[name for name in self.expected if name not in self.joined],
            sessions=[],
        )

    # -- talking ---------------------------------------------------------------------------------------

    def _tell(self, phase: str, **detail: int) -> None:
        horizon = self.config.sessions[self.session].operated
        sessions = len(self.config.sessions)
        self.do(
            Progress(
                phase,
                {"session": self.session, "sessions": sessions, "slots": horizon.slots, **detail},
            )
        )

    def _tell_round(self, number: int) -> None:
        self._tell("round", round=number)

    def _tell_slot(self, slot: int) -> None:
        self._tell("slot", slot=slot)

    def _tell_joining(self) -> None:
        self.do(Progress("joining", {"joined": len(self.joined), "members": len(self.expected)}))

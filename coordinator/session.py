"""The market session as a state machine: joining, price rounds, agreement, operation, closing.

One machine runs all sessions of a scenario, one after the other. It knows members by their JIDs, takes each
message only from whom and when it may come, and never waits without a deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from coordinator.agreeing import agreements
from coordinator.asking import Asked
from coordinator.calls import answer_of, call_bodies
from coordinator.closing import closings, session_record
from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Agreed, Answers, Bargain, Call, Declare, mechanism_for
from coordinator.negotiation import Negotiation
from coordinator.operation import Operation
from coordinator.rolling import planned_slots
from coordinator.settlement import CounterpartSlot
from coordinator.standing import standing_of
from coordinator.two_communities.course import TwoCommunities
from runtime.configuration import CoordinatorConfig
from runtime.errors import ProtocolError
from runtime.messagelog.speakers import check_allowed
from runtime.packed_records import PackedRecords
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import (
    Acknowledged,
    Admission,
    AnyBody,
    BillLine,
    DeliveryCorrection,
    DeliveryRequest,
    DeviceDeclaration,
    Join,
    MeteredDelivery,
    Position,
    Reason,
)
from runtime.protocol.envelope import MARKET, OPERATION, Envelope, Performative
from runtime.protocol.machine import (
    AwaitSlotEnd,
    Compute,
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
from runtime.rundir import check_meters_of

_AFTER_FIRST_REPORT = 3
"""Once a first member has reported what it agreed on, the others have so many round deadlines more: those
that lost a partner on the way needed them."""


class Phase(StrEnum):
    """Where a session stands."""

    JOINING = "joining"
    NEGOTIATING = "negotiating"
    AGREEING = "agreeing"
    OPERATING = "operating"
    CLOSING = "closing"
    DONE = "done"


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
        self._reported = False
        self.operation: Operation
        self._delivering: dict[str, Envelope] = {}
        self._delivered_before: dict[str, Envelope] = {}
        self.closed = PackedRecords(SessionRecord, begun_path and begun_path.parent)

    def standing(self) -> dict[str, Any]:
        """Say how it stands; see ``Machine.standing``."""
        return standing_of(self)

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Wait for the members."""
        self.do(StartTimer("join", self.config.timing.join_deadline_s))
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
                self._take_answer(member, envelope, body)
            case MeteredDelivery():
                self._take_delivery(member, envelope, body)
            case DeliveryCorrection():
                self._correct(member, envelope, body)
            case Acknowledged():
                if not self.asked.answered_by(member, envelope):
                    raise ProtocolError(f"{member} was asked nothing that this acknowledges")
                self._acknowledged(member, envelope)
            case Reason():
                self._declined(member, envelope, body)
            case _:
                raise ProtocolError(f"a member may not send {body.type}")

    def on_timer(self, name: str) -> None:
        """A deadline passed, or a slot."""
        match name:
            case "join":
                self._begin_sessions()
            case "round":
                self._end_round()
            case "agreement":
                self.asked.withdraw(self.asked.waiting)
                self._operate()
            case "slot-end":
                self._request_deliveries()
            case "delivery":
                self._settle()
            case "corrections":
                self._make_bills()
            case "closing":
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
            self.do(StopTimer("join"))
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
            self.do(Save(self._begun_path, self._record([])))
        self._begin_session()

    def _begin_session(self) -> None:
        session = self.config.sessions[self.session]
        mechanism = self._new_mechanism(CommunityTariff.of_session(session), len(self.members))
        beside = self._beside
        self.negotiation = Negotiation(mechanism, self.members, concluded_by_others=beside is not None)
        self._reported = False
        if beside is not None:
            beside.begin(self.session, self.negotiation, self.members)
        self.operation = Operation(self.session, session, self.negotiation, self.members)
        self.phase = Phase.NEGOTIATING
        self._ask_round()

    # -- negotiation -----------------------------------------------------------------------------------

    def _ask_round(self) -> None:
        """Ask those whose answers the running round needs now."""
        negotiation = self.negotiation
        everybody = self.members if self._beside is None else self._beside.everybody
        bodies = call_bodies(negotiation, self.session, self.members, everybody)
        deadline_s = self._round_deadline_s()
        self.asked.ask(self.session, Performative.CFP, bodies, MARKET, deadline_s)
        self.do(StartTimer("round", deadline_s))
        self._tell("round", round=negotiation.number)  # last: members first, then who watches

    def _round_deadline_s(self) -> float:
        """How long the running round may take: members that bargain hold rounds of their own in it."""
        call = self.negotiation.call
        rounds = call.max_rounds + 1 if isinstance(call, Bargain) else 1
        return rounds * self.config.timing.round_deadline_s

    def _take_answer(
        self, member: str, envelope: Envelope, body: Position | DeviceDeclaration | BargainReport
    ) -> None:
        """Take a member's answer to the running round: its first one counts."""
        negotiation = self.negotiation
        now = (Phase.NEGOTIATING, self.session, negotiation.number)
        if (self.phase, body.session, body.round) != now or not negotiation.asking:
            # Of a round that closed without it the member was named late.
            raise ProtocolError(f"round {body.round} of session {body.session} is not open")
        call = negotiation.asking.get(member)
        asked = (isinstance(call, Declare), isinstance(call, Bargain))
        if call is None or asked != (isinstance(body, DeviceDeclaration), isinstance(body, BargainReport)):
            raise ProtocolError(f"{member} was not asked for a {body.type} in round {body.round}")
        if not self.asked.answered_by(member, envelope):
            raise ProtocolError(
                f"this {body.type} answers nothing that {member} was asked in round {body.round}"
            )
        if not negotiation.waits_for(member):
            raise ProtocolError(f"{member} has answered round {body.round}: its first answer counts")
        negotiation.answer(member, answer_of(body, negotiation.mechanism.tariff.slot_hours))
        if negotiation.complete:
            self._end_round()
        elif isinstance(body, BargainReport) and not self._reported:
            self._reported = True
            self.do(StartTimer("round", _AFTER_FIRST_REPORT * self.config.timing.round_deadline_s))

    def _declined(self, member: str, envelope: Envelope, body: Reason) -> None:
        """A member refuses or does not understand: it is not waited for until the deadline."""
        self.do(Progress("complaint", {"member": member, "reason": body.reason}))
        if not self.asked.answered_by(member, envelope):
            return
        match self.phase:
            case Phase.NEGOTIATING if self.negotiation.asking:
                self.negotiation.decline(member)
                if self.negotiation.complete:
                    self._end_round()
            case Phase.OPERATING if not (self.operation.counted or self.operation.passed):
                self.operation.decline(member)
                if self.operation.complete:
                    self._settle()
            case _:
                self._acknowledged(member, envelope)

    def _end_round(self) -> None:
        """Go on to the next member in turn, else to what the mechanism makes of the round."""
        self.do(StopTimer("round"))
        negotiation = self.negotiation
        self.asked.withdraw(negotiation.outstanding)
        if negotiation.next_turn():
            self._ask_round()
            return
        answers = negotiation.end_round()
        for note in negotiation.disregarded:
            self.do(Progress("disregarded", {"what": note}))
        if self._beside is None:
            self._respond(answers)
        else:
            self._beside.round_ended(answers, self._round_deadline_s(), self._respond)

    def _respond(self, answers: Answers) -> None:
        negotiation = self.negotiation
        respond = partial(negotiation.mechanism.respond, answers)
        if negotiation.mechanism.computes_long:
            self.do(Compute(f"respond-{self.session}-{negotiation.number}", respond))
        else:
            self._follow(respond())

    def on_computed(self, name: str, result: Call | Agreed) -> None:
        """Go on with what the mechanism made of the round."""
        self._follow(result)

    def _follow(self, response: Call | Agreed) -> None:
        self.negotiation.follow(response)
        if self.negotiation.agreed is None:
            self._ask_round()
        elif self._beside is None:
            self._agree()
        else:
            self._beside.conclude(self._agree)

    def _agree(self) -> None:
        self.phase = Phase.AGREEING
        negotiation = self.negotiation
        agreed = negotiation.agreed
        assert agreed is not None, "the negotiation has ended"
        self._tell("agreement", round=agreed.round)
        bodies = agreements(self.session, negotiation, self.members, self.operation.free_kwh)
        self.asked.ask(self.session, Performative.ACCEPT_PROPOSAL, bodies, MARKET)
        self.do(StartTimer("agreement", self.config.timing.round_deadline_s))

    def _acknowledged(self, member: str, envelope: Envelope) -> None:
        if self.phase not in (Phase.AGREEING, Phase.CLOSING):
            return  # no answer to what is asked now: the member is waited for until the deadline
        if not self.asked.answered_by(member, envelope):
            return
        del self.asked.waiting[member]
        if self.asked.waiting:
            return
        if self.phase is Phase.AGREEING:
            self.do(StopTimer("agreement"))
            self._operate()
        elif self.phase is Phase.CLOSING:
            self.do(StopTimer("closing"))
            self._next_session()

    # -- operation -------------------------------------------------------------------------------------

    def _operate(self) -> None:
        self.phase = Phase.OPERATING
        self._await_slot()

    def _await_slot(self) -> None:
        horizon = self.config.sessions[self.session].horizon
        self.do(AwaitSlotEnd("slot-end", horizon, self.session, self.operation.slot))

    def _request_deliveries(self) -> None:
        slot = self.operation.slot
        self._tell("slot", slot=slot)
        self._delivering = {}
        horizon = self.config.sessions[self.session].horizon
        request = DeliveryRequest(
            session=self.session,
            slot=slot,
            slot_start=horizon.slot_start(slot),
            slot_end=horizon.slot_end(slot),
        )
        self.asked.ask(self.session, Performative.REQUEST, dict.fromkeys(self.members, request), OPERATION)
        self.do(StartTimer("delivery", self.config.timing.delivery_deadline_s))

    def _take_delivery(self, member: str, envelope: Envelope, body: MeteredDelivery) -> None:
        place = (self.session, self.operation.slot)
        if (body.session, body.slot) < place or self.operation.counted:
            raise ProtocolError(
                f"slot {body.slot} was settled without this delivery: its deadline had passed"
            )
        if (body.session, body.slot) > place or not self.asked.answered_by(member, envelope):
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not asked for")
        if member in self._delivering:
            raise ProtocolError(f"slot {body.slot} is delivered: what is known better by now is a correction")
        check_meters_of(member, body.meters)
        self._delivering[member] = envelope
        self.operation.deliver(member, body)
        if self.operation.complete:
            self._settle()

    def _settle(self) -> None:
        self.do(StopTimer("delivery"))
        self.asked.withdraw(member for member in self.members if member not in self._delivering)
        if self._beside is None:
            self._settle_with(None)
        else:
            self._beside.exchange(self.operation, self._settle_with, self._put_off, self._settle_put_off)

    def _settle_with(self, counterpart: CounterpartSlot | None) -> None:
        self._tell_lines(self.operation.settle(counterpart), self._delivering)
        self._after_slot()

    def _put_off(self) -> None:
        """Go on with the next slot: whether another community trades in this one is known later."""
        self.operation.put_off()
        self._delivered_before = self._delivering
        self._after_slot()

    def _settle_put_off(self, slot: int, counterpart: CounterpartSlot | None) -> None:
        self._tell_lines(self.operation.settle_put_off(slot, counterpart), self._delivered_before)

    def _tell_lines(self, lines: Mapping[str, BillLine], delivering: Mapping[str, Envelope]) -> None:
        for member, line in lines.items():
            if member in delivering:
                self.reply(delivering[member], Performative.INFORM, line)

    def _after_slot(self) -> None:
        self.asked.waiting = {}
        if not self.operation.passed:
            self._await_slot()
        elif self._beside is None:
            self._close()
        else:
            self._beside.close(self._close)

    # -- closing ---------------------------------------------------------------------------------------

    def _correct(self, member: str, envelope: Envelope, body: DeliveryCorrection) -> None:
        """Take what a member knows by now of a slot that is settled, as long as its session is open."""
        if (self.phase, body.session) != (Phase.OPERATING, self.session):
            raise ProtocolError(f"slot {body.slot} cannot be corrected: session {body.session} is not open")
        check_meters_of(member, body.meters)
        line = self.operation.correct(member, body)
        self.do(Progress("correction", {"member": member, "session": body.session, "slot": body.slot}))
        self.reply(envelope, Performative.INFORM, line)

    def _close(self) -> None:
        """Make the bills, once the time for corrections has passed."""
        window_s = self.config.timing.correction_window_s
        if window_s:
            self.do(StartTimer("corrections", window_s))
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
        self.do(StartTimer("closing", self.config.timing.round_deadline_s))

    def _next_session(self) -> None:
        self.session += 1
        if self.session < len(self.config.sessions):
            self._begin_session()
            self.do(Tidy())
            return
        self.phase = Phase.DONE
        self.do(Save(self._record_path, self._record(list(self.closed))))
        self.do(Finish())

    def _record(self, sessions: list[SessionRecord]) -> CoordinatorRecord:
        return CoordinatorRecord(
            community=self.config.community,
            setting=self.config.setting,
            mechanism=self.config.mechanism,
            members=self.members,
            absent=[name for name in self.expected if name not in self.joined],
            sessions=sessions,
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

    def _tell_joining(self) -> None:
        self.do(Progress("joining", {"joined": len(self.joined), "members": len(self.expected)}))

"""A prosumer as a state machine: join, plan at each round's prices, run the plan, deliver what was metered.

It listens to the coordinator, to its own meters, to its battery's controller (``agents.operation.steering``),
and to members that the coordinator has it bargain with (``agents.bargaining.bargainer``). It discloses its
net position and its metered net energy; load, production and battery stay in its own record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.bargaining import bargainer
from agents.bargaining.bargainer import Bargainer
from agents.operation import slots
from agents.operation.slots import SlotOperation
from agents.operation.steering import Steering
from agents.planning.planner import Planner, planner_for
from agents.session.carry_over import CarriedOver
from agents.session.own_session import OwnSession
from agents.session.round_plans import PlannedRound
from agents.standing import standing_of
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.messagelog.speakers import check_allowed
from runtime.packed_records import PackedRecords
from runtime.planners import HEEDLESS_OF_PRICES
from runtime.protocol.bargain_bodies import BargainCall
from runtime.protocol.bodies import (
    Acknowledged,
    AdjustmentLine,
    Admission,
    Agreement,
    AnyBody,
    BillLine,
    DeclarationRequest,
    DeliveryRequest,
    DeviceDeclaration,
    Join,
    Position,
    PriceSignal,
    Reason,
    SessionClosed,
)
from runtime.protocol.envelope import JOIN, Envelope, Performative
from runtime.protocol.machine import (
    Compute,
    Fail,
    Finish,
    Machine,
    Progress,
    Save,
    StartTimer,
    StopTimer,
)
from runtime.protocol.pairs import pair_of_net
from runtime.records import MemberRecord, MemberSessionRecord

FAREWELL = "farewell"
"""Timer, while answers that were lost are waited for before the last session's close is confirmed."""

FAREWELL_SHARE = 0.5
"""So much of the deadline for that confirmation."""


class ProsumerMachine(Machine):
    """The member's side of every session.

    Attributes are there to be read; only the machine changes them.

    Attributes:
        config: the member's configuration.
        horizons: the slots that each session operates, as the coordinator told them; none before.
        session: the session that is open; None between sessions.
        closed: what is kept of the sessions that are closed.
    """

    def __init__(self, config: MemberConfig, jid: str, record_path: Path) -> None:
        """Set up for the member of ``config``."""
        super().__init__(jid)
        self.config = config
        self._record_path = record_path
        domain = jid.split("@", 1)[1]
        self._coordinator = f"{config.coordinator}@{domain}"
        self._slots = SlotOperation(self, config, self._coordinator)
        self._planner: Planner = planner_for(config.strategy, config.seed)
        self._bargainer = Bargainer(self, config, self._planner)
        self._steering = Steering(self, config)
        self.horizons: list[Horizon] = []
        self._early: list[tuple[Envelope, AnyBody]] = []
        self._asked_for_plan: dict[str, tuple[Envelope, PriceSignal]] = {}
        self.session: OwnSession | None = None
        self._carried: CarriedOver | None = None
        self.closed = PackedRecords(MemberSessionRecord)
        self._last_close: tuple[Envelope, SessionClosed] | None = None

    @property
    def planning_rounds(self) -> list[int]:
        """The rounds whose plans are being made."""
        return sorted(signal.round for _, signal in self._asked_for_plan.values())

    def standing(self) -> dict[str, Any]:
        """Say how it stands; see ``Machine.standing``."""
        return standing_of(self)

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Ask to take part."""
        self.send(
            self._coordinator,
            Performative.REQUEST,
            Join(member=self.config.name),
            protocol=JOIN,
            conversation="join",
            expects_reply=True,
        )

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the coordinator, of one of the member's own meters, or of a partner."""
        check_allowed(envelope, body.type)
        if envelope.sender == self._coordinator:
            self._from_coordinator(envelope, body)
        elif envelope.sender in (self._slots.meters.own, *self._slots.meters.further):
            self._slots.hear(envelope, body, self.session, len(self.closed))
        elif envelope.sender == self._steering.controller:
            self._steering.hear(envelope, body)
        else:
            self._bargainer.hear(envelope, body, open_session=len(self.closed))
        self._leave_if_answered()
        self._steering.follow(self.session, gathering=self._slots.gathering)

    def on_timer(self, name: str) -> None:
        """Go on without the readings, or the proposals, that did not come."""
        if name == bargainer.TIMER:
            self._bargainer.deadline()
            return
        if name == FAREWELL:
            self._leave()
            return
        if name != slots.TIMER:
            super().on_timer(name)
        self._slots.deadline(self.session)
        self._steering.follow(self.session, gathering=self._slots.gathering)

    def on_computed(self, name: str, result: PlannedRound) -> None:
        """Propose the position of a plan that is ready."""
        if name.startswith(bargainer.COMPUTATION):
            self._bargainer.planned(name, result)
            return
        envelope, signal = self._asked_for_plan.pop(name)
        session = self.session
        if session is None or session.number != signal.session:
            return
        session.planning.keep(signal.round, result)
        imports, exports = pair_of_net(result.net_kwh)
        limits = result.limit_price_eur_per_kwh
        position = Position(
            session=signal.session,
            round=signal.round,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            limit_price_eur_per_kwh=None if limits is None else limits.round(9).tolist(),
        )
        self.reply(envelope, Performative.PROPOSE, position)

    # -- the coordinator -------------------------------------------------------------------------------

    def _from_coordinator(self, envelope: Envelope, body: AnyBody) -> None:
        if not self.horizons and not isinstance(body, Admission | Reason):
            self._early.append((envelope, body))  # the admission was lost or overtaken: it will be repeated
            return
        match body:
            case Admission():
                self._admitted(body)
            case PriceSignal():
                self._plan_at(envelope, body)
            case DeclarationRequest():
                self._declare(envelope, body)
            case BargainCall():
                self._bargainer.begin(envelope, body, self._session_of(body.session))
            case Agreement():
                self._agree(envelope, body)
            case DeliveryRequest():
                self._slots.gather(envelope, body, self._session_of(body.session))
            case BillLine() | AdjustmentLine():
                self._slots.settled(envelope, body, self.session)
            case SessionClosed():
                self._close(envelope, body)
            case Reason():
                self._refused(envelope, body)
            case _:
                raise ProtocolError(f"the coordinator may not send {body.type}")

    def _admitted(self, body: Admission) -> None:
        expected = [session.operated for session in self.config.sessions]
        planned = [session.horizon.slots for session in self.config.sessions]
        if body.sessions != expected or planned != (body.planned_slots or [h.slots for h in expected]):
            self.do(Fail("the community's horizon is not the one this member was set up for"))
        self.horizons = body.sessions
        self.do(Progress("admitted", {"community": body.community, "mechanism": body.mechanism}))
        early, self._early = self._early, []
        for envelope, message in early:
            self._from_coordinator(envelope, message)

    def _refused(self, envelope: Envelope, body: Reason) -> None:
        if envelope.protocol == "join":
            self.do(Fail(f"not admitted: {body.reason}"))
        else:
            self.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
            self._slots.refused(envelope, self.session)

    def _plan_at(self, envelope: Envelope, signal: PriceSignal) -> None:
        planning = self._session_of(signal.session).planning
        planning.check(signal)
        name = f"plan-{signal.session}-{signal.round}"
        self._asked_for_plan[name] = (envelope, signal)
        last, planner = planning.last, self._planner
        self.do(Compute(name, lambda: planning.plan_at(signal, last, planner), brief=planning.briefly))

    def _declare(self, envelope: Envelope, body: DeclarationRequest) -> None:
        """Disclose forecast and devices to a coordinator that plans for its members."""
        session = self._session_of(body.session)
        alone = session.planning.last
        if alone is None:
            raise ProtocolError("the grid's tariffs were not told yet")
        imports, exports = pair_of_net(alone.net_kwh)
        steered = self.config.strategy not in HEEDLESS_OF_PRICES  # else the battery runs as it always does
        residual_kwh = session.planning.foreseen.residual_load_kwh if steered else alone.net_kwh
        declaration = DeviceDeclaration(
            session=body.session,
            round=body.round,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            residual_load_kwh=residual_kwh.tolist(),
            battery=session.battery if steered else None,
            vehicles=session.vehicles if steered else (),
            appliances=session.appliances if steered else (),
        )
        self.reply(envelope, Performative.INFORM, declaration)

    def _session_of(self, number: int) -> OwnSession:
        if self.session is not None and self.session.number == number:
            return self.session
        if not len(self.closed) <= number < len(self.horizons):
            raise ProtocolError(f"session {number} is not one to come ({len(self.closed)} are closed)")
        while len(self.closed) < number:  # its closing never came through
            self._end_session(self.session or self._begin_session(len(self.closed)))
        self.session = self._begin_session(number)
        return self.session

    def _begin_session(self, number: int) -> OwnSession:
        session = self.config.sessions[number]
        carried = self._carried if session.continues else None
        return OwnSession(self.config, number, session.horizon, self.closed.so_far(), carried)

    def _end_session(self, session: OwnSession) -> None:
        self._bargainer.settled(session.number)
        self.closed.append(session.end())
        self._carried = session.carried_over()
        self.session = None
        self._slots.end_session()

    def _agree(self, envelope: Envelope, body: Agreement) -> None:
        session = self._session_of(body.session)
        self._bargainer.settled(body.session)
        if body.schedule is None:
            session.planning.choose(body.position_round)
        else:
            session.planning.follow_schedule(body.schedule)
        self.reply(envelope, Performative.CONFIRM, Acknowledged())

    def _close(self, envelope: Envelope, body: SessionClosed) -> None:
        """Confirm that a session is closed; the last one once nothing is unanswered any more.

        The coordinator is there until then: an answer that was lost comes again when it is asked for again.
        So is the battery's controller, which may have a device to wait for.
        """
        session = self._session_of(body.session)
        if body.last:
            self._last_close = (envelope, body)
            self._steering.end()
            if not self._all_answered:
                self.do(StartTimer(FAREWELL, FAREWELL_SHARE * self.config.timing.round_deadline_s))
            return
        self._end_session(session)
        self.reply(envelope, Performative.CONFIRM, Acknowledged())

    @property
    def _all_answered(self) -> bool:
        return self._slots.all_answered and self._steering.all_answered

    def _leave_if_answered(self) -> None:
        if self._last_close is not None and self._all_answered:
            self.do(StopTimer(FAREWELL))
            self._leave()

    def _leave(self) -> None:
        """Confirm the close of the last session, and leave."""
        assert self._last_close is not None, "the last session is closed"
        (envelope, body), self._last_close = self._last_close, None
        self._end_session(self._session_of(body.session))
        self.reply(envelope, Performative.CONFIRM, Acknowledged())
        record = MemberRecord(
            member=self.config.name,
            kind=self.config.kind,
            strategy=self.config.strategy,
            battery_capacity_kwh=self.config.battery.capacity_kwh if self.config.battery else None,
            battery=self.config.battery,
            sessions=list(self.closed),
        )
        self.do(Save(self._record_path, record))
        self._slots.end_metering()
        self._steering.leave()
        self.do(Finish())

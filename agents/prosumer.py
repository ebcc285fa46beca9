"""A prosumer as a state machine: join, plan at each round's prices, run the plan, deliver what was metered.

It listens to the coordinator and to its own meters, and to nobody else. It discloses its net position and its
metered net energy; load, production and battery stay in its own record.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.building import Building, SlotOutcome
from agents.forecast.member import Foreseen, foresee
from agents.planning.planner import Planner, planner_for
from agents.planning.problem import Plan, PlanningProblem
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import (
    Acknowledged,
    Admission,
    Agreement,
    AnyBody,
    BillLine,
    DeliveryRequest,
    Join,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteredDelivery,
    MeteringEnded,
    Position,
    PriceSignal,
    Reading,
    ReadingRequest,
    Reason,
    Role,
    SessionClosed,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import (
    Compute,
    Fail,
    Finish,
    Machine,
    Progress,
    Save,
    StartTimer,
    StopTimer,
    Withdraw,
)
from runtime.protocol.pairs import exact_pair_of_net, pair_of_net
from runtime.records import AgreedPlan, MemberRecord, MemberSessionRecord, Quality
from runtime.rundir import COORDINATOR, attached_meter_account, meter_account

Array = NDArray[np.float64]

READING_SHARE_OF_DEADLINE = 0.5
"""Share of the delivery deadline that meters get; the rest is the delivery's own way."""

MISSES_OF_ATTACHED_METER = 3
"""After so many slots in a row without a reading an attached meter is taken for gone."""


@dataclass
class _Slot:
    """A slot whose readings are being gathered."""

    slot: int
    request: Envelope
    asked: dict[str, str] = field(default_factory=dict)
    asked_roles: dict[str, list[Role]] = field(default_factory=dict)
    readings_kwh: dict[Role, float] = field(default_factory=dict)
    meters: dict[Role, str] = field(default_factory=dict)


@dataclass
class _Session:
    """What the prosumer knows of the running session; lists have one value for each slot passed."""

    number: int
    horizon: Horizon
    building: Building
    alone: Building
    foreseen: Foreseen | None = None
    problems: dict[int, PlanningProblem] = field(default_factory=dict)
    plans: dict[int, Plan] = field(default_factory=dict)
    plan: Plan | None = None
    plan_round: int | None = None
    planning_seconds: float = 0.0
    current: _Slot | None = None
    load_kwh: list[float] = field(default_factory=list)
    pv_kwh: list[float] = field(default_factory=list)
    outcomes: list[SlotOutcome] = field(default_factory=list)
    alone_net_kwh: list[float] = field(default_factory=list)
    quality: list[Quality] = field(default_factory=list)
    meter: list[str] = field(default_factory=list)


class ProsumerMachine(Machine):
    """The member's side of every session."""

    def __init__(self, config: MemberConfig, jid: str, record_path: Path) -> None:
        """Set up for the member of ``config``."""
        super().__init__(jid)
        self._config = config
        self._record_path = record_path
        domain = jid.split("@", 1)[1]
        self._coordinator = f"{COORDINATOR}@{domain}"
        self._own_meter = f"{meter_account(config.name)}@{domain}"
        self._attached_meter = f"{attached_meter_account(config.name)}@{domain}"
        self._meter_of: dict[Role, str] = dict.fromkeys(config.roles, self._own_meter)
        self._missed_in_a_row = 0
        self._planner: Planner = planner_for(config.strategy, config.seed)
        self._horizons: list[Horizon] = []
        self._early: list[tuple[Envelope, AnyBody]] = []
        self._asked_for_plan: dict[str, tuple[Envelope, PriceSignal]] = {}
        self._session: _Session | None = None
        self._done: list[MemberSessionRecord] = []

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Ask to take part."""
        self.send(
            self._coordinator,
            Performative.REQUEST,
            Join(member=self._config.name),
            protocol="join",
            conversation="join",
            expects_reply=True,
        )

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the coordinator or of one of the member's own meters."""
        if envelope.sender == self._coordinator:
            self._from_coordinator(envelope, body)
        elif envelope.sender in (self._own_meter, self._attached_meter):
            self._from_meter(envelope, body)
        else:
            raise ProtocolError(f"{envelope.sender} is neither the coordinator nor a meter of this member")

    def on_timer(self, name: str) -> None:
        """Go on without the readings that did not come."""
        if name != "reading":
            super().on_timer(name)
        slot = self._session.current if self._session else None
        if slot is None:
            return
        for asked in slot.asked.values():
            self.do(Withdraw(asked))
        self._count_miss_of_attached_meter(slot)
        self._deliver(slot)

    def _count_miss_of_attached_meter(self, slot: _Slot) -> None:
        """Go back to the member's own meter once an attached one has fallen silent."""
        asked = slot.asked_roles.get(self._attached_meter)
        if asked is None or all(role in slot.readings_kwh for role in asked):
            return
        self._missed_in_a_row += 1
        if self._missed_in_a_row >= MISSES_OF_ATTACHED_METER:
            self._meter_of = dict.fromkeys(self._config.roles, self._own_meter)
            self.do(Progress("meter-lost", {"meter": self._attached_meter, "slots": self._missed_in_a_row}))

    def on_computed(self, name: str, result: Any) -> None:  # noqa: ANN401 - a plan and its time
        """Propose the position of a plan that is ready."""
        envelope, signal = self._asked_for_plan.pop(name)
        session = self._session
        if session is None or session.number != signal.session:
            return
        foreseen, problem, plan, seconds = result
        session.foreseen = session.foreseen or foreseen
        session.problems[signal.round] = problem
        session.plans[signal.round] = plan
        session.planning_seconds += seconds
        imports, exports = pair_of_net(plan.net_kwh)
        position = Position(
            session=signal.session, round=signal.round, grid_import_kwh=imports, grid_export_kwh=exports
        )
        self.reply(envelope, Performative.PROPOSE, position)

    # -- the coordinator -------------------------------------------------------------------------------

    def _from_coordinator(self, envelope: Envelope, body: AnyBody) -> None:
        if not self._horizons and not isinstance(body, Admission | Reason):
            self._early.append((envelope, body))  # the admission was lost or overtaken: it will be repeated
            return
        match body:
            case Admission():
                self._admitted(body)
            case PriceSignal():
                self._plan_at(envelope, body)
            case Agreement():
                self._agree(envelope, body)
            case DeliveryRequest():
                self._gather(envelope, body)
            case BillLine():
                pass
            case SessionClosed():
                self._close(envelope, body)
            case Reason():
                self._refused(envelope, body)
            case _:
                raise ProtocolError(f"the coordinator may not send {body.type}")

    def _admitted(self, body: Admission) -> None:
        expected = [session.horizon for session in self._config.sessions]
        if body.sessions != expected:
            self.do(Fail("the community's horizon is not the one this member was set up for"))
        self._horizons = body.sessions
        self.do(Progress("admitted", {"community": body.community, "mechanism": body.mechanism}))
        early, self._early = self._early, []
        for envelope, message in early:
            self._from_coordinator(envelope, message)

    def _refused(self, envelope: Envelope, body: Reason) -> None:
        if envelope.protocol == "join":
            self.do(Fail(f"not admitted: {body.reason}"))
        else:
            self.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))

    def _plan_at(self, envelope: Envelope, signal: PriceSignal) -> None:
        session = self._session_of(signal.session)
        slots = session.horizon.slots
        if not len(signal.import_price_eur_per_kwh) == len(signal.export_price_eur_per_kwh) == slots:
            raise ProtocolError(f"a price signal needs {slots} slots")
        last = session.plans[max(session.plans)] if session.plans else None
        known, done = session.foreseen, tuple(self._done)

        def work() -> tuple[Foreseen, PlanningProblem, Plan, float]:
            foreseen = known or foresee(self._config, session.number, done)
            problem = PlanningProblem(
                residual_load_kwh=foreseen.residual_load_kwh,
                battery=self._config.battery,
                slot_hours=session.horizon.slot_hours,
                import_price_eur_per_kwh=np.array(signal.import_price_eur_per_kwh),
                export_price_eur_per_kwh=np.array(signal.export_price_eur_per_kwh),
                proximal_weight_eur_per_kwh2=signal.proximal_weight_eur_per_kwh2 if last else 0.0,
                reference_net_kwh=last.net_kwh if last else None,
            )
            began = time.perf_counter()
            plan = self._planner.plan(problem, last)
            return foreseen, problem, plan, time.perf_counter() - began

        name = f"plan-{signal.session}-{signal.round}"
        self._asked_for_plan[name] = (envelope, signal)
        quick = self._config.battery is None or self._config.strategy != "optimised"
        self.do(Compute(name, work, brief=quick and known is not None))

    def _session_of(self, number: int) -> _Session:
        if self._session is not None and self._session.number == number:
            return self._session
        if not len(self._done) <= number < len(self._horizons):
            raise ProtocolError(f"session {number} is not one to come ({len(self._done)} are closed)")
        while len(self._done) < number:  # its closing never came through
            self._end_session(self._session or self._begin_session(len(self._done)))
        self._session = self._begin_session(number)
        return self._session

    def _begin_session(self, number: int) -> _Session:
        horizon = self._horizons[number]

        def building() -> Building:
            return Building(self._config.battery, self._config.strategy, horizon.slots, horizon.slot_hours)

        session = _Session(number, horizon, building(), building())
        if self._config.forecast is None:  # told, not forecast: nothing to be worked out
            session.foreseen = foresee(self._config, number)
        return session

    def _foreseen(self, session: _Session) -> Foreseen:
        """What the first plan was made with, or is worked out now where no plan was ready in time."""
        session.foreseen = session.foreseen or foresee(self._config, session.number, tuple(self._done))
        return session.foreseen

    def _agree(self, envelope: Envelope, body: Agreement) -> None:
        session = self._session_of(body.session)
        self._choose_plan(session, body.position_round)
        self.reply(envelope, Performative.CONFIRM, Acknowledged())

    def _choose_plan(self, session: _Session, agreed_round: int | None) -> None:
        """Take the plan of a round for the one to run; without one of that round, the last one made."""
        if not session.plans:  # every round closed before a plan was ready: the battery keeps still
            residual_kwh = self._foreseen(session).residual_load_kwh
            no_price, hours = np.zeros(session.horizon.slots), session.horizon.slot_hours
            still = PlanningProblem(residual_kwh, self._config.battery, hours, no_price, no_price)
            session.plans[0] = planner_for("idle", self._config.seed).plan(still)
        session.plan_round = agreed_round if agreed_round in session.plans else max(session.plans)
        session.plan = session.plans[session.plan_round]

    # -- operation -------------------------------------------------------------------------------------

    def _gather(self, envelope: Envelope, body: DeliveryRequest) -> None:
        session = self._session_of(body.session)
        if not len(session.outcomes) <= body.slot < session.horizon.slots:
            raise ProtocolError(f"slot {body.slot} is not one to come ({len(session.outcomes)} are passed)")
        while len(session.outcomes) < body.slot:  # settled without this member while it was away
            self._pass_slot(session, {}, {}, "missing")
        slot = session.current = _Slot(body.slot, envelope)
        seconds = self._config.timing.delivery_deadline_s * READING_SHARE_OF_DEADLINE
        for role, meter in self._meter_of.items():
            slot.asked_roles.setdefault(meter, []).append(role)
        for meter, roles in slot.asked_roles.items():
            slot.asked[meter] = self.send(
                meter,
                Performative.REQUEST,
                ReadingRequest(session=body.session, slot=body.slot, roles=roles),
                protocol="metering",
                conversation=envelope.conversation,
                expects_reply=True,
                reply_within_s=seconds,
            )
        if slot.asked:
            self.do(StartTimer("reading", seconds))
        else:
            self._deliver(slot)

    def _take_reading(self, envelope: Envelope, body: Reading) -> None:
        session = self._session
        slot = session.current if session else None
        if session is None or slot is None or (body.session, body.slot) != (session.number, slot.slot):
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not being read")
        for record in body.e:
            if record.n not in slot.asked_roles.get(envelope.sender, ()):
                raise ProtocolError(f"{envelope.sender} was not asked for {record.n} of slot {body.slot}")
        for record in body.e:
            slot.readings_kwh[record.n], slot.meters[record.n] = record.v, envelope.sender
        if envelope.sender == self._attached_meter:
            self._missed_in_a_row = 0
        if set(slot.readings_kwh) == set(self._config.roles):
            self.do(StopTimer("reading"))
            self._deliver(slot)

    def _deliver(self, slot: _Slot) -> None:
        session = self._session
        assert session is not None, "slots are delivered within a session"
        session.current = None
        complete = set(slot.readings_kwh) == set(self._config.roles)
        outcome = self._pass_slot(
            session, slot.readings_kwh, slot.meters, "metered" if complete else "estimated"
        )
        imports, exports = exact_pair_of_net(outcome.net_kwh)
        delivery = MeteredDelivery(
            session=session.number,
            slot=slot.slot,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            quality=session.quality[-1],
        )
        self.reply(slot.request, Performative.INFORM, delivery, expects_reply=True)

    def _pass_slot(
        self, session: _Session, readings_kwh: dict[Role, float], meters: dict[Role, str], quality: Quality
    ) -> SlotOutcome:
        """Advance the building by a slot; what was not read is taken from the forecast."""
        if session.plan is None:  # the agreement never came through
            self._choose_plan(session, None)
        assert session.plan is not None, "a plan has been chosen"
        slot = len(session.outcomes)
        foreseen = self._foreseen(session)
        load_kwh = readings_kwh.get("load", float(foreseen.load_kwh[slot]))
        pv_kwh = readings_kwh.get("pv", float(foreseen.pv_kwh[slot]))
        outcome = session.building.step(slot, load_kwh, pv_kwh, float(session.plan.stored_energy_kwh[slot]))
        baseline = session.plans[min(session.plans)]
        alone = session.alone.step(slot, load_kwh, pv_kwh, float(baseline.stored_energy_kwh[slot]))
        session.load_kwh.append(load_kwh)
        session.pv_kwh.append(pv_kwh)
        session.outcomes.append(outcome)
        session.alone_net_kwh.append(alone.net_kwh)
        session.quality.append(quality)
        session.meter.append(",".join(sorted({meter.split("@", 1)[0] for meter in meters.values()})))
        return outcome

    def _end_session(self, session: _Session) -> None:
        while len(session.outcomes) < session.horizon.slots:
            self._pass_slot(session, {}, {}, "missing")
        self._done.append(_record_of(session, self._config.battery is not None))
        self._session = None

    def _close(self, envelope: Envelope, body: SessionClosed) -> None:
        self._end_session(self._session_of(body.session))
        self.reply(envelope, Performative.CONFIRM, Acknowledged())
        if not body.last:
            return
        record = MemberRecord(
            member=self._config.name,
            kind=self._config.kind,
            strategy=self._config.strategy,
            battery_capacity_kwh=self._config.battery.capacity_kwh if self._config.battery else None,
            sessions=self._done,
        )
        self.do(Save(self._record_path, record))
        for meter in sorted({self._own_meter, *self._meter_of.values()} if self._config.roles else ()):
            self.send(
                meter, Performative.INFORM, MeteringEnded(), protocol="metering", conversation="metering"
            )
        self.do(Finish())

    # -- meters ----------------------------------------------------------------------------------------

    def _from_meter(self, envelope: Envelope, body: AnyBody) -> None:
        match body:
            case Reading():
                self._take_reading(envelope, body)
            case MeterAttach():
                self._attach(envelope, body)
            case MeterDetach():
                self._meter_of = dict.fromkeys(self._config.roles, self._own_meter)
                self.do(Progress("meter-detached", {"meter": envelope.sender}))
                self.reply(envelope, Performative.CONFIRM, Acknowledged())
            case Reason():
                self.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
            case _:
                raise ProtocolError(f"a meter may not send {body.type}")

    def _attach(self, envelope: Envelope, body: MeterAttach) -> None:
        if envelope.sender != self._attached_meter:
            raise ProtocolError("the member's own meter needs no attaching")
        foreign = sorted(set(body.roles) - set(self._config.roles))
        if foreign:
            raise ProtocolError(f"{self._config.name} has no {' and no '.join(foreign)} to be metered")
        self._meter_of = dict.fromkeys(self._config.roles, self._own_meter)
        self._meter_of.update(dict.fromkeys(body.roles, envelope.sender))
        self._missed_in_a_row = 0
        session = self._session
        passed = len(session.outcomes) + (session.current is not None) if session else 0
        number = session.number if session else len(self._done)
        self.do(Progress("meter-attached", {"meter": envelope.sender, "source": body.source}))
        self.reply(envelope, Performative.AGREE, MeterAttached(session=number, slot=passed))


def _agreed_plan(session: _Session, has_battery: bool) -> AgreedPlan | None:
    """The plan that was run and what it was made for; None where no price signal was answered in time."""
    problem = session.problems.get(session.plan_round) if session.plan_round is not None else None
    if session.plan is None or session.plan_round is None or problem is None:
        return None
    weight = float(problem.weight_eur_per_kwh2.max())
    return AgreedPlan(
        round=session.plan_round,
        residual_load_kwh=problem.residual_load_kwh.tolist(),
        stored_kwh=session.plan.stored_energy_kwh.tolist() if has_battery else None,
        import_price_eur_per_kwh=problem.import_price_eur_per_kwh.tolist(),
        export_price_eur_per_kwh=problem.export_price_eur_per_kwh.tolist(),
        proximal_weight_eur_per_kwh2=weight,
        reference_net_kwh=problem.reference_kwh.tolist() if weight > 0 else None,
    )


def _record_of(session: _Session, has_battery: bool) -> MemberSessionRecord:
    assert session.plan is not None, "a session is recorded after its agreement"
    return MemberSessionRecord(
        session=session.number,
        load_kwh=session.load_kwh,
        pv_kwh=session.pv_kwh,
        battery_charge_kwh=[max(0.0, -outcome.battery_kwh) for outcome in session.outcomes],
        battery_discharge_kwh=[max(0.0, outcome.battery_kwh) for outcome in session.outcomes],
        stored_kwh=[outcome.stored_kwh for outcome in session.outcomes] if has_battery else [],
        net_kwh=[outcome.net_kwh for outcome in session.outcomes],
        planned_net_kwh=session.plan.net_kwh.tolist(),
        alone_net_kwh=session.alone_net_kwh,
        quality=session.quality,
        meter=session.meter,
        rounds_planned=len(session.plans),
        planning_seconds=session.planning_seconds,
        forecast=session.foreseen.forecast if session.foreseen else None,
        plan=_agreed_plan(session, has_battery),
    )

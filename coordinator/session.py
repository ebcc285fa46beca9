"""The market session as a state machine: joining, price rounds, agreement, operation, closing.

One machine runs all sessions of a scenario, one after the other. It knows members by their JIDs, takes each
message only from whom and when it may come, and never waits without a deadline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import numpy as np

from coordinator.mechanisms import Agreed, Mechanism, Signal, Tariffs, mechanism_for
from coordinator.mechanisms.base import Array, community_cost_eur
from coordinator.settlement import (
    ENERGY_STEP_KWH,
    Share,
    SlotPrices,
    bills,
    ledger_entries,
    owed_eur,
    share_energy,
)
from runtime.configuration import CoordinatorConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import (
    Acknowledged,
    Admission,
    Agreement,
    AnyBody,
    BillLine,
    DeliveryRequest,
    Join,
    MeteredDelivery,
    Position,
    PriceSignal,
    Reason,
    SessionClosed,
    SessionTerms,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import (
    AwaitSlotEnd,
    Fail,
    Finish,
    Machine,
    Progress,
    Save,
    StartTimer,
    StopTimer,
    Withdraw,
)
from runtime.protocol.pairs import net_of_pair, pair_of_net
from runtime.records import (
    CoordinatorRecord,
    Delivery,
    LedgerEntry,
    Quality,
    Round,
    SessionRecord,
)


class Phase(StrEnum):
    """Where a session stands."""

    JOINING = "joining"
    NEGOTIATING = "negotiating"
    AGREEING = "agreeing"
    OPERATING = "operating"
    CLOSING = "closing"
    DONE = "done"


@dataclass
class _Negotiation:
    """The rounds of one session so far."""

    mechanism: Mechanism
    signal: Signal
    number: int = 0
    asked: dict[str, str] = field(default_factory=dict)
    answered: dict[str, Array] = field(default_factory=dict)
    declined: set[str] = field(default_factory=set)
    position: dict[str, Array] = field(default_factory=dict)
    position_round: dict[str, int] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    rounds_of_positions: list[dict[str, int]] = field(default_factory=list)
    agreed: Agreed | None = None


@dataclass
class _Operation:
    """The slots of one session so far."""

    slot: int = 0
    asked: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, tuple[Envelope, MeteredDelivery]] = field(default_factory=dict)
    declined: set[str] = field(default_factory=set)
    deliveries: list[Delivery] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)


class MarketMachine(Machine):
    """The coordinator's side of every session of a scenario."""

    def __init__(self, config: CoordinatorConfig, jid: str, record_path: Path) -> None:
        """Set up for the sessions of ``config``.

        Raises:
            InputError: the mechanism or one of its parameters is not known.
        """
        super().__init__(jid)
        self._config = config
        self._record_path = record_path
        self._domain = jid.split("@", 1)[1]
        self._new_mechanism = mechanism_for(config.mechanism, config.parameters)
        self._joined: set[str] = set()
        self._members: list[str] = []
        self._pending: set[str] = set()  # ids of messages whose acknowledgement is waited for
        self._done: list[SessionRecord] = []
        self.phase = Phase.JOINING
        self.session = 0
        self._negotiation: _Negotiation
        self._operation: _Operation

    # -- events ----------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Wait for the members."""
        self.do(StartTimer("join", self._config.timing.join_deadline_s))
        self._tell_joining()

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a member's message, if it may say this now."""
        member = self._member_of(envelope.sender)
        match body:
            case Join():
                self._join(member, envelope, body)
            case Position():
                self._take_position(member, body)
            case MeteredDelivery():
                self._take_delivery(member, envelope, body)
            case Acknowledged():
                self._acknowledged(envelope)
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
                self._close_round()
            case "agreement":
                self._withdraw(self._pending)
                self._operate()
            case "slot-end":
                self._request_deliveries()
            case "delivery":
                self._settle()
            case "closing":
                self._withdraw(self._pending)
                self._next_session()
            case _:
                super().on_timer(name)

    # -- joining ---------------------------------------------------------------------------------------

    def _member_of(self, jid: str) -> str:
        name, _, domain = jid.partition("@")
        if domain != self._domain or name not in self._config.members:
            raise ProtocolError(f"{jid} is not a member of {self._config.community}")
        return name

    def _join(self, member: str, envelope: Envelope, body: Join) -> None:
        if body.member != member:
            raise ProtocolError(f"{envelope.sender} may not join as {body.member!r}")
        if self.phase is not Phase.JOINING and member not in self._joined:
            raise ProtocolError("the session began without you: the join deadline had passed")
        self.reply(envelope, Performative.AGREE, self._admission())
        self._joined.add(member)
        self._tell_joining()
        if self.phase is Phase.JOINING and len(self._joined) == len(self._config.members):
            self.do(StopTimer("join"))
            self._begin_sessions()

    def _admission(self) -> Admission:
        return Admission(
            community=self._config.community,
            mechanism=self._config.mechanism,
            sessions=[
                SessionTerms(
                    horizon=session.horizon,
                    import_price_eur_per_kwh=[float(price) for price in session.import_price_eur_per_kwh],
                    export_price_eur_per_kwh=[float(price) for price in session.export_price_eur_per_kwh],
                )
                for session in self._config.sessions
            ],
        )

    def _begin_sessions(self) -> None:
        if not self._joined:
            self.do(Fail(f"no member joined within {self._config.timing.join_deadline_s:g} s"))
            return
        self._members = [name for name in self._config.members if name in self._joined]
        self._begin_session()

    def _begin_session(self) -> None:
        session = self._config.sessions[self.session]
        tariffs = Tariffs(
            np.array([float(price) for price in session.import_price_eur_per_kwh]),
            np.array([float(price) for price in session.export_price_eur_per_kwh]),
        )
        signal = Signal(tariffs.import_price_eur_per_kwh, tariffs.export_price_eur_per_kwh)
        self._negotiation = _Negotiation(self._new_mechanism(tariffs), signal)
        self._operation = _Operation()
        self.phase = Phase.NEGOTIATING
        self._open_round()

    # -- negotiation -----------------------------------------------------------------------------------

    def _open_round(self) -> None:
        talk = self._negotiation
        talk.answered, talk.declined = {}, set()
        self._tell("round", round=talk.number)
        body = PriceSignal(
            session=self.session,
            round=talk.number,
            import_price_eur_per_kwh=talk.signal.import_price_eur_per_kwh.tolist(),
            export_price_eur_per_kwh=talk.signal.export_price_eur_per_kwh.tolist(),
            proximal_weight_eur_per_kwh2=talk.signal.proximal_weight_eur_per_kwh2,
        )
        talk.asked = self._ask_all(Performative.CFP, body, "market")
        self.do(StartTimer("round", self._config.timing.round_deadline_s))

    def _take_position(self, member: str, body: Position) -> None:
        talk = self._negotiation
        if self.phase is not Phase.NEGOTIATING or (body.session, body.round) != (self.session, talk.number):
            return  # an answer to a round that closed without it: the member was named late there
        slots = self._config.sessions[self.session].horizon.slots
        if len(body.grid_import_kwh) != slots:
            raise ProtocolError(f"position has {len(body.grid_import_kwh)} slots, expected {slots}")
        talk.answered[member] = net_of_pair(body.grid_import_kwh, body.grid_export_kwh)
        self._close_round_if_complete()

    def _close_round_if_complete(self) -> None:
        talk = self._negotiation
        if len(talk.answered) + len(talk.declined) == len(self._members):
            self.do(StopTimer("round"))
            self._close_round()

    def _declined(self, member: str, envelope: Envelope, body: Reason) -> None:
        """A member refuses or does not understand: it is not waited for until the deadline."""
        self.do(Progress("complaint", {"member": member, "reason": body.reason}))
        if self.phase is Phase.NEGOTIATING and self._negotiation.asked.get(member) == envelope.in_reply_to:
            self._negotiation.declined.add(member)
            self._close_round_if_complete()
        elif self.phase is Phase.OPERATING and self._operation.asked.get(member) == envelope.in_reply_to:
            self._operation.declined.add(member)
            self._settle_if_complete()
        elif envelope.in_reply_to in self._pending:
            self._acknowledged(envelope)

    def _close_round(self) -> None:
        talk = self._negotiation
        slots = self._config.sessions[self.session].horizon.slots
        late = [member for member in self._members if member not in talk.answered]
        self._withdraw(talk.asked[member] for member in late)
        for member, net_kwh in talk.answered.items():
            talk.position[member], talk.position_round[member] = net_kwh, talk.number
        for member in late:
            talk.position.setdefault(member, np.zeros(slots))
            talk.position_round.setdefault(member, 0)
        positions = np.array([talk.position[member] for member in self._members])
        talk.rounds.append(
            Round(
                number=talk.number,
                import_price_eur_per_kwh=talk.signal.import_price_eur_per_kwh.tolist(),
                export_price_eur_per_kwh=talk.signal.export_price_eur_per_kwh.tolist(),
                net_kwh={member: talk.position[member].tolist() for member in self._members},
                late=late,
                community_cost_eur=community_cost_eur(positions, talk.mechanism.tariffs),
            )
        )
        talk.rounds_of_positions.append(dict(talk.position_round))
        answer = talk.mechanism.respond(positions)
        if isinstance(answer, Signal):
            talk.signal = answer
            talk.number += 1
            self._open_round()
        else:
            talk.agreed = answer
            self._agree(answer)

    def _agree(self, agreed: Agreed) -> None:
        talk = self._negotiation
        self.phase = Phase.AGREEING
        self._tell("agreement", round=agreed.round)
        self._pending = set()
        for member in self._members:
            imports, exports = pair_of_net(np.array(talk.rounds[agreed.round].net_kwh[member]))
            asked = self._ask(
                member,
                Performative.ACCEPT_PROPOSAL,
                Agreement(
                    session=self.session,
                    round=agreed.round,
                    position_round=talk.rounds_of_positions[agreed.round][member],
                    import_price_eur_per_kwh=agreed.import_price_eur_per_kwh.tolist(),
                    export_price_eur_per_kwh=agreed.export_price_eur_per_kwh.tolist(),
                    grid_import_kwh=imports,
                    grid_export_kwh=exports,
                ),
                "market",
            )
            self._pending.add(asked)
        self.do(StartTimer("agreement", self._config.timing.round_deadline_s))

    def _acknowledged(self, envelope: Envelope) -> None:
        if envelope.in_reply_to not in self._pending:
            return
        self._pending.discard(envelope.in_reply_to)
        if self._pending:
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
        horizon = self._config.sessions[self.session].horizon
        self.do(AwaitSlotEnd("slot-end", horizon, self.session, self._operation.slot))

    def _request_deliveries(self) -> None:
        work = self._operation
        work.delivered, work.declined = {}, set()
        self._tell("slot", slot=work.slot)
        request = DeliveryRequest(session=self.session, slot=work.slot)
        work.asked = self._ask_all(Performative.REQUEST, request, "operation")
        self.do(StartTimer("delivery", self._config.timing.delivery_deadline_s))

    def _take_delivery(self, member: str, envelope: Envelope, body: MeteredDelivery) -> None:
        work = self._operation
        if self.phase is not Phase.OPERATING or (body.session, body.slot) != (self.session, work.slot):
            self.reply(
                envelope,
                Performative.REFUSE,
                Reason(reason=f"slot {body.slot} was settled without this delivery: its deadline had passed"),
            )
            return
        work.delivered[member] = (envelope, body)
        self._settle_if_complete()

    def _settle_if_complete(self) -> None:
        work = self._operation
        if len(work.delivered) + len(work.declined) == len(self._members):
            self.do(StopTimer("delivery"))
            self._settle()

    def _settle(self) -> None:
        work = self._operation
        session = self._config.sessions[self.session]
        buy, sell = (
            session.import_price_eur_per_kwh[work.slot],
            session.export_price_eur_per_kwh[work.slot],
        )
        local = self._negotiation.mechanism.local_price_eur_per_kwh(buy, sell)
        self._withdraw(work.asked[member] for member in self._members if member not in work.delivered)
        deliveries = [self._delivery_of(member) for member in self._members]
        shares = share_energy({each.member: each.net_kwh for each in deliveries}, local is not None)
        entries = ledger_entries(self.session, work.slot, shares, SlotPrices(buy, sell, local))
        work.deliveries += deliveries
        work.ledger += entries
        for share, delivery in zip(shares, deliveries, strict=True):
            if share.member in work.delivered:
                line = self._bill_line(share, entries, SlotPrices(buy, sell, local), delivery.quality)
                self.reply(work.delivered[share.member][0], Performative.INFORM, line)
        work.slot += 1
        if work.slot < session.horizon.slots:
            self._await_slot()
        else:
            self._close()

    def _delivery_of(self, member: str) -> Delivery:
        work = self._operation
        quality: Quality
        if member in work.delivered:
            body = work.delivered[member][1]
            net_kwh, quality = body.grid_import_kwh - body.grid_export_kwh, body.quality
        else:
            agreed = self._negotiation.agreed
            assert agreed is not None, "slots are settled after the agreement"
            position_kwh = self._negotiation.rounds[agreed.round].net_kwh[member][work.slot]
            net_kwh, quality = Decimal(repr(position_kwh)).quantize(ENERGY_STEP_KWH), "missing"
        return Delivery(
            slot=work.slot, member=member, net_kwh=net_kwh.quantize(ENERGY_STEP_KWH), quality=quality
        )

    def _bill_line(
        self, share: Share, entries: list[LedgerEntry], prices: SlotPrices, quality: Quality
    ) -> BillLine:
        local = prices.local_price_eur_per_kwh
        return BillLine(
            session=self.session,
            slot=self._operation.slot,
            local_purchase_kwh=share.local_purchase_kwh,
            local_sale_kwh=share.local_sale_kwh,
            grid_import_kwh=share.grid_import_kwh,
            grid_export_kwh=share.grid_export_kwh,
            local_price_eur_per_kwh=local,
            import_price_eur_per_kwh=prices.import_price_eur_per_kwh,
            export_price_eur_per_kwh=prices.export_price_eur_per_kwh,
            amount_eur=owed_eur([entry for entry in entries if entry.member == share.member]),
            quality=quality,
        )

    # -- closing ---------------------------------------------------------------------------------------

    def _close(self) -> None:
        self.phase = Phase.CLOSING
        self._tell("closing")
        talk, work, session = self._negotiation, self._operation, self._config.sessions[self.session]
        assert talk.agreed is not None, "a session closes after its agreement"
        session_bills = bills(self.session, self._members, work.ledger)
        self._done.append(
            SessionRecord(
                session=self.session,
                horizon=session.horizon,
                grid_import_price_eur_per_kwh=session.import_price_eur_per_kwh,
                grid_export_price_eur_per_kwh=session.export_price_eur_per_kwh,
                rounds=talk.rounds,
                agreed_round=talk.agreed.round,
                suspended_slots=np.flatnonzero(talk.mechanism.tariffs.suspended).tolist(),
                deliveries=work.deliveries,
                ledger=work.ledger,
                bills=session_bills,
            )
        )
        last = self.session + 1 == len(self._config.sessions)
        self._pending = {
            self._ask(
                bill.member,
                Performative.INFORM,
                SessionClosed(session=self.session, amount_eur=bill.amount_eur, last=last),
                "market",
            )
            for bill in session_bills
        }
        self.do(StartTimer("closing", self._config.timing.round_deadline_s))

    def _next_session(self) -> None:
        self.session += 1
        if self.session < len(self._config.sessions):
            self._begin_session()
            return
        self.phase = Phase.DONE
        record = CoordinatorRecord(
            community=self._config.community,
            setting=self._config.setting,
            mechanism=self._config.mechanism,
            members=self._members,
            absent=[name for name in self._config.members if name not in self._joined],
            sessions=self._done,
        )
        self.do(Save(self._record_path, record))
        self.do(Finish())

    # -- talking ---------------------------------------------------------------------------------------

    def _conversation(self) -> str:
        return f"session-{self.session}"

    def _ask(self, member: str, performative: Performative, body: AnyBody, protocol: str) -> str:
        timing = self._config.timing
        return self.send(
            f"{member}@{self._domain}",
            performative,
            body,
            protocol=protocol,
            conversation=self._conversation(),
            expects_reply=True,
            reply_within_s=timing.delivery_deadline_s if protocol == "operation" else timing.round_deadline_s,
        )

    def _ask_all(self, performative: Performative, body: AnyBody, protocol: str) -> dict[str, str]:
        return {member: self._ask(member, performative, body, protocol) for member in self._members}

    def _withdraw(self, message_ids: Iterable[str]) -> None:
        for message_id in message_ids:
            self.do(Withdraw(message_id))

    def _tell(self, phase: str, **detail: int) -> None:
        horizon = self._config.sessions[self.session].horizon
        sessions = len(self._config.sessions)
        self.do(
            Progress(
                phase,
                {"session": self.session, "sessions": sessions, "slots": horizon.slots, **detail},
            )
        )

    def _tell_joining(self) -> None:
        self.do(Progress("joining", {"joined": len(self._joined), "members": len(self._config.members)}))

"""The talking of a member that bargains: proposals to its partners and back, deadlines, and the report.

A proposal is repeated until it is answered: by the partner's next proposal, or by an acknowledgement where
there is none. ``proposals`` says what is proposed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agents.bargaining.proposals import SILENT_ROUNDS, Bargaining
from agents.bargaining.terms import BargainTerms, NetCost, Proposal
from agents.planning.planner import Planner
from agents.planning.tariff import FloatArray
from agents.session.own_session import OwnSession
from agents.session.round_plans import PlannedRound
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.protocol.bargain_bodies import BargainCall, BargainReport, TradeProposal
from runtime.protocol.bodies import Acknowledged, AnyBody, PriceSignal, Reason
from runtime.protocol.envelope import BARGAINING, Envelope, Performative
from runtime.protocol.machine import Compute, Machine, Progress, StartTimer, StopTimer, Withdraw
from runtime.protocol.pairs import net_of_pair, pair_of_net
from runtime.protocol.told_trades import told_trade

TIMER = "bargaining"
"""Name of the deadline of a round."""

COMPUTATION = "bargain"
"""What names of computations begin with."""


class Bargainer:
    """One member's part in the bargaining of all sessions, as a part of its machine."""

    def __init__(self, machine: Machine, config: MemberConfig, planner: Planner) -> None:
        """Set up for the member of ``config``, which ``machine`` speaks for."""
        self._machine = machine
        self._config = config
        self._planner = planner
        self._domain = machine.jid.split("@", 1)[1]
        self._number = -1
        self._over = True
        self._call: tuple[Envelope, BargainCall]
        self._session: OwnSession
        self._state: Bargaining
        self._planned: PlannedRound | None = None
        self._planning_seconds = 0.0
        self._proposed = False
        self._told: defaultdict[int, dict[str, Proposal]] = defaultdict(dict)
        self._unanswered: defaultdict[str, list[Envelope]] = defaultdict(list)
        self._sent: defaultdict[str, list[str]] = defaultdict(list)
        self._early: dict[str, tuple[Envelope, TradeProposal]] = {}

    # -- the coordinator -------------------------------------------------------------------------------

    def begin(self, envelope: Envelope, call: BargainCall, session: OwnSession) -> None:
        """Begin to bargain, as the coordinator asks.

        Raises:
            ProtocolError: the call does not fit the session, or there was one already.
        """
        alone = session.planning.last
        if alone is None:
            raise ProtocolError("the grid's tariffs were not told yet")
        if call.session <= self._number:
            raise ProtocolError(f"session {call.session} has been bargained already")
        terms = _terms(call, self._config.name, session.horizon.slots)
        self._number, self._over, self._proposed = call.session, False, False
        self._call, self._session, self._planned = (envelope, call), session, alone
        self._planning_seconds = 0.0
        for kept in (self._told, self._unanswered, self._sent):
            kept.clear()
        green = "pv" in self._config.roles
        self._state = Bargaining(terms, self._config.preferences, green, alone.net_kwh)
        if not terms.partners:
            self._close()
            return
        self._plan_round()
        early, self._early = self._early, {}
        for message, proposal in early.values():
            try:
                self.take(message, proposal, call.session)
            except ProtocolError as error:
                self._machine.reply(message, Performative.REFUSE, Reason(reason=str(error)))

    def settled(self, session: int) -> None:
        """The session is agreed: nothing is to be repeated any more, and proposals that came are refused."""
        for identifiers in self._sent.values():
            for identifier in identifiers:
                self._machine.do(Withdraw(identifier))
        self._sent.clear()
        for name, (message, proposal) in list(self._early.items()):
            if proposal.session <= session:
                del self._early[name]
                reason = Reason(reason=f"session {proposal.session} is not bargained")
                self._machine.reply(message, Performative.REFUSE, reason)
        if not self._over:
            self._over = True
            self._machine.do(StopTimer(TIMER))
        self._number = max(self._number, session)

    # -- partners --------------------------------------------------------------------------------------

    def hear(self, envelope: Envelope, body: AnyBody, open_session: int) -> None:
        """Take what another member says.

        Args:
            envelope: the message.
            body: its body.
            open_session: the first session that is not closed.

        Raises:
            ProtocolError: the sender is no partner, or may not say this or not now.
        """
        if isinstance(body, TradeProposal):
            self.take(envelope, body, open_session)
            return
        partner = self._partner(envelope)
        if isinstance(body, Reason):
            self._machine.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
            if not self._over and envelope.in_reply_to in self._sent[partner]:
                self._state.leave_out(partner)
                self._go_on()
        elif not isinstance(body, Acknowledged):
            raise ProtocolError(f"another member may not send {body.type}")

    def take(self, envelope: Envelope, body: TradeProposal, open_session: int) -> None:
        """Take a proposal; one that comes before the coordinator's call is kept until then.

        Raises:
            ProtocolError: the sender is no partner or was left out, the session or round is not bargained,
                or a series does not have a value for each slot.
        """
        if body.session != self._number:
            if body.session < open_session or body.session < self._number:
                raise ProtocolError(f"session {body.session} is not bargained any more")
            if body.session >= len(self._config.sessions) or not envelope.sender.endswith(f"@{self._domain}"):
                raise ProtocolError(f"{envelope.sender} is no partner in session {body.session}")
            self._early[envelope.sender] = (envelope, body)
            return
        partner = self._partner(envelope)
        state = self._state
        for name in ("purchase_kwh", "price_eur_per_kwh"):
            found, slots = len(getattr(body, name)), self._session.horizon.slots
            if found != slots:
                raise ProtocolError(f"{name} has {found} slots, expected {slots}")
        if self._over and body.round > state.round:
            raise ProtocolError(f"bargaining in session {body.session} ended with round {state.round}")
        if partner not in state.active:
            raise ProtocolError(f"{partner} was left out of the bargaining for its silence")
        if body.round > state.terms.max_rounds:
            raise ProtocolError(f"round {body.round} is none of {state.terms.max_rounds}")
        if self._over or body.round < state.round:
            self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
            return
        if partner in self._told[body.round]:
            raise ProtocolError(f"{partner} has proposed in round {body.round}: its first proposal counts")
        self._unanswered[partner].append(envelope)
        self._told[body.round][partner] = Proposal(
            trade_kwh=net_of_pair(body.purchase_kwh, body.sale_kwh),
            price_eur_per_kwh=np.array(body.price_eur_per_kwh),
            residual_kwh=body.residual_kwh,
            green=body.green,
        )
        self._go_on()

    def _partner(self, envelope: Envelope) -> str:
        name, _, domain = envelope.sender.partition("@")
        if self._number < 0 or domain != self._domain or not self._named(name):
            raise ProtocolError(f"{envelope.sender} is neither the coordinator, a meter nor a partner")
        return name

    def _named(self, name: str) -> bool:
        return hasattr(self, "_state") and name in self._state.terms.partners

    # -- rounds ----------------------------------------------------------------------------------------

    def deadline(self) -> None:
        """Go on without the proposals that did not come."""
        if not self._over:
            self._end_round()

    def planned(self, name: str, result: PlannedRound) -> None:
        """Propose, or report, by a plan that is ready."""
        if self._over and name != _closing(self._number):
            return
        self._planned = result
        self._planning_seconds += result.planning_seconds
        if name == _closing(self._number):
            self._report(result)
        elif name == _computation(self._number, self._state.round):
            self._propose(result.net_kwh)

    def _plan_round(self) -> None:
        self._proposed = False
        self._compute(_computation(self._number, self._state.round), self._state.net_cost())

    def _compute(self, name: str, cost: NetCost) -> None:
        planning, last, planner, call = self._session.planning, self._planned, self._planner, self._call[1]
        signal = PriceSignal(
            session=call.session,
            round=call.round,
            import_price_eur_per_kwh=cost.import_price_eur_per_kwh.tolist(),
            export_price_eur_per_kwh=cost.export_price_eur_per_kwh.tolist(),
            demand_charge_eur_per_kw=call.demand_charge_eur_per_kw,
        )
        work = Compute(
            name, lambda: planning.plan_at(signal, last, planner, cost.hinges), brief=planning.briefly
        )
        self._machine.do(work)

    def _propose(self, net_kwh: FloatArray) -> None:
        state = self._state
        for partner, proposal in state.propose(net_kwh).items():
            purchase, sale = pair_of_net(proposal.trade_kwh)
            body = TradeProposal(
                session=self._number,
                round=state.round,
                purchase_kwh=purchase,
                sale_kwh=sale,
                price_eur_per_kwh=proposal.price_eur_per_kwh.tolist(),
                residual_kwh=proposal.residual_kwh,
                green=proposal.green,
            )
            waiting = self._unanswered[partner]
            identifier = self._machine.send(
                f"{partner}@{self._domain}",
                Performative.PROPOSE,
                body,
                protocol=BARGAINING,
                conversation=f"session-{self._number}",
                in_reply_to=waiting.pop(0).message_id if waiting else None,
                expects_reply=True,
                reply_within_s=self._config.timing.round_deadline_s,
            )
            self._sent[partner] = [*self._sent[partner][-SILENT_ROUNDS:], identifier]
        self._proposed = True
        self._machine.do(StartTimer(TIMER, self._config.timing.round_deadline_s))
        self._go_on()

    def _go_on(self) -> None:
        """End the round once all proposals are there."""
        told = self._told[self._state.round]
        if not self._over and self._proposed and all(name in told for name in self._state.active):
            self._end_round()

    def _end_round(self) -> None:
        state = self._state
        self._machine.do(StopTimer(TIMER))
        self._proposed = False
        before = list(state.active)
        over = state.end_round(self._told.pop(state.round, {}))
        for partner in before:
            if partner not in state.active:
                self._machine.do(Progress("left-out", {"partner": partner, "round": state.round}))
                for identifier in self._sent.pop(partner, []):
                    self._machine.do(Withdraw(identifier))
        if over:
            self._close()
        else:
            self._plan_round()

    # -- the end ---------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Plan once more, with what is agreed and the grid for the rest."""
        self._over = True
        for waiting in self._unanswered.values():
            for envelope in waiting:
                self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
        self._unanswered.clear()
        self._compute(_closing(self._number), self._state.agreed_cost(self._state.trades()))

    def _report(self, result: PlannedRound) -> None:
        envelope, call = self._call
        self._session.planning.keep(call.round, replace(result, planning_seconds=self._planning_seconds))
        imports, exports = pair_of_net(result.net_kwh)
        report = BargainReport(
            session=self._number,
            round=call.round,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            rounds=self._state.round,
            trades=[
                told_trade(trade.partner, trade.trade_kwh, trade.price_eur_per_kwh)
                for trade in self._state.trades()
            ],
        )
        self._machine.reply(envelope, Performative.PROPOSE, report)


def _computation(session: int, number: int) -> str:
    return f"{COMPUTATION}-{session}-{number}"


def _closing(session: int) -> str:
    return f"{COMPUTATION}-{session}-close"


def _terms(call: BargainCall, own: str, slots: int) -> BargainTerms:
    """Terms of a call.

    Raises:
        ProtocolError: it does not name this member, names one twice, or a series is of another length.
    """
    if own not in call.members or len(set(call.members)) != len(call.members):
        raise ProtocolError(f"expected {own} among members that are each named once, found {call.members}")
    series: dict[str, Sequence[float]] = {
        "penalty_eur_per_kwh2": call.penalty_eur_per_kwh2,
        "import_price_eur_per_kwh": call.import_price_eur_per_kwh,
        "export_price_eur_per_kwh": call.export_price_eur_per_kwh,
    }
    if call.import_share_kwh is not None:
        series["import_share_kwh"] = call.import_share_kwh
    if call.export_share_kwh is not None:
        series["export_share_kwh"] = call.export_share_kwh
    for name, values in series.items():
        if len(values) != slots:
            raise ProtocolError(f"{name} has {len(values)} slots, expected {slots}")
    if any(slot >= slots for slot in call.suspended_slots):
        raise ProtocolError(f"suspended_slots: {max(call.suspended_slots)} is not one of {slots}")
    suspended = np.zeros(slots, dtype=np.bool_)
    suspended[call.suspended_slots] = True
    return BargainTerms(
        partners=tuple(name for name in call.members if name != own),
        import_price_eur_per_kwh=np.array(call.import_price_eur_per_kwh),
        export_price_eur_per_kwh=np.array(call.export_price_eur_per_kwh),
        suspended=suspended,
        local_fee_eur_per_kwh=call.local_fee_eur_per_kwh,
        penalty_eur_per_kwh2=np.array(call.penalty_eur_per_kwh2),
        max_rounds=call.max_rounds,
        tolerance_kwh=call.tolerance_kwh,
        import_share_kwh=None if call.import_share_kwh is None else np.array(call.import_share_kwh),
        export_share_kwh=None if call.export_share_kwh is None else np.array(call.export_share_kwh),
        excess_price_eur_per_kwh=call.excess_price_eur_per_kwh,
    )

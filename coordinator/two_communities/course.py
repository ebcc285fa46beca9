"""A session of one of two communities: what its coordinator settles with the other's, and when.

``counterpart`` carries the messages, ``across`` works out what they come to; this says in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from coordinator.mechanisms import Answers, Contract, OtherCommunity
from coordinator.mechanisms.base import Array
from coordinator.mechanisms.hybrid import Hybrid, aggregate
from coordinator.negotiation import Negotiation
from coordinator.operation import Operation
from coordinator.settlement import CounterpartSlot
from coordinator.two_communities.across import (
    OptingOut,
    contracts_across,
    counterpart_slot,
    metered_exchange,
    relayed_trades,
)
from coordinator.two_communities.counterpart import TIMER, Counterpart
from coordinator.two_communities.heard import ALONE_STEP, OPT_OUT_STEP, TRADES_STEP
from runtime.communities import CommunityPart
from runtime.configuration import CoordinatorConfig
from runtime.protocol.bodies import AnyBody
from runtime.protocol.community_bodies import CommunityStatement, MeteredExchange
from runtime.protocol.envelope import Envelope
from runtime.protocol.machine import Machine, Progress
from runtime.records import CommunityRecord


class TwoCommunities:
    """One coordinator's part in the trade between its community and the other, as a part of its machine.

    Attributes:
        own: the community it coordinates.
        jid: the other coordinator's.
    """

    def __init__(self, machine: Machine, config: CoordinatorConfig, own: CommunityPart) -> None:
        """Set up for the community ``own`` of ``config``, for which ``machine`` speaks."""
        self.own = own
        self._machine = machine
        self._timing = config.timing
        self._counterpart = Counterpart(machine, config, own)
        self.jid = self._counterpart.jid
        self._session = -1
        self._members: Sequence[str] = ()
        self._others: Sequence[str] = ()
        self._other: OtherCommunity | None = None
        self._negotiation: Negotiation
        self._opting_out: OptingOut

    def begin(self, session: int, negotiation: Negotiation, members: Sequence[str]) -> None:
        """Begin a session.

        Args:
            session: its number.
            negotiation: of this community; it is concluded here.
            members: who takes part.
        """
        self._session, self._negotiation, self._members = session, negotiation, members
        self._others, self._other = (), None
        self._counterpart.begin(session)

    def hear(self, envelope: Envelope, body: AnyBody) -> None:
        """Take what the other coordinator says.

        Raises:
            ProtocolError: it may not say this, or not any more.
        """
        self._counterpart.hear(envelope, body)

    def deadline(self, name: str) -> bool:
        """Go on without what did not come; whether the timer is this one's."""
        if name != TIMER:
            return False
        self._counterpart.deadline()
        return True

    # -- negotiation -----------------------------------------------------------------------------------

    @property
    def everybody(self) -> list[str]:
        """Members of both communities, this one's alone where the other was not heard."""
        parts = [list(self._members), list(self._others)]
        return [name for part in (parts if self._counterpart.leads else parts[::-1]) for name in part]

    def round_ended(self, answers: Answers, wait_s: float, then: Callable[[Answers], None]) -> None:
        """Bring a round together with the other community's.

        Args:
            answers: of this community.
            wait_s: how long the other's round may take [s].
            then: told the answers with what is known of the other.
        """
        if self._negotiation.number == 0:
            wait_s += self._timing.join_deadline_s
            self._tell(ALONE_STEP, answers.net_kwh, wait_s, lambda said: then(self._alone(answers, said)))
            return
        reports = self._negotiation.trades_across
        own = [
            Contract(0, 0, np.abs(trade.energy_kwh), trade.price_eur_per_kwh)
            for trades in reports.values()
            for trade in trades
        ]
        price = self._mechanism.propose((*answers.contracts, *own))
        self._tell(
            TRADES_STEP,
            answers.net_kwh,
            wait_s,
            lambda said: then(self._traded(answers, said)),
            price_eur_per_kwh=price.tolist(),
        )

    def conclude(self, then: Callable[[], None]) -> None:
        """Find out who is better off alone, step by step with the other community; then all is agreed."""
        negotiation = self._negotiation
        self._opting_out = OptingOut(
            negotiation.mechanism,
            negotiation.agreed_kwh,
            negotiation.positions_of(0),
            self._members,
            self._others,
        )
        self._look(0, (), then)

    def _look(self, passed: int, withdrawn: Sequence[str], then: Callable[[], None]) -> None:
        opting_out = self._opting_out
        if self._counterpart.lost:
            self._other = None
        changed = False
        if passed < self._mechanism.parameters.opt_out_passes:
            changed = opting_out.look(self._other, withdrawn)
        else:
            opting_out.cancel(self._other, withdrawn)
            if passed:
                self._conclude(then)
                return
        leaving = [self._members[index] for index in sorted(opting_out.leaving)]

        def go_on(said: CommunityStatement | None) -> None:
            self._note(said)
            gone = () if said is None else said.withdrawn
            denied = said is not None and passed == 0 and opting_out.confirm(said.contracts)
            if changed or denied or said is None or {*gone} != {*withdrawn}:
                self._look(passed + 1, gone, then)
            else:
                self._conclude(then)

        if self._other is None:
            if changed:
                self._look(passed + 1, (), then)
            else:
                self._conclude(then)
            return
        self._tell(
            OPT_OUT_STEP + passed,
            opting_out.positions_kwh,
            2 * self._timing.round_deadline_s,
            go_on,
            withdrawn=leaving,
            contracts={} if passed else opting_out.digests,
        )

    def _conclude(self, then: Callable[[], None]) -> None:
        self._negotiation.conclude(frozenset(self._opting_out.leaving), self._opting_out.clearing)
        then()

    def _alone(self, answers: Answers, said: CommunityStatement | None) -> Answers:
        self._note(said)
        if said is not None:
            self._others = said.members
            self._negotiation.others = list(said.members)
        return replace(answers, other=self._other)

    def _traded(self, answers: Answers, said: CommunityStatement | None) -> Answers:
        self._note(said)
        if said is None:
            return answers
        contracts, notes = contracts_across(
            self._negotiation.trades_across,
            self._counterpart.relayed(self._session),
            self._members,
            self._others,
            self._mechanism.tariff,
        )
        for note in notes:
            self._machine.do(Progress("disregarded", {"what": note}))
        return replace(answers, contracts=(*answers.contracts, *contracts), other=self._other)

    def _note(self, said: CommunityStatement | None) -> None:
        """Keep how the other community stands; None once it is lost."""
        if said is None:
            self._other = None
            return
        price = said.price_eur_per_kwh or [float("nan")] * len(said.demand_kwh)
        self._other = OtherCommunity(
            members=len(said.members),
            demand_kwh=np.array(said.demand_kwh),
            supply_kwh=np.array(said.supply_kwh),
            price_eur_per_kwh=np.array(price),
        )

    def _tell(
        self,
        step: int,
        net_kwh: Array,
        wait_s: float,
        then: Callable[[CommunityStatement | None], None],
        price_eur_per_kwh: Sequence[float] = (),
        withdrawn: Sequence[str] = (),
        contracts: Mapping[str, str] | None = None,
    ) -> None:
        demand, supply = aggregate(net_kwh)
        statement = CommunityStatement(
            session=self._session,
            step=step,
            members=list(self._members),
            demand_kwh=demand.tolist(),
            supply_kwh=supply.tolist(),
            price_eur_per_kwh=list(price_eur_per_kwh),
            withdrawn=list(withdrawn),
            contracts=dict(contracts or {}),
        )
        reports = self._negotiation.trades_across
        relayed = relayed_trades(self._session, reports, self._members) if step == TRADES_STEP else []
        self._counterpart.tell(statement, relayed, wait_s + 2 * self._timing.round_deadline_s, then)

    @property
    def _mechanism(self) -> Hybrid:
        mechanism = self._negotiation.mechanism
        assert isinstance(mechanism, Hybrid), "two communities trade by the hybrid mechanism"
        return mechanism

    # -- operation -------------------------------------------------------------------------------------

    def exchange(
        self,
        operation: Operation,
        then: Callable[[CounterpartSlot | None], None],
        put_off: Callable[[], None],
        later: Callable[[int, CounterpartSlot | None], None],
    ) -> None:
        """Bring a slot's metering together with the other community's.

        Args:
            operation: this community's slots.
            then: told what the other metered; None where this one is settled alone.
            put_off: called instead where only the other knows by now whether they trade in the slot.
            later: told then, before the session closes, the slot and what ``then`` is told else.
        """
        slot, leads = operation.slot, not self._counterpart.leads
        net_kwh, executable = operation.count()
        own = metered_exchange(self._session, operation.slot, net_kwh, executable)

        def metered(told: MeteredExchange | None) -> CounterpartSlot | None:
            return None if told is None else counterpart_slot(told, leads=leads)

        self._counterpart.exchange(
            own, lambda told: then(metered(told)), put_off, lambda told: later(slot, metered(told))
        )

    def close(self, then: Callable[[], None]) -> None:
        """Tell the other that all slots are settled, before this community's session is closed."""
        self._counterpart.close(then)

    def record(self, operation: Operation) -> CommunityRecord:
        """What is to be recorded of this community's session."""
        return CommunityRecord(
            name=self.own.name,
            coordinator=self.own.coordinator,
            members=list(self._members),
            local_price_eur_per_kwh=operation.local_price_eur_per_kwh,
            exchanges=operation.exchanges,
            unconfirmed_slots=self._counterpart.unconfirmed_slots,
        )

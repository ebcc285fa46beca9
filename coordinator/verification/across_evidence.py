"""What a coordinator's log says of another community: trades across, and slots settled with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Contract
from coordinator.settlement import CounterpartSlot
from coordinator.trades import ReportedTrade
from coordinator.two_communities.across import confirmed, contracts_across, counterpart_slot
from coordinator.two_communities.counterpart import TIMER
from coordinator.two_communities.doubt import told_traded
from coordinator.two_communities.heard import ALONE_STEP, OPT_OUT_STEP, TRADES_STEP, OtherTerms
from runtime.errors import ProtocolError
from runtime.messagelog.speakers import check_allowed
from runtime.protocol.bodies import Acknowledged, AnyBody, Reason
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.envelope import Envelope, Performative


@dataclass(slots=True)
class AcrossEvidence:
    """A session with another community, as one coordinator's log has it, in order.

    What the other says against the terms was refused, and counts for nothing here either.

    Attributes:
        terms: what the other coordinator can speak of; None where there is only one.
        others: the other community's members; none where its coordinator was not heard.
        withdrawn: of these, who went back to their plans alone.
        relayed: what these reported, by member.
        confirmed: digests of the contracts across that the other has.
        lost: whether this community goes on alone.
        traded: whether trades across were brought together.
        together: what the other metered, by slot, in slots settled with it.
    """

    terms: OtherTerms | None = None
    others: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    relayed: dict[str, RelayedTrades] = field(default_factory=dict)
    confirmed: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    traded: bool = False
    together: dict[int, MeteredExchange] = field(default_factory=dict)
    _agreed: bool = False
    _proposed: dict[int, MeteredExchange] = field(default_factory=dict)
    _accepting: tuple[str, int] | None = None
    _accepted: dict[str, MeteredExchange] = field(default_factory=dict)
    _statements: dict[int, CommunityStatement] = field(default_factory=dict)
    _stated: list[CommunityStatement] = field(default_factory=list)
    _own_steps: set[int] = field(default_factory=set)
    _unanswered: set[str] = field(default_factory=set)

    def timer(self, name: str) -> None:
        """A deadline passed: that for the other coordinator ends the session with it."""
        if name == TIMER:
            in_doubt = None if self.lost else self._accepting
            self._lose()
            self._accepting = in_doubt  # the other is to say yet whether it has settled that slot

    def agreement(self) -> None:
        """Members are told of the agreement: who is lost from now on has traded all the same."""
        self._agreed = True

    def received(self, envelope: Envelope, body: AnyBody) -> str | None:
        """The other coordinator says something; how that contradicts what it said before, if it does."""
        terms = self.terms
        if terms is None or envelope.sender.partition("@")[0] != terms.part.coordinator:
            return None
        try:
            check_allowed(envelope, body.type)
            terms.check(envelope, body)
        except ProtocolError:
            return None  # refused: it shows nothing
        if self.lost:
            self._clear_doubt(envelope, body)
        else:
            self._take(envelope, body)
        return self._contradiction(body) if isinstance(body, CommunityStatement) else None

    def _take(self, envelope: Envelope, body: AnyBody) -> None:
        match body:
            case CommunityStatement():
                self._statements.setdefault(body.step, body)
                self._bring_together(body.step)
            case RelayedTrades():
                self.relayed.setdefault(body.member, body)
            case MeteredExchange():
                if envelope.performative is Performative.PROPOSE:
                    self._confirm_before(body.slot)
                    self._proposed.setdefault(body.slot, body)
                else:
                    self._accepted[envelope.message_id] = body
            case ExchangeClosed():
                self._confirm_before(max(body.slots, default=-1) + 1)
                if self._accepting is not None:
                    self._lose()
            case ExchangeEnded():
                self._confirm_before(body.slot)
                self._lose()
            case Acknowledged():
                self._unanswered.discard(envelope.in_reply_to or "")
                if self._accepting is not None and envelope.in_reply_to == self._accepting[0]:
                    self._confirm_before(self._accepting[1] + 1)
            case Reason() if envelope.in_reply_to in self._unanswered:
                self._lose()

    def sent(self, envelope: Envelope, body: AnyBody) -> None:
        """This coordinator says something to the other."""
        if self.terms is None or envelope.recipient.partition("@")[0] != self.terms.part.coordinator:
            return
        if envelope.expects_reply:
            self._unanswered.add(envelope.message_id)
        match body:
            case CommunityStatement():
                self._own_steps.add(body.step)
                self._bring_together(body.step)
            case MeteredExchange() if envelope.performative is Performative.ACCEPT_PROPOSAL:
                self._accepting = (envelope.message_id, body.slot)
            case Acknowledged() if (accepted := self._accepted.get(envelope.in_reply_to or "")) is not None:
                self.together[accepted.slot] = accepted
            case ExchangeEnded():
                self.lost = True

    def contracts(
        self, reports: dict[str, list[ReportedTrade]], members: list[str], tariff: CommunityTariff
    ) -> list[Contract]:
        """Contracts across that were agreed on, indices of the other's members after this one's.

        Args:
            reports: what this community's members reported across.
            members: of this community.
            tariff: the community's tariff.
        """
        if not self.traded:
            return []
        found, _ = contracts_across(reports, self.relayed.values(), members, self.others, tariff)
        everybody = [*members, *self.others]
        found = confirmed(found, everybody, len(members), self.confirmed)
        gone = {*self.withdrawn}
        return [each for each in found if not {everybody[each.seller], everybody[each.buyer]} & gone]

    def counterpart(self, slot: int) -> CounterpartSlot | None:
        """What the other community metered in a slot settled with it; None where it was settled alone."""
        told = self.together.get(slot)
        if told is None or self.terms is None:
            return None
        return counterpart_slot(told, leads=not self.terms.proposes)

    def _contradiction(self, body: CommunityStatement) -> str | None:
        """How a statement contradicts an earlier one of the session, which an honest one never does.

        That it names other members is told once; of statements made then either may be the true one.
        """
        told, self._stated = self._stated, [*self._stated, body]
        if any(each.step == body.step and each != body for each in told):
            return f"step {body.step} was told otherwise before: the first statement counts"
        if told and {tuple(each.members) for each in told} == {tuple(told[0].members)} != {
            tuple(body.members)
        }:
            now, before = (", ".join(each.members) or "no member" for each in (body, told[0]))
            return f"names {now}, though step {told[0].step} named {before}"
        return None

    def _bring_together(self, step: int) -> None:
        """Take the other's statement of a step once both have told theirs."""
        if self.lost or step not in self._own_steps or step not in self._statements:
            return
        statement = self._statements[step]
        if step == ALONE_STEP:
            self.others = list(statement.members)
        self.traded |= step >= TRADES_STEP
        if step == OPT_OUT_STEP:
            self.confirmed = dict(statement.contracts)
        if step >= OPT_OUT_STEP:
            self.withdrawn = list(statement.withdrawn)

    def _clear_doubt(self, envelope: Envelope, body: AnyBody) -> None:
        """A slot that was put off is settled by what the other says of it."""
        if self._accepting is None:
            return
        acceptance, slot = self._accepting
        traded = told_traded(self._proposed[slot].session, slot, acceptance, envelope, body)
        if traded:
            self.together[slot] = self._proposed[slot]
        if traded is not None:
            self._accepting = None

    def _confirm_before(self, slot: int) -> None:
        """The other has settled all slots before this one."""
        if self._accepting is not None and self._accepting[1] < slot:
            accepted = self._accepting[1]
            self.together[accepted] = self._proposed[accepted]
            self._accepting = None

    def _lose(self) -> None:
        self.lost = True
        self._accepting = None
        self.traded &= self._agreed

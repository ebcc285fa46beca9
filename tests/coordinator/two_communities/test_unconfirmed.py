"""A slot that one of two communities settled as traded, settled anew: what the session shared out too."""

from __future__ import annotations

from decimal import Decimal

from coordinator.settlement import ENTERED_AT_THE_END, sharing
from coordinator.two_communities.unconfirmed import not_traded
from runtime.protocol.bodies import parse_body
from runtime.protocol.community_bodies import MeteredExchange
from runtime.protocol.envelope import Envelope
from runtime.records import SessionRecord
from runtime.rundir import COORDINATORS
from tests.machines.network import Network
from tests.machines.two_communities import TwoCommunities


class CutAfterTheFirstAcceptance(Network):
    """Coordinators hear each other until the first slot is accepted, and no more."""

    accepted = False

    def _post(self, envelope: Envelope) -> None:
        between = {each.partition("@")[0] for each in (envelope.sender, envelope.recipient)}
        if between == {*COORDINATORS} and self.accepted:
            return
        self.accepted |= envelope.in_reply_to is not None and isinstance(
            parse_body(envelope.body), MeteredExchange
        )
        super()._post(envelope)


def shared_session() -> SessionRecord:
    """The second's record: slot 0 settled with the first, the rest alone, and all of it shared out."""
    _, second = TwoCommunities(3, members=5, slots=4).run_both(CutAfterTheFirstAcceptance())
    (session,) = second.sessions
    (part,) = session.communities
    assert [each.slot for each in part.exchanges] == [0]
    shared = sharing(session.session, 3, second.members, session.ledger)
    assert shared
    return session.model_copy(update={"shared_by_day": True, "ledger": [*session.ledger, *shared]})


def test_what_is_shared_out_is_shared_anew_and_everybody_has_the_same_prices() -> None:
    session = shared_session()
    anew = not_traded(session, 0)
    kinds = [entry.kind for entry in anew.ledger if entry.kind in ENTERED_AT_THE_END]
    assert {*kinds} == {"sharing"}
    taken, given, paid = ({bill.member: Decimal(0) for bill in anew.bills} for _ in range(3))
    cost = revenue = Decimal(0)
    for entry in anew.ledger:
        if entry.kind == "contract":
            continue
        paid[entry.member] += entry.paid_eur(entry.member)
        if entry.kind in ("local-purchase", "grid-import"):
            taken[entry.member] += entry.energy_kwh
        elif entry.kind in ("local-sale", "grid-export"):
            given[entry.member] += entry.energy_kwh
        cost += entry.amount_eur if entry.kind == "grid-import" else 0
        revenue += entry.amount_eur if entry.kind == "grid-export" else 0
    per_kwh_taken = cost / (sum(taken.values()) or 1)
    per_kwh_given = revenue / (sum(given.values()) or 1)
    for member, amount in paid.items():
        expected = per_kwh_taken * taken[member] - per_kwh_given * given[member]
        assert abs(amount - expected) < Decimal("1e-15"), member
    assert sum(bill.exact_of("sharing") for bill in anew.bills) == 0

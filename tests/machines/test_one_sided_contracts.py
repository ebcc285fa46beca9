"""Two communities that lose each other as they agree: one has contracts across that the other has not."""

from __future__ import annotations

import pytest

from runtime.protocol.bodies import parse_body
from runtime.protocol.community_bodies import CommunityStatement
from runtime.protocol.envelope import Envelope
from runtime.records import SessionRecord
from runtime.results.ledger import check_ledger
from tests.machines.two_communities import CutNetwork, TwoCommunities, joined

SLOTS = 6


def has_contracts_across(session: SessionRecord) -> bool:
    return any(not {each.seller, each.buyer} <= session.agreed_net_kwh.keys() for each in session.contracts)


@pytest.mark.parametrize("seed", [2, 4])
@pytest.mark.parametrize("deaf", [0, 1])
def test_contracts_that_one_side_alone_has_change_nothing_that_is_settled(deaf: int, seed: int) -> None:
    """The one never hears that the other has looked at who opts out, and agrees on no contracts across.

    Where a member metered less than all that it had agreed on, those across take nothing from those inside.
    """
    community = TwoCommunities(seed, members=5, slots=SLOTS, sessions=1)

    def cut(envelope: Envelope) -> bool:
        body = parse_body(envelope.body)
        heard = envelope.recipient.partition("@")[0] == community.coordinators[deaf]
        return heard and isinstance(body, CommunityStatement) and body.step >= 2

    books = community.run_both(CutNetwork(cut=cut))
    assert [has_contracts_across(book.sessions[0]) for book in books] == [deaf == 1, deaf == 0]
    record = joined(community, books)
    assert [part.exchanges for part in record.sessions[0].communities] == [[], []]
    check_ledger(record)

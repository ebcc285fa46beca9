"""What tells a coordinator whether the other has settled a slot with it, and what does not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.session import MarketMachine
from coordinator.two_communities.counterpart import Counterpart
from coordinator.two_communities.heard import Heard, OtherTerms
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Acknowledged, AnyBody
from runtime.protocol.community_bodies import ExchangeClosed, ExchangeEnded, MeteredExchange, RelayedTrades
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import COORDINATOR, SECOND_COORDINATOR
from tests.machines.communities import DOMAIN
from tests.machines.two_communities import TwoCommunities

FIRST, SECOND = f"{COORDINATOR}@{DOMAIN}", f"{SECOND_COORDINATOR}@{DOMAIN}"
SLOTS = 6


def metered(slot: int, session: int = 0) -> MeteredExchange:
    return MeteredExchange(
        session=session, slot=slot, demand_kwh=Decimal(1), supply_kwh=Decimal(0), contracts=[]
    )


class InDoubt:
    """The first of two coordinators, which has accepted slot 3 and was told nothing in time."""

    def __init__(self) -> None:
        config = TwoCommunities(2, members=4, slots=SLOTS, sessions=2).coordinator_config
        self.told: list[MeteredExchange | None] = []
        self._messages = 0
        machine = MarketMachine(config, FIRST, Path("coordinator.json"))
        self.first = Counterpart(machine, config, config.communities[0])
        self.first.begin(0)
        self.hear(metered(3), Performative.PROPOSE)
        put_off: list[bool] = []
        self.first.exchange(metered(3), self.told.append, lambda: put_off.append(True), self.told.append)
        self.first.deadline()
        assert put_off == [True]
        assert self.told == []
        doubt = self.first._doubt
        assert doubt is not None
        self.acceptance = doubt.acceptance

    def hear(self, body: AnyBody, performative: Performative, in_reply_to: str | None = None) -> None:
        self._messages += 1
        envelope = Envelope(
            SECOND,
            FIRST,
            performative,
            "communities",
            "session-0",
            str(self._messages),
            "",
            in_reply_to=in_reply_to,
        )
        self.first.hear(envelope, body)


@pytest.mark.parametrize(
    ("body", "performative", "reason"),
    [
        (metered(SLOTS), Performative.PROPOSE, "slot 6 is none of 6"),
        (metered(4), Performative.ACCEPT_PROPOSAL, "the other is to propose an exchange"),
        (metered(4, session=2), Performative.PROPOSE, "session 2 is none of 2"),
        (ExchangeClosed(session=0, slots=[0, 3, 6]), Performative.INFORM, "slot 6 is none of 6"),
        (ExchangeClosed(session=2, slots=[3]), Performative.INFORM, "session 2 is none of 2"),
        (ExchangeEnded(session=0, slot=8, reason="x"), Performative.CANCEL, "slot 7 is none of 6"),
        (ExchangeEnded(session=2, slot=1, reason="x"), Performative.CANCEL, "session 2 is none of 2"),
    ],
)
def test_what_is_not_in_order_is_refused_and_settles_nothing(
    body: AnyBody, performative: Performative, reason: str
) -> None:
    case = InDoubt()
    with pytest.raises(ProtocolError, match=reason):
        case.hear(body, performative)
    assert case.told == []
    assert case.first.exchanged_slots == []
    case.hear(Acknowledged(), Performative.CONFIRM, case.acceptance)
    assert case.told == [metered(3)]


def test_what_comes_too_late_to_be_taken_is_refused_and_still_tells_that_the_slot_was_settled() -> None:
    case = InDoubt()
    with pytest.raises(ProtocolError, match="goes on, or is over, without the other community"):
        case.hear(metered(4), Performative.PROPOSE)
    assert case.told == [metered(3)]
    assert case.first.exchanged_slots == [3]


@pytest.mark.parametrize(("slots", "told"), [([0, 1, 2, 3], [metered(3)]), ([0, 1, 2], [None])])
def test_the_close_tells_whether_the_slot_was_settled(
    slots: list[int], told: list[MeteredExchange | None]
) -> None:
    case = InDoubt()
    case.hear(ExchangeClosed(session=0, slots=slots), Performative.INFORM)
    assert case.told == told


def test_an_end_after_the_last_slot_is_in_order() -> None:
    case = InDoubt()
    case.hear(ExchangeEnded(session=0, slot=SLOTS, reason="was not heard in time"), Performative.CANCEL)
    assert case.told == [metered(3)]


def test_of_two_proposals_of_a_slot_the_first_counts() -> None:
    config = TwoCommunities(2, members=4, slots=SLOTS, sessions=1).coordinator_config
    heard = Heard()
    assert OtherTerms.of(config, config.communities[0]).proposes
    assert not OtherTerms.of(config, config.communities[1]).proposes
    envelope = Envelope(SECOND, FIRST, Performative.PROPOSE, "communities", "session-0", "1", "")
    heard.take_proposal(envelope, metered(3))
    more = metered(3).model_copy(update={"supply_kwh": Decimal(5)})
    with pytest.raises(ProtocolError, match="slot 3 is proposed: the first proposal counts"):
        heard.take_proposal(envelope, more)
    assert heard.proposals[0, 3] == (envelope, metered(3))


def test_of_two_reports_of_a_members_trades_across_the_first_counts() -> None:
    heard = Heard()
    heard.take_relayed(RelayedTrades(session=0, member="house-1", trades=[]))
    with pytest.raises(ProtocolError, match="house-1's trades are relayed: the first ones count"):
        heard.take_relayed(RelayedTrades(session=0, member="house-1", trades=[]))
    heard.take_relayed(RelayedTrades(session=1, member="house-1", trades=[]))

"""Two communities whose coordinators do not hear each other: for a moment, for a while, or any more."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from coordinator.session import MarketMachine
from runtime.protocol.bodies import BillLine, parse_body
from runtime.protocol.community_bodies import ExchangeEnded, MeteredExchange
from runtime.protocol.envelope import Envelope, Performative
from runtime.results.ledger import check_ledger
from runtime.results.summary import notices
from runtime.rundir import COORDINATOR, SECOND_COORDINATOR
from tests.machines.communities import DOMAIN
from tests.machines.two_communities import (
    FULL_TERMS,
    CutNetwork,
    TwoCommunities,
    assert_nobody_pays_more_than_at_the_grid,
    calm,
    joined,
)

NO_FIGURES = {"run": {"members": {}, "community": {"members_worse_off": 0}}}


def test_a_coordinator_that_never_hears_the_other_goes_on_alone() -> None:
    community = TwoCommunities(2, members=5, slots=6, sessions=2)
    record = joined(community, community.run_both(CutNetwork(cut=lambda _: True)))
    check_ledger(record)
    for session in record.sessions:
        assert [part.exchanges for part in session.communities] == [[], []]
        first = {*session.communities[0].members}
        assert session.contracts
        assert all((each.seller in first) == (each.buyer in first) for each in session.contracts)
        assert_nobody_pays_more_than_at_the_grid(session)


@pytest.mark.parametrize("silent", [COORDINATOR, SECOND_COORDINATOR, "both"])
@pytest.mark.parametrize("slot", [0, 3])
def test_who_falls_silent_at_a_slot_is_gone_without_for_the_rest_of_the_session(
    silent: str, slot: int
) -> None:
    """All that it says is lost from there on: slots before are settled together, those after alone."""

    def cut(envelope: Envelope) -> bool:
        body = parse_body(envelope.body)
        if isinstance(body, MeteredExchange) and (body.session, body.slot) == (0, slot):
            began.add(envelope.message_id)
        if getattr(body, "session", 0) or not began:
            return False
        return silent == "both" or envelope.sender.startswith(f"{silent}@")

    began: set[str] = set()
    community = TwoCommunities(2, members=5, slots=6, sessions=2)
    network = CutNetwork(cut=cut)
    record = joined(community, community.run_both(network))
    check_ledger(record)
    first, second = record.sessions
    for part in first.communities:
        assert [each.slot for each in part.exchanges] == list(range(slot))
    for part in second.communities:
        assert [each.slot for each in part.exchanges] == list(range(6)), "the next session begins anew"
    assert any(isinstance(parse_body(each.body), ExchangeEnded) for each in network.sent)
    for session in record.sessions:
        assert_nobody_pays_more_than_at_the_grid(session)


def test_a_confirmation_that_is_lost_is_made_good_by_what_the_other_says_later() -> None:
    def cut(envelope: Envelope) -> bool:
        return (
            envelope.performative is Performative.CONFIRM
            and envelope.sender.startswith(f"{SECOND_COORDINATOR}@")
            and envelope.in_reply_to in acceptances
        )

    community = TwoCommunities(2, members=5, slots=6, sessions=2)
    network = CutNetwork(cut=cut)
    acceptances: set[str] = set()
    post = network._post

    def noting(envelope: Envelope) -> None:
        if isinstance(parse_body(envelope.body), MeteredExchange) and envelope.in_reply_to is not None:
            acceptances.add(envelope.message_id)
        post(envelope)

    network._post = noting  # type: ignore[method-assign]
    record = joined(community, community.run_both(network))
    assert acceptances
    assert record.sessions == calm(2).sessions


@dataclass
class Severed(CutNetwork):
    """The coordinators are cut off from each other once one slot was accepted, until ``healed`` says so.

    Attributes:
        slot: of session 0.
        arrives: whether the acceptance still does: then the second has settled the slot, and the first knows
            nothing of it.
        healed: whether the connection is back.
        lines: bill lines that members got, by member, session and slot.
    """

    slot: int = 3
    arrives: bool = True
    healed: Callable[[Severed], bool] = lambda _: False
    began: bool = False
    is_back: bool = False
    lines: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.cut = self._is_cut

    def _is_cut(self, envelope: Envelope) -> bool:
        body = parse_body(envelope.body)
        is_acceptance = isinstance(body, MeteredExchange) and envelope.in_reply_to is not None
        if not self.began and is_acceptance and (body.session, body.slot) == (0, self.slot):
            self.began = True
            return not self.arrives
        self.is_back |= self.began and self.healed(self)
        return self.began and not self.is_back

    def _deliver(self, envelope: Envelope) -> None:
        body, node = parse_body(envelope.body), self.nodes[envelope.recipient]
        if isinstance(body, BillLine) and not node.finished:
            self.lines[envelope.recipient.partition("@")[0], body.session, body.slot] += 1
        super()._deliver(envelope)

    def machine(self, account: str) -> MarketMachine:
        machine = self.nodes[f"{account}@{DOMAIN}"].machine
        assert isinstance(machine, MarketMachine)
        return machine


def first_is_past(slot: int) -> Callable[[Severed], bool]:
    return lambda network: network.machine(COORDINATOR).operation.slot > slot


WHEN_HEALED: dict[str, Callable[[Severed], bool]] = {
    "while the first waits": lambda network: network.now_s > 100.0,
    "a slot later": first_is_past(4),
    "at the close of the first": lambda network: network.machine(COORDINATOR).operation.passed,
    "long after": lambda network: network.machine(COORDINATOR).operation.passed and network.now_s > 1000.0,
}


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize(("slot", "sessions"), [(0, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("when", WHEN_HEALED)
def test_a_cut_between_acceptance_and_confirmation_leaves_the_same_books_once_it_is_over(
    when: str, slot: int, arrives: bool, sessions: int
) -> None:
    if slot == 5 and when == "a slot later":
        when = "at the close of the first"
    community = TwoCommunities(2, members=5, slots=6, sessions=sessions, grid=FULL_TERMS)
    network = Severed(slot=slot, arrives=arrives, healed=WHEN_HEALED[when])
    record = joined(community, community.run_both(network))
    assert network.is_back
    check_ledger(record)
    session = record.sessions[0]
    if when != "while the first waits":
        together = list(range(slot + 1 if arrives else slot))
        assert [[each.slot for each in part.exchanges] for part in session.communities] == [together] * 2
    assert [part.unconfirmed_slots for part in session.communities] == [[], []]
    every = {(name, number, at) for name in record.members for number in range(sessions) for at in range(6)}
    assert {*network.lines} == every, "each slot was settled with every member, the one put off too"
    slots = [entry.slot for entry in session.ledger if entry.kind != "demand-charge"]
    assert slots == sorted(slots)


def test_cut_off_from_the_confirmation_on_for_good_the_slot_is_settled_as_not_traded() -> None:
    """What no protocol can rule out: the first never learns that the second has settled with it."""
    community = TwoCommunities(2, members=5, slots=6, grid=FULL_TERMS)
    network = Severed(slot=3)
    first, second = community.run_both(network)
    assert [len(each.sessions[0].communities[0].exchanges) for each in (first, second)] == [3, 4]
    assert first.sessions[0].communities[0].unconfirmed_slots == [3]
    record = joined(community, [first, second])
    check_ledger(record)
    session = record.sessions[0]
    for part in session.communities:
        assert [each.slot for each in part.exchanges] == [0, 1, 2]
        assert part.unconfirmed_slots == [3]
    assert_nobody_pays_more_than_at_the_grid(session)
    told = {bill.member: bill.exact_eur for each in (first, second) for bill in each.sessions[0].bills}
    now = {bill.member: bill.exact_eur for bill in session.bills}
    changed = {name for name in record.members if now[name] != told[name]}
    assert changed
    assert changed <= {*second.members}
    said = [text for text in notices(record, NO_FIGURES) if "not traded" in text]
    assert len(said) == 1
    # The same as if neither had ever traded in it.
    network = Severed(slot=3, arrives=False)
    other = TwoCommunities(2, members=5, slots=6, grid=FULL_TERMS)
    assert [each.ledger for each in joined(other, other.run_both(network)).sessions] == [session.ledger]


@pytest.mark.parametrize("seed", range(12))
def test_whenever_the_coordinators_are_cut_off_for_a_while_their_books_are_the_same(seed: int) -> None:
    """Any message may be the last before the cut, and any time may pass until it is over."""
    rng = random.Random(seed)
    begin, length_s = rng.randrange(20, 120), rng.choice([10.0, 60.0, 400.0, 700.0, 900.0])
    between = 0
    until_s = float("inf")

    def cut(envelope: Envelope) -> bool:
        nonlocal between, until_s
        between += 1
        if between == begin:
            until_s = network.now_s + length_s
        return between >= begin and network.now_s < until_s

    community = TwoCommunities(seed, members=4, slots=6, sessions=2)
    network = CutNetwork(rng, cut=cut)
    record = joined(community, community.run_both(network))
    check_ledger(record)
    for session in record.sessions:
        assert not any(part.unconfirmed_slots for part in session.communities)
        assert_nobody_pays_more_than_at_the_grid(session)

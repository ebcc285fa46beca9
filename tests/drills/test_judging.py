"""What counts as lost, done twice, or changed without a rule: on a session's record, changed by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from runtime.configuration import ClockConfig
from runtime.drills.drill import Case, excused, failures_of, nodes_left_alone, slowed, strangers_in
from runtime.drills.faults import FAULTS, chosen_faults
from runtime.drills.judging import Judgement, done_twice_or_lost, explained
from runtime.drills.moments import Moment, draw_moment
from runtime.drills.table import drill_lines
from runtime.errors import InputError, PeerwattError
from runtime.records import CoordinatorRecord, SessionRecord
from tests.machines.communities import Community
from tests.machines.two_communities import TwoCommunities

SLOT, MEMBER = 2, "m1"


@pytest.fixture(scope="module")
def undisturbed() -> CoordinatorRecord:
    return Community(3).run()[0]


def changed(record: CoordinatorRecord, **update: object) -> CoordinatorRecord:
    session = record.sessions[0].model_copy(update=update)
    return record.model_copy(update={"sessions": [session]})


def delivered(session: SessionRecord, quality: str, net_kwh: Decimal | None = None) -> CoordinatorRecord:
    """The session with another delivery of one member in one slot."""
    agreed_kwh = Decimal(repr(session.agreed_net_kwh[MEMBER][SLOT]))
    deliveries = [
        each.model_copy(
            update={"quality": quality, "net_kwh": agreed_kwh if net_kwh is None else net_kwh, "meters": []}
        )
        if (each.slot, each.member) == (SLOT, MEMBER)
        else each
        for each in session.deliveries
    ]
    return CoordinatorRecord.model_construct(sessions=[session.model_copy(update={"deliveries": deliveries})])


def test_the_undisturbed_run_has_all_once(undisturbed: CoordinatorRecord) -> None:
    assert [*done_twice_or_lost(undisturbed, undisturbed)] == []
    assert explained(undisturbed, undisturbed) == ([], [])


def test_a_settlement_that_is_lost_or_done_twice_is_named(undisturbed: CoordinatorRecord) -> None:
    session = undisturbed.sessions[0]
    lost = changed(undisturbed, bills=session.bills[1:])
    assert [*done_twice_or_lost(lost, undisturbed)] == [
        "session 1 bill of m0: settled 0 times, expected once"
    ]
    twice = changed(undisturbed, deliveries=[*session.deliveries, session.deliveries[0]])
    assert [*done_twice_or_lost(twice, undisturbed)] == [
        "session 1 slot 0 of m0: settled 2 times, expected once"
    ]
    assert len([*done_twice_or_lost(undisturbed, lost)]) == 1


def test_a_missing_delivery_is_settled_as_agreed_or_it_is_wrong(undisturbed: CoordinatorRecord) -> None:
    session = undisturbed.sessions[0]
    ruled, wrong = explained(delivered(session, "missing"), undisturbed)
    assert (ruled, wrong) == ([f"{MEMBER} without delivery in slot {SLOT}: settled as agreed"], [])
    _, wrong = explained(delivered(session, "missing", Decimal("9.5")), undisturbed)
    assert len(wrong) == 1
    assert "settled at 9.5 kWh" in wrong[0]


def test_another_ledger_in_a_slot_in_which_all_delivered_is_wrong(undisturbed: CoordinatorRecord) -> None:
    session = undisturbed.sessions[0]
    ledger = [each for each in session.ledger if not (each.slot == 4 and each.member == MEMBER)]
    assert len(ledger) < len(session.ledger)
    _, wrong = explained(changed(undisturbed, ledger=ledger), undisturbed)
    assert wrong == ["slot 4 was settled otherwise, though all delivered in it"]


def test_a_late_member_keeps_its_position_or_it_is_wrong(undisturbed: CoordinatorRecord) -> None:
    session = undisturbed.sessions[0]
    last = session.rounds[-1]
    kept = session.rounds[-2].net_kwh[MEMBER]
    agreed = {**session.agreed_net_kwh, MEMBER: kept}
    for position_kwh, right in ((kept, True), ([each + 1.0 for each in kept], False)):
        late = last.model_copy(update={"late": [MEMBER], "net_kwh": {**last.net_kwh, MEMBER: position_kwh}})
        disturbed = changed(undisturbed, rounds=[*session.rounds[:-1], late], agreed_net_kwh=agreed)
        ruled, wrong = explained(disturbed, undisturbed)
        assert bool(ruled) is right
        assert bool(wrong) is not right


def test_the_rules_hold_in_sessions_after_one_that_differs() -> None:
    """What an earlier session leaves to a later one changes it, but not how who is missing is settled."""
    calm = Community(3, sessions=2).run()[0]
    first, second = calm.sessions
    (disturbed,) = delivered(first, "missing").sessions
    moved = {**second.agreed_net_kwh, "m0": [1.0] * second.horizon.slots}
    for net_kwh, right in ((None, True), (Decimal("9.5"), False)):
        (missing,) = delivered(second, "missing", net_kwh).sessions
        later = missing.model_copy(update={"agreed_net_kwh": moved})
        record = CoordinatorRecord.model_construct(sessions=[disturbed, later])
        ruled, wrong = explained(record, calm)
        if right:
            places = [f"session {number}: {MEMBER} without delivery in slot {SLOT}" for number in (1, 2)]
            assert (ruled, wrong) == ([f"{place}: settled as agreed" for place in places], [])
        else:
            assert ruled == []
            assert len(wrong) == 1
            assert wrong[0].startswith(f"session 2: {MEMBER} without delivery in slot {SLOT}: settled at 9.5")


def test_another_agreement_without_a_late_member_is_wrong(undisturbed: CoordinatorRecord) -> None:
    session = undisturbed.sessions[0]
    agreed = {**session.agreed_net_kwh, MEMBER: [9.0] * session.horizon.slots}
    _, wrong = explained(changed(undisturbed, agreed_net_kwh=agreed), undisturbed)
    assert wrong == ["what was agreed differs, though no member was late in a round"]


def judgement(ledger: str, differences: list[str], findings: list[str] | None = None) -> Judgement:
    return Judgement(3, Decimal("1.50"), [], [], [], 1, 2, ledger, differences, findings or [])  # type: ignore[arg-type]


def test_a_rule_excuses_only_what_was_really_lost() -> None:
    by_rule = judgement("by rule", ["m1 late"])
    assert failures_of(by_rule, may_lose=True) == []
    assert failures_of(by_rule, may_lose=False) == ["nothing was to be lost, but m1 late"]
    assert failures_of(judgement("wrong", ["x"]), may_lose=True) == ["x"]
    assert failures_of(judgement("equal", [], ["chain"]), may_lose=True) == ["verify: chain"]


def test_the_table_says_what_came_of_each_fault() -> None:
    moment = Moment(phase="operating", session=0, number=4, delay_s=0.02)
    good = Case("kill-member", moment, "home", {"home": 1}, False, None, judgement("equal", []), [])
    bad = Case("kill-fleet", moment, "", {}, True, "killed", None, ["no results"])
    lines = drill_lines(judgement("equal", []), [good, bad])
    assert lines[2].split() == [
        *("kill-member", "(home)", "slot", "4", "+20", "ms", "home", "1", "2", "3", "–", "–", "–", "–"),
        *("1.50", "equal", "proven"),
    ]
    assert "all, by resume" in lines[3]
    assert lines[-3:] == [
        "kill-fleet, operating: broken off: killed",
        "FAILED kill-fleet, operating: no results",
        "1 of 2 faults did harm",
    ]
    assert drill_lines(judgement("equal", []), [good])[-1] == "1 fault: nothing lost, nothing done twice"


def test_a_rule_may_be_applied_to_the_member_that_was_hit_alone() -> None:
    here = replace(judgement("by rule", ["m1 late"]), late=["m1 round 2"], missing=["m1 slot 3", "m2 slot 3"])
    assert strangers_in(here, "m1") == ["m2 slot 3: missing, though m1 alone was hit"]


def test_moments_are_seeded_and_fall_within_their_phase() -> None:
    steps = [(session, number) for session in range(2) for number in range(12)]
    drawn = [draw_moment(steps, "operating", random.Random(seed)) for seed in range(40)]
    assert drawn == [draw_moment(steps, "operating", random.Random(seed)) for seed in range(40)]
    assert len({(each.session, each.number) for each in drawn}) > 5
    assert all(each.number > 0 for each in drawn)
    assert draw_moment([(0, 0)], "negotiating", random.Random(1)).number == 0
    with pytest.raises(PeerwattError, match="no slot"):
        draw_moment([], "operating", random.Random(1))


def test_a_fault_of_nodes_that_hit_too_few_of_them_is_named() -> None:
    restarts = {"xmpp server 2": 3, "house": 1}
    assert nodes_left_alone(restarts, 1) == []
    assert nodes_left_alone(restarts, 0) == []
    (named,) = nodes_left_alone(restarts, 2)
    assert named.startswith("found 1 of 2 nodes started again")


def test_slots_are_slowed_where_a_node_needs_time_and_only_there() -> None:
    assert slowed(ClockConfig(), 15, 3.0) == ClockConfig(kind="real-time", speed=300.0)
    assert slowed(ClockConfig(kind="real-time", speed=3000.0), 15, 3.0).speed == 300.0
    for slow in (ClockConfig(kind="real-time", speed=100.0), ClockConfig(kind="live")):
        assert slowed(slow, 15, 3.0) == slow


def test_nodes_are_hit_early_so_that_the_market_goes_on_after_it() -> None:
    steps = [(0, number) for number in range(12)]
    for name in ("kill-node", "netsplit", "restart-nodes"):
        drawn = [FAULTS[name].moment(steps, "operating", random.Random(seed)) for seed in range(20)]
        assert {each.number for each in drawn} <= {1, 2}
        assert FAULTS[name].nodes_restarted(3) == {"kill-node": 1, "netsplit": 2, "restart-nodes": 3}[name]


def test_faults_are_chosen_by_name() -> None:
    assert [fault.name for fault in chosen_faults("all")] == [*FAULTS]
    assert [fault.name for fault in chosen_faults("silent, kill-member,silent")] == ["silent", "kill-member"]
    for wrong in ("fire", "", "kill-member,all"):
        with pytest.raises(InputError, match=r"--faults: found .* expected some of kill-member"):
            chosen_faults(wrong)


def test_communities_that_lost_each_other_are_settled_alone_by_rule() -> None:
    calm = TwoCommunities(2, members=5, slots=6).run()[0]
    session = calm.sessions[0]
    parts = [
        part.model_copy(update={"exchanges": [each for each in part.exchanges if each.slot != SLOT]})
        for part in session.communities
    ]
    ledger = [each for each in session.ledger if each.slot != SLOT]
    ruled, wrong = explained(changed(calm, communities=parts, ledger=ledger), calm)
    assert (ruled, wrong) == ([f"each community settled alone in slots {SLOT}"], [])
    _, wrong = explained(changed(calm, ledger=ledger), calm)
    assert wrong == [f"slot {SLOT} was settled otherwise, though all delivered in it"]


def test_only_what_coordinators_said_to_each_other_may_be_lost_for_good() -> None:
    lost = "not-received: propose '45' of now from coordinator2@x to coordinator@x: sent, not received"
    other = "not-received: inform '4' of now from coordinator@x to m1@x: sent, not received"
    found = excused(judgement("by rule", ["alone"], [lost, other]))
    assert found.findings == [other]
    assert found.differences == ["alone", "1 message lost for good"]
    assert excused(judgement("equal", [])).differences == []

"""Rolling horizons in whole communities: stored energy goes on, every slot is settled once, plans go on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.indicators.command import indicators
from coordinator.verification.command import verification
from runtime.records import CoordinatorRecord, MemberRecord
from tests.machines.communities import Community
from tests.machines.logged import leave_behind
from tests.machines.restarting import run_with_power_cuts
from tests.machines.rolling import rolling

MECHANISMS = ["admm", "mid-market-rate", "double-auction", "bilateral", "coordinated", "grid-only"]


def paid_eur(record: CoordinatorRecord) -> Decimal:
    return sum((bill.exact_eur for session in record.sessions for bill in session.bills), Decimal(0))


def with_soft_ends(community: Community) -> Community:
    """Every battery optimised, with an end that a session can reach from wherever it begins."""
    for number, config in enumerate(community.member_configs):
        battery = config.battery and config.battery.model_copy(update={"soc_end_min": config.battery.soc_min})
        changes = {"strategy": "optimised", "battery": battery}
        community.member_configs[number] = config.model_copy(update=changes)
    return community


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_slot_is_settled_once_and_the_battery_goes_on_where_it_was(mechanism: str) -> None:
    community = rolling(5, members=4, mechanism=mechanism)
    record, members = community.run()
    assert [session.horizon.slots for session in record.sessions] == [3, 3, 3, 3]
    assert [session.planned_horizon and session.planned_horizon.slots for session in record.sessions] == [
        8, 8, 6, 3,
    ]  # fmt: skip
    starts = [session.horizon.slot_start(slot) for session in record.sessions for slot in range(3)]
    assert starts == [community.horizons[0].slot_start(slot) for slot in range(12)]
    for session in record.sessions:
        settled = [(delivery.slot, delivery.member) for delivery in session.deliveries]
        assert settled == [(slot, name) for slot in range(3) for name in record.members]
        assert {entry.slot for entry in session.ledger} <= {0, 1, 2}
        for told in session.rounds:
            assert {len(net) for net in told.net_kwh.values()} == {3}
    assert any(member.battery for member in members.values())
    for name, member in members.items():
        for earlier, later in zip(member.sessions, member.sessions[1:], strict=False):
            if member.battery is not None:
                assert later.stored_start_kwh == pytest.approx(earlier.stored_kwh[-1], abs=1e-9)
        assert [len(own.net_kwh) for own in member.sessions] == [3, 3, 3, 3]
        metered = [energy for own in member.sessions for energy in own.net_kwh]
        agreed = [energy for session in record.sessions for energy in session.agreed_net_kwh[name]]
        assert len(metered) == len(agreed) == 12


@pytest.mark.parametrize("seed", range(3))
def test_replanning_what_was_known_costs_what_one_plan_costs(seed: int) -> None:
    whole = with_soft_ends(Community(seed, slots=12, deviation=0.0, mechanism="grid-only"))
    parts = with_soft_ends(rolling(seed, to_the_end=True, deviation=0.0, mechanism="grid-only"))
    one, one_members = whole.run()
    many, many_members = parts.run()
    assert any(config.battery for config in whole.member_configs)
    assert float(paid_eur(many)) == pytest.approx(float(paid_eur(one)), abs=1e-6)
    for name, member in many_members.items():
        alone = [energy for own in member.sessions for energy in own.alone_net_kwh]
        net = [energy for own in member.sessions for energy in own.net_kwh]
        assert alone == pytest.approx(net, abs=1e-9)
        assert len(one_members[name].sessions[0].net_kwh) == len(net)


def test_alone_goes_on_from_what_the_battery_would_hold_alone() -> None:
    found = 0
    for seed in range(6):
        community = with_soft_ends(rolling(seed, to_the_end=True, deviation=0.0, mechanism="admm"))
        market, members = community.run()
        lone, _ = with_soft_ends(rolling(seed, to_the_end=True, deviation=0.0, mechanism="grid-only")).run()
        values = indicators(market, members)["run"]["community"]
        assert values["alone_cost_eur"] == pytest.approx(float(paid_eur(lone)), abs=1e-6)
        found += paid_eur(market) != paid_eur(lone)
    assert found, "trade changed what batteries did in some community"


@pytest.mark.parametrize("seed", range(3))
def test_nobody_does_better_than_the_optimum_of_all_its_slots(seed: int) -> None:
    record, members = with_soft_ends(rolling(seed, deviation=0.0, mechanism="admm")).run()
    values = indicators(record, members)
    community = values["run"]["community"]
    assert community["optimum_cost_eur"] <= float(paid_eur(record)) + 1e-6
    assert community["score"] is None or community["score"] <= 1.0 + 1e-6
    assert all(session["community"]["optimum_cost_eur"] is None for session in values["sessions"])


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_it_is_verified_from_the_logs_like_any_other(mechanism: str, tmp_path: Path) -> None:
    directory = leave_behind(rolling(2, members=3, mechanism=mechanism), tmp_path)
    verdict = verification(directory.path)
    assert verdict["findings"] == []
    assert verdict["proof"]["slots"] == 12
    own = verification(directory.path, "m0")
    assert own["findings"] == []
    assert own["proof"]["without_line"] == 0


@pytest.mark.parametrize("cuts", [[40, 90], [150], [200, 30]])
def test_killed_and_restarted_it_goes_on_from_its_logs(cuts: list[int], tmp_path: Path) -> None:
    def community() -> Community:
        return rolling(4, members=3, mechanism="mid-market-rate")

    calm, calm_members, writes = run_with_power_cuts(community(), tmp_path / "calm", 0, [])
    assert writes > max(cuts)
    record, members, _ = run_with_power_cuts(community(), tmp_path / "cut", 1, cuts)
    assert record == calm
    assert _stored(members) == _stored(calm_members)


def _stored(members: dict[str, MemberRecord]) -> dict[str, list[list[float]]]:
    return {name: [own.stored_kwh for own in member.sessions] for name, member in members.items()}

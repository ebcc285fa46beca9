"""Indicators of a run, from its records: two members worked out by hand, and what records may lack."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from coordinator.indicators.command import indicators, write_indicators
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.records import (
    Bill,
    CoordinatorRecord,
    Delivery,
    LedgerEntry,
    MemberRecord,
    MemberSessionRecord,
    Round,
    SessionRecord,
)
from tests.results.synthetic import make_run

# Two members, two half-hours. Slot 0: both import, a 1.0 and b 0.5 kWh. Slot 1: a exports 2.0, b takes 1.5,
# so 1.5 kWh change hands at 0.20 EUR/kWh and 0.5 kWh go to the grid at 0.10.
GT, FIT = [Decimal("0.20"), Decimal("0.30")], [Decimal("0.10"), Decimal("0.10")]
LOAD = {"a": [1.0, 0.5], "b": [0.5, 1.5]}
PV = {"a": [0.0, 2.5], "b": [0.0, 0.0]}
NET = {"a": [Decimal("1.0"), Decimal("-2.0")], "b": [Decimal("0.5"), Decimal("1.5")]}


def entry(slot: int, member: str, kind: str, energy: str, price: str) -> LedgerEntry:
    parties = f"member:{member}", "grid" if kind.startswith("grid") else "community"
    debit, credit = parties if kind in ("grid-import", "local-purchase") else parties[::-1]
    return LedgerEntry.model_validate(
        {
            "session": 0,
            "slot": slot,
            "member": member,
            "kind": kind,
            "energy_kwh": energy,
            "price_eur_per_kwh": price,
            "amount_eur": Decimal(energy) * Decimal(price),
            "debit": debit,
            "credit": credit,
        }
    )


def bill(member: str, bought: str, sold: str, taken: str, given_: str, owed: str) -> Bill:
    return Bill(
        session=0,
        member=member,
        local_purchase_kwh=Decimal(bought),
        local_sale_kwh=Decimal(sold),
        grid_import_kwh=Decimal(taken),
        grid_export_kwh=Decimal(given_),
        exact_eur=Decimal(owed),
        amount_eur=Decimal(owed),
    )


@pytest.fixture
def coordinator() -> CoordinatorRecord:
    session = SessionRecord(
        session=0,
        horizon=Horizon(start=datetime(2024, 6, 21, tzinfo=UTC), zone="UTC", slot_minutes=30, slots=2),
        grid_import_price_eur_per_kwh=GT,
        grid_export_price_eur_per_kwh=FIT,
        co2_intensity_g_per_kwh=[200.0, 100.0],
        rounds=[
            Round(
                number=number,
                import_price_eur_per_kwh=[0.2, 0.3],
                export_price_eur_per_kwh=[0.1, 0.1],
                net_kwh={"a": [1.0, -2.0], "b": [0.5, 1.5]},
                community_cost_eur=0.25,
            )
            for number in range(3)
        ],
        agreed_round=2,
        agreed_net_kwh={},
        agreed_import_price_eur_per_kwh=[],
        agreed_export_price_eur_per_kwh=[],
        local_price_eur_per_kwh=[],
        suspended_slots=[],
        deliveries=[
            Delivery(
                slot=s, member=m, net_kwh=NET[m][s], quality="estimated" if (m, s) == ("b", 1) else "metered"
            )
            for s in (0, 1)
            for m in "ab"
        ],
        ledger=[
            entry(0, "a", "grid-import", "1.0", "0.20"),
            entry(0, "b", "grid-import", "0.5", "0.20"),
            entry(1, "a", "local-sale", "1.5", "0.20"),
            entry(1, "a", "grid-export", "0.5", "0.10"),
            entry(1, "b", "local-purchase", "1.5", "0.20"),
        ],
        bills=[bill("a", "0", "1.5", "1.0", "0.5", "-0.15"), bill("b", "1.5", "0", "0.5", "0", "0.40")],
    )
    return CoordinatorRecord(
        community="pair",
        setting="community",
        mechanism="mid-market-rate",
        members=["a", "b"],
        sessions=[session],
    )


@pytest.fixture
def members() -> dict[str, MemberRecord]:
    return {
        name: MemberRecord(
            member=name,
            kind="house",
            strategy="self-consumption",
            battery_capacity_kwh=None,
            sessions=[
                MemberSessionRecord(
                    session=0,
                    load_kwh=LOAD[name],
                    pv_kwh=PV[name],
                    battery_charge_kwh=[0.0, 0.0],
                    battery_discharge_kwh=[0.0, 0.0],
                    stored_kwh=[],
                    net_kwh=[float(q) for q in NET[name]],
                    planned_net_kwh=[float(q) for q in NET[name]],
                    alone_net_kwh=[float(q) for q in NET[name]],
                    quality=["metered", "metered"],
                    meter=["", ""],
                    rounds_planned=1,
                    planning_seconds=0.0,
                )
            ],
        )
        for name in "ab"
    }


COMMUNITY = {
    "load_kwh": 3.5,
    "pv_kwh": 2.5,
    "import_kwh": 3.0,
    "export_kwh": 2.0,
    "boundary_import_kwh": 1.5,
    "boundary_export_kwh": 0.5,
    "local_sale_kwh": 1.5,
    "local_purchase_kwh": 1.5,
    "self_sufficiency": 1 / 7,
    "boundary_self_sufficiency": 4 / 7,
    "self_consumption": 0.2,
    "boundary_self_consumption": 0.8,
    "peak_import_kw": 3.0,
    "load_factor": 0.5,
    "alone_cost_eur": 0.55,
    "metered_cost_eur": 0.55,
    "bill_eur": 0.25,
    "billed_eur": 0.25,
    "saving_eur": 0.30,
    "saving_percent": 100 * 0.30 / 0.55,
    "saving_min_eur": 0.15,
    "saving_max_eur": 0.15,
    "saving_gini": 0.0,
    "saving_jain": 1.0,
    "members_worse_off": 0,
    "purchase_price_eur_per_kwh": 0.2,
    "sale_price_eur_per_kwh": 0.175,
    "local_price_eur_per_kwh": 0.2,
    "price_spread_eur_per_kwh": 0.025,
    "stored_change_kwh": 0.0,
    # 1.5 kWh of 200 g at 3 kW; 0.5 kWh of 100 g are given, at 1 kW
    "co2_kg": 0.3,
    "alone_co2_kg": 0.3,
    "loss_proxy_kw2h": 0.5 * (3**2 + 1**2),
    "alone_loss_proxy_kw2h": 5.0,
    # without batteries netting is all there is to gain: 1.5 · 0.20 − 0.5 · 0.10
    "optimum_cost_eur": 0.25,
    "optimum_uncertainty_eur": 0.0,
    "welfare_gap_eur": 0.0,
    "score": 1.0,
    "price_of_decentralisation": 0.0,
    "saving_min_over_max": 1.0,
    "zhou_value_tapping": 1.0,
    "zhou_participation": 1.0,
    # incomes 0.15 and −0.40, raised by 0.40: one of two has all
    "zhou_equality": 0.5,
    "zhou_energy_balance": 1 - 2.0 / 6.0,
    "zhou_power_flatness": 0.0,
    "zhou_self_sufficiency": 4 / 7,
    "zhou_economic": 2.5 / 3,
    "zhou_technical": (2 / 3 + 0 + 4 / 7) / 3,
    "zhou_overall": (2.5 / 3 + (2 / 3 + 0 + 4 / 7) / 3) / 2,
    "messages": None,
    "negotiation_seconds": None,
    "planning_seconds": 0.0,
    "disclosed_numbers_per_slot": None,
    "rounds": 2,
    "suspended_slots": 0,
    "estimated_slots": 1,
    "missing_slots": 0,
}


def test_a_community_of_two_by_hand(coordinator: CoordinatorRecord, members: dict[str, MemberRecord]) -> None:
    result = indicators(coordinator, members)
    found = result["run"]["community"]
    assert {k: v for k, v in found.items() if v is None} == {k: v for k, v in COMMUNITY.items() if v is None}
    numbers = {name: value for name, value in COMMUNITY.items() if value is not None}
    assert {k: v for k, v in found.items() if v is not None} == pytest.approx(numbers, abs=1e-8)
    a, b = result["run"]["members"]["a"], result["run"]["members"]["b"]
    assert (a["alone_cost_eur"], a["bill_eur"], a["saving_eur"]) == pytest.approx((0.0, -0.15, 0.15))
    assert a["saving_percent"] is None, "alone it would cost nothing"
    assert (a["self_sufficiency"], a["self_consumption"]) == pytest.approx((1 / 3, 0.2))
    assert (b["alone_cost_eur"], b["bill_eur"], b["saving_percent"]) == pytest.approx(
        (0.55, 0.40, 100 * 0.15 / 0.55)
    )
    assert b["self_consumption"] is None, "no production"
    assert (b["peak_import_kw"], b["load_factor"]) == pytest.approx((3.0, 2 / 3))
    only = result["sessions"][0]
    assert only["community"] == {**result["run"]["community"], "agreed_round": 2}
    assert (only["start"], only["end"]) == ("2024-06-21T00:00:00+00:00", "2024-06-21T01:00:00+00:00")


def test_every_value_is_defined_and_every_definition_used(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    result = indicators(coordinator, members)
    scopes = [result["run"], *result["sessions"]]
    used = {
        name for scope in scopes for part in (scope["community"], *scope["members"].values()) for name in part
    }
    assert used == set(result["definitions"])
    assert all(d["unit"] and d["explanation"] for d in result["definitions"].values())


def test_sessions_add_up_to_the_run(coordinator: CoordinatorRecord, members: dict[str, MemberRecord]) -> None:
    second = coordinator.sessions[0].model_copy(update={"session": 1})
    twice = coordinator.model_copy(update={"sessions": [coordinator.sessions[0], second]})
    own = {
        name: m.model_copy(
            update={"sessions": [m.sessions[0], m.sessions[0].model_copy(update={"session": 1})]}
        )
        for name, m in members.items()
    }
    run = indicators(twice, own)["run"]["community"]
    for name in ("load_kwh", "bill_eur", "saving_eur", "local_sale_kwh", "boundary_import_kwh", "rounds"):
        assert run[name] == pytest.approx(2 * COMMUNITY[name]), name
    for name in (
        "self_sufficiency",
        "boundary_self_sufficiency",
        "load_factor",
        "peak_import_kw",
        "saving_percent",
    ):
        assert run[name] == pytest.approx(COMMUNITY[name]), name


def test_change_of_stored_energy_is_last_less_first(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    session = members["a"].sessions[0].model_copy(update={"stored_kwh": [2.0, 3.5]})
    members["a"] = members["a"].model_copy(update={"sessions": [session], "battery_capacity_kwh": 5.0})
    result = indicators(coordinator, members)["run"]
    assert result["members"]["a"]["stored_change_kwh"] == 1.5
    assert result["community"]["stored_change_kwh"] == 1.5


def test_a_member_without_a_record_leaves_none_not_a_wrong_sum(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    del members["b"]
    run = indicators(coordinator, members)["run"]
    assert run["members"]["b"]["load_kwh"] is None
    assert run["members"]["b"]["bill_eur"] == pytest.approx(0.4)
    for name in (
        "load_kwh",
        "self_sufficiency",
        "alone_cost_eur",
        "saving_eur",
        "saving_jain",
        "members_worse_off",
    ):
        assert run["community"][name] is None, name
    assert run["community"]["bill_eur"] == pytest.approx(0.25)


def test_where_all_records_are_elsewhere_there_are_figures_of_what_was_settled(
    coordinator: CoordinatorRecord,
) -> None:
    # So it is in a cluster, where each member's volume is its own.
    run = indicators(coordinator, {})["run"]
    assert run["community"]["bill_eur"] == pytest.approx(0.25)
    assert run["community"]["metered_cost_eur"] == pytest.approx(
        0.55
    )  # 1.0 · 0.2 − 2.0 · 0.1 + 0.5 · 0.2 + 1.5 · 0.3
    assert run["community"]["saving_eur"] is None
    assert run["members"]["a"]["load_kwh"] is None


def test_a_slot_without_delivery_is_an_error(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    session = coordinator.sessions[0].model_copy(
        update={"deliveries": coordinator.sessions[0].deliveries[:-1]}
    )
    with pytest.raises(InputError, match=r"session 0: slot 1 has no delivery of 'b'"):
        indicators(coordinator.model_copy(update={"sessions": [session]}), members)


def test_a_delivery_twice_is_an_error(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    deliveries = coordinator.sessions[0].deliveries
    session = coordinator.sessions[0].model_copy(update={"deliveries": [*deliveries, deliveries[0]]})
    with pytest.raises(InputError, match="slot 0 of 'a' is there twice"):
        indicators(coordinator.model_copy(update={"sessions": [session]}), members)


def test_arrays_of_another_length_are_an_error(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    session = members["a"].sessions[0].model_copy(update={"load_kwh": [1.0]})
    members["a"] = members["a"].model_copy(update={"sessions": [session]})
    with pytest.raises(InputError, match=r"members/a\.json, session 0: load_kwh: found 1 values, expected 2"):
        indicators(coordinator, members)


def test_a_run_without_sessions_has_no_figures_but_no_error(coordinator: CoordinatorRecord) -> None:
    result = indicators(coordinator.model_copy(update={"sessions": []}), {})
    assert result["sessions"] == []
    assert result["run"]["community"]["self_sufficiency"] is None
    assert result["run"]["community"]["bill_eur"] == 0


def test_written_as_json_beside_the_records(
    tmp_path, coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    coordinator.save(tmp_path / "records" / "coordinator.json")
    for name, record in members.items():
        record.save(tmp_path / "records" / "members" / f"{name}.json")
    result = write_indicators(tmp_path)
    assert json.loads((tmp_path / "indicators.json").read_text()) == result


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_members_changes_nothing(seed: int) -> None:
    record, own = make_run(5, slots=12, slot_minutes=60, seed=seed)
    turned = record.model_copy(update={"members": record.members[::-1]})
    one, other = (indicators(r, own)["run"] for r in (record, turned))
    assert other["members"] == one["members"]
    for name, value in one["community"].items():
        assert other["community"][name] == (None if value is None else pytest.approx(value, abs=1e-6)), name


def test_a_member_by_itself_has_nothing_more_to_save(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    session = coordinator.sessions[0]
    alone = session.model_copy(
        update={
            "deliveries": [d for d in session.deliveries if d.member == "b"],
            "ledger": [],
            "bills": [bill("b", "0", "0", "2.0", "0", "0.55")],
        }
    )
    single = coordinator.model_copy(update={"members": ["b"], "sessions": [alone]})
    found = indicators(single, {"b": members["b"]})["run"]["community"]
    assert found["alone_cost_eur"] == found["optimum_cost_eur"] == pytest.approx(0.55)
    assert (found["welfare_gap_eur"], found["price_of_decentralisation"]) == (0.0, 0.0)
    assert found["score"] is None
    assert found["zhou_value_tapping"] is None
    assert found["zhou_overall"] is None
    assert (found["saving_gini"], found["saving_jain"]) == (None, None), "nothing was saved"


def test_mean_prices_are_of_energy_as_settled_whatever_was_corrected_later(
    coordinator: CoordinatorRecord, members: dict[str, MemberRecord]
) -> None:
    """b's meter tells later that it took 1.0 kWh more in slot 0, which is entered at the tariff by itself."""
    session = coordinator.sessions[0]
    deliveries = [
        each.model_copy(update={"net_kwh": Decimal("1.5")}) if (each.slot, each.member) == (0, "b") else each
        for each in session.deliveries
    ]
    more = entry(0, "b", "grid-import", "1.0", "0.20").model_copy(update={"kind": "correction"})
    changed = session.model_copy(update={"deliveries": deliveries, "ledger": [*session.ledger, more]})
    before = indicators(coordinator, members)["run"]["community"]
    after = indicators(coordinator.model_copy(update={"sessions": [changed]}), members)["run"]["community"]
    assert after["import_kwh"] == pytest.approx(before["import_kwh"] + 1.0)
    # 1.5 kWh from the grid and 1.5 from a neighbour, all at 0.20
    assert after["purchase_price_eur_per_kwh"] == pytest.approx(0.2)
    for name in ("sale_price_eur_per_kwh", "local_price_eur_per_kwh", "price_spread_eur_per_kwh"):
        assert after[name] == before[name]

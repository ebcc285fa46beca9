"""The coordinated optimum of a session that has passed, from records."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from coordinator.costs import CommunityTariff
from coordinator.indicators.command import indicators
from coordinator.indicators.reference import reference_optimum
from coordinator.indicators.traffic import Traffic
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.records import (
    Bill,
    CoordinatorRecord,
    Delivery,
    MemberRecord,
    MemberSessionRecord,
    SessionRecord,
)

BATTERY = Battery(capacity_kwh=4, soc_min=0, soc_max=1, soc_start=0)
NET = {"roof": [-4.0, 1.0], "home": [0.0, 3.0]}
"""A roof with 4 kWh to spare at noon, and a home with an empty battery, which stays empty."""


def member(name: str, battery: Battery | None) -> MemberRecord:
    net = np.array(NET[name])
    own = MemberSessionRecord(
        session=0,
        load_kwh=np.maximum(net, 0).tolist(),
        pv_kwh=np.maximum(-net, 0).tolist(),
        battery_charge_kwh=[0.0, 0.0],
        battery_discharge_kwh=[0.0, 0.0],
        stored_kwh=[0.0, 0.0] if battery else [],
        net_kwh=NET[name],
        planned_net_kwh=NET[name],
        alone_net_kwh=NET[name],
        quality=["metered", "metered"],
        meter=["", ""],
        rounds_planned=1,
        planning_seconds=0.25,
    )
    return MemberRecord(
        member=name,
        kind="house",
        strategy="idle",
        battery_capacity_kwh=battery.capacity_kwh if battery else None,
        battery=battery,
        sessions=[own],
    )


def members() -> dict[str, MemberRecord]:
    return {"roof": member("roof", None), "home": member("home", BATTERY)}


def session(grid: GridTerms | None = None) -> SessionRecord:
    # everybody at the grid: 1 · 0.3 − 4 · 0.1 and 3 · 0.3
    bills = {"roof": Decimal("-0.1"), "home": Decimal("0.9")}
    return SessionRecord(
        session=0,
        horizon=Horizon(start=datetime(2024, 6, 21, tzinfo=UTC), zone="UTC", slot_minutes=60, slots=2),
        grid_import_price_eur_per_kwh=[Decimal("0.3")] * 2,
        grid_export_price_eur_per_kwh=[Decimal("0.1")] * 2,
        grid=grid or GridTerms(),
        rounds=[],
        agreed_round=0,
        agreed_net_kwh=NET,
        agreed_import_price_eur_per_kwh=[],
        agreed_export_price_eur_per_kwh=[],
        local_price_eur_per_kwh=[None, None],
        suspended_slots=[],
        deliveries=[
            Delivery(slot=slot, member=name, net_kwh=Decimal(str(net[slot])), quality="metered")
            for slot in (0, 1)
            for name, net in NET.items()
        ],
        ledger=[],
        bills=[
            Bill(
                session=0,
                member=name,
                local_purchase_kwh=Decimal(0),
                local_sale_kwh=Decimal(0),
                grid_import_kwh=Decimal(0),
                grid_export_kwh=Decimal(0),
                exact_eur=owed,
                amount_eur=owed,
            )
            for name, owed in bills.items()
        ],
    )


def community(of: SessionRecord, own: dict[str, MemberRecord], traffic: dict[int, Traffic] | None = None):
    record = CoordinatorRecord(
        community="pair", setting="community", mechanism="x", members=list(NET), sessions=[of]
    )
    return indicators(record, own, traffic)["run"]["community"]


def test_the_neighbours_battery_would_have_kept_the_surplus() -> None:
    # 4 kWh kept for 4 kWh of load: nothing is left to pay
    found = reference_optimum(list(NET), session(), members(), 10.0)
    assert found is not None
    assert (found.cost_eur, found.bound_eur) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_score_and_gap_of_a_community_that_traded_nothing() -> None:
    found = community(session(), members())
    assert (found["alone_cost_eur"], found["bill_eur"]) == pytest.approx((0.8, 0.8))
    assert (found["optimum_cost_eur"], found["welfare_gap_eur"]) == pytest.approx((0.0, 0.8))
    assert found["score"] == pytest.approx(0.0)
    assert found["price_of_decentralisation"] is None, "of an optimum that costs nothing"
    assert found["planning_seconds"] == pytest.approx(0.5)


def test_fee_limit_and_demand_charge_are_part_of_it() -> None:
    grid = GridTerms(
        local_fee_eur_per_kwh=Decimal("0.05"),
        export_limit_kw=Decimal(1),
        excess_price_eur_per_kwh=Decimal("0.5"),
        demand_charge_eur_per_kw=Decimal("0.1"),
    )
    tariff = CommunityTariff.of_record(session(grid))
    assert tariff.local_fee_eur_per_kwh == 0.05
    assert tariff.export_limit_kwh.tolist() == [1.0, 1.0]
    assert tariff.import_limit_kwh.tolist() == [np.inf, np.inf]
    found = community(session(grid), members())
    # 3 kWh too much at noon; peaks of 1 and 3 kW
    assert found["alone_cost_eur"] == pytest.approx(0.8 + 3 * 0.5 + 0.4)
    assert found["metered_cost_eur"] == pytest.approx(found["alone_cost_eur"])
    optimum = found["optimum_cost_eur"]
    # 3 kWh kept, 1 exported: home takes 0 in the evening, roof its 1 kWh from the grid; peaks 3 and 1
    three_kept = 3 * 0.05 - 0.1 + 0.3 + 0.4
    # all 4 kept: roof's 1 kWh in the evening from home; peaks 4 and 1
    all_kept = 5 * 0.05 + 0.5
    assert optimum == pytest.approx(min(three_kept, all_kept))
    assert found["score"] == pytest.approx((2.7 - 0.8) / (2.7 - optimum))


def test_vehicles_and_appliances_could_have_taken_the_surplus_too() -> None:
    # home's evening: 1 kWh of a car and 2 kWh of a washing, which could both have run at noon
    car = ElectricVehicle(name="car", arrival_slot=0, departure_slot=2, energy_kwh=1.0, charge_limit_kw=3.0)
    washing = Appliance(name="washing", energy_kwh=(2.0,), earliest_start_slot=0, latest_start_slot=1)
    own = members()
    own["home"] = member("home", None)
    drawn = {"car": [0.0, 1.0], "washing": [0.0, 2.0]}
    evening = (
        own["home"]
        .sessions[0]
        .model_copy(update={"flexible_kwh": drawn, "vehicles": (car,), "appliances": (washing,)})
    )
    own["home"] = own["home"].model_copy(update={"sessions": [evening]})
    found = reference_optimum(list(NET), session(), own, 10.0)
    assert found is not None
    # 3 of the roof's 4 kWh are taken at noon, 1 is exported, and its own evening is bought
    assert found.cost_eur == pytest.approx(-0.1 + 0.3)
    untold = evening.model_copy(update={"vehicles": ()})
    own["home"] = own["home"].model_copy(update={"sessions": [untold]})
    assert reference_optimum(list(NET), session(), own, 10.0) is None


@pytest.mark.parametrize("lacking", ["record", "battery"])
def test_what_is_not_known_has_no_optimum(lacking: str) -> None:
    own = members()
    if lacking == "record":
        del own["home"]
    else:
        own["home"] = own["home"].model_copy(update={"battery": None})
    assert reference_optimum(list(NET), session(), own, 10.0) is None
    found = community(session(), own)
    assert found["optimum_cost_eur"] is None
    assert found["score"] is None
    assert found["welfare_gap_eur"] is None
    assert found["zhou_value_tapping"] is None


def test_at_a_limited_connection_nobodys_cost_alone_is_known_without_all_records() -> None:
    own = members()
    del own["home"]
    record = CoordinatorRecord(
        community="pair", setting="community", mechanism="x", members=list(NET), sessions=[session()]
    )
    assert indicators(record, own)["run"]["members"]["roof"]["alone_cost_eur"] == pytest.approx(-0.1)
    limited = session(GridTerms(import_limit_kw=Decimal(1), excess_price_eur_per_kwh=Decimal(1)))
    record = record.model_copy(update={"sessions": [limited]})
    assert indicators(record, own)["run"]["members"]["roof"]["alone_cost_eur"] is None


def test_without_members_there_is_nothing_to_pay() -> None:
    found = reference_optimum([], session(), {}, 10.0)
    assert found is not None
    assert found.cost_eur == 0.0


def test_messages_count_by_session() -> None:
    said = Traffic(messages=7, negotiation_seconds=1.5)
    said.disclosed["roof"] = Counter(position=6)
    found = community(session(), members(), {0: said})
    assert (found["messages"], found["negotiation_seconds"]) == (7, 1.5)
    assert found["disclosed_numbers_per_slot"] == pytest.approx(6 / 2 / 2), "two slots, two members"
    assert community(session(), members(), {})["messages"] == 0, "a session in which nothing was said"

"""A member's session with a vehicle and an appliance: planned, drawn, recorded."""

from datetime import UTC, datetime

import numpy as np
import pytest

from agents.planning.planner import planner_for
from agents.session.measured import Measured
from agents.session.own_session import OwnSession
from runtime.configuration import ClockConfig, MemberConfig, MemberSession, Timing
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import DeviceSchedule, PriceSignal

HORIZON = Horizon(start=datetime(2024, 1, 1, 11, tzinfo=UTC), zone="Europe/Paris", slot_minutes=60, slots=8)
CAR = ElectricVehicle(
    name="car", arrival_slot=1, departure_slot=6, energy_kwh=5, charge_limit_kw=3, charge_efficiency=0.9
)
WASHER = Appliance(name="washer", energy_kwh=(1.0, 0.5), earliest_start_slot=2, latest_start_slot=6)
PRICES = [0.3, 0.3, 0.3, 0.1, 0.1, 0.2, 0.15, 0.15]


def member(strategy, battery=True):
    return MemberConfig(
        name="house",
        kind="house",
        strategy=strategy,
        trades=True,
        battery=Battery(capacity_kwh=4, charge_limit_kw=2, discharge_limit_kw=2) if battery else None,
        pv=None,
        seed=1,
        timing=Timing(),
        clock=ClockConfig(),
        sessions=[MemberSession(horizon=HORIZON, load_kwh=[1.0] * 8, vehicles=[CAR], appliances=[WASHER])],
        roles=["load"],
    )


def signal(number, prices):
    return PriceSignal(
        session=0, round=number, import_price_eur_per_kwh=prices, export_price_eur_per_kwh=[0.05] * 8
    )


def run(strategy, battery=True, second_prices=None):
    session = OwnSession(member(strategy, battery), 0, HORIZON, [])
    planner = planner_for(strategy, 1)
    session.planning.keep(0, session.planning.plan_at(signal(0, PRICES), None, planner))
    if second_prices:
        session.planning.keep(
            1, session.planning.plan_at(signal(1, second_prices), session.planning.last, planner)
        )
    session.planning.choose(None)
    for _ in range(8):
        session.pass_slot(Measured({"load": "house.meter@village"}, {"load": 1.2}), "metered")
    return session.end()


@pytest.mark.parametrize("battery", [True, False])
@pytest.mark.parametrize("strategy", ["optimised", "rule", "idle"])
def test_flexible_loads_come_on_top_of_what_meters_read(strategy, battery):
    record = run(strategy, battery)
    flexible = np.sum(list(record.flexible_kwh.values()), axis=0)
    assert set(record.flexible_kwh) == {"car", "washer"}
    assert sum(record.flexible_kwh["car"]) * 0.9 == pytest.approx(5)
    assert sum(record.flexible_kwh["washer"]) == pytest.approx(1.5)
    np.testing.assert_allclose(record.load_kwh, 1.2 + flexible)
    np.testing.assert_allclose(record.inflexible_load_kwh, 1.2)
    delivered = np.subtract(record.battery_discharge_kwh, record.battery_charge_kwh)
    np.testing.assert_allclose(record.net_kwh, 1.2 + flexible - delivered, atol=1e-12)


def test_an_optimising_member_waits_for_cheap_slots_and_others_do_not():
    planned, at_once = run("optimised", battery=False), run("idle", battery=False)
    assert planned.flexible_kwh["car"][3:5] == pytest.approx([3.0, 2.5555555])
    assert planned.flexible_kwh["washer"] == [0, 0, 0, 1.0, 0.5, 0, 0, 0]
    assert at_once.flexible_kwh["car"][1:3] == pytest.approx([3.0, 2.5555555])
    assert at_once.flexible_kwh["washer"] == [0, 0, 1.0, 0.5, 0, 0, 0, 0]


def test_the_baseline_alone_keeps_its_own_plan_of_them():
    record = run("optimised", battery=False, second_prices=[0.3, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3])
    assert sum(record.flexible_kwh["car"][1:3]) == pytest.approx(5 / 0.9)
    alone = np.array(record.alone_net_kwh) - 1.2
    assert alone[3:5].sum() == pytest.approx(5 / 0.9 + 1.5)


def test_a_member_that_never_planned_runs_them_at_once():
    session = OwnSession(member("optimised"), 0, HORIZON, [])
    session.planning.choose(None)
    record = session.end()
    assert record.flexible_kwh["car"][1:3] == pytest.approx([3.0, 2.5555555])


def scheduled(**changes):
    session = OwnSession(member("optimised"), 0, HORIZON, [])
    session.planning.keep(0, session.planning.plan_at(signal(0, PRICES), None, planner_for("optimised", 1)))
    told = {
        "stored_kwh": [2.0] * 8,
        "vehicle_kwh": ([0, 3, 0, 0, 0, 5 / 0.9 - 3, 0, 0],),
        "appliance_start_slots": (4,),
    }
    session.planning.follow_schedule(DeviceSchedule(**(told | changes)))
    return session


def test_a_coordinators_schedule_is_run_as_it_is():
    record = scheduled().end()
    drawn = np.array([0, 3, 0, 0, 1.0, 0.5 + 5 / 0.9 - 3, 0, 0])
    np.testing.assert_allclose(record.net_kwh, 1.0 + drawn, atol=1e-12)
    np.testing.assert_allclose(record.planned_net_kwh, record.net_kwh, atol=1e-12)
    assert sum(record.flexible_kwh["washer"]) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stored_kwh": None}, "does not fit"),
        ({"stored_kwh": [2.0] * 7}, "does not fit"),
        ({"vehicle_kwh": ()}, "does not fit"),
        ({"appliance_start_slots": (1,)}, "washer may not start in slot 1"),
        ({"appliance_start_slots": (4, 4)}, "does not fit"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(changes, words):
    with pytest.raises(ProtocolError, match=words):
        scheduled(**changes)


def test_a_schedule_beyond_the_limits_is_cut():
    record = scheduled(vehicle_kwh=([9, 9, 0, 0, 0, 0, 0, 9],), stored_kwh=[9.0] * 8).end()
    assert record.flexible_kwh["car"] == pytest.approx([0, 3, 0, 0, 0, 0, 0, 0])
    assert max(record.stored_kwh) <= 4.0 * 0.8 + 1e-12

"""Stays and runs that go on: a vehicle needs what it has not got, a run that has begun goes on to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.planning.planner import planner_for
from agents.planning.problem import Plan, PlanningProblem
from agents.session.flexible_state import NOTHING_BEGUN, FlexibleLoadsInSession, FlexibleState
from runtime.configuration import MemberSession
from runtime.devices import Appliance, ElectricVehicle
from runtime.horizon import Horizon

HORIZON = Horizon(start=datetime(2025, 1, 1, tzinfo=UTC), zone="UTC", slot_minutes=60, slots=8)

CAR = ElectricVehicle(
    name="car", arrival_slot=1, departure_slot=7, energy_kwh=6.0, charge_limit_kw=3.0, charge_efficiency=0.9
)
WASHER = Appliance(name="washer", energy_kwh=(1.0, 0.5, 0.25), earliest_start_slot=0, latest_start_slot=5)


def session(car: ElectricVehicle | None = CAR, washer: Appliance | None = WASHER) -> MemberSession:
    return MemberSession(
        horizon=HORIZON,
        vehicles=[car] if car else [],
        appliances=[washer] if washer else [],
        appliance_closes=[8] if washer else [],
    )


def plan(loads: FlexibleLoadsInSession, prices: list[float]) -> Plan:
    problem = PlanningProblem(
        residual_load_kwh=np.ones(8),
        battery=None,
        slot_hours=1.0,
        import_price_eur_per_kwh=np.array(prices),
        export_price_eur_per_kwh=np.zeros(8),
        vehicles=loads.vehicles,
        appliances=loads.appliances,
    )
    return planner_for("optimised", 1).plan(problem)


def test_what_was_charged_and_what_runs_is_taken_up_by_the_next_session() -> None:
    loads = FlexibleLoadsInSession(session(), NOTHING_BEGUN)
    assert (loads.vehicles, loads.appliances) == ((CAR,), (WASHER,))
    made = plan(loads, [0.5, 0.1, 0.4, 0.1, 0.4, 0.4, 0.4, 0.4])
    assert made.appliance_start_slot == (1,)
    state = loads.after(made, 2)
    assert state.stored_kwh == {("car", 5): pytest.approx(0.9 * made.vehicle_kwh[0, :2].sum())}
    assert state.starts == {("washer", 6): -1}
    later_car = CAR.model_copy(update={"arrival_slot": 0, "departure_slot": 5})
    later = MemberSession(horizon=HORIZON, vehicles=[later_car], appliances=[WASHER], appliance_closes=[6])
    taken = FlexibleLoadsInSession(later, state)
    assert taken.vehicles[0].energy_kwh == pytest.approx(6.0 - state.stored_kwh["car", 5])
    assert taken.appliances == (
        WASHER.model_copy(
            update={"energy_kwh": (0.5, 0.25), "earliest_start_slot": 0, "latest_start_slot": 0}
        ),
    )


def test_what_is_full_or_has_ended_is_left_out_and_stays_so() -> None:
    state = FlexibleState({("car", 7): 6.0}, {("washer", 8): -3})
    loads = FlexibleLoadsInSession(session(), state)
    assert (loads.vehicles, loads.appliances) == ((), ())
    assert loads.after(plan(loads, [0.1] * 8), 2) == FlexibleState({("car", 5): 6.0}, {("washer", 6): -5})


def test_one_that_takes_more_where_it_is_paid_has_its_room_left() -> None:
    car = CAR.model_copy(update={"room_kwh": 10.0})
    loads = FlexibleLoadsInSession(session(car), FlexibleState({("car", 7): 7.0}))
    (left,) = loads.vehicles
    assert (left.energy_kwh, left.room_kwh) == (0.0, 3.0)


def test_rounding_never_asks_for_more_than_can_be_charged() -> None:
    tight = CAR.model_copy(update={"arrival_slot": 0, "departure_slot": 2, "energy_kwh": 10.8 + 1e-9})
    (left,) = FlexibleLoadsInSession(session(tight), FlexibleState({("car", 2): 5.4 - 1e-12})).vehicles
    assert left.energy_kwh <= 3.0 * 2 * 0.9
    assert plan(FlexibleLoadsInSession(session(left, None), NOTHING_BEGUN), [0.1] * 8).vehicle_kwh.sum() > 5.9


def test_windows_that_passed_are_forgotten() -> None:
    loads = FlexibleLoadsInSession(session(), FlexibleState({("car", 7): 6.0}, {("washer", 8): -3}))
    assert loads.after(plan(loads, [0.1] * 8), 8) == FlexibleState()
    assert replace(NOTHING_BEGUN) == FlexibleState()

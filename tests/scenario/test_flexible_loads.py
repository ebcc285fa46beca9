"""Vehicles and appliances of a scenario: local times to slots, profiles to energy, and what is refused."""

from datetime import UTC, datetime, time

import pytest

from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.flexible import ApplianceTable, VehicleTable
from runtime.scenario.load import parse_scenario
from runtime.scenario.resolve import resolve

NOON = Horizon(start=datetime(2024, 1, 15, 11, tzinfo=UTC), zone="Europe/Paris", slot_minutes=15, slots=96)

SCENARIO = """
[community]
name = "Flexible"
[horizon]
start = 2024-01-15T12:00:00
zone = "Europe/Paris"
slot_minutes = 15
[tariff]
import = 0.25
export = 0.10
[[member]]
name = "house"
load = { constant = 0.4, unit = "kW" }
[[member.vehicle]]
name = "car"
arrival = "18:05"
departure = "07:10"
energy_kwh = 12
charge_limit_kw = 7.4
[[member.appliance]]
name = "dishwasher"
power_kw = 1.5
minutes = 80
earliest = "20:00"
latest = "06:00"
"""


def car(**changes):
    fields = {"arrival": time(18), "departure": time(7), "energy_kwh": 12.0, "charge_limit_kw": 7.4}
    return VehicleTable(**{**fields, **changes})


def washer(**changes):
    fields = {"name": "washer", "power_kw": 1.0, "minutes": 60.0, "earliest": time(20), "latest": time(6)}
    return ApplianceTable(**{**fields, **changes})


def test_a_stay_takes_the_whole_slots_between_arrival_and_departure(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    (session,) = resolve(path).member_config("house").sessions
    (vehicle,), (appliance,) = session.vehicles, session.appliances
    # 18:05 to 07:10 from noon on: from 18:15 to 07:00.
    assert (vehicle.arrival_slot, vehicle.departure_slot) == (25, 76)
    # 80 min are five slots and a third; 20:00 to 06:00 are forty.
    assert appliance.energy_kwh == pytest.approx([0.375] * 5 + [0.125])
    assert (appliance.earliest_start_slot, appliance.latest_start_slot) == (32, 66)


def test_meters_are_not_told_of_them(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    (meter,) = resolve(path).meters_config().meters
    assert meter.sessions[0].vehicles == []
    assert meter.sessions[0].appliances == []
    assert sum(meter.sessions[0].load_kwh) == pytest.approx(9.6)


def test_every_day_within_a_session_counts_once():
    two_days = NOON.model_copy(update={"slots": 192})
    stays = car().stays(two_days)
    assert [(stay.arrival_slot, stay.departure_slot) for stay in stays] == [(24, 76), (120, 172)]
    assert len(washer(earliest=time(13), latest=time(16)).runs(two_days)) == 2


def test_a_stay_over_a_clock_change_has_the_hours_there_are():
    spring = Horizon(
        start=datetime(2024, 3, 30, 11, tzinfo=UTC), zone="Europe/Paris", slot_minutes=60, slots=23
    )
    (stay,) = car().stays(spring)
    assert stay.departure_slot - stay.arrival_slot == 12


def test_steps_of_a_run_become_mean_power_of_slots():
    steps = washer(power_kw=[2.0, 0.0, 1.0], minutes=10)
    assert steps.energy_kwh(NOON) == pytest.approx((20 / 60, 10 / 60))
    assert washer(power_kw=[2.0, 1.0], minutes=None).energy_kwh(NOON) == pytest.approx((0.5, 0.25))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (car(energy_kwh=100), r"energy_kwh: found 100.0, expected at most 96.2"),
        (car(arrival=time(11), departure=time(13)), r"departure: found 13:00, expected a stay from 11:00"),
        (
            car(arrival=time(18, 1), departure=time(18, 20)),
            r"departure: found 18:20, expected at least a whole",
        ),
        (washer(latest=time(20, 45)), r"latest: found 20:45, expected at least 4 slots.*there are 3"),
    ],
)
def test_what_a_session_has_no_room_for_is_named(table, message):
    with pytest.raises(ValueError, match=message):
        (table.stays if isinstance(table, VehicleTable) else table.runs)(NOON)


def test_a_time_outside_the_session_is_named():
    morning = NOON.model_copy(update={"slots": 8})
    with pytest.raises(
        ValueError, match=r"arrival: found 18:00, expected a time within the session from 2024"
    ):
        car().stays(morning)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("energy_kwh = 12", "energy_kwh = 120", r'member\[1\] "house" vehicle\[1\]\.energy_kwh: found 120'),
        ('latest = "06:00"', 'latest = "20:30"', r'"house" appliance\[1\]\.latest: found 20:30'),
        ("minutes = 80", "", r"minutes: found none, expected the length of the run"),
        ("power_kw = 1.5", 'power_kw = "x"', r"power_kw: found 'x', expected a power"),
        ('"18:05"', '"25:05"', r"arrival: found '25:05', expected a local time of day"),
        ("departure =", "departur =", r"unknown key; did you mean 'departure'"),
        (
            "charge_limit_kw = 7.4",
            "charge_limit_kw = 7.4\nroom_kwh = 3",
            r"room_kwh: found 3.0, expected at least",
        ),
        ('name = "dishwasher"', 'name = "car"', r"appliance\[1\]\.name: found 'car' again"),
    ],
)
def test_bad_input_names_the_field(old, new, message):
    assert old in SCENARIO
    with pytest.raises(InputError, match=message):
        parse_scenario(SCENARIO.replace(old, new).encode(), "scenario.toml")

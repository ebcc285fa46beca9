"""A scenario whose horizon rolls on: which sessions there are, what they are told, and what cannot be had."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario import resolve
from runtime.scenario.load import parse_scenario
from runtime.scenario.when import HorizonSection, next_slot_start

PARIS = ZoneInfo("Europe/Paris")


def section(start: str = "2024-01-16T00:00", **keys: Any) -> HorizonSection:
    table = {"start": start, "zone": "Europe/Paris", "slot_minutes": 60, **keys}
    return HorizonSection.model_validate(table)


def shape(horizon: HorizonSection) -> list[tuple[str, int, int | None, bool]]:
    """Of each session: local start, slots planned, slots operated, whether it goes on."""
    return [
        (f"{span.horizon.local(0):%d %H}", span.horizon.slots, span.operated_slots, span.continues)
        for span in horizon.spans()
    ]


def test_sessions_plan_a_day_and_operate_its_first_slots() -> None:
    assert shape(section(replan_every_slots=8)) == [
        ("16 00", 24, 8, False),
        ("16 08", 24, 8, True),
        ("16 16", 24, 8, True),
    ]
    (stretch,) = section(replan_every_slots=8).stretches()
    assert (stretch.local(0).hour, stretch.slots) == (0, 40)


def test_begun_in_the_middle_of_a_day_the_last_session_operates_what_is_left() -> None:
    assert shape(section("2024-01-16T13:00", replan_every_slots=10, slots=12)) == [
        ("16 13", 12, 10, False),
        ("16 23", 12, 10, True),
        ("17 09", 12, 4, True),
    ]


def test_sessions_may_plan_no_further_than_the_end() -> None:
    horizon = section(replan_every_slots=8, slots=12, plan_beyond_end=False)
    assert shape(horizon) == [("16 00", 12, 8, False), ("16 08", 12, 8, True), ("16 16", 8, 8, True)]
    assert [stretch.slots for stretch in horizon.stretches()] == [24]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_days_of_a_clock_change_have_the_hours_they_have(day: str, hours: int) -> None:
    spans = section(f"{day}T00:00", replan_every_slots=6, days=2).spans()
    assert sum(span.operated_slots or 0 for span in spans) == hours + 24
    assert spans[-1].horizon.slot_start(spans[-1].operated_slots or 0) == section(
        f"{day}T00:00", days=2, replan_every_slots=1
    ).stretches()[0].slot_start(hours + 24)


def test_without_rolling_sessions_are_on_their_own_unless_energy_is_carried_over() -> None:
    starts = [datetime(2024, 1, 16), datetime(2024, 6, 18)]
    for carry_over in (False, True):
        horizon = HorizonSection(start=starts, zone="Europe/Paris", slot_minutes=60, carry_over=carry_over)
        assert shape(horizon) == [("16 00", 24, None, False), ("18 00", 24, None, carry_over)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"replan_every_slots": 30}, "replan_every_slots: found 30, expected at most the 24 slots"),
        ({"plan_beyond_end": False}, "plan_beyond_end: found one, expected none without"),
        ({"replan_every_slots": 1, "days": 60}, "found 1440 sessions, expected at most 1000"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_field(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        section(**keys)


def test_now_is_the_next_slot_of_the_zone() -> None:
    for now, expected in [
        ("2024-06-18T10:07:30+00:00", "2024-06-18T10:15:00+00:00"),
        ("2024-06-18T10:15:00+00:00", "2024-06-18T10:15:00+00:00"),
        ("2024-10-27T00:59:59.5+00:00", "2024-10-27T01:00:00+00:00"),  # the hour that comes twice
    ]:
        found = next_slot_start(datetime.fromisoformat(now), PARIS, 15)
        assert found == datetime.fromisoformat(expected), now
    assert next_slot_start(datetime(2024, 6, 18, 10, 7, tzinfo=UTC), ZoneInfo("Asia/Kolkata"), 60) == (
        datetime(2024, 6, 18, 10, 30, tzinfo=UTC)
    )


def test_a_horizon_that_starts_now_starts_with_the_next_slot() -> None:
    before = datetime.now(UTC)
    start = section("now").spans()[0].horizon.slot_start(0)
    assert 0 <= (start - before).total_seconds() < 3600 + 1
    assert start.astimezone(PARIS).minute == 0


SCENARIO = """
seed = 3
{mechanism}
[community]
name = "Street"
[horizon]
start = 2024-01-16
zone = "Europe/Paris"
slot_minutes = 60
replan_every_slots = 6
plan_beyond_end = false
[tariff]
import = {{ values = {prices}, unit = "EUR/kWh" }}
export = 0.08
{tariff}
[[member]]
name = "home"
load = {{ values = {loads}, unit = "kWh" }}
battery = {{ capacity_kwh = 6, soc_end_min = 0.5, charge_limit_kw = {limit} }}
{member}
"""

LOADS = [round(0.1 * slot, 1) for slot in range(24)]
PRICES = [round(0.2 + 0.001 * slot, 3) for slot in range(24)]


def scenario(mechanism: str = "", tariff: str = "", member: str = "", limit: float = 3.0) -> str:
    return SCENARIO.format(
        mechanism=mechanism, tariff=tariff, member=member, limit=limit, prices=PRICES, loads=LOADS
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "street.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_process_is_told_its_part_of_the_same_series(tmp_path: Path) -> None:
    resolved = resolve(written(tmp_path, scenario()))
    member, coordinator = resolved.member_config("home"), resolved.coordinator_config()
    (meter,) = resolved.meters_config().meters
    for number, offset in enumerate((0, 6, 12, 18)):
        own, terms, metered = member.sessions[number], coordinator.sessions[number], meter.sessions[number]
        assert own.load_kwh == pytest.approx(LOADS[offset:])
        assert [float(price) for price in terms.import_price_eur_per_kwh] == PRICES[offset:]
        assert metered.load_kwh == pytest.approx(LOADS[offset : offset + 6])
        assert own.operated == terms.operated == metered.horizon
        assert (own.continues, terms.continues) == (offset > 0, offset > 0)
        assert own.horizon.slots == 24 - offset
    assert [Horizon.model_validate(told).slots for told in _summary(resolved, tmp_path)] == [6, 6, 6, 6]


def _summary(resolved: Any, folder: Path) -> list[dict[str, Any]]:
    import json

    from runtime.rundir import RunDirectory
    from runtime.scenario import write_configs

    write_configs(resolved, RunDirectory(folder / "run"))
    sessions: list[dict[str, Any]] = json.loads((folder / "run" / "run.json").read_text("utf-8"))["sessions"]
    return sessions


def test_weather_and_consumption_of_models_are_the_same_however_the_horizon_is_cut() -> None:
    text = (Path(resolve.__code__.co_filename).parent / "builtin" / "example.toml").read_text("utf-8")
    begin = text.index("start = ")
    line_end = text.index("\n", begin)
    day = "start = 2024-06-18\n"
    whole = parse_scenario((text[:begin] + day + text[line_end + 1 :]).encode(), "one")
    day += "replan_every_slots = 32\nplan_beyond_end = false\n"
    parts = parse_scenario((text[:begin] + day + text[line_end + 1 :]).encode(), "parts")
    assert whole.horizon.stretches() == parts.horizon.stretches()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tariff": "demand_charge_eur_per_kw = 0.2"},
            "tariff.demand_charge_eur_per_kw: found 0.2 beside horizon.replan_every_slots, expected none",
        ),
        (
            {"mechanism": 'mechanism = { name = "bill-sharing", period = "day" }'},
            'mechanism.period: found "day" beside horizon.replan_every_slots',
        ),
    ],
)
def test_what_a_rolling_horizon_cannot_have_is_refused_with_the_field(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        resolve(written(tmp_path, scenario(**changes)))  # type: ignore[arg-type]
    assert said in str(error.value)


def test_an_end_soc_has_to_be_reached_from_wherever_a_session_may_begin(tmp_path: Path) -> None:
    text = scenario(limit=0.25).replace("plan_beyond_end = false", "slots = 7")
    with pytest.raises(InputError, match=r"battery.soc_end_min: found 0.5, .* from soc_min 0.2"):
        resolve(written(tmp_path, text))
    to_the_end = resolve(written(tmp_path, scenario(limit=0.25)))
    assert to_the_end.member_config("home").battery is not None


def test_a_history_is_told_once_and_goes_on_from_session_to_session(tmp_path: Path) -> None:
    past = tmp_path / "past.csv"
    rows = [f"2024-01-{day:02}T{hour:02}:00,{day + hour / 100}" for day in range(1, 17) for hour in range(24)]
    past.write_text("time,load\n" + "\n".join(rows) + "\n", encoding="utf-8")
    member = (
        'forecast = { method = "similar-day", days = 10, history = { load = { file = "past.csv", '
        'column = "load", unit = "kWh", time = "time" } } }'
    )
    config = resolve(written(tmp_path, scenario(member=member))).member_config("home")
    assert [session.history is not None for session in config.sessions] == [True, False, False, False]
    from agents.forecast.member import foresee

    foreseen = [foresee(config, number) for number in range(4)]
    assert [each.load_kwh.size for each in foreseen] == [24, 18, 12, 6]
    made = foreseen[2].forecast
    assert made is not None
    assert made.load_series is not None
    assert (made.load_series.history_slots, made.load_series.unmetered_slots) == (240, 12)
    assert np.all(np.diff(foreseen[3].load_kwh) > 0)


STAYS = (
    'vehicle = [{ arrival = "03:00", departure = "14:00", energy_kwh = 9, charge_limit_kw = 3 }]\n'
    'appliance = [{ name = "washer", power_kw = [1.0, 2.0], earliest = "05:00", latest = "13:00" }]'
)


def test_stays_and_runs_that_began_before_a_session_are_told_as_far_as_they_are_in_it(tmp_path: Path) -> None:
    config = resolve(written(tmp_path, scenario(member=STAYS))).member_config("home")
    told = [
        [(each.arrival_slot, each.departure_slot) for each in session.vehicles] for session in config.sessions
    ]
    assert told == [[(3, 14)], [(0, 8)], [(0, 2)], []]
    runs = [
        [(each.earliest_start_slot, each.latest_start_slot) for each in session.appliances]
        for session in config.sessions
    ]
    assert runs == [[(5, 11)], [(0, 5)], [(0, 0)], []]
    assert [session.appliance_closes for session in config.sessions] == [[13], [7], [1], []]


def test_a_stay_is_planned_whole_by_the_session_that_it_begins_in(tmp_path: Path) -> None:
    text = scenario(member=STAYS).replace("plan_beyond_end", "slots = 12\nplan_beyond_end")
    with pytest.raises(InputError) as error:
        resolve(written(tmp_path, text))
    assert (
        "member[1] \"home\" vehicle 'vehicle': found 11 slots from 03:00 on, of which the session from 00:00 "
        "plans 9; expected all: plan further" in str(error.value)
    )

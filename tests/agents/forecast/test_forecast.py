"""Forecasts from a metered history: what they use, what they may not know, gaps, clocks, errors."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.forecast.daytable import SATURDAY, SUNDAY, WORKDAY, day_class, day_table, past_windows
from agents.forecast.errors import forecast_error
from agents.forecast.forecaster import forecast_series
from agents.forecast.similar_day import LOAD_DAYS, PV_DAYS, SimilarDays, similar_day
from runtime.conventions import instants_s
from runtime.errors import InputError
from runtime.horizon import Horizon

PARIS = ZoneInfo("Europe/Paris")
ROOT = Path(__file__).parents[3]


def day(year: int, month: int, number: int, slot_minutes: int = 60, slots: int = 24) -> Horizon:
    start = datetime(year, month, number, tzinfo=PARIS).astimezone(UTC)
    return Horizon(start=start, zone="Europe/Paris", slot_minutes=slot_minutes, slots=slots)


def by_day_and_hour(target: Horizon, days: int, value) -> np.ndarray:
    """A history of whole hours before a target, value(local start)."""
    starts = [target.slot_start(slot).astimezone(PARIS) for slot in range(-24 * days, 0)]
    return np.array([value(at) for at in starts], dtype=float)


def test_weighted_last_four_days_of_the_class() -> None:
    thursday = day(2024, 2, 15)
    history = by_day_and_hour(thursday, 14, lambda at: 100.0 if at.weekday() >= 5 else at.day + at.hour / 100)
    made = forecast_series("similar-day", history, thursday, (), LOAD_DAYS, 0)
    # Wednesday 14, Tuesday 13, Monday 12, Friday 9
    expected = 0.4 * 14 + 0.3 * 13 + 0.2 * 12 + 0.1 * 9 + np.arange(24) / 100
    assert made.energy_kwh == pytest.approx(expected)
    assert (made.other_class_slots, made.interpolated_slots) == (0, 0)


def test_production_takes_the_last_five_days_whatever_they_are() -> None:
    monday = day(2024, 2, 12)
    history = by_day_and_hour(monday, 10, lambda at: float(at.day))
    made = forecast_series("similar-day", history, monday, (), PV_DAYS, 0)
    assert made.energy_kwh == pytest.approx([(5 * 11 + 4 * 10 + 3 * 9 + 2 * 8 + 7) / 15] * 24)


def test_a_holiday_is_like_sundays() -> None:
    assert day_class(date(2024, 2, 16), ()) == WORKDAY
    assert day_class(date(2024, 2, 16), {date(2024, 2, 16)}) == SUNDAY
    assert [day_class(date(2024, 2, 17), ()), day_class(date(2024, 2, 18), ())] == [SATURDAY, SUNDAY]
    thursday = day(2024, 2, 15)
    history = by_day_and_hour(thursday, 28, lambda at: 2.0 if at.weekday() == 6 else 1.0)
    holiday = forecast_series("similar-day", history, thursday, {date(2024, 2, 15)}, LOAD_DAYS, 0)
    workday = forecast_series("similar-day", history, thursday, (), LOAD_DAYS, 0)
    assert (set(holiday.energy_kwh), set(workday.energy_kwh)) == ({2.0}, {1.0})


def test_a_gap_is_passed_over_and_counted() -> None:
    thursday = day(2024, 2, 15)
    history = by_day_and_hour(
        thursday, 14, lambda at: np.nan if (at.day, at.hour) == (14, 8) else float(at.day)
    )
    made = forecast_series("similar-day", history, thursday, (), LOAD_DAYS, 0)
    assert made.energy_kwh[8] == pytest.approx(0.4 * 13 + 0.3 * 12 + 0.2 * 9 + 0.1 * 8)
    assert made.energy_kwh[9] == pytest.approx(0.4 * 14 + 0.3 * 13 + 0.2 * 12 + 0.1 * 9)
    assert (made.unmetered_slots, made.history_slots) == (1, 14 * 24)
    assert made.past.unmetered_slots == 1


def test_what_no_day_of_the_class_has_comes_from_others_and_is_counted() -> None:
    sunday = day(2024, 2, 18)
    history = by_day_and_hour(
        sunday, 6, lambda at: np.nan if at.hour in (3, 4) else float(at.hour)
    )  # Monday to Saturday only, and nobody ever metered 3 and 4 o'clock
    made = forecast_series("similar-day", history, sunday, (), LOAD_DAYS, 0)
    assert made.energy_kwh == pytest.approx(np.arange(24.0))
    assert (made.other_class_slots, made.interpolated_slots) == (22, 2)


@pytest.mark.parametrize(("number", "slots"), [(31, 23), (27, 25)])
def test_days_of_23_and_25_hours_follow_the_clock(number: int, slots: int) -> None:
    month = 3 if number == 31 else 10
    target = day(2024, month, number, slots=slots)
    assert target.local(slots).hour == 0
    history = by_day_and_hour(target, 20, lambda at: float(at.hour))
    made = forecast_series("similar-day", history, target, (), LOAD_DAYS, 0)
    assert made.energy_kwh == pytest.approx([target.local(slot).hour for slot in range(slots)])
    after = day(2024, month + 1 if number == 31 else 10, 1 if number == 31 else 28)
    history = by_day_and_hour(after, 20, lambda at: float(at.hour))
    made = forecast_series("similar-day", history, after, (), LOAD_DAYS, 0)
    assert made.energy_kwh == pytest.approx(np.arange(24.0))


def test_a_session_within_a_day_uses_what_came_before_it_on_the_same_day() -> None:
    noon = Horizon(
        start=datetime(2024, 2, 15, 12, tzinfo=PARIS), zone="Europe/Paris", slot_minutes=60, slots=24
    )
    history = by_day_and_hour(noon, 14, lambda at: 50.0 if at.day == 15 else 0.0)
    made = forecast_series("similar-day", history, noon, (), LOAD_DAYS, 0)
    assert made.energy_kwh == pytest.approx([0.0] * 12 + [0.4 * 50] * 12)  # on Friday morning: Thursday's


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    start_hour=st.integers(0, 23),
    gap_share=st.floats(0, 0.5),
    by_class=st.booleans(),
)
def test_the_future_changes_nothing_and_forecasts_stay_within_what_was_metered(
    seed: int, start_hour: int, gap_share: float, by_class: bool
) -> None:
    rng = np.random.default_rng(seed)
    target = Horizon(
        start=datetime(2024, 3, 20, start_hour, tzinfo=PARIS) + timedelta(days=int(rng.integers(30))),
        zone="Europe/Paris",
        slot_minutes=60,
        slots=int(rng.integers(1, 49)),
    )
    history = rng.gamma(2, 1, 24 * 21)
    history[rng.random(history.size) < gap_share] = np.nan
    days = SimilarDays(LOAD_DAYS.weights, by_class)
    table, origin, _ = day_table(history, target, ())
    for start, slots in past_windows(origin, table.columns, 14):
        before = similar_day(table, start, slots, days).energy_kwh
        metered = table.known(start)
        assert np.nanmin(metered) - 1e-9 <= before.min() <= before.max() <= np.nanmax(metered) + 1e-9
        changed, *_ = day_table(history, target, ())
        changed.energy_kwh[start.day, start.column :] = rng.gamma(2, 100)
        changed.energy_kwh[start.day + 1 :] = np.nan
        np.testing.assert_array_equal(before, similar_day(changed, start, slots, days).energy_kwh)


def test_errors_by_hand() -> None:
    error = forecast_error(
        [np.array([1.0, 2.0]), np.array([5.0, 1.0])], [np.array([2.0, 2.0]), np.array([2.0, np.nan])]
    )
    assert (error.days, error.slots, error.unmetered_slots) == (2, 3, 1)
    assert (error.mean_kwh, error.mae_kwh, error.bias_kwh) == pytest.approx((2, 4 / 3, 2 / 3))
    assert error.rmse_kwh == pytest.approx((10 / 3) ** 0.5)
    assert (error.mae_percent_of_mean, error.bias_percent_of_mean) == pytest.approx((200 / 3, 100 / 3))
    nothing = forecast_error([np.zeros(2)], [np.full(2, np.nan)])
    assert (nothing.days, nothing.slots, nothing.mae_kwh) == (0, 0, None)


def test_bad_histories_are_refused() -> None:
    with pytest.raises(InputError, match="no metered value before the horizon"):
        forecast_series("similar-day", np.full(48, np.nan), day(2024, 2, 15), (), LOAD_DAYS, 0)
    with pytest.raises(InputError, match="slots of 7 min, expected a divisor"):
        forecast_series("similar-day", np.ones(48), day(2024, 2, 15, slot_minutes=7), (), LOAD_DAYS, 0)
    with pytest.raises(InputError, match="shape \\(0,\\)"):
        forecast_series("similar-day", np.ones(0), day(2024, 2, 15), (), LOAD_DAYS, 0)
    with pytest.raises(InputError, match="24 metered slots to learn from"):
        forecast_series("boosting", np.ones(48), day(2024, 2, 15), (), LOAD_DAYS, 0)


@cache
def measured(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The measured building: instants [s] and energy of each 10 min [kWh], NaN where none."""
    path = folder / "DonneesEnergyConsometers" / "example.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    stamps = [datetime.strptime(f"{row['date']} {row['time']}", "%d-%m-%Y %H:%M") for row in rows]
    energy = [float(row["powerLoad"]) / 6000 if row["powerLoad"] else np.nan for row in rows]
    return instants_s(stamps, PARIS), np.array(energy)


def before(folder: Path, target: Horizon, days: int) -> np.ndarray:
    instants, energy = measured(folder)
    end = int(np.searchsorted(instants, target.start.timestamp()))
    return energy[end - days * 144 : end]


FRENCH_HOLIDAYS = [date(2019, 11, 1), date(2019, 11, 11), date(2019, 12, 25), date(2020, 1, 1)]


@pytest.mark.parametrize(
    ("method", "days", "least", "most"), [("similar-day", 56, 10, 20), ("boosting", 112, 10, 20)]
)
def test_a_measured_building(lorient_folder: Path, method, days: int, least: float, most: float) -> None:
    """Published range of next-day errors for single buildings: 10 to 58 % of the mean."""
    target = day(2020, 1, 2, slot_minutes=10, slots=144)
    history = before(lorient_folder, target, days)
    made = forecast_series(method, history, target, FRENCH_HOLIDAYS, LOAD_DAYS, 1)
    assert (made.past.days, made.past.slots) == (28, 28 * 144)
    assert least < made.past.mae_percent_of_mean < most
    assert abs(made.past.bias_percent_of_mean) < 3
    assert made.past.mae_percent_of_mean < made.past.rmse_percent_of_mean
    assert len(made.energy_kwh) == 144
    assert min(made.energy_kwh) >= 0
    # yesterday again is worse
    yesterday = np.abs(history[-28 * 144 :] - history[-29 * 144 : -144]).sum() / history[-28 * 144 :].sum()
    assert made.past.mae_percent_of_mean < 100 * yesterday


def test_the_measured_building_before_its_meter_was_there(lorient_folder: Path) -> None:
    target = day(2019, 3, 20, slot_minutes=10, slots=144)
    history = before(lorient_folder, target, 56)
    made = forecast_series("similar-day", history, target, (), LOAD_DAYS, 1)
    assert made.unmetered_slots == 49 * 144  # metered from 13 March on
    assert made.past.days == 6
    assert np.isfinite(made.energy_kwh).all()


def test_boosting_is_the_same_again_and_does_not_see_the_future(lorient_folder: Path) -> None:
    target = day(2020, 1, 2, slot_minutes=10, slots=144)
    history = before(lorient_folder, target, 30)
    made = forecast_series("boosting", history, target, (), LOAD_DAYS, 3)
    assert made == forecast_series("boosting", history, target, (), LOAD_DAYS, 3)
    from agents.forecast.boosting import BoostedDays

    table, origin, _ = day_table(history, target, ())
    windows = past_windows(origin, table.columns, 5)
    start, slots = windows[-1]
    learned = BoostedDays(table, start, LOAD_DAYS, 3).forecast(start, slots).energy_kwh
    table.energy_kwh[start.day, start.column :] = 1e3
    table.energy_kwh[start.day + 1 :] = 1e3
    np.testing.assert_array_equal(
        learned, BoostedDays(table, start, LOAD_DAYS, 3).forecast(start, slots).energy_kwh
    )


def test_trees_are_loaded_only_when_chosen() -> None:
    program = "import sys, agents.prosumer; print({'sklearn', 'scipy', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"

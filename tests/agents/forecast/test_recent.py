"""Forecasts corrected by the last hours: where that helps, and only there."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from agents.forecast.daytable import DayTable, Origin, Targets, day_table, past_windows
from agents.forecast.forecaster import forecast_series
from agents.forecast.recent import (
    GREATEST_RATIO,
    Forecast,
    best_fading_hours,
    corrected,
    faded,
    recent_ratio,
)
from agents.forecast.similar_day import PV_DAYS, similar_day
from runtime.horizon import Horizon

NOON = Horizon(start=datetime(2025, 6, 20, 12, tzinfo=UTC), zone="UTC", slot_minutes=60, slots=24)

SUN = np.maximum(0.0, np.sin((np.arange(24) - 6) / 12 * np.pi))


def history(levels: np.ndarray, until: int = 12) -> np.ndarray:
    """Production until noon of the last day [kWh], each day at its own level."""
    days = np.outer(levels, SUN).ravel()
    return days[: -(24 - until)]


def cloudy_or_sunny(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).choice([0.3, 1.0], size=40)


def prepared(past_kwh: np.ndarray) -> tuple[DayTable, Origin, Targets, Forecast]:
    table, origin, targets = day_table(past_kwh, NOON, ())
    return table, origin, targets, lambda at, slots: similar_day(table, at, slots, PV_DAYS)


def test_a_morning_of_sun_makes_an_afternoon_of_sun() -> None:
    levels = cloudy_or_sunny()
    levels[-1] = 1.0
    plain = forecast_series("similar-day", history(levels), NOON, (), PV_DAYS, 0)
    made = forecast_series("similar-day", history(levels), NOON, (), PV_DAYS, 0, by_recent=True)
    assert made.method == "similar-day, corrected by the last hours"
    assert plain.method == "similar-day"
    truth = SUN[12:]
    error = np.abs(np.array(made.energy_kwh[:12]) - truth).sum()
    assert error < 0.5 * np.abs(np.array(plain.energy_kwh[:12]) - truth).sum()
    assert made.past.mae_kwh is not None
    assert plain.past.mae_kwh is not None
    assert made.past.mae_kwh < plain.past.mae_kwh


def test_where_the_last_hours_say_nothing_of_the_next_there_is_no_correction() -> None:
    noise = np.random.default_rng(1).uniform(0.0, 2.0, 40 * 24 - 12)
    table, origin, _, forecast = prepared(noise)
    windows = past_windows(origin, table.columns, 28)
    assert best_fading_hours(table, forecast, windows) is None
    assert corrected(table, forecast, None) is forecast
    assert forecast_series("similar-day", noise, NOON, (), PV_DAYS, 0, by_recent=True) == forecast_series(
        "similar-day", noise, NOON, (), PV_DAYS, 0
    )


def test_the_ratio_is_of_the_last_three_hours_and_bounded() -> None:
    levels = np.full(40, 0.5)
    levels[-1] = 0.25
    table, origin, _, forecast = prepared(history(levels))
    assert recent_ratio(table, origin, forecast) == pytest.approx(0.5)
    levels[-1] = 50.0
    table, origin, _, forecast = prepared(history(levels))
    assert recent_ratio(table, origin, forecast) == GREATEST_RATIO


def test_nights_gaps_and_beginnings_say_nothing() -> None:
    levels = cloudy_or_sunny()
    table, origin, _, forecast = prepared(history(levels))
    assert recent_ratio(table, Origin(origin.day, 4), forecast) == 1.0  # 1:00 to 4:00
    assert recent_ratio(table, Origin(0, 12), forecast) == 1.0
    unmetered = history(levels)
    unmetered[-3:] = np.nan
    table, origin, _, forecast = prepared(unmetered)
    assert recent_ratio(table, origin, forecast) == 1.0


def test_what_is_after_the_origin_is_not_looked_at() -> None:
    levels = cloudy_or_sunny()
    table, origin, targets, forecast = prepared(history(levels))
    made = corrected(table, forecast, 5.0)
    earlier = Origin(origin.day - 3, 12)
    slots = Targets(targets.day - 3, targets.column)
    before = made(earlier, slots).energy_kwh
    table.energy_kwh[origin.day - 3, 12:] = 99.0
    table.energy_kwh[origin.day - 2 :] = 99.0
    assert made(earlier, slots).energy_kwh.tolist() == before.tolist()


def test_a_correction_fades() -> None:
    factors = faded(np.ones(48), 2.0, 5.0, 30)
    assert factors[0] == pytest.approx(1 + np.exp(-0.25 / 5))
    assert np.all(np.diff(factors) < 0)
    assert factors[-1] < 1.01

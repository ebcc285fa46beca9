"""Models behind generated series: calibrated clouds, energy kept, calendars that matter."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from runtime.horizon import Horizon
from runtime.scenario.models.clouds import clear_sky_index
from runtime.scenario.models.consumption import appliance_events_kw, consumption_kw, slow_noise
from runtime.scenario.models.irradiance import irradiance_w_per_m2
from runtime.scenario.models.profiles import annual_profile_kw, sundays_like
from runtime.scenario.series import BdewSeries, IrradianceSeries

PARIS = ZoneInfo("Europe/Paris")
LORIENT = IrradianceSeries(model="irradiance", latitude_deg=47.748, longitude_deg=-3.366)


def _day(day: date, slot_minutes: int = 15, slots: int | None = None) -> Horizon:
    start = datetime(day.year, day.month, day.day, tzinfo=PARIS).astimezone(UTC)
    return Horizon(
        start=start, zone="Europe/Paris", slot_minutes=slot_minutes, slots=slots or 1440 // slot_minutes
    )


def test_hourly_steps_of_the_clear_sky_index_are_those_of_a_measured_year() -> None:
    hourly = [
        clear_sky_index(date(2023, 1, 1) + timedelta(days=at), 5, True, seed).reshape(24, 12).mean(axis=1)
        for seed in range(3)
        for at in range(0, 365, 3)
    ]
    daylight = np.array(hourly)[:, 7:19]
    assert np.diff(daylight, axis=1).std() == pytest.approx(0.142, abs=0.01)
    assert daylight.min() >= 0.05
    assert daylight.max() <= 1.12
    assert 0.5 < daylight.mean() < 0.75


def test_summer_is_clearer_than_winter_on_either_hemisphere() -> None:
    def mean(month: int, northern: bool) -> float:
        return float(
            np.mean(
                [
                    clear_sky_index(date(2023, month, d), 5, northern, seed)
                    for d in range(1, 29)
                    for seed in range(4)
                ]
            )
        )

    assert mean(6, True) > mean(12, True) + 0.05
    assert mean(12, False) > mean(6, False) + 0.05


def test_clouds_only_take_away_from_a_clear_sky_and_nights_are_dark() -> None:
    horizon = _day(date(2024, 6, 18))
    clear = irradiance_w_per_m2(LORIENT.model_copy(update={"sky": "clear"}), horizon, 1, "sky")
    cloudy = irradiance_w_per_m2(LORIENT, horizon, 1, "sky")
    # A clear midsummer day at 48° north brings 7 to 9 kWh/m² and stays below 1000 W/m².
    assert 7 < clear.sum() / 4000 < 9
    assert 850 < clear.max() < 1000
    assert (cloudy <= clear * 1.12 + 1e-9).all()
    assert cloudy.sum() < clear.sum()
    assert cloudy[:16].max() == clear[:16].max() == 0
    # The sun is highest near 14:12 on these clocks: UTC+2, 3.4° west.
    assert 54 <= int(clear.argmax()) <= 58


def test_weather_is_the_days_own_whatever_the_horizon() -> None:
    whole = irradiance_w_per_m2(LORIENT, _day(date(2024, 6, 18)), 1, "sky")
    later = Horizon(
        start=_day(date(2024, 6, 18)).slot_start(40), zone="Europe/Paris", slot_minutes=15, slots=20
    )
    assert irradiance_w_per_m2(LORIENT, later, 1, "sky") == pytest.approx(whole[40:60], rel=1e-12)
    other_seed = irradiance_w_per_m2(LORIENT, _day(date(2024, 6, 18)), 2, "sky")
    assert not np.allclose(whole, other_seed)


@pytest.mark.parametrize("profile", ["H0", "G0", "G1", "G2", "G5", "L0", "H25", "G25"])
def test_a_profile_brings_one_kwh_a_year(profile: str) -> None:
    power_kw = annual_profile_kw(profile, 2024, "FR", "standard", "B")
    assert power_kw.shape == (366 * 96,)
    assert power_kw.sum() / 4 == pytest.approx(1.0, rel=1e-12)
    assert power_kw.min() >= 0
    assert np.isfinite(power_kw).all()


def test_a_profile_is_the_published_one() -> None:
    """A winter Tuesday and a public holiday have the shapes of the published table's Tuesday and Sunday."""
    table = files("demandlib.bdew").joinpath("bdew_data", "selp_series.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(table.splitlines()) if row["period"] == "winter"]
    power_kw = annual_profile_kw("G1", 2024, "FR", "standard", "B")
    for day, weekday in ((date(2024, 1, 16), "2"), (date(2024, 1, 1), "7")):
        published = np.array([float(row["g1"]) for row in rows if row["weekday"] == weekday])
        first = (day - date(2024, 1, 1)).days * 96
        # The table is in kW per 1000 kWh a year, which a year's own calendar meets to a few percent.
        scale = power_kw[first : first + 96] * 1000 / published
        assert scale[0] == pytest.approx(1.0, abs=0.05)
        assert scale == pytest.approx(np.full(96, scale[0]), rel=1e-9)
        assert published.shape == (96,)


def test_school_holidays_empty_the_school_and_nobody_else() -> None:
    assert date(2024, 3, 1) in sundays_like(2024, "FR", "school", "B")
    assert date(2024, 3, 1) not in sundays_like(2024, "FR", "standard", "B")
    assert date(2024, 7, 14) in sundays_like(2024, "FR", "standard", "B")

    def energy(calendar: str, day: date) -> float:
        series = BdewSeries(model="bdew", profile="G1", annual_kwh=1000, calendar=calendar)
        return float(consumption_kw(series, _day(day), 1, "school").sum() / 4)

    holiday, term = date(2024, 3, 1), date(2024, 3, 15)
    assert energy("school", holiday) < 0.3 * energy("school", term)
    assert energy("standard", holiday) == pytest.approx(energy("standard", term), rel=0.01)


def test_appliances_average_to_the_profile() -> None:
    profile_kw = np.repeat(np.concatenate([np.full(48, 0.2), np.full(48, 0.8)]), 15)
    days = np.array([appliance_events_kw(profile_kw, seed) for seed in range(400)])
    assert days.sum(axis=1).mean() == pytest.approx(profile_kw.sum(), rel=0.03)
    # The shape too: mornings are quiet, afternoons busy (events take an hour at most to run out).
    assert days[:, :720].mean() == pytest.approx(0.2, rel=0.06)
    assert days[:, 800:1440].mean() == pytest.approx(0.8, rel=0.06)
    assert days[:, :1440].min() >= 0.7 * 0.2 - 1e-12


def test_one_home_is_rougher_than_many() -> None:
    def relative_steps(annual_kwh: float) -> float:
        series = BdewSeries(model="bdew", profile="H0", annual_kwh=annual_kwh, appliances=True)
        power = consumption_kw(series, _day(date(2024, 1, 16)), 1, "home")
        return float(np.abs(np.diff(power)).mean() / power.mean())

    assert relative_steps(3000) > 3 * relative_steps(300_000)


def test_slow_noise_is_around_one() -> None:
    factors = np.concatenate([slow_noise(1440, 0.1, np.random.default_rng(seed)) for seed in range(300)])
    assert factors.mean() == pytest.approx(1.0, abs=0.01)
    assert factors.std() == pytest.approx(0.1, rel=0.1)
    steps = np.diff(factors.reshape(300, -1)[:, ::15], axis=1)
    assert steps.std() < 0.1


@pytest.mark.parametrize("appliances", [True, False])
def test_consumption_is_the_days_own_whatever_the_horizon(appliances: bool) -> None:
    series = BdewSeries(
        model="bdew", profile="H0", annual_kwh=3000, appliances=appliances, noise=0 if appliances else 0.1
    )
    two_days = consumption_kw(series, _day(date(2024, 6, 17), slots=192), 5, "home")
    one_day = consumption_kw(series, _day(date(2024, 6, 18)), 5, "home")
    assert one_day == pytest.approx(two_days[96:], rel=1e-12)
    hourly = consumption_kw(series, _day(date(2024, 6, 18), slot_minutes=60), 5, "home")
    assert hourly == pytest.approx(one_day.reshape(24, 4).mean(axis=1), rel=1e-12)


@pytest.mark.parametrize(("day", "slots"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100)])
def test_consumption_follows_local_clocks_when_they_change(day: date, slots: int) -> None:
    """At noon local time the profile is the one of noon, however many quarters went before."""
    series = BdewSeries(model="bdew", profile="G0", annual_kwh=1000)
    power = consumption_kw(series, _day(day, slots=slots), 1, "office")
    first = (day - date(2024, 1, 1)).days * 96
    expected = 1000 * annual_profile_kw("G0", 2024, "FR", "standard", "B")[first : first + 96]
    assert power[-48:] == pytest.approx(expected[48:], rel=1e-12)
    assert power[:8] == pytest.approx(expected[:8], rel=1e-12)

"""Places and what is drawn for them: skies that bring the year's irradiation, prices of either world."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import pytest

from runtime.conventions import local_midnight
from runtime.dataset.choice import Choice
from runtime.dataset.members import ROLES, equip
from runtime.dataset.places import PLACES, SEASON_DAYS, Place
from runtime.dataset.tariffs import prices_of, spot_day_eur_per_kwh
from runtime.horizon import Horizon
from runtime.scenario.models.clouds import clear_sky_index
from runtime.scenario.models.irradiance import irradiance_w_per_m2
from runtime.scenario.series import IrradianceSeries

EACH_PLACE = pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))


def day_of(place: Place, day: date, slot_minutes: int = 15) -> Horizon:
    start = local_midnight(day, ZoneInfo(place.zone))
    return Horizon(start=start, zone=place.zone, slot_minutes=slot_minutes, slots=1440 // slot_minutes)


@EACH_PLACE
def test_the_sky_of_a_place_brings_its_yearly_irradiation(place: Place) -> None:
    """Every fifth day of a year under many seeds: the mean is within 6 % of what the place says."""
    sky = IrradianceSeries(
        model="irradiance",
        latitude_deg=place.latitude_deg,
        longitude_deg=place.longitude_deg,
        altitude_m=place.altitude_m,
        sky="clear",
    )
    total_kwh = 0.0
    days = [date(2023, 1, 1) + timedelta(days=number) for number in range(2, 365, 5)]
    for day in days:
        horizon = Horizon(
            start=local_midnight(day, ZoneInfo("UTC")) - timedelta(hours=place.longitude_deg / 15),
            zone="UTC",
            slot_minutes=60,
            slots=24,
        )
        clear = irradiance_w_per_m2(sky, horizon, 0, "sky")
        index = np.mean(
            [
                clear_sky_index(day, 60, True, seed, place.clearness_shift, place.season_shift)
                for seed in range(12)
            ],
            axis=0,
        )
        total_kwh += float((clear * index).sum()) / 1000
    assert total_kwh * 365 / len(days) == pytest.approx(place.yearly_ghi_kwh_per_m2, rel=0.06)


def test_a_clearer_climate_is_clearer_on_the_same_day_and_never_above_the_scale() -> None:
    dull, usual, clear = (
        clear_sky_index(date(2024, 4, 16), 5, True, 3, clearness_shift=shift) for shift in (-1.0, 0.0, 1.0)
    )
    assert (dull < usual).all()
    assert (usual <= clear).all()
    assert usual.mean() + 0.03 < clear.mean()
    assert (clear <= np.maximum(usual, 1.0)).all(), "clear more often, never brighter than clear"
    summer, winter = (
        clear_sky_index(day, 5, True, 3, season_shift=1.0)
        - clear_sky_index(day, 5, True, 3, season_shift=0.0)
        for day in (date(2024, 7, 15), date(2024, 1, 15))
    )
    assert summer.min() >= 0 >= winter.max()
    assert summer.max() > 0.05
    assert winter.min() < -0.05


def test_without_a_climate_the_sky_is_what_it_was() -> None:
    plain = IrradianceSeries(model="irradiance", latitude_deg=47.748, longitude_deg=-3.366)
    assert (plain.clearness_shift, plain.season_shift) == (0.0, 0.3)
    spelled = clear_sky_index(date(2024, 4, 16), 5, True, 3, 0.0, 0.3)
    assert (spelled == clear_sky_index(date(2024, 4, 16), 5, True, 3)).all()


@EACH_PLACE
def test_days_of_the_set_are_working_days(place: Place) -> None:
    free = holidays.country_holidays(place.country, years=2024)
    assert all(day.weekday() == 1 and day not in free for day in SEASON_DAYS.values())


@EACH_PLACE
def test_time_of_use_has_one_price_at_any_hour_and_pays_less(place: Place) -> None:
    for weekend in (False, True):
        for hour in range(24):
            assert sum(window.covers(hour, weekend) for window in place.prices.windows) == 1
    lowest = min(window.price_eur_per_kwh for window in place.prices.windows)
    assert 0 < place.prices.feed_in_eur_per_kwh < lowest


@EACH_PLACE
def test_dynamic_prices_follow_the_day_ahead_and_feed_in_stays_below(place: Place) -> None:
    zero_hours = {}
    for season, day in SEASON_DAYS.items():
        prices = prices_of(place, season, "dynamic", day_of(place, day), 2)
        asked, paid = prices.import_eur_per_kwh, prices.export_eur_per_kwh
        assert (paid >= 0).all()
        assert (asked > paid).all()
        assert (asked.reshape(24, 4) == asked.reshape(24, 4)[:, :1]).all(), "hourly"
        spot = spot_day_eur_per_kwh(place, season, day, 2)
        assert spot.mean() == pytest.approx(place.prices.spot_eur_per_kwh[season], rel=0.2)
        expected = (spot + place.prices.grid_and_taxes_eur_per_kwh) * (1 + place.prices.vat)
        assert asked[::4] == pytest.approx(expected, abs=6e-6)
        evening = asked.reshape(24, 4)[18:21].mean()
        assert evening > asked.mean()
        zero_hours[season] = int((paid == 0).sum() / 4)
    assert zero_hours["spring"] >= 1, "around noon the grid pays nothing"
    assert zero_hours["winter"] == 0


def test_weekends_are_cheaper() -> None:
    place = PLACES["munich"]
    saturday = spot_day_eur_per_kwh(place, "winter", date(2024, 1, 20), 2)
    friday = spot_day_eur_per_kwh(place, "winter", date(2024, 1, 19), 2)
    assert saturday.mean() < friday.mean()


@EACH_PLACE
def test_members_are_around_what_is_typical_of_their_place(place: Place) -> None:
    members = equip(place, 2)
    assert [member.role for member in members] == list(ROLES)
    houses = [member for member in members if member.role.kind == "house"]
    mean_kwh = np.mean([house.annual_kwh / house.role.homes for house in houses])
    assert mean_kwh == pytest.approx(place.home_kwh, rel=0.15)
    arrays = [house.pv_kwp / house.role.home_pv for house in houses if house.pv_kwp]
    assert np.mean(arrays) == pytest.approx(place.home_pv_kwp, rel=0.2)
    for member in members:
        assert (member.battery is not None) == bool(member.role.home_battery or member.role.battery_kwh)
        assert (member.annual_kwh > 0) == (member.role.profile is not None)
    assert equip(place, 2) == members
    assert equip(place, 3) != members


def test_the_whole_set_is_four_places_four_seasons_three_sizes_two_worlds() -> None:
    choice = Choice()
    assert choice.count == len(list(choice.combinations())) == 96
    assert len({PLACES[key].climate for key in choice.places}) == 4

"""Outside conventions and those used inside: what is converted keeps its energy, money and instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import conventions

PARIS = ZoneInfo("Europe/Paris")
ZONES = st.sampled_from(["Europe/Paris", "UTC", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
POWERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=20).map(np.array)
HOURS = st.sampled_from([1 / 12, 1 / 6, 0.25, 0.5, 1.0])


@given(POWERS, HOURS)
def test_the_same_power_in_any_unit_is_the_same_energy(power_w: np.ndarray, hours: float) -> None:
    energy_kwh = power_w / 1000 * hours
    for values, unit in (
        (power_w, "W"),
        (power_w / 1000, "kW"),
        (power_w * hours, "Wh"),
        (power_w * hours / 1000, "kWh"),
    ):
        power_kw = conventions.mean_power_kw(values, unit, hours)
        assert conventions.energy_kwh(power_kw, hours) == pytest.approx(energy_kwh, rel=1e-12)


@given(st.floats(-10, 10))
def test_the_same_price_in_any_unit(price: float) -> None:
    for factor, unit in ((1, "EUR/kWh"), (1000, "EUR/MWh"), (100, "ct/kWh")):
        values = np.array([price * factor])
        assert conventions.price_eur_per_kwh(values, unit) == pytest.approx([price], rel=1e-12)


@given(st.decimals(-10, 10, places=9))
def test_a_price_with_nine_decimals_is_kept_exactly(price: Decimal) -> None:
    assert conventions.exact_price(float(price)) == price


@pytest.mark.parametrize("unit", ["W/m2", "EUR/kWh"])
def test_what_is_no_power_is_refused(unit: conventions.Unit) -> None:
    with pytest.raises(conventions.ConventionError, match="not a unit of power"):
        conventions.mean_power_kw(np.ones(2), unit, 1.0)
    with pytest.raises(conventions.ConventionError, match="not a unit of price"):
        conventions.price_eur_per_kwh(np.ones(2), "kW")


@given(
    step_minutes=st.sampled_from([5, 10, 15, 20, 30, 60]),
    slot_minutes=st.sampled_from([5, 10, 15, 30, 60]),
    offset_minutes=st.sampled_from([0, 5, 10]),
    data=st.data(),
)
def test_resampling_keeps_the_energy(
    step_minutes: int, slot_minutes: int, offset_minutes: int, data: st.DataObject
) -> None:
    """Over a span that both cover, the integral of the slots is the integral of the file's periods."""
    span = 4 * 60
    values = np.array(
        data.draw(
            st.lists(st.floats(0, 100), min_size=span // step_minutes + 2, max_size=span // step_minutes + 2)
        )
    )
    starts_s = np.arange(len(values), dtype=np.int64) * step_minutes * 60
    slots_s = (offset_minutes + np.arange(span // slot_minutes, dtype=np.int64) * slot_minutes) * 60
    means = conventions.slot_means(starts_s, step_minutes * 60, values, slots_s, slot_minutes * 60)
    by_minute = np.repeat(values, step_minutes)[offset_minutes : offset_minutes + span]
    assert means.sum() * slot_minutes == pytest.approx(by_minute.sum(), rel=1e-9, abs=1e-9)
    assert means == pytest.approx(by_minute.reshape(-1, slot_minutes).mean(axis=1), rel=1e-9, abs=1e-9)


def test_a_slot_that_is_covered_in_part_has_no_mean() -> None:
    starts_s = np.array([0, 600, 1800], dtype=np.int64)
    means = conventions.slot_means(
        starts_s, 600, np.array([1.0, 2.0, 3.0]), np.array([-1200, 0, 1200, 2400], dtype=np.int64), 1200
    )
    assert np.isnan(means).tolist() == [True, False, True, True]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)), ZONES)
def test_an_instant_and_its_local_time_are_each_others_inverse(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    utc = moment.replace(tzinfo=UTC)
    local = utc.astimezone(zone)
    assert conventions.instant(local.replace(tzinfo=None), zone) == utc
    assert conventions.instant(local, PARIS) == utc


def test_a_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(conventions.ConventionError, match="does not exist"):
        conventions.instant(datetime(2024, 3, 31, 2, 30), PARIS)


def test_only_times_that_happen_twice_are_ambiguous() -> None:
    assert conventions.is_ambiguous(datetime(2024, 10, 27, 2, 30), PARIS)
    assert not conventions.is_ambiguous(datetime(2024, 10, 27, 3, 0), PARIS)
    assert not conventions.is_ambiguous(datetime(2024, 3, 31, 2, 30), PARIS)
    assert not conventions.is_ambiguous(datetime(2024, 10, 27, 2, 30, tzinfo=UTC), PARIS)


@given(st.dates(date(2000, 1, 1), date(2035, 1, 1)), ZONES, st.sampled_from([10, 15, 30]))
def test_local_stamps_of_a_whole_day_become_even_instants(day: date, name: str, step: int) -> None:
    zone = ZoneInfo(name)
    midnight = conventions.local_midnight(day, zone)
    steps = conventions.local_day_minutes(day, zone) // step
    moments = [midnight + timedelta(minutes=step * at) for at in range(steps)]
    walls = [moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in moments]
    seconds = conventions.instants_s(walls, zone)
    assert seconds.tolist() == [int(moment.timestamp()) for moment in moments]
    assert conventions.common_step_s(seconds) == step * 60


@pytest.mark.parametrize(
    ("day", "minutes"), [(date(2024, 3, 31), 1380), (date(2024, 10, 27), 1500), (date(2024, 6, 18), 1440)]
)
def test_days_on_which_clocks_change(day: date, minutes: int) -> None:
    assert conventions.local_day_minutes(day, PARIS) == minutes


def test_an_end_label_names_the_period_before() -> None:
    stamps = np.array([600, 1200], dtype=np.int64)
    assert conventions.period_starts_s(stamps, 600, "end").tolist() == [0, 600]
    assert conventions.period_starts_s(stamps, 600, "start").tolist() == [600, 1200]

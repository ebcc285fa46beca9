"""Days of 23, 24 and 25 hours, several sessions, tariffs by time of use, and the notices about them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from runtime.scenario import resolve
from runtime.scenario.summary import describe, notices
from tests.scenario.scenarios import write

HP_HC = (
    'import = [{ from = "06:00", to = "22:00", price_eur_per_kwh = 0.27 },'
    '{ from = "22:00", to = "06:00", price_eur_per_kwh = 0.2068 }]'
)


@pytest.mark.parametrize(
    ("day", "slots", "hours"), [("2024-03-31", 92, "23"), ("2024-10-27", 100, "25"), ("2024-06-18", 96, None)]
)
def test_a_local_day_has_as_many_quarters_as_its_clocks_say(
    tmp_path: Path, day: str, slots: int, hours: str | None
) -> None:
    path = write(
        tmp_path, ("start = 2024-06-18", f"start = {day}"), ("slot_minutes = 60", "slot_minutes = 15")
    )
    resolved = resolve(path)
    horizon = resolved.horizons[0]
    assert horizon.slots == slots
    assert len(resolved.series["house"][0].load_kwh) == slots
    assert len(resolved.import_price_eur_per_kwh[0]) == slots
    assert horizon.local(0).isoformat().startswith(f"{day}T00:00:00")
    assert horizon.local(slots).strftime("%H:%M") == "00:00"
    said = notices(resolved)
    assert len(said) == (hours is not None)
    if hours is not None:
        assert f"clocks change in Europe/Paris; it has {slots} slots, {hours} h" in said[0]


def test_prices_follow_local_clocks_when_they_change(tmp_path: Path) -> None:
    """On the 23-hour day the cheap night has five hours before six o'clock, on the 25-hour day seven."""
    for day, cheap in (("2024-03-31", 5), ("2024-10-27", 7), ("2024-06-18", 6)):
        path = write(tmp_path, ("start = 2024-06-18", f"start = {day}"), ("import = 0.25", HP_HC))
        prices = resolve(path).import_price_eur_per_kwh[0]
        low, high = Decimal("0.2068"), Decimal("0.27")
        assert prices == [low] * cheap + [high] * 16 + [low] * 2


def test_weekends_have_prices_of_their_own(tmp_path: Path) -> None:
    table = (
        'import = [{ from = 00:00:00, to = "24:00", price_eur_per_kwh = 0.3, days = "weekday" },'
        '{ from = "00:00", to = "24:00", price_eur_per_kwh = 0.1, days = "weekend" }]'
    )
    path = write(
        tmp_path,
        ("import = 0.25", table),
        ("start = 2024-06-18", "start = 2024-06-14"),
        ("zone", "slots = 96\nzone"),
    )
    assert (
        resolve(path).import_price_eur_per_kwh[0]
        == [Decimal("0.3")] * 24 + [Decimal("0.1")] * 48 + [Decimal("0.3")] * 24
    )


def test_a_price_that_changes_within_a_slot_is_the_mean_over_it(tmp_path: Path) -> None:
    table = (
        'import = [{ from = "00:00", to = "06:45", price_eur_per_kwh = 0.1 },'
        '{ from = "06:45", to = "24:00", price_eur_per_kwh = 0.2 }]'
    )
    prices = resolve(write(tmp_path, ("import = 0.25", table))).import_price_eur_per_kwh[0]
    assert prices[5:8] == [Decimal("0.1"), Decimal("0.125"), Decimal("0.2")]


def test_each_start_is_a_session(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, ("start = 2024-06-18", 'start = [2024-01-16, "2024-06-18T06:00"]')))
    assert [horizon.local(0).isoformat() for horizon in resolved.horizons] == [
        "2024-01-16T00:00:00+01:00",
        "2024-06-18T06:00:00+02:00",
    ]
    assert len(resolved.series["school"]) == len(resolved.import_price_eur_per_kwh) == 2


def test_an_offset_settles_which_of_two_local_times_is_meant(tmp_path: Path) -> None:
    for offset, hour in (("+02:00", 0), ("+01:00", 1)):
        path = write(tmp_path, ("start = 2024-06-18", f"start = 2024-10-27T02:00:00{offset}\nslots = 3"))
        assert resolve(path).horizons[0].slot_start(0).hour == hour


def test_slots_of_another_number_are_noticed(tmp_path: Path) -> None:
    assert notices(resolve(write(tmp_path, ("zone", "slots = 6\nzone")))) == [
        "session 1 (2024-06-18): it has 6 slots, 6 h, not 24 h"
    ]


def test_a_feed_in_tariff_above_the_import_price_is_allowed_and_noticed(tmp_path: Path) -> None:
    table = 'export = [{ from = "02:00", to = "04:00", price_eur_per_kwh = 0.3 }, { from = "04:00", to = "02:00", price_eur_per_kwh = 0.25 }]'  # noqa: E501
    resolved = resolve(write(tmp_path, ("export = 0.10", table)))
    assert resolved.export_above_import_slots() == [[2, 3]]
    (said,) = notices(resolved)
    assert "in 2 of 24 slots (at 02:00, 03:00) the feed-in tariff is above the import price" in said
    assert "local trade is suspended" in said


@pytest.mark.parametrize("start", ["2024-10-25", "2024-10-25T00:00:00+02:00"])
def test_days_are_sessions_from_one_local_midnight_to_the_next(tmp_path: Path, start: str) -> None:
    resolved = resolve(
        write(tmp_path, ("start = 2024-06-18", f"start = {start}\ndays = 4\ncarry_over = true"))
    )
    assert [f"{horizon.local(0):%d %H %z}" for horizon in resolved.horizons] == [
        "25 00 +0200",
        "26 00 +0200",
        "27 00 +0200",
        "28 00 +0100",
    ]
    assert [horizon.slots for horizon in resolved.horizons] == [24, 24, 25, 24]
    assert [span.continues for span in resolved.spans] == [False, True, True, True]
    assert [len(part.load_kwh) for part in resolved.series["house"]] == [24, 24, 25, 24]


def test_days_run_on_from_every_start(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, ("start = 2024-06-18", "start = [2024-01-16, 2024-06-18]\ndays = 2")))
    assert [f"{horizon.local(0):%m-%d}" for horizon in resolved.horizons] == [
        "01-16",
        "01-17",
        "06-18",
        "06-19",
    ]


def test_an_array_of_a_peak_power_produces_it_under_a_full_sun(tmp_path: Path) -> None:
    pv = 'pv = { peak_kw = 3, irradiance = { constant = 500, unit = "W/m2" } }'
    resolved = resolve(write(tmp_path, ('pv = { production = { constant = 1.0, unit = "kW" } }', pv)))
    (school,) = (member for member in describe(resolved)["members"] if member["name"] == "school")
    assert school["pv_kwh"] == [pytest.approx(24 * 1.5)]
    assert school["pv_area_m2"] == pytest.approx(15)
    array = resolved.member_config("school").pv
    assert array is not None
    assert array.area_m2 * array.efficiency == pytest.approx(3)

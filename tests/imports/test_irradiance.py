"""Irradiance of Solcast, Open-Meteo and PVGIS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.imports.exports import Import, open_meteo, pvgis_csv, rows_of


@pytest.mark.parametrize("form", ["older", "API", "offset"])
def test_solcast_stamps_are_ends(peerwatt: Import, form: str) -> None:
    ends = [f"2024-06-18T{(m // 60):02d}:{m % 60:02d}:00" for m in range(30, 24 * 60, 30)]
    if form == "older":
        text = "PeriodEnd,PeriodStart,Period,CloudOpacity,Ghi\n"
        starts = ["2024-06-18T00:00:00", *ends]
        text += "\n".join(
            f"{e}Z,{s}Z,PT30M,3,{at}" for at, (e, s) in enumerate(zip(ends, starts, strict=False))
        )
    else:
        offset = "+09:00" if form == "offset" else "Z"
        text = "period_end,period,ghi\n" + "\n".join(f"{e}{offset},PT30M,{at}" for at, e in enumerate(ends))
    report = peerwatt.report(peerwatt.file("s.csv", text))
    assert report["sources"][0]["kind"] == "solcast"
    assert (report["step_minutes"], report["greatest"], report["doubts"]) == (30, 46, [])
    assert report["first"] == ("2024-06-17T15:00:00Z" if form == "offset" else "2024-06-18T00:00:00Z")


def test_solcast_spacing_goes_before_its_label(peerwatt: Import) -> None:
    rows = [f"2024-06-18T{h:02d}:00:00Z,PT30M,{h}" for h in range(1, 12)]
    report = peerwatt.report(peerwatt.file("s.csv", "period_end,period,ghi\n" + "\n".join(rows)))
    assert report["step_minutes"] == 60
    assert "line 2: a period of 30 min, but rows are 60 min apart" in report["doubts"][0]
    bad = "period_end,period,ghi\n2024-06-18T00:30:00Z,thirty,1\n2024-06-18T01:00:00Z,PT30M,1"
    assert "line 2: found the duration 'thirty'" in peerwatt.refusal(peerwatt.file("b.csv", bad))


def test_solcast_power_of_a_site(peerwatt: Import) -> None:
    rows = [f"{h}.5,2024-06-18T{h:02d}:00:00Z,PT1H" for h in range(1, 12)]
    report = peerwatt.report(peerwatt.file("s.csv", "PvEstimate,PeriodEnd,Period\n" + "\n".join(rows)))
    assert (report["quantity"], report["unit_found"], report["greatest"]) == ("pv", "kW", 11.5)


@pytest.mark.parametrize("offset_h", [0, 2, -5])
def test_open_meteo_is_ahead_of_utc_by_what_it_says(peerwatt: Import, offset_h: int) -> None:
    report = peerwatt.report(peerwatt.file("m.csv", open_meteo(7, offset_h * 3600)))
    assert (report["first"], report["stamps_name"]) == ("2024-05-31T23:00:00Z", "end")
    assert report["sun_centre_utc_h"] == pytest.approx(12 - 2 / 15, abs=0.05)
    assert report["doubts"] == []


def test_a_zone_mix_up_shows_in_the_sun(peerwatt: Import) -> None:
    wrong = open_meteo(7, 7200).replace("38.0,7200,", "38.0,0,")
    doubts = peerwatt.report(peerwatt.file("m.csv", wrong))["doubts"]
    assert len(doubts) == 1
    assert "the sun's middle is at 13:52 UTC" in doubts[0]


def test_open_meteo_json_with_gaps_and_unix_times(peerwatt: Import) -> None:
    about = {"latitude": 47.7, "longitude": 2.0, "utc_offset_seconds": 7200, "timezone": "Europe/Paris"}
    times = [f"2024-06-18T{h:02d}:00" for h in range(24)]
    values: list[float | None] = [float(h) for h in range(24)]
    values[7] = None
    content = {
        **about,
        "hourly_units": {"time": "iso8601", "shortwave_radiation": "W/m²"},
        "hourly": {"time": times, "shortwave_radiation": values},
    }
    report = peerwatt.report(peerwatt.file("m.json", json.dumps(content)))
    assert (report["first"], report["gaps"][0]["start"]) == ("2024-06-17T21:00:00Z", "2024-06-18T04:00:00Z")
    seconds = [1718661600 + 3600 * h for h in range(24)]
    unix = content | {
        "hourly_units": {"time": "unixtime", "shortwave_radiation": "W/m²"},
        "hourly": {"time": seconds, "shortwave_radiation": values},
    }
    assert peerwatt.report(peerwatt.file("u.json", json.dumps(unix)))["first"] == "2024-06-17T21:00:00Z"
    values[3] = "dark"  # type: ignore[call-overload]
    assert "hourly[3], column 'shortwave_radiation'" in peerwatt.refusal(
        peerwatt.file("b.json", json.dumps(content))
    )


def test_open_meteo_without_irradiance_or_in_another_unit(peerwatt: Import) -> None:
    text = open_meteo(1, 0)
    assert "shortwave_radiation" in peerwatt.refusal(
        peerwatt.file("a.csv", text.replace("shortwave_radiation", "cloud_cover"))
    )
    assert "'MJ/m²'" in peerwatt.refusal(peerwatt.file("b.csv", open_meteo(1, 0, unit="MJ/m²")))


def test_pvgis_values_stand_for_the_hour_around_their_stamp(peerwatt: Import) -> None:
    report = peerwatt.report(peerwatt.file("v.csv", pvgis_csv()))
    rows = rows_of(peerwatt.folder / "v-irradiance.csv")
    assert (rows[0][0], len(rows)) == ("2015-12-31T23:40:00Z", 24)
    assert (report["stamps_name"], report["step_minutes"], report["doubts"]) == ("centre", 60, [])


def test_pvgis_power_and_plane(peerwatt: Import) -> None:
    power, plane = peerwatt.reports(peerwatt.file("v.csv", pvgis_csv(power=True, slope=30)))
    assert (power["quantity"], power["unit_found"], power["greatest"]) == ("pv", "W", 0.23)
    assert plane["quantity"] == "irradiance"
    assert "tilted" in plane["doubts"][0]
    one = peerwatt.report("v.csv", "--column", "P", "--name", "only")
    assert one["written"] == "only-pv.csv"


def test_pvgis_parts_in_json_are_summed_and_a_typical_year_is_refused(peerwatt: Import) -> None:
    rows = [
        {"time": f"20160101:{h:02d}30", "Gb(i)": 1.0 * h, "Gd(i)": 2.0, "Gr(i)": 0.5, "T2m": 4}
        for h in range(24)
    ]
    inputs = {
        "location": {"latitude": 47.7, "longitude": -3.4, "elevation": 20.0},
        "mounting_system": {"fixed": {"slope": {"value": 0, "optimal": False}, "azimuth": {"value": 0}}},
    }
    content = {"inputs": inputs, "outputs": {"hourly": rows}, "meta": {}}
    report = peerwatt.report(peerwatt.file("v.json", json.dumps(content)))
    assert (report["first"], report["greatest"]) == ("2016-01-01T00:00:00Z", 25.5)
    tmy = {"inputs": inputs, "outputs": {"tmy_hourly": [{"time(UTC)": "20050101:0000", "G(h)": 0}]}}
    assert "typical" in peerwatt.refusal(peerwatt.file("t.json", json.dumps(tmy)))
    rows[3]["time"] = "2016-01-01 03:30"
    assert "outputs.hourly[3]" in peerwatt.refusal(peerwatt.file("b.json", json.dumps(content)))


def test_the_papers_irradiance(peerwatt: Import, lorient_folder: Path) -> None:
    report = peerwatt.report(lorient_folder / "DonnéesIrradianceSolaire" / "03-01-2020")
    assert report["sources"][0]["kind"] == "solcast"
    assert (report["first"], report["end"]) == ("2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z")
    assert (report["step_minutes"], report["values"], report["gaps"]) == (10, 144, [])

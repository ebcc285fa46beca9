"""Prices of ENTSO-E, Ember and SMARD."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.imports.exports import AUTUMN, SPRING, Import, a44, entsoe, rows_of, smard

DAY = datetime(2024, 6, 18)
DAYS = [(DAY, 24, "06-17T22"), (SPRING, 23, "03-30T23"), (AUTUMN, 25, "10-26T22")]


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize(("day", "hours", "first"), DAYS)
@pytest.mark.parametrize("form", ["smard", "entsoe", "entsoe unmarked"])
def test_german_and_european_days_of_every_length(
    peerwatt: Import, form: str, minutes: int, day: datetime, hours: int, first: str
) -> None:
    if form == "smard":
        text = smard(day, minutes, lambda row: f"-1.0{row:02d},50")
        options, expected = (
            ["--column", "Deutschland"],
            [-(1000.5 + row) / 1000 for row in range(hours * 60 // minutes)],
        )
    else:
        text = entsoe(day, minutes, lambda row: f"{row}.25", marked=form == "entsoe")
        options, expected = [], [(row + 0.25) / 1000 for row in range(hours * 60 // minutes)]
    report = peerwatt.report(peerwatt.file("p.csv", text), *options)
    rows = rows_of(peerwatt.folder / "p-price.csv")
    assert [float(value) for _, value in rows] == pytest.approx(expected, abs=1e-12)
    assert rows[0][0] == f"2024-{first}:00:00Z"
    assert report["sources"][0]["kind"] == form.split()[0]
    assert (report["unit_found"], report["unit_written"], report["gaps"]) == ("EUR/MWh", "EUR/kWh", [])
    assert [c["hours"] for c in report["clock_changes"]] == ([] if hours == 24 else [hours])


def test_smard_of_several_areas_wants_a_choice_and_leaves_gaps(peerwatt: Import) -> None:
    name = peerwatt.file("p.csv", smard(DAY, 60, lambda row: "-" if row == 3 else "80,5"))
    error = peerwatt.refusal(name)
    assert "'Frankreich [€/MWh] Originalauflösungen'" in error
    assert "--column" in error
    report = peerwatt.report(name, "--column", "Deutschland/Luxemburg")
    assert [gap["minutes"] for gap in report["gaps"]] == [60]
    assert "--unit" in peerwatt.refusal(name, "--unit", "EUR/kWh")


def test_the_hour_that_comes_twice_in_falling_order(peerwatt: Import) -> None:
    lines = smard(AUTUMN, 60, lambda row: f"{row},5").splitlines()
    for name, rows in (("up", lines[1:]), ("down", lines[:0:-1])):
        peerwatt.report(peerwatt.file(f"{name}.csv", "\n".join([lines[0], *rows])), "--column", "Deutschland")
    assert rows_of(peerwatt.folder / "down-price.csv") == rows_of(peerwatt.folder / "up-price.csv")


def test_smard_in_english(peerwatt: Import) -> None:
    rows = [f"Jun 18, 2024 {h % 12 or 12}:00 {'AM' if h < 12 else 'PM'};x;1,0{h:02d}.5" for h in range(24)]
    text = "\n".join(["Start date;End date;Germany/Luxembourg [€/MWh] Original resolutions", *rows])
    report = peerwatt.report(peerwatt.file("p.csv", text))
    assert (report["first"], report["least"]) == ("2024-06-17T22:00:00Z", pytest.approx(1.0005))
    assert any("beyond" in words for words in report["doubts"])


def test_entsoe_of_before_with_missing_prices(peerwatt: Import) -> None:
    rows = [f"18.06.2024 {h:02d}:00 - 18.06.2024 {h + 1:02d}:00" for h in range(23)]
    rows.append("18.06.2024 23:00 - 19.06.2024 00:00")
    prices = ["N/A" if h == 4 else "n/e" if h == 5 else f"{h}.5" for h in range(24)]
    lines = [f'"{mtu}","{price}","EUR","BZN|FR"' for mtu, price in zip(rows, prices, strict=True)]
    text = "\n".join(['"MTU (CET/CEST)","Day-ahead Price [EUR/MWh]","Currency","BZN|FR"', *lines])
    report = peerwatt.report(peerwatt.file("p.csv", text))
    assert (report["values"], report["gaps"][0]["minutes"]) == (22, 120)
    assert "'GBP/MWh'" in peerwatt.refusal(peerwatt.file("q.csv", text.replace("EUR", "GBP")))


def test_the_hour_that_clocks_skip_may_stand_empty_but_not_full(peerwatt: Import) -> None:
    head = '"MTU (CET/CEST)","Day-ahead Price (EUR/MWh)"\n'
    rows = [f'"31/03/2024 {h:02d}:00 - 31/03/2024 {h + 1:02d}:00","{{{h}}}"' for h in range(12)]
    text = head + "\n".join(rows)
    empty = text.format(*["-" if h == 2 else str(h) for h in range(12)])
    report = peerwatt.report(peerwatt.file("p.csv", empty))
    assert (report["values"], report["gaps"]) == (11, [])
    error = peerwatt.refusal(peerwatt.file("q.csv", text.format(*range(12))))
    assert "line 4: found 2024-03-31 02:00:00" in error
    assert "--zone" in error


def test_entsoe_from_hours_to_quarters_and_areas(peerwatt: Import) -> None:
    hours = entsoe(datetime(2025, 9, 30), 60, lambda _: "40")
    quarters = entsoe(datetime(2025, 10, 1), 15, lambda _: "60").split("\n", 1)[1]
    report = peerwatt.report(peerwatt.file("p.csv", hours + quarters))
    assert report["steps_found"] == {"15 min": 96, "60 min": 24}
    assert (report["step_minutes"], report["mean"], report["gaps"]) == (15, pytest.approx(0.05), [])
    other = entsoe(datetime(2025, 9, 30), 60, lambda _: "40", area="BZN|BE").split("\n", 1)[1]
    both = peerwatt.file("both.csv", hours + other)
    assert "'BZN|BE', 'BZN|FR'" in peerwatt.refusal(both)
    assert peerwatt.report(both, "--select", "Area=BZN|BE")["values"] == 24
    second = hours + other.replace("BZN|BE", "BZN|FR").replace("Sequence 1", "Sequence 2")
    assert "--select 'Sequence=Sequence 1'" in peerwatt.refusal(peerwatt.file("seq.csv", second))


HOURS = ("2024-06-17T22:00Z", "2024-06-18T04:00Z", "PT60M", [(1, 50.0), (2, 40.5), (5, -3.0)])


def test_points_left_out_are_as_before_or_missing_by_curve_type(peerwatt: Import) -> None:
    report = peerwatt.report(peerwatt.file("a.xml", a44([HOURS])))
    values = [value for _, value in rows_of(peerwatt.folder / "a-price.csv")]
    assert values == ["0.05", "0.0405", "0.0405", "0.0405", "-0.003", "-0.003"]
    assert report["first"] == "2024-06-17T22:00:00Z"
    report = peerwatt.report(peerwatt.file("b.xml", a44([HOURS], curve="A01")))
    assert (report["values"], report["gaps"][0]["minutes"], report["end"]) == (3, 120, "2024-06-18T03:00:00Z")


def test_xml_that_will_not_do(peerwatt: Import) -> None:
    quarters = (HOURS[0], "2024-06-17T23:00Z", "PT15M", [(1, 1.0)])
    both = peerwatt.file("both.xml", a44([HOURS, quarters]))
    assert "--select 'resolution=PT15M'" in peerwatt.refusal(both)
    assert peerwatt.report(both, "--select", "resolution=PT60M")["values"] == 6
    far = a44([(*HOURS[:3], [(7, 1.0)])])
    assert "TimeSeries 1, Period 1, position: found '7'" in peerwatt.refusal(peerwatt.file("far.xml", far))
    assert "GBP" in peerwatt.refusal(peerwatt.file("gbp.xml", a44([HOURS], currency="GBP")))
    load = a44([HOURS]).replace(">A44<", ">A65<")
    assert "A65" in peerwatt.refusal(peerwatt.file("load.xml", load))
    cut = peerwatt.file("cut.xml", a44([HOURS])[:-30])
    assert "broken XML" in peerwatt.refusal(cut)
    bomb = a44([HOURS]).replace("?>\n", '?>\n<!DOCTYPE x [<!ENTITY a "b">]>', 1)
    assert "document type" in peerwatt.refusal(peerwatt.file("bomb.xml", bomb))


def test_ember_of_one_country_and_of_all(peerwatt: Import) -> None:
    head = "Country,ISO3 Code,Datetime (UTC),Datetime (Local),Price (EUR/MWhe)\n"
    rows = [
        f"{name},{code},2024-03-31 {h:02d}:00:00,2024-03-31 {h:02d}:00:00,{h + plus}.5"
        for name, code, plus in (("Austria", "AUT", 0), ("France", "FRA", 50))
        for h in range(24)
    ]
    one = peerwatt.report(peerwatt.file("fr.csv", head + "\n".join(rows[24:])))
    assert (one["values"], one["least"], one["zone"]) == (24, pytest.approx(0.0505), "UTC")
    everything = peerwatt.file("all.csv", head + "\n".join(rows))
    assert "--select 'Country=Austria'" in peerwatt.refusal(everything)
    assert peerwatt.report(everything, "--select", "Country=France")["mean"] == one["mean"]
    daily = "Country,ISO3 Code,Date,Price (EUR/MWhe)\nFrance,FRA,2024-03-31,50\n"
    assert "hourly" in peerwatt.refusal(peerwatt.file("d.csv", daily))

"""Load curves of Linky meters."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.imports.exports import AUTUMN, SPRING, Import, linky, rows_of

DAY = datetime(2024, 6, 18)


@pytest.mark.parametrize("minutes", [10, 15, 30, 60])
@pytest.mark.parametrize(
    ("day", "hours", "first"), [(DAY, 24, "06-17T22"), (SPRING, 23, "03-30T23"), (AUTUMN, 25, "10-26T22")]
)
def test_every_step_and_length_of_day(
    peerwatt: Import, minutes: int, day: datetime, hours: int, first: str
) -> None:
    report = peerwatt.report(peerwatt.file("linky.csv", linky(day, minutes)))
    rows = rows_of(peerwatt.folder / "linky-load.csv")
    assert [float(value) for _, value in rows] == [(200 + row) / 1000 for row in range(hours * 60 // minutes)]
    assert rows[0][0] == f"2024-{first}:00:00Z"
    assert (report["step_minutes"], report["stamps_name"], report["zone"]) == (minutes, "end", "Europe/Paris")
    assert report["sources"][0]["kind"] == "enedis"
    assert report["gaps"] == []
    assert report["complete_days"]["count"] == 1
    expected = [] if hours == 24 else [(day.date().isoformat(), hours, hours * 60 / minutes)]
    assert [(c["day"], c["hours"], c["values"]) for c in report["clock_changes"]] == expected


@pytest.mark.parametrize(("unit", "kw"), [("W", 0.6), ("kW", 600.0), ("Wh", 1.2), ("kWh", 1200.0)])
def test_units_are_those_of_the_file(peerwatt: Import, unit: str, kw: float) -> None:
    report = peerwatt.report(peerwatt.file("l.csv", linky(DAY, 30, lambda _: "600", unit)))
    assert report["mean"] == pytest.approx(kw)
    assert report["energy_kwh"] == pytest.approx(24 * kw)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_encodings_and_decimal_commas(peerwatt: Import, encoding: str) -> None:
    text = linky(DAY, 30, lambda _: "250,5").removeprefix("\ufeff").replace("donnees", "données")
    report = peerwatt.report(peerwatt.file("l.csv", text, encoding))
    assert report["mean"] == pytest.approx(0.2505)
    assert report["sources"][0]["encoding"] == {"latin-1": "cp1252"}.get(encoding, encoding)


def test_a_gap_is_left_told_and_only_filled_when_asked(peerwatt: Import) -> None:
    name = peerwatt.file("l.csv", linky(DAY, 30, lambda row: "" if row in (4, 5, 10) else str(100 * row)))
    report = peerwatt.report(name)
    assert [(g["start"], g["minutes"], g["filled"]) for g in report["gaps"]] == [
        ("2024-06-18T00:00:00Z", 60, False),
        ("2024-06-18T03:00:00Z", 30, False),
    ]
    assert [value for _, value in rows_of(peerwatt.folder / "l-load.csv")][3:7] == ["0.3", "", "", "0.6"]
    assert (report["values_missing"], report["values_filled"]) == (3, 0)
    filled = peerwatt.report(name, "--fill-gaps-up-to", 30, "--name", "filled")
    assert [gap["filled"] for gap in filled["gaps"]] == [False, True]
    lines = (peerwatt.folder / "filled-load.csv").read_text().splitlines()
    assert lines[0] == "period_start_utc,load_kw,filled"
    assert lines[11] == "2024-06-18T03:00:00Z,1,1"
    assert lines[12].endswith(",0")
    assert lines[5].endswith(",,0")


def test_production_is_told_from_consumption(peerwatt: Import) -> None:
    report = peerwatt.report(peerwatt.file("l.csv", linky(DAY, way="Production")))
    assert report["quantity"] == "pv"
    assert "pv = { production = " in report["scenario"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "Index quotidiens"}, "meter indexes"),
        ({"kind": "Puissance maximale quotidienne", "unit": "VA"}, "daily maxima"),
        ({"unit": "VA"}, "'VA'"),
        ({"unit": ""}, "--unit"),
        ({"unit": "EUR/MWh"}, "expected W, kW, Wh or kWh"),
    ],
)
def test_what_is_no_load_curve_is_refused(peerwatt: Import, change: dict[str, str], words: str) -> None:
    assert words in peerwatt.refusal(peerwatt.file("l.csv", linky(DAY, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "words"),
    [("12a;", "found '12a;"), ("inf", "'inf'"), ("1_000", "'1_000'")],
)
def test_a_bad_value_is_refused_with_its_line(peerwatt: Import, bad: str, words: str) -> None:
    text = linky(DAY, 30, lambda row: bad.rstrip(";") if row == 5 else "1")
    error = peerwatt.refusal(peerwatt.file("l.csv", text))
    assert "l.csv: line 9, column 'Valeur'" in error
    assert words.rstrip(";") in error


def test_a_bad_stamp_is_refused_with_its_line(peerwatt: Import) -> None:
    text = linky(DAY).replace("2024-06-18T03:00:00+02:00", "18/06/2024 3h")
    error = peerwatt.refusal(peerwatt.file("l.csv", text))
    assert "line 9, column 'Horodate': found '18/06/2024 3h', expected a time in ISO 8601" in error


def test_rows_that_do_not_say_start_or_end_need_a_label(peerwatt: Import) -> None:
    head = "Identifiant PRM;Grandeur métier;Unité;Horodate;Valeur;Nature"
    rows = [f"00000000000000;CONS;W;2024-06-18T{hour:02d}:00:00+02:00;{hour};B" for hour in range(24)]
    name = peerwatt.file("flat.csv", "\n".join([head, *rows]))
    assert "--label" in peerwatt.refusal(name)
    assert peerwatt.report(name, "--label", "start")["first"] == "2024-06-17T22:00:00Z"


def test_a_meter_set_to_another_step_midway(peerwatt: Import) -> None:
    first = linky(DAY, 30, lambda _: "400").splitlines()
    second = linky(datetime(2024, 6, 19), 15, lambda _: "800").splitlines()[3:]
    report = peerwatt.report(peerwatt.file("l.csv", "\n".join(first + second)))
    assert report["steps_found"] == {"15 min": 96, "30 min": 48}
    assert report["gaps"] == []
    assert report["energy_kwh"] == pytest.approx(24 * 0.4 + 24 * 0.8)


def test_falling_order_and_the_same_row_twice(peerwatt: Import) -> None:
    lines = linky(AUTUMN, 30).splitlines()
    report = peerwatt.report(peerwatt.file("l.csv", "\n".join(lines[:3] + lines[:2:-1] + lines[-1:])))
    assert report["duplicate_rows"] == 1
    assert report["values"] == 50
    assert any("falling order" in words for words in report["understood"])
    lines[5] = lines[4].split(";")[0] + ";999"
    error = peerwatt.refusal(peerwatt.file("twice.csv", "\n".join(lines)))
    assert "line 6: found 999" in error
    assert "line 5: two values for one time" in error

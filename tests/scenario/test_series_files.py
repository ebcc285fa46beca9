"""Series in files: read as they are described, refused with file, line and field where they are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.scenario import resolve
from tests.scenario.scenarios import refusal, write

HOUSE_LOAD = 'load = { constant = 0.5, unit = "kW" }'
PLAIN = 'load = { file = "load.txt", unit = "W" }'
TIMED = 'load = { file = "load.csv", column = "P", unit = "kW", time = "t" }'


def _plain(tmp_path: Path, lines: list[str]) -> Path:
    (tmp_path / "load.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return write(tmp_path, (HOUSE_LOAD, PLAIN))


def _timed(tmp_path: Path, rows: list[str], load: str = TIMED, header: str = "t,P") -> Path:
    (tmp_path / "load.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return write(tmp_path, (HOUSE_LOAD, load))


def _hours(day: str = "2024-06-18", offset: str = "", value: str = "{hour}") -> list[str]:
    return [f"{day}T{hour:02d}:00:00{offset},{value.format(hour=hour)}" for hour in range(24)]


def _load(path: Path) -> np.ndarray:
    return resolve(path).series["house"][0].load_kwh


def test_one_value_a_line_is_mean_watts_per_slot(tmp_path: Path) -> None:
    assert _load(_plain(tmp_path, [str(500 * slot) for slot in range(24)])).tolist() == [
        slot * 0.5 for slot in range(24)
    ]


@pytest.mark.parametrize("count", [0, 1, 23, 25])
def test_a_wrong_number_of_values_is_refused(tmp_path: Path, count: int) -> None:
    message = refusal(_plain(tmp_path, ["5"] * count))
    assert str(tmp_path / "load.txt") in message
    assert 'member[1] "house" load' in message or count == 0
    assert f"found {count or 'no'} values" in message
    assert count == 0 or "expected 24" in message


@pytest.mark.parametrize(
    ("bad", "found"),
    [("abc", "'abc'"), ("inf", "'inf'"), ("1e999", "'1e999'"), ("nan", "found no value"), ("-3", "found -3")],
)
def test_a_bad_value_is_refused_with_its_line(tmp_path: Path, bad: str, found: str) -> None:
    message = refusal(_plain(tmp_path, ["5"] * 10 + [bad] + ["5"] * 13))
    assert f"{tmp_path / 'load.txt'}: line 11" in message
    assert found in message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, (HOUSE_LOAD, PLAIN)))
    assert 'member[1] "house" load.file: found no such file' in message
    assert str(tmp_path / "load.txt") in message


def test_a_file_of_several_sessions_holds_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "load.txt").write_text("\n".join(str(1000 * at) for at in range(48)), encoding="utf-8")
    path = write(tmp_path, (HOUSE_LOAD, PLAIN), ("start = 2024-06-18", "start = [2024-01-16, 2024-06-18]"))
    sessions = [session.load_kwh.tolist() for session in resolve(path).series["house"]]
    assert sessions == [list(range(24)), list(range(24, 48))]


def test_data_folder_takes_the_place_of_the_scenarios_own(tmp_path: Path) -> None:
    path = _plain(tmp_path, ["1000"] * 24)
    other = tmp_path / "other"
    other.mkdir()
    assert str(other / "load.txt") in refusal(path, other)
    (other / "load.txt").write_text("2000\n" * 24, encoding="utf-8")
    assert resolve(path, other).series["house"][0].load_kwh.tolist() == [2.0] * 24


def test_times_without_offset_are_local(tmp_path: Path) -> None:
    assert _load(_timed(tmp_path, _hours())).tolist() == list(range(24))


def test_times_with_offset_are_taken_at_their_word(tmp_path: Path) -> None:
    rows = _hours("2024-06-17", "Z") + _hours("2024-06-18", "Z", "1{hour:02d}")
    # Local midnight is 22 h UTC the day before.
    assert _load(_timed(tmp_path, rows)).tolist() == [22, 23] + [100 + hour for hour in range(22)]


def test_a_zone_of_its_own_for_the_file(tmp_path: Path) -> None:
    rows = _hours("2024-06-17") + _hours("2024-06-18", value="1{hour:02d}")
    load = TIMED.replace('time = "t"', 'time = "t", time_zone = "UTC"')
    assert _load(_timed(tmp_path, rows, load)).tolist() == [22, 23] + [100 + hour for hour in range(22)]


def test_stamps_that_name_the_end(tmp_path: Path) -> None:
    rows = [*_hours(), "2024-06-19T00:00:00,24"]
    load = TIMED.replace('time = "t"', 'time = "t", label = "end"')
    assert _load(_timed(tmp_path, rows, load)).tolist() == list(range(1, 25))


def test_finer_rows_are_averaged_and_energies_summed(tmp_path: Path) -> None:
    rows = [f"2024-06-18T{hour:02d}:{minute:02d},{hour + minute}" for hour in range(24) for minute in (0, 30)]
    assert _load(_timed(tmp_path, rows)).tolist() == [hour + 15 for hour in range(24)]
    energies = TIMED.replace('"kW"', '"kWh"')
    assert _load(_timed(tmp_path, rows, energies)).tolist() == [2 * hour + 30 for hour in range(24)]


def test_an_hourly_price_holds_through_quarters(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("\n".join(["t,EUR", *_hours(value="{hour}.5")]), encoding="utf-8")
    price = 'import = { file = "p.csv", column = "EUR", unit = "EUR/MWh", time = "t" }'
    path = write(tmp_path, ("import = 0.25", price), ("slot_minutes = 60", "slot_minutes = 15"))
    prices = [str(price) for price in resolve(path).import_price_eur_per_kwh[0]]
    assert prices[:5] == ["0.000500000"] * 4 + ["0.001500000"]
    assert prices[-1] == "0.023500000"


def test_semicolons_decimal_comma_bom_joined_times_and_lines_before_the_header(tmp_path: Path) -> None:
    rows = [f"18/06/2024;{hour:02d}h;{hour},5" for hour in range(24)]
    text = "\ufeffsite;x\nday;hour;P (W)\n" + "\r\n".join(rows)
    (tmp_path / "load.csv").write_bytes(text.encode())
    load = (
        'load = { file = "load.csv", column = "P (W)", unit = "W", separator = ";", decimal = ",", '
        'skip_lines = 1, time = ["day", "hour"], time_format = "%d/%m/%Y %Hh" }'
    )
    assert _load(write(tmp_path, (HOUSE_LOAD, load))) == pytest.approx([(h + 0.5) / 1000 for h in range(24)])


def test_missing_slots_are_named(tmp_path: Path) -> None:
    rows = _hours()
    message = refusal(_timed(tmp_path, rows[:6] + rows[8:]))
    for word in (
        str(tmp_path / "load.csv"),
        '"house" load',
        "2 of 24 slots",
        "slot 6 at 2024-06-18T06:00:00+02:00",
    ):
        assert word in message


def test_an_empty_cell_in_the_horizon_is_a_missing_slot_and_elsewhere_no_harm(tmp_path: Path) -> None:
    rows = [*_hours(), "2024-06-19T00:00:00,"]
    assert _load(_timed(tmp_path, rows)).tolist() == list(range(24))
    rows[3] = "2024-06-18T03:00:00,"
    assert "1 of 24 slots, first slot 3" in refusal(_timed(tmp_path, rows))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    message = refusal(_timed(tmp_path, _hours(), header="t,Q"))
    assert "column: found columns t, Q, expected 'P'" in message


@pytest.mark.parametrize(("mark", "shown"), [(";", ";"), ("\t", "\\t")])
def test_a_header_that_is_not_split_hints_at_its_separator(tmp_path: Path, mark: str, shown: str) -> None:
    rows = [row.replace(",", mark) for row in _hours()]
    message = refusal(_timed(tmp_path, rows, header=f"t{mark}P"))
    assert f'is it separator = "{shown}"?' in message
    hinted = TIMED.replace(" }", f', separator = "{shown}" }}')
    assert _load(_timed(tmp_path, rows, hinted, f"t{mark}P")).tolist() == list(range(24))
    assert "separator =" not in refusal(_timed(tmp_path, _hours(), header="t,Q"))
    assert "separator =" not in refusal(_timed(tmp_path, rows, TIMED.replace('"P"', '"Q"'), "t"))


def test_a_number_with_the_other_decimal_mark_hints_at_it(tmp_path: Path) -> None:
    rows = [f"2024-06-18T{hour:02d}:00:00;-{hour},5" for hour in range(24)]
    load = TIMED.replace(" }", ', separator = ";" }')
    message = refusal(_timed(tmp_path, rows, load, "t;P"))
    assert "line 2, column P: found '-0,5'" in message
    assert 'is it decimal = ","?' in message
    hinted = load.replace(" }", ', decimal = "," }')
    assert "found -0.5" in refusal(_timed(tmp_path, rows, hinted, "t;P"))  # it is read, and below zero
    assert "decimal =" not in refusal(_timed(tmp_path, _hours(value="abc")))
    assert "decimal =" not in refusal(_timed(tmp_path, [row + ",5,6" for row in rows], load, "t;P"))


def test_what_a_file_covers_is_told_in_the_horizons_zone_with_what_fills_gaps(tmp_path: Path) -> None:
    message = refusal(_timed(tmp_path, [row for row in _hours() if "T06" not in row]))
    assert "the file covers 2024-06-18T00:00:00+02:00 to 2024-06-19T00:00:00+02:00" in message
    assert "--fill-gaps-up-to" in message
    # another day's file has no gap that could be filled
    message = refusal(_timed(tmp_path, _hours("2024-06-17")))
    assert "24 of 24 slots" in message
    assert "--fill-gaps-up-to" not in message


def test_a_short_row_is_refused(tmp_path: Path) -> None:
    message = refusal(_timed(tmp_path, [*_hours()[:4], "2024-06-18T04:00:00", *_hours()[5:]]))
    assert "line 6: found 1 columns, expected at least 2" in message


def test_a_bad_stamp_is_refused(tmp_path: Path) -> None:
    message = refusal(_timed(tmp_path, ["yesterday,1", *_hours()]))
    assert "line 2, time: found 'yesterday', expected ISO 8601" in message


def test_times_that_go_back_are_refused(tmp_path: Path) -> None:
    rows = _hours()
    rows[4], rows[5] = rows[5], rows[4]
    message = refusal(_timed(tmp_path, rows))
    assert "line 7" in message
    assert "expected increasing times" in message


@pytest.mark.parametrize(("day", "slots"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_local_stamps_of_a_day_on_which_clocks_change(tmp_path: Path, day: str, slots: int) -> None:
    hours = [hour for hour in range(24) if slots == 25 or hour != 2]
    if slots == 25:
        hours.insert(3, 2)
    rows = [f"{day}T{hour:02d}:00:00,{number}" for number, hour in enumerate(hours)]
    _timed(tmp_path, rows)
    path = write(tmp_path, (HOUSE_LOAD, TIMED), ("start = 2024-06-18", f"start = {day}"))
    assert _load(path).tolist() == list(range(slots))


def test_a_local_stamp_that_clocks_skip_is_refused(tmp_path: Path) -> None:
    _timed(tmp_path, _hours("2024-03-31"))
    message = refusal(write(tmp_path, (HOUSE_LOAD, TIMED), ("start = 2024-06-18", "start = 2024-03-31")))
    assert "2024-03-31 02:00:00 does not exist in Europe/Paris" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("T03:00:00,3", "T03:00:00,3,5", ["line 5: found 3 columns, expected 2 as in the header"]),
        ("T03:00:00,3", 'T03:00:00,"3', ["line 5", "quotation marks in pairs"]),
        ("T03:00:00,3", "T03:00:00," + "9" * 200_000, ["line 5", "field limit"]),
        ("T03:00:00,3", "T03:00:00," + "x" * 1000, ["line 5, column P: found 'xxx", "..."]),
        ("t,P", "P,P", ["column: found 2 columns 'P', expected one"]),
    ],
)
def test_rows_that_do_not_fit_the_header_are_refused(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = _timed(tmp_path, _hours())
    table = tmp_path / "load.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    message = refusal(path)
    assert message.startswith(str(table))
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    for word in words:
        assert word in message


def test_cells_left_empty_at_the_end_of_a_row_do_no_harm(tmp_path: Path) -> None:
    assert _load(_timed(tmp_path, [f"{row},," for row in _hours()])).tolist() == list(range(24))


def test_a_workbook_is_told_apart_from_text(tmp_path: Path) -> None:
    path = _timed(tmp_path, _hours())
    (tmp_path / "load.csv").write_bytes(b"PK\x03\x04 a sheet")
    assert "save the sheet as CSV" in refusal(path)

"""What a scenario's members forecast from: their series on the days before, or a history of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from runtime.scenario import resolve
from tests.scenario.scenarios import refusal, write

HOUSE_LOAD = 'load = { constant = 0.5, unit = "kW" }'
FORECAST = ("[tariff]", '[forecast]\nmethod = "similar-day"\ndays = 10\n[tariff]')


def metered_file(folder: Path, days: int) -> str:
    """Hourly power that is the hour of the day [kW], up to the horizon's end; not on 12 June at 5."""
    lines = ["time,kw"]
    at = datetime(2024, 6, 19) - timedelta(days=days)
    while at < datetime(2024, 6, 19):
        value = "" if at == datetime(2024, 6, 12, 5) else str(at.hour)
        lines.append(f"{at.isoformat()},{value}")
        at += timedelta(hours=1)
    (folder / "house.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return '{ file = "house.csv", column = "kw", unit = "kW", time = "time" }'


def test_without_a_word_about_it_members_are_told(tmp_path: Path) -> None:
    config = resolve(write(tmp_path)).member_config("school")
    assert config.forecast is None
    assert config.sessions[0].load_kwh == [4.0] * 24
    assert config.sessions[0].history is None


def test_a_member_that_forecasts_is_told_its_past_and_not_the_session(tmp_path: Path) -> None:
    file = metered_file(tmp_path, 12)
    resolved = resolve(write(tmp_path, (HOUSE_LOAD, f"load = {file}"), FORECAST))
    config = resolved.member_config("house")
    assert config.forecast == "similar-day"
    session = config.sessions[0]
    assert (session.load_kwh, session.ghi_w_per_m2, session.pv_production_kwh) == (None, None, None)
    history = session.history
    expected: list[float | None] = [float(hour) for hour in range(24)] * 10
    expected[4 * 24 + 5] = None  # 12 June is four days after the 8th
    assert history.load_kwh == expected
    assert history.holidays == []
    played = next(meter for meter in resolved.meters_config().meters if meter.member == "house")
    assert played.sessions[0].load_kwh == [float(hour) for hour in range(24)]
    assert any("forecast.history.load" in entry["series"] for entry in resolved.provenance)


def test_a_members_own_table_counts_before_the_one_for_all(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        FORECAST,
        (HOUSE_LOAD, HOUSE_LOAD + '\nforecast = { method = "perfect" }'),
        ("[member.battery]", "[member.forecast]\ndays = 9\ncountry = 'none'\n[member.battery]"),
    )
    resolved = resolve(path)
    assert resolved.member_config("house").forecast is None
    history = resolved.member_config("school").sessions[0].history
    assert history.load_kwh == [4.0] * 24 * 9
    assert history.pv_production_kwh == [1.0] * 24 * 9


def test_a_history_of_its_own_implies_forecasting(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        (
            HOUSE_LOAD,
            HOUSE_LOAD + '\nforecast = { days = 8, history = { load = { constant = 2, unit = "W" } } }',
        ),
    )
    config = resolve(path).member_config("house")
    assert config.forecast == "similar-day"
    assert config.sessions[0].history.load_kwh == [0.002] * 24 * 8


def test_modelled_days_before_are_those_that_a_run_of_them_would_have(tmp_path: Path) -> None:
    load = 'load = { model = "bdew", profile = "H0", annual_kwh = 3000, appliances = true }'
    told = resolve(write(tmp_path, (HOUSE_LOAD, load), ("2024-06-18", "2024-06-17")))
    path = write(tmp_path, (HOUSE_LOAD, load), FORECAST)
    history = resolve(path).member_config("house").sessions[0].history
    assert history.load_kwh[-24:] == pytest.approx(told.member_config("house").sessions[0].load_kwh)
    holidays = resolve(write(tmp_path, FORECAST, ("2024-06-18", "2024-05-13"))).member_config("house")
    assert holidays.sessions[0].history.holidays == [date(2024, 5, 8), date(2024, 5, 9)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([FORECAST, (HOUSE_LOAD, "load = { values = [" + "1," * 24 + '], unit = "kW" }')], "no times that"),
        (
            [FORECAST, ("days = 10", "days = 3")],
            "forecast.days: found 3, expected greater than or equal to 8",
        ),
        ([FORECAST, ("similar-day", "guess")], "forecast.method: found 'guess'"),
        ([FORECAST, ("days = 10", "dais = 10")], "did you mean 'days'?"),
        (
            [("[tariff]", '[forecast.history]\nload = { constant = 1, unit = "kW" }\n[tariff]')],
            "found load or pv for all members",
        ),
        (
            [(HOUSE_LOAD, HOUSE_LOAD + '\nforecast.history.pv = { constant = 1, unit = "kW" }')],
            "the member has no pv",
        ),
        (
            [FORECAST, ("slot_minutes = 60", "slot_minutes = 50\nslots = 3")],
            "expected slots that divide a day",
        ),
        ([FORECAST, ("days = 10", "country = 'XX'")], "country: found 'XX'"),
    ],
)
def test_what_will_not_do_is_refused(tmp_path: Path, changes: list[tuple[str, str]], message: str) -> None:
    assert message in refusal(write(tmp_path, *changes))


def test_a_past_in_which_nothing_was_metered_is_refused(tmp_path: Path) -> None:
    file = metered_file(tmp_path, 1)
    text = refusal(write(tmp_path, (HOUSE_LOAD, f"load = {file}"), FORECAST))
    assert "found no value in the 10 days before session 1" in text


def test_the_command_prints_errors_of_past_days(tmp_path: Path) -> None:
    path = write(
        tmp_path, (HOUSE_LOAD, f"load = {metered_file(tmp_path, 40)}"), FORECAST, ("= 10\n", "= 20\n")
    )
    command = [sys.executable, "-m", "runtime", "forecast", str(path), "--member", "house"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    series = found["sessions"][0]["load"]
    assert found["method"] == "similar-day"
    assert series["energy_kwh"] == pytest.approx(list(range(24)))
    assert series["past"]["mae_kwh"] == pytest.approx(0, abs=1e-12)
    assert series["past"]["days"] == 13
    assert (series["history_slots"], series["unmetered_slots"]) == (480, 1)
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2024-06-18" in shown
    wrong = subprocess.run([*command[:-1], "hose"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "expected one of house, school" in wrong.stderr

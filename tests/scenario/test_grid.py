"""The grid's CO₂ intensity, from the scenario to what the coordinator is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.scenario.resolve import resolve
from tests.scenario.scenarios import refusal, write

TARIFF = "export = 0.10\n"


def intensity(folder: Path, grid: str) -> list[float] | None:
    resolved = resolve(write(folder, (TARIFF, f"{TARIFF}[grid]\nco2_intensity = {grid}\n")))
    (session,) = resolved.coordinator_config().sessions
    return session.co2_intensity_g_per_kwh


def test_a_number_holds_all_day(tmp_path: Path) -> None:
    assert intensity(tmp_path, "56") == [56.0] * 24


def test_a_series_is_told_slot_by_slot(tmp_path: Path) -> None:
    values = list(range(24))
    assert intensity(tmp_path, f'{{ values = {values}, unit = "kg/MWh" }}') == values


def test_a_file_with_times_is_averaged_over_slots(tmp_path: Path) -> None:
    rows = [f"2024-06-18T{half // 2:02d}:{30 * (half % 2):02d},{half}" for half in range(48)]
    (tmp_path / "mix.csv").write_text("\n".join(["time,g", *rows]))
    found = intensity(tmp_path, '{ file = "mix.csv", column = "g", unit = "g/kWh", time = "time" }')
    assert found == [2 * hour + 0.5 for hour in range(24)]


def test_without_a_word_it_is_not_known(tmp_path: Path) -> None:
    (session,) = resolve(write(tmp_path)).coordinator_config().sessions
    assert session.co2_intensity_g_per_kwh is None


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("-1", "grid.co2_intensity"),
        ("56000", "grid.co2_intensity"),
        (
            '{ constant = 0.1, unit = "EUR/kWh" }',
            "grid.co2_intensity: unit: found 'EUR/kWh', expected",
        ),
        ('{ constant = 4000.0, unit = "g/kWh" }', "slot 0: found 4000, expected 0 to 3000 g/kWh"),
        ('{ model = "bdew", profile = "H0", annual_kwh = 1 }', "grid.co2_intensity"),
    ],
)
def test_what_is_no_intensity_is_refused(tmp_path: Path, grid: str, message: str) -> None:
    path = write(tmp_path, (TARIFF, f"{TARIFF}[grid]\nco2_intensity = {grid}\n"))
    assert message in refusal(path)

"""Whatever is wrong with a scenario gets one message that names file, field, what was found and expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.scenario import resolve
from tests.scenario.scenarios import refusal, write

HOUSE_LOAD = 'load = { constant = 0.5, unit = "kW" }'


def test_the_small_scenario_itself_is_fine(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path))
    assert resolved.members == ["house", "school"]
    assert resolved.series["house"][0].load_kwh.tolist() == [0.5] * 24


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # unknown keys, with a suggestion
        (
            "capacity_kwh = 10",
            "capcity_kwh = 10",
            ['member[2] "school" battery.capcity_kwh', "'capacity_kwh'"],
        ),
        ("seed = 3", "sed = 3", ["sed: unknown key", "'seed'"]),
        ("slot_minutes = 60", "slot_minutes = 60\nslot = 24", ["horizon.slot: unknown key", "'slots'"]),
        (
            HOUSE_LOAD,
            HOUSE_LOAD + "\npreferences = { green = 0.02 }",
            ['member[1] "house" preferences.green: unknown key', "'green_eur_per_kwh'"],
        ),
        (
            HOUSE_LOAD,
            HOUSE_LOAD + "\npreferences = { local_eur_per_kwh = -0.02 }",
            ['member[1] "house" preferences.local_eur_per_kwh', "-0.02"],
        ),
        (HOUSE_LOAD, 'load = { constant = 0.5, uni = "kW" }', ['member[1] "house" load.uni', "'unit'"]),
        (
            "import = 0.25",
            'import = [{ from = "00:00", to = "24:00", price = 0.2 }]',
            ["tariff.import[1].price:", "'price_eur_per_kwh'"],
        ),
        # units: only those that fit where the series stands
        (
            HOUSE_LOAD,
            "load = { constant = 0.5 }",
            ["load.unit: missing, expected 'W', 'kW', 'Wh' or 'kWh'\n"],
        ),
        (
            HOUSE_LOAD,
            'load = { constant = 5, unit = "kVA" }',
            ["unit: found 'kVA', expected 'W', 'kW', 'Wh' or 'kWh'\n"],
        ),
        (
            "export = 0.10",
            'export = { constant = 5, unit = "ct" }',
            ["tariff.export.unit: found 'ct', expected 'EUR/kWh', 'EUR/MWh' or 'ct/kWh'\n"],
        ),
        ("[tariff]", "[irradiance]\nconstant = 3\n[tariff]", ["irradiance.unit: missing, expected 'W/m2'\n"]),
        (
            "[tariff]",
            "[grid]\nco2_intensity = { constant = 3 }\n[tariff]",
            ["expected 'g/kWh' or 'kg/MWh'\n"],
        ),
        ("[tariff]", "[clock]\nsped = 3\n[tariff]", ["clock.sped", "'speed'"]),
        # wishes
        (
            HOUSE_LOAD,
            HOUSE_LOAD + "\nplanning = { ageing = {} }",
            ['member[1] "house"', "planning.ageing", "without a battery"],
        ),
        (
            HOUSE_LOAD,
            HOUSE_LOAD + "\nplanning = { preference = { weights = { wear = 1 } } }",
            ['"house" planning', "preference.weights.wear", "an ageing table"],
        ),
        (
            HOUSE_LOAD,
            HOUSE_LOAD + "\nplanning = { preference = { knee = false } }",
            ['"house" planning.preference', "knee or weights"],
        ),
        (
            HOUSE_LOAD,
            HOUSE_LOAD + '\nsetpoint = { target = "mqtt://h/t" }',
            ['member[1] "house"', "setpoint: found a table, expected none without a battery"],
        ),
        (
            "soc_start = 0.5",
            'soc_start = 0.5\n[member.setpoint]\ntarget = "mqtt://h/t"\nmax_discharge_kw = 3',
            ['"school"', "setpoint.max_charge_kw: found none, expected one here or the battery's"],
        ),
        (
            "soc_start = 0.5",
            'soc_start = 0.5\n[member.setpoint]\ntarget = "mqtt://h/t"\nmax_charge = 3',
            ['"school" setpoint.max_charge: unknown key', "'max_charge_kw'"],
        ),
        # values
        (
            "soc_max = 0.8",
            "soc_max = 1.4",
            ['"school" battery.soc_max', "found 1.4", "less than or equal to 1"],
        ),
        ("soc_max = 0.8", "soc_max = 0.1", ['"school" battery', "soc_min 0.2 must be below soc_max 0.1"]),
        ("soc_start = 0.5", "soc_start = 0.9", ['"school" battery', "soc_start 0.9", "soc_max 0.8"]),
        ("soc_start = 0.5", "soc_start = nan", ['"school" battery.soc_start', "found nan", "finite"]),
        ("capacity_kwh = 10", "capacity_kwh = inf", ['"school" battery.capacity_kwh', "found inf"]),
        ("capacity_kwh = 10", 'capacity_kwh = "10"', ["battery.capacity_kwh", "found '10'", "number"]),
        ("constant = 0.5", "constant = nan", ['member[1] "house" load.constant', "found nan", "finite"]),
        ("constant = 0.5", "constant = -0.5", ['member[1] "house" load', "found -0.5", "0 or more"]),
        ("constant = 1.0", "constant = -1.0", ['"school" pv.production', "found -1", "0 or more"]),
        ('0.5, unit = "kW"', '0.5, unit = "W/m2"', ['"house"', "load", "'W/m2'", "kWh"]),
        ('0.5, unit = "kW"', '0.5, unit = "MW"', ['"house" load.unit', "found 'MW'", "'kW'"]),
        ("seed = 3", "seed = true", ["seed", "found True", "integer"]),
        ("seed = 3", 'setting = "pv"', ["setting", "found 'pv'", "'pv-only'"]),
        ("import = 0.25", "import = 250", ["tariff.import", "found 250", "10"]),
        ("import = 0.25", "", ["tariff.import", "missing"]),
        ("import = 0.25", 'import = "high"', ["tariff.import", "found 'high'", "a number"]),
        ('[community]\nname = "Test"', "", ["community", "missing"]),
        # mechanism parameters are passed on, but finite
        (
            'mechanism = "mid-market-rate"',
            'mechanism = { name = "m", damping = nan }',
            ["mechanism", "damping"],
        ),
        # members
        ('name = "school"', 'name = "house"', ["member[1] and member[2]", "name", "'house' 2 times"]),
        ('name = "school"', 'name = "coordinator"', ["member[2]", "name", "'coordinator'"]),
        ('name = "school"', 'name = "inspector"', ["member[2]", "name", "'inspector'"]),
        ('name = "school"', 'name = "The School"', ["member[2]", "name", "'The School'", "a-z"]),
        (HOUSE_LOAD, "", ['member[1] "house"', "found nothing", "load, pv, battery"]),
        (HOUSE_LOAD, "load = 0.5", ['member[1] "house" load', "found 0.5", "a table"]),
        (
            HOUSE_LOAD,
            'load = { file = "a.csv", constant = 0.5, unit = "kW" }',
            ['member[1] "house" load.constant: found beside file', "expected one of file, constant"],
        ),
        (
            HOUSE_LOAD,
            'load = { constant = 1e300, unit = "kW" }',
            ["found 1e+300, expected at most 100000 kW"],
        ),
        ('name = "house"', 'name = "ho\\nuse"', [r"""member[1] "'ho\nuse'" name""", r"found 'ho\nuse'"]),
        ('name = "Test"', 'name = "Te\\u0000st"', ["community.name", "on one line"]),
        ('[community]\nname = "Test"', 'community = "Test"', ["community: found 'Test', expected a table"]),
        ("seed = 3", "mechanisms = 3\nseed = 3", ["mechanisms: unknown key", "'mechanism'"]),
        ('mechanism = "mid-market-rate"', "mechanism = 3", ["mechanism: found 3", "or the name alone"]),
        ('mechanism = "mid-market-rate"', "mechanism = {}", ["mechanism.name: missing"]),
        ("import = 0.25", "import = [0.25]", ["tariff.import[1]: found 0.25, expected a table"]),
        (HOUSE_LOAD, 'load = { model = "bdwe" }', ['member[1] "house" load', '"bdew"']),
        (
            HOUSE_LOAD,
            'load = { model = "irradiance", latitude_deg = 1, longitude_deg = 1 }',
            ['"house"', "'irradiance' does not give load"],
        ),
        (
            "pv = { production",
            "pv = { area_m2 = 3, efficiency = 0.2, production",
            ['member[2] "school" pv', "beside an array"],
        ),
        (
            "pv = { production",
            "pv = { peak_kw = 3, production",
            ['member[2] "school" pv', "beside an array"],
        ),
        (
            'pv = { production = { constant = 1.0, unit = "kW" } }',
            "pv = { peak_kw = 3, area_m2 = 5 }",
            ['member[2] "school" pv', "peak_kw beside area_m2"],
        ),
        (
            'pv = { production = { constant = 1.0, unit = "kW" } }',
            "pv = { area_m2 = 3 }",
            ['member[2] "school" pv', "area_m2 and efficiency"],
        ),
        (
            'pv = { production = { constant = 1.0, unit = "kW" } }',
            "pv = { area_m2 = 3, efficiency = 0.2 }",
            ['member[2] "school" pv.irradiance', "[irradiance]"],
        ),
        # horizon
        ("slot_minutes = 60", "slot_minutes = 50", ["horizon", "slot_minutes: found 50", "1440 min"]),
        ("slot_minutes = 60", "slot_minutes = 0", ["horizon.slot_minutes", "found 0", "greater than 0"]),
        ('zone = "Europe/Paris"', 'zone = "Europe/Lorient"', ["horizon.zone", "'Europe/Lorient'", "IANA"]),
        ("start = 2024-06-18", 'start = "18/06/2024"', ["horizon.start", "'18/06/2024'", "date"]),
        ("start = 2024-06-18", "start = 2024-03-31T02:30:00", ["horizon", "start", "does not exist"]),
        ("start = 2024-06-18", "start = 2024-10-27T02:30:00", ["horizon", "start", "happens twice"]),
        ("start = 2024-06-18", "start = [2024-06-18, 2024-06-18]", ["horizon", "start", "without overlap"]),
        ("start = 2024-06-18", "start = [2024-06-18, 2024-06-20]\ndays = 3", ["start", "without overlap"]),
        ("start = 2024-06-18", "start = 2024-06-18\ndays = 2\nslots = 25", ["start", "without overlap"]),
        ("start = 2024-06-18", "start = 2024-06-18\ndays = 0", ["horizon.days", "found 0"]),
        ("start = 2024-06-18", "start = 0001-01-01", ["horizon.start[1]", "1970 to 2100"]),
        ("start = 2024-06-18", "start = 9999-12-31", ["horizon.start[1]", "1970 to 2100"]),
        ("start = 2024-06-18", "start = []", ["horizon.start: found [], expected 1 or more"]),
        # time of use
        (
            "import = 0.25",
            'import = [{ from = "06:00", to = "22:00", price_eur_per_kwh = 0.2 }]',
            ["tariff.import", "no price from 00:00 to 06:00 on weekdays"],
        ),
        (
            "import = 0.25",
            'import = [{ from = "00:00", to = "24:00", price_eur_per_kwh = 0.2 },'
            '{ from = "05:30", to = "06:00", price_eur_per_kwh = 0.3, days = "weekend" }]',
            ["tariff.import", "more than one price from 05:30 to 06:00 on weekends"],
        ),
        (
            "import = 0.25",
            'import = [{ from = "25:00", to = "24:00", price_eur_per_kwh = 0.2 }]',
            ["tariff.import[1].from", "'25:00'", "06:00"],
        ),
        # models
        (
            HOUSE_LOAD,
            'load = { model = "bdew", profile = "G1", annual_kwh = 9, appliances = true }',
            ['"house" load', "appliances", "'G1'"],
        ),
        (
            HOUSE_LOAD,
            'load = { model = "bdew", profile = "H0", annual_kwh = 9, country = "Atlantis" }',
            ['"house" load', "country: found 'Atlantis'"],
        ),
    ],
)
def test_a_bad_scenario_is_refused_with_file_field_found_and_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: list[str]
) -> None:
    monkeypatch.setenv("PEERWATT_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path, (old, new))
    message = refusal(path)
    for word in [str(path), *words]:
        assert word in f"{message}\n", message


def test_end_soc_out_of_reach_says_what_can_be_reached(tmp_path: Path) -> None:
    limits = (
        "soc_end_min = 0.8\ncharge_limit_kw = 0.1\ncharge_efficiency = 0.5\nself_discharge_per_slot = 0.01"
    )
    message = refusal(write(tmp_path, ("soc_start = 0.5", f"soc_start = 0.5\n{limits}")))
    stored = 5.0
    for _ in range(24):
        stored = stored * 0.99 + 0.05
    assert 'member[2] "school" battery.soc_end_min: found 0.8' in message
    assert f"at most {stored / 10:.4f}" in message


def test_end_soc_just_in_reach_is_accepted(tmp_path: Path) -> None:
    limits = "soc_end_min = 0.7\ncharge_limit_kw = 0.166667\ncharge_efficiency = 0.5"
    resolve(write(tmp_path, ("soc_start = 0.5", f"soc_start = 0.5\n{limits}")))


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    message = refusal(
        write(tmp_path, ("soc_max = 0.8", "soc_max = 1.4"), ("slot_minutes = 60", "slot_minutes = 0"))
    )
    assert "horizon.slot_minutes" in message
    assert "battery.soc_max" in message


def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, ("import = 0.25", "import = "))
    assert f"{path}: not valid TOML" in refusal(path)
    assert "at line 11" in refusal(path)
    assert "found 'import ='" in refusal(path)


@pytest.mark.parametrize("text", ["a=" + "[" * 5000, "a=" + "{a=" * 3000, "a=" + "9" * 5000])
def test_what_the_parser_gives_up_on_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    message = refusal(path)
    assert f"{path}: not valid TOML" in message
    assert len(message) < 300


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert resolve(path).members == ["house", "school"]


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(path)


def test_a_missing_scenario_is_refused_with_the_built_in_names(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nothing.toml")
    assert "nothing.toml: no such file" in message
    assert "example, lorient" in message
    assert "did you mean 'lorient'" in refusal(Path("lorien"))


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    assert "found a folder" in refusal(tmp_path)


def test_lorient_without_data_says_how_to_name_them() -> None:
    message = refusal(Path("lorient"))
    assert "tariff.import.file: found no such file" in message
    assert "--data" in message


def test_a_data_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "--data: found no folder" in refusal(Path("lorient"), tmp_path / "nowhere")

"""What each process is told: settings, seeds, files of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from runtime.configuration import CoordinatorConfig, MemberConfig, MetersConfig, derive_seed
from runtime.errors import InputError
from runtime.rundir import RunDirectory
from runtime.scenario import resolve, write_configs
from tests.scenario.scenarios import write

HOUSE_LOAD = 'load = { constant = 0.5, unit = "kW" }'


@pytest.mark.parametrize(
    ("setting", "strategy", "battery", "trades", "mechanism"),
    [
        (None, "rule", True, True, "mid-market-rate"),
        ("community", "rule", True, True, "mid-market-rate"),
        ("pv-only", "idle", False, False, "grid-only"),
        ("pv-battery-rule", "rule", True, False, "grid-only"),
        ("pv-battery-optimised", "optimised", True, False, "grid-only"),
    ],
)
def test_settings(
    tmp_path: Path, setting: str | None, strategy: str, battery: bool, trades: bool, mechanism: str
) -> None:
    path = write(
        tmp_path,
        ("[member.battery]", 'strategy = "rule"\n[member.battery]'),
        ('mechanism = "mid-market-rate"', 'mechanism = { name = "mid-market-rate", max_rounds = 7 }'),
    )
    resolved = resolve(path, setting=setting)
    school = resolved.member_config("school")
    assert (school.strategy, school.battery is not None, school.trades) == (strategy, battery, trades)
    assert resolved.member_config("house").strategy == ("optimised" if trades else strategy)
    coordinator = resolved.coordinator_config()
    assert coordinator.mechanism == mechanism
    assert coordinator.parameters == ({"max_rounds": 7} if trades else {})


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="setting: found 'alone', expected one of community"):
        resolve(write(tmp_path), setting="alone")


def test_roles_follow_what_a_member_has(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path))
    assert resolved.member_config("house").roles == ["load"]
    assert resolved.member_config("school").roles == ["load", "pv"]
    producer = resolve(write(tmp_path, (HOUSE_LOAD, 'pv = { production = { constant = 1, unit = "kW" } }')))
    assert producer.member_config("house").roles == ["pv"]
    assert producer.member_config("house").sessions[0].load_kwh is None


def test_a_battery_alone_has_a_load_meter_that_reads_zero(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, (HOUSE_LOAD, "battery = { capacity_kwh = 5 }")))
    config = resolved.member_config("house")
    assert config.roles == ["load"]
    assert config.sessions[0].load_kwh == [0.0] * 24


def test_files_of_a_run_read_back_as_written(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, (HOUSE_LOAD, f"{HOUSE_LOAD}\nmeter = {{ noise = 0.02 }}")))
    directory = RunDirectory(tmp_path / "runs" / "test")
    write_configs(resolved, directory)
    assert CoordinatorConfig.load(directory.coordinator_config) == resolved.coordinator_config()
    for name in resolved.members:
        assert MemberConfig.load(directory.member_config(name)) == resolved.member_config(name)
    meters = MetersConfig.load(directory.meters_config)
    assert meters == resolved.meters_config()
    assert [(meter.member, meter.noise, meter.source) for meter in meters.meters] == [
        ("house", 0.02, "simulated:"),
        ("school", 0.0, "simulated:"),
    ]
    assert directory.scenario_toml.read_bytes() == (tmp_path / "scenario.toml").read_bytes()
    run = json.loads(directory.run_json.read_text())
    assert run["scenario_sha256"] == resolved.sha256
    assert {entry["series"] for entry in run["series"]} == {
        "tariff.import",
        "tariff.export",
        'member[1] "house" load',
        'member[2] "school" load',
        'member[2] "school" pv.production',
    }


def test_the_same_scenario_gives_the_same_files(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        directory = RunDirectory(tmp_path / name)
        write_configs(resolve(write(tmp_path)), directory)
        files = sorted(path for path in directory.path.rglob("*") if path.is_file())
        contents.append([(path.relative_to(directory.path), path.read_bytes()) for path in files])
    assert contents[0] == contents[1]
    assert len(contents[0]) > 4


def test_every_process_has_a_seed_of_its_own(tmp_path: Path) -> None:
    def seeds(path: Path) -> list[int]:
        resolved = resolve(path)
        return [
            resolved.coordinator_config().seed,
            *(resolved.member_config(name).seed for name in resolved.members),
            *(meter.seed for meter in resolved.meters_config().meters),
        ]

    first = seeds(write(tmp_path))
    assert len(set(first)) == len(first) == 5
    assert first == seeds(write(tmp_path))
    assert not set(first) & set(seeds(write(tmp_path, ("seed = 3", "seed = 4"))))
    assert 0 <= derive_seed(1, "a") < 2**53
    assert derive_seed(1, "a", "b") != derive_seed(1, "ab")


def test_prices_are_exact_decimals_in_the_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    write_configs(resolve(write(tmp_path, ("import = 0.25", "import = 0.1"))), directory)
    loaded = CoordinatorConfig.load(directory.coordinator_config)
    assert loaded.sessions[0].import_price_eur_per_kwh == [Decimal("0.1")] * 24
    assert '"0.100000000"' in directory.coordinator_config.read_text()


def test_a_damaged_configuration_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "member.json"
    with pytest.raises(InputError, match=r"member\.json: cannot be read"):
        MemberConfig.load(path)
    path.write_text('{"name": "house"}')
    with pytest.raises(InputError, match=r"member\.json: not a MemberConfig: kind"):
        MemberConfig.load(path)


def test_what_an_agent_imports_of_this_is_light() -> None:
    program = "import sys, runtime.configuration, runtime.rundir; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "pydantic" in loaded.stdout.split()
    assert not {"numpy", "pandas", "scipy", "typer", "rich", "pvlib"} & set(loaded.stdout.split())


def test_the_file_of_a_meters_source_starts_from_the_scenarios_folder(tmp_path: Path) -> None:
    meter = 'meter = { source = "csv:own%20meter.csv?load=a" }'
    path = write(tmp_path, ('name = "house"', f'name = "house"\n{meter}'))
    source = resolve(path).meters_config().meters[0].source
    assert source == f"csv:{quote(str(tmp_path / 'own meter.csv'))}?load=a"


def test_a_member_is_told_its_own_preferences(tmp_path: Path) -> None:
    wanted = HOUSE_LOAD + "\npreferences = { local_eur_per_kwh = 0.01, green_eur_per_kwh = 0.02 }"
    resolved = resolve(write(tmp_path, (HOUSE_LOAD, wanted)))
    house = resolved.member_config("house").preferences
    assert (house.local_eur_per_kwh, house.green_eur_per_kwh) == (0.01, 0.02)
    assert resolved.member_config("school").preferences.green_eur_per_kwh == 0


def test_set_points_go_to_the_meters_process_with_the_lesser_limits(tmp_path: Path) -> None:
    table = 'setpoint = { target = "mqtt://h/t", max_charge_kw = 5, max_discharge_kw = 2 }'
    limits = "charge_limit_kw = 3\ndischarge_limit_kw = 3"
    path = write(
        tmp_path,
        ('name = "school"', f'name = "school"\n{table}'),
        ("capacity_kwh", f"{limits}\ncapacity_kwh"),
    )
    house, school = resolve(path).meters_config().meters
    assert house.setpoint is None
    assert school.setpoint is not None
    assert (school.setpoint.max_charge_kw, school.setpoint.max_discharge_kw) == (3, 2)
    assert school.setpoint.dry_run
    assert [resolve(path).member_config(name).steered for name in ("house", "school")] == [False, True]
    without = resolve(path, setting="pv-only")
    assert without.meters_config().meters[1].setpoint is None
    assert not without.member_config("school").steered

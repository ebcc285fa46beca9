"""The built-in community: what it holds, and a cache that is the same whoever fills it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import InputError
from runtime.scenario import resolve
from runtime.scenario.generated import cache_folder
from tests.scenario.scenarios import write

PROGRAM = """
import sys
from runtime.scenario import resolve
resolved = resolve("example")
print("pandas" in sys.modules, "pvlib" in sys.modules, len(resolved.members))
"""


def _resolve_elsewhere(cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PEERWATT_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that two processes filled at the same time."""
    cache = tmp_path_factory.mktemp("cache") / "series"
    for output in [_finish(process) for process in [_resolve_elsewhere(cache), _resolve_elsewhere(cache)]]:
        assert output.endswith("12")
    return cache


def test_two_processes_at_once_leave_one_whole_cache(filled_cache: Path) -> None:
    names = sorted(path.name for path in filled_cache.iterdir())
    assert len(names) == 12
    assert not [name for name in names if name.startswith(".")]


def test_generation_is_the_same_to_the_byte(filled_cache: Path, tmp_path: Path) -> None:
    _finish(_resolve_elsewhere(tmp_path / "again"))
    assert _contents(tmp_path / "again") == _contents(filled_cache)
    assert len(_contents(filled_cache)) == 24


def test_later_uses_load_no_model(filled_cache: Path) -> None:
    assert _finish(_resolve_elsewhere(filled_cache)) == "False False 12"


def test_series_come_with_their_provenance(filled_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERWATT_CACHE", str(filled_cache))
    for path in filled_cache.glob("*/provenance.json"):
        provenance = json.loads(path.read_text())
        assert {"model", "licences", "parameters", "seed", "versions", "series_sha256"} <= set(provenance)
    generated = [entry for entry in resolve("example").provenance if entry["kind"] == "model"]
    assert len(generated) == 12
    sky = next(entry for entry in generated if entry["series"] == "irradiance")
    assert sky["versions"].keys() == {"pvlib", "numpy"}


def test_an_entry_that_was_changed_is_made_anew(filled_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _contents(filled_cache)
    path = next(filled_cache.glob("irradiance-*/series.csv"))
    path.write_text(path.read_text().replace(",0.0\n", ",5.0\n"), encoding="utf-8")
    assert _contents(filled_cache) != before
    monkeypatch.setenv("PEERWATT_CACHE", str(filled_cache))
    resolve("example")
    assert _contents(filled_cache) == before


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("PEERWATT_CACHE", str(blocked))
    with pytest.raises(InputError, match=r"file: cannot keep generated series here.*PEERWATT_CACHE"):
        resolve("example")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PEERWATT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "peerwatt" / "series"


def test_the_community_is_mixed(filled_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERWATT_CACHE", str(filled_cache))
    resolved = resolve("example")
    configs = [resolved.member_config(name) for name in resolved.members]
    assert len(configs) >= 10
    assert {"house", "school", "office", "town hall"} <= {config.kind for config in configs}
    assert {(config.pv is not None, config.battery is not None) for config in configs} == {
        (has_pv, has_battery) for has_pv in (False, True) for has_battery in (False, True)
    }
    assert ["pv"] in [config.roles for config in configs]
    assert [horizon.slots for horizon in resolved.horizons] == [96, 96]
    winter, summer = (
        sum(
            np.array(config.sessions[session].load_kwh)
            for config in configs
            if config.sessions[session].load_kwh is not None
        )
        for session in (0, 1)
    )
    production_kwh = [
        sum(
            np.array(config.sessions[session].ghi_w_per_m2) * config.pv.area_m2 * config.pv.efficiency / 4000
            for config in configs
            if config.pv is not None
        )
        for session in (0, 1)
    ]
    # In winter the community always imports; in summer it has both shortage and surplus to trade.
    assert (production_kwh[0] < winter).all()
    assert 10 < (production_kwh[1] > summer).sum() < 86


def test_each_seed_is_another_community(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled_cache: Path
) -> None:
    monkeypatch.setenv("PEERWATT_CACHE", str(filled_cache))
    first = resolve("example")
    path = tmp_path / "other.toml"
    path.write_bytes(first.content.replace(b"seed = 14", b"seed = 15"))
    other = resolve(path)
    for name in ("house-1", "school"):
        assert not np.allclose(first.series[name][0].load_kwh, other.series[name][0].load_kwh)
        assert not np.allclose(first.series[name][1].ghi_w_per_m2, other.series[name][1].ghi_w_per_m2)
    assert not np.allclose(first.series["house-1"][0].load_kwh, first.series["house-2"][0].load_kwh)


def test_two_homes_alike_have_days_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERWATT_CACHE", str(tmp_path / "cache"))
    home = 'load = { model = "bdew", profile = "H0", annual_kwh = 3000, appliances = true }'
    path = write(
        tmp_path,
        ('load = { constant = 0.5, unit = "kW" }', home),
        ('load = { constant = 4.0, unit = "kW" }', home),
    )
    series = resolve(path).series
    assert not np.allclose(series["house"][0].load_kwh, series["school"][0].load_kwh)

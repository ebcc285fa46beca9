"""``peerwatt new`` and ``peerwatt check`` as a person uses them."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.scenario.load import load_scenario
from tests.scenario.scenarios import write


def peerwatt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["peerwatt", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither command may start a process; both leave the user's cache alone."""

    import pvlib  # noqa: F401 - asks the system for the processor's name when it is first imported

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen.__init__", refuse)
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setenv("PEERWATT_CACHE", str(tmp_path / "cache"))


def test_new_writes_a_scenario_that_check_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    assert peerwatt(monkeypatch, "new", path) == 0
    assert load_scenario(path).community.name == "My community"
    assert peerwatt(monkeypatch, "check", path) == 0
    out = capsys.readouterr().out
    assert "My community: 3 members" in out
    assert "96 slots of 15 min" in out


def test_what_the_template_comments_out_is_right_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    assert peerwatt(monkeypatch, "new", path) == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = (
        *("# slots", "# [clock]", "# kind", "# speed", "# [timing]", "# join", "# round", "# delivery"),
        *("# demand_charge", "# [grid]", "# local_fee", "# import_limit", "# export_limit", "# excess"),
        "# co2_intensity",
    )
    uncommented = [line.removeprefix("# ") if line.startswith(keys) else line for line in lines]
    assert len([line for line in lines if line.startswith(keys)]) == len(keys)
    loads = [line.removeprefix("# ") for line in lines if line.startswith("# load = {")]
    assert len(loads) == 3
    for number, load in enumerate(loads):
        uncommented += ["[[member]]", f'name = "member-{number}"', load]
    path.write_text("\n".join(uncommented), encoding="utf-8")
    scenario = load_scenario(path)
    assert scenario.clock.kind == "real-time"
    assert scenario.tariff.demand_charge_eur_per_kw == 0.1
    assert (scenario.grid.import_limit_kw, scenario.grid.export_limit_kw) == (40, 30)
    assert len(scenario.members) == 6


def test_new_does_not_overwrite_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious", encoding="utf-8")
    assert peerwatt(monkeypatch, "new", path) == 2
    assert path.read_text(encoding="utf-8") == "precious"
    assert "is already there" in capsys.readouterr().err
    assert peerwatt(monkeypatch, "new", path, "--force") == 0
    assert "My community" in path.read_text(encoding="utf-8")


def test_new_refuses_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert peerwatt(monkeypatch, "new", tmp_path, "--force") == 2


def test_check_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, ("export = 0.10", "export = 0.30"))
    assert peerwatt(monkeypatch, "check", path, "--json", "--setting", "pv-only") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["setting"] == "pv-only"
    assert [(m["name"], m["load_kwh"], m["pv_kwh"], m["strategy"]) for m in summary["members"]] == [
        ("house", [12.0], [None], "idle"),
        ("school", [96.0], [24.0], "idle"),
    ]
    assert summary["sessions"][0]["slots"] == 24
    assert "local trade is suspended" in summary["notices"][0]


def test_check_says_notices_to_people_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, ("export = 0.10", "export = 0.30"))
    assert peerwatt(monkeypatch, "check", path) == 0
    assert "local trade is suspended" in " ".join(capsys.readouterr().out.split())


def test_check_refuses_with_exit_code_2_and_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, ("soc_max = 0.8", "soc_max = 1.8"))
    assert peerwatt(monkeypatch, "check", path) == 2
    err = capsys.readouterr().err
    assert f'{path}: member[2] "school" battery.soc_max: found 1.8' in err
    assert "Traceback" not in err


def test_check_sums_up_many_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path, ("start = 2024-06-18", "start = 2024-01-01\ndays = 366"), ("export = 0.10", "export = 0.3")
    )
    assert peerwatt(monkeypatch, "check", path) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 80
    assert "Session 1: 2024-01-01" in out
    assert "Session 366: 2024-12-31" in out
    assert "Session 2:" not in out
    assert "366 sessions, 8784 slots" in out
    assert re.search(r"house\W+member\W+4392\W", out), out
    assert "and 356 notices more" in out  # each day's suspended trade, and the two changes of the clocks

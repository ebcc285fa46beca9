"""Bad input at the real commands: one message with file and field, exit code 2, and nothing has happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.fleets import PATIENCE_S, call, peerwatt
from tests.end_to_end.street import SLOTS, write_street

# Loaded by every Python process of a command before anything else: notes what it starts.
SPY = """
import os
import _posixsubprocess

def spied(start):
    def start_and_tell(*arguments):
        with open(os.environ["SPY_FILE"], "a") as told:
            told.write(repr(arguments[:1])[:200] + "\\n")
        return start(*arguments)
    return start_and_tell

_posixsubprocess.fork_exec = spied(_posixsubprocess.fork_exec)
os.fork, os.posix_spawn, os.execv = spied(os.fork), spied(os.posix_spawn), spied(os.execv)
"""

VALUES = "[2.1, 1.7, 0.9, 0.4" + ", 2.1, 1.7, 0.9, 0.4" * (SLOTS // 4 - 1) + "]"
BAKERY = 'member[1] "bakery"'

CASES: dict[str, tuple[str, str, list[str]]] = {
    "malformed TOML": ("seed = 11", "seed = ", ["street.toml", "not valid TOML", "line 2"]),
    "wrong number of slots": (
        VALUES,
        "[2.1, 1.7]",
        [f"{BAKERY} load", "found 2 values", f"expected {SLOTS}"],
    ),
    "negative load": ("[2.1, 1.7", "[2.1, -1.7", [f"{BAKERY} load", "found -1.7"]),
    "NaN": ("[2.1, 1.7", "[2.1, nan", [f"{BAKERY} load", "found nan"]),
    "infinite": ("constant = 1.1", "constant = inf", ['member[3] "flat" load', "found inf"]),
    "unknown key": (
        "discharge_limit_kw = 2",
        "discharge_limit = 2",
        ['member[4] "farm" battery.discharge_limit: unknown key', "'discharge_limit_kw'"],
    ),
    "SOC bounds crossed": (
        "capacity_kwh = 6",
        "capacity_kwh = 6, soc_min = 0.9",
        [f"{BAKERY} battery", "soc_min 0.9", "soc_max 0.8"],
    ),
    "two members with one name": (
        'name = "home"',
        'name = "flat"',
        ["member[2] and member[3]", "name", "'flat'"],
    ),
    "unreachable end SOC": (
        "capacity_kwh = 4,",
        "capacity_kwh = 400, soc_end_min = 0.8,",
        ['member[4] "farm" battery.soc_end_min', "found 0.8", "expected at most"],
    ),
    "missing series": (
        f'load = {{ values = {VALUES}, unit = "kWh" }}',
        'load = { file = "gone.csv", unit = "kW" }',
        [f"{BAKERY} load.file", "found no such file", "gone.csv"],
    ),
    "unknown mechanism": ('name = "mid-market-rate"', 'name = "mid-rate"', ["mechanism", "'mid-rate'"]),
    "unknown parameter": ("tolerance = 0.0", "toleranz = 0.0", ["mechanism.toleranz", "tolerance"]),
    "parameter out of bounds": ("tolerance = 0.0", "tolerance = -1.0", ["mechanism.tolerance", "-1.0"]),
    "no such zone": ("Europe/Paris", "Europe/Lorient", ["horizon.zone", "'Europe/Lorient'"]),
    "unknown setting": ("seed = 11", 'seed = 11\nsetting = "pv"', ["setting", "'pv'", "pv-only"]),
}


def spy_environment(folder: Path) -> dict[str, str]:
    (folder / "spy").mkdir()
    (folder / "spy" / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder / "spy"), "SPY_FILE": str(folder / "started")}


def assert_refused(done: subprocess.CompletedProcess[str], words: list[str]) -> None:
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line, line


def run_and_check(folder: Path, *arguments: object) -> list[subprocess.CompletedProcess[str]]:
    """``run`` and ``check`` of the same, at the same time; nothing may have been started or written."""
    environment = spy_environment(folder)
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    options: dict[str, tuple[object, ...]] = {"run": ("--runs", folder / "runs"), "check": ()}
    running = [
        subprocess.Popen(
            peerwatt(command, *arguments, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for command, more in options.items()
    ]
    done = []
    for process in running:
        out, err = process.communicate(timeout=PATIENCE_S)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    after = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    assert after == before
    return done


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_line_and_nothing_is_started(case: str, tmp_path: Path) -> None:
    old, new, words = CASES[case]
    street = write_street(tmp_path)
    text = street.read_text(encoding="utf-8")
    assert old in text
    street.write_text(text.replace(old, new, 1), encoding="utf-8")
    for done in run_and_check(tmp_path, street):
        assert_refused(done, [str(street), *words])


def test_a_missing_scenario_is_refused(tmp_path: Path) -> None:
    for done in run_and_check(tmp_path, tmp_path / "no.toml"):
        assert_refused(done, [str(tmp_path / "no.toml"), "no such file", "lorient"])


def test_a_case_without_its_data_is_refused(tmp_path: Path) -> None:
    for done in run_and_check(tmp_path, "lorient", "--data", tmp_path):
        assert_refused(done, ["lorient.toml", "tariff.import.file", str(tmp_path), "--data"])


def test_a_name_that_is_taken_is_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    street = write_street(tmp_path)
    taken = tmp_path / "runs" / "mine"
    taken.mkdir(parents=True)
    (taken / "ledger.csv").write_text("of an earlier run", encoding="utf-8")
    for name, words in (("mine", [str(taken), "is there already"]), ("../mine", ["--name", "'../mine'"])):
        done = call("run", street, "--runs", tmp_path / "runs", "--name", name)
        assert_refused(done, words)
    assert [path.name for path in taken.iterdir()] == ["ledger.csv"]


def test_a_feed_in_tariff_above_the_import_price_is_allowed_and_said(tmp_path: Path) -> None:
    street = write_street(tmp_path)
    text = street.read_text(encoding="utf-8")
    street.write_text(text.replace("export = 0.08", "export = 0.2"), encoding="utf-8")
    checked = call("check", street)
    assert checked.returncode == 0
    assert "the feed-in tariff is above the import price" in " ".join(checked.stdout.split())
    assert f"in {SLOTS // 4} of {SLOTS} slots" in checked.stdout


def test_the_spy_of_these_tests_sees_what_a_fleet_starts(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys; from runtime.fleet.children import ForkServer;"
        "subprocess.run([sys.executable, '-c', '']); ForkServer().start()"
    )
    environment = spy_environment(tmp_path)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=PATIENCE_S)
    started = (tmp_path / "started").read_text(encoding="utf-8").splitlines()
    assert len(started) >= 2

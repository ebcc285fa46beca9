"""``peerwatt compare`` as a person uses it: real fleets, a page that stands alone, tables, bad arguments."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.end_to_end.fleets import call
from tests.scenario.scenarios import write

MECHANISMS = "admm,mid-market-rate"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("compare")
    sunny = ("{ constant = 1.0", "{ constant = 4.5")
    scenario = write(folder, sunny, ("slot_minutes = 60", "slot_minutes = 60\nslots = 6"))
    done = call(
        "compare", scenario, "--mechanisms", MECHANISMS, "--sweep", "pv=0,1", "--runs", folder / "runs",
        timeout_s=300,
    )  # fmt: skip
    return folder / "runs" / "compare-scenario", done


def test_it_prints_a_table_and_what_it_means(compared: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = compared
    assert done.returncode == 0, done.stderr
    assert "Mid-market rate" in done.stdout
    assert "Trading saves between" in done.stdout
    assert done.stderr.count("done after") == 5 + 2 * 3


def test_tables_hold_what_the_runs_came_to(compared: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = compared
    sheet = json.loads((folder / "comparison.json").read_text("utf-8"))
    bills = {way["key"]: way["community"]["bill_eur"] for way in sheet["ways"]}
    for key, bill_eur in bills.items():
        of_run = json.loads((folder / key / "indicators.json").read_text("utf-8"))
        assert of_run["run"]["community"]["bill_eur"] == bill_eur
    assert bills["admm"] <= bills["mid-market-rate"] + 1e-9 < bills["pv-only"]
    with (folder / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if row["indicator"] == "bill_eur")
    assert {key: float(row[key]) for key in bills} == pytest.approx(bills)
    with (folder / "members.csv").open(newline="") as file:
        assert {(row["way"], row["member"]) for row in csv.DictReader(file)} == {
            (key, member) for key in bills for member in ("house", "school")
        }
    with (folder / "sweeps.csv").open(newline="") as file:
        swept = {(row["value"], row["way"]): float(row["bill_eur"]) for row in csv.DictReader(file)}
    assert len(swept) == 6
    assert all(swept["1.0", way] < swept["0.0", way] for _, way in swept)


class _Addresses(HTMLParser):
    """What a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_stands_alone_and_shows_every_way(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = compared
    page = (folder / "comparison.html").read_text("utf-8")
    reader = _Addresses()
    reader.feed(page)
    assert reader.found
    assert all(address.startswith("data:image/") for address in reader.found)
    assert not re.search(r"@import|url\(|<script", page)
    for words in ("Mid-market rate", "alone, PV only", "Who gains, who loses", "school", "With more or less"):
        assert words in page
    assert "None" not in re.sub(r"data:image[^\"]*", "", page)


def test_a_comparison_that_was_stopped_goes_on_where_it_was(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = compared
    before = (folder / "admm" / "results.sqlite").stat().st_mtime_ns
    again = ("compare", folder.parents[1] / "scenario.toml", "--mechanisms", MECHANISMS)
    done = call(*again, "--resume", folder, "--json", timeout_s=120)
    assert done.returncode == 0, done.stderr
    assert [way["key"] for way in json.loads(done.stdout)["ways"]][3:] == MECHANISMS.split(",")
    assert (folder / "admm" / "results.sqlite").stat().st_mtime_ns == before


def test_a_comparison_of_another_scenario_is_not_gone_on_with(
    compared: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = compared
    done = call("compare", write(tmp_path), "--mechanisms", "admm", "--resume", folder)
    assert done.returncode == 2
    assert "found a run of another scenario" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mechanisms", "admmm"], "found 'admmm'"),
        (["--resume", "nowhere"], "nowhere: no such run"),
        (["--days", "2020-01-01"], "--days: found 2020-01-01"),
        (["--sweep", "wind=1"], "--sweep: found 'wind=1'"),
        (["--sweep", "pv=much"], "--sweep: found 'pv=much'"),
    ],
)
def test_bad_arguments_start_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = call("compare", write(tmp_path), *arguments, "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "runs").exists()

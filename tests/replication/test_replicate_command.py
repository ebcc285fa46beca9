"""``peerwatt replicate`` from data to page, with a short genetic algorithm; and what it refuses."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from runtime.cli.replicate import print_replication
from runtime.replication.table import Replication
from tests.end_to_end.fleets import call

GENERATIONS = 3


@pytest.fixture(scope="module")
def replicated(lorient_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    runs = tmp_path_factory.mktemp("runs")
    (runs / "replicate").mkdir()  # an earlier one, which is not written over
    done = call(
        *("replicate", "--data", lorient_folder, "--generations", GENERATIONS, "--runs", runs, "--json"),
        timeout_s=480.0,
    )
    assert done.returncode == 0, done.stderr
    return runs / "replicate-2", json.loads(done.stdout)


@pytest.fixture(scope="module")
def page(replicated: tuple[Path, dict]) -> str:
    return (replicated[0] / "replication.html").read_text("utf-8")


def test_table_three_is_published_replicated_and_corrected(replicated: tuple[Path, dict]) -> None:
    rows = {row["key"]: row for row in replicated[1]["rows"]}
    assert list(rows) == ["pv-only", "pv-battery-rule", "genetic", "pv-battery-optimised", "community"]
    published = [(r["published_index_percent"], r["published_cost_eur"]) for r in rows.values()]
    assert published == [(21.94, 154.53), (23.81, 152.70), (22.55, 153.97), (None, None), (None, None)]
    for key, kind, index, cost in [
        ("pv-only", "replicated", 21.935837, 154.527500),
        ("pv-battery-rule", "replicated", 23.817573, 152.702762),
        ("pv-only", "corrected", 3.986302, 189.457816),
        ("pv-battery-rule", "corrected", 4.484882, 188.259736),
        ("pv-battery-optimised", "corrected", 3.417740, 175.103468),
    ]:
        found = rows[key][kind]
        assert (found["self_sufficiency_percent"], found["cost_eur"]) == pytest.approx(
            (index, cost), abs=1e-6
        )
    assert rows["pv-only"]["corrected"]["import_kwh"] == pytest.approx(3189.034017, abs=1e-6)
    assert rows["community"]["corrected"]["cost_eur"] < rows["pv-battery-optimised"]["corrected"]["cost_eur"]
    assert rows["community"]["title"].endswith(f"({replicated[1]['mechanism']})")


def test_corrected_figures_of_the_fleets_are_those_of_the_last_increment(
    replicated: tuple[Path, dict],
) -> None:
    rows = {row["key"]: row for row in replicated[1]["rows"]}
    for scenario, figures in replicated[1]["increments"][-1]["so_far"].items():
        for name, value in figures.items():
            assert rows[scenario]["corrected"][name] == pytest.approx(value, abs=1e-6), (scenario, name)


def test_increments_start_at_the_published_numbers(replicated: tuple[Path, dict]) -> None:
    steps = replicated[1]["increments"]
    assert [step["key"] for step in steps] == [
        "published",
        "slip-1",
        "slip-2",
        "slip-3",
        "soc-max",
        "feed-in",
    ]
    assert steps[0]["so_far"]["pv-only"]["cost_eur"] == pytest.approx(154.527500, abs=1e-6)
    assert steps[1]["so_far"]["pv-only"]["cost_eur"] == pytest.approx(189.942031, abs=1e-6)
    assert steps[1]["so_far"] == steps[1]["alone"]


def test_nothing_beats_peerwatts_plan_of_the_same_problem(replicated: tuple[Path, dict]) -> None:
    for costs in (replicated[1]["as_programmed"], replicated[1]["as_corrected"]):
        others = [costs["idle_eur"], costs["rule_eur"], costs["genetic_eur"]]
        assert costs["optimised_eur"] < min(others) - 1
    assert replicated[1]["as_corrected"]["idle_eur"] == pytest.approx(189.457816, abs=1e-6)


def test_files_and_runs_are_there(replicated: tuple[Path, dict]) -> None:
    folder, answer = replicated
    with (folder / "table3.csv").open() as file:
        (first, *_) = csv.DictReader(file)
    assert (first["scenario"], first["replicated_cost_eur"], first["corrected_cost_eur"]) == (
        "pv-only",
        "154.5275",
        "189.457816",
    )
    with (folder / "increments.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6 * 3
    assert json.loads((folder / "replication.json").read_text()) == answer
    names = [f"figure-{n}-{kind}" for n in range(3, 8) for kind in ("published", "corrected")]
    for name in names:
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "building-4" in (folder / "figures" / f"{name}.svg").read_text()
    for row in answer["rows"]:
        if row["run"]:
            assert (folder / row["run"] / "ledger.csv").is_file()


def test_published_figures_show_the_programs_numbers(replicated: tuple[Path, dict]) -> None:
    figures = replicated[0] / "figures"
    assert "when the slot was collected" in (figures / "figure-5-published.svg").read_text()
    assert "at the end of the slot" in (figures / "figure-5-corrected.svg").read_text()
    assert (figures / "figure-3-published.svg").read_bytes() != (
        figures / "figure-4-published.svg"
    ).read_bytes()


def test_the_page_has_the_numbers_and_explains_each_slip(page: str) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for figure in ("21.94", "21.9358", "154.5275", "23.8176", "152.7028", "22.55", "153.97", "3.9863"):
        assert figure in text, figure
    for figure in ("189.4578", "188.2597", "175.1035", "3 189.0", "−18.12", "+35.41"):
        assert figure in text, figure
    for words in ("Slip 1:", "Slip 2:", "Slip 3:", "Greatest state of charge", "Feed-in tariff"):
        assert words in text, words
    assert "moves scenario 1 from 21.94 % to 3.82 % and from 154.53 EUR to 189.94 EUR" in text
    assert "leaves scenario 1 as published, and moves scenario 2 from 23.82 % to 23.80 %" in text
    assert f"{GENERATIONS} generations here" in text


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "href")]
        assert tag not in ("script", "link", "iframe")
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(page: str) -> None:
    parser = _Addresses()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.loaded) == 5 * 2 + 3
    assert all(address.startswith("data:image/svg+xml;base64,") for address in parser.loaded)
    assert "url(" not in page
    assert "@import" not in page


def test_tables_are_printed(replicated: tuple[Path, dict], capsys: pytest.CaptureFixture[str]) -> None:
    print_replication(Replication.model_validate(replicated[1]))
    printed = capsys.readouterr().out
    for figure in ("21.9358", "154.5275", "23.8176", "152.7028", "189.457816", "175.103468", "3.8176"):
        assert figure in printed, figure
    assert f"ran {GENERATIONS} generations here" in printed
    assert "…" not in printed


def test_a_missing_folder_or_file_is_named(lorient_folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = call("replicate", "--data", tmp_path / "nowhere", "--runs", runs)
    assert done.returncode == 2
    assert "--data: found no folder" in done.stderr
    clone = tmp_path / "clone"
    shutil.copytree(lorient_folder, clone)
    loads = clone / "Forecasted" / "30001480640919"
    lines = loads.read_text().splitlines()
    loads.write_text("\n".join(lines[:-1]))
    done = call("replicate", "--data", clone, "--runs", runs)
    assert done.returncode == 2
    assert "30001480640919" in done.stderr
    assert "143" in done.stderr
    loads.unlink()
    done = call("replicate", "--data", clone, "--runs", runs)
    assert done.returncode == 2
    assert "30001480640919" in done.stderr
    assert not runs.exists()

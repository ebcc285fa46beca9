"""``peerwatt compare --dataset`` from a set to its table, with real fleets; stopped and resumed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.dataset.choice import Choice
from runtime.dataset.make import make_dataset
from runtime.errors import InputError

TIMEOUT_S = 240.0


def test_a_small_set_is_compared_stopped_and_resumed(tmp_path: Path) -> None:
    choice = Choice(places=("seville",), seasons=("summer",), sizes=(2,))
    make_dataset(tmp_path / "set", choice, 2)
    command = [sys.executable, "-m", "runtime", "compare", "--dataset", str(tmp_path / "set")]
    command += ["--mechanisms", "mid-market-rate", "--parallel", "1"]
    folder = tmp_path / "runs" / "mine"
    first = subprocess.Popen(
        [*command, "--runs", str(tmp_path / "runs"), "--name", "mine"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stderr is not None
    lines = []
    for line in first.stderr:
        lines.append(line)
        if ": done after" in line:
            os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C does: everybody in the foreground
            break
    first.communicate(timeout=TIMEOUT_S)
    assert first.returncode == 130, lines
    assert not (folder / "set.csv").exists()
    done = sorted(path.parent for path in folder.rglob("outcome.json"))
    assert len(done) == 1
    kept = {path.name: path.stat().st_mtime_ns for path in done[0].iterdir()}
    assert set(kept) == {"run.json", "scenario.toml", "indicators.json", "outcome.json"}

    again = subprocess.run(
        [*command, "--resume", str(folder), "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    sheet = json.loads(again.stdout)
    assert {path.name: path.stat().st_mtime_ns for path in done[0].iterdir()} == kept, "not run again"
    assert [run["failure"] for run in sheet["runs"]] == [None, None]
    assert all(run["wall_seconds"] > 0 for run in sheet["runs"])
    for run in sheet["runs"]:
        # Mid-market rate shares what neighbours spare, so that nobody loses; more than all cannot be saved.
        assert run["values"]["members_worse_off"] == 0
        assert run["values"]["saving_eur"] > 0
        assert 0 < run["values"]["score"] <= 1 + 1e-6
        indicators = folder / run["community"] / run["mechanism"] / "indicators.json"
        assert json.loads(indicators.read_text("utf-8"))["run"]["community"] == run["values"]
    with (folder / "set.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert {row["dimension"] for row in table} == {"all", "place", "season", "size", "tariff"}
    whole = next(row for row in table if row["dimension"] == "all")
    scores = [run["values"]["score"] for run in sheet["runs"]]
    assert float(whole["score_mean"]) == pytest.approx(sum(scores) / 2)
    assert float(whole["score_worst"]) == pytest.approx(min(scores))
    page = (folder / "set-comparison.html").read_text("utf-8")
    assert "seville" in page.lower()
    assert sheet["set_sha256"] in page


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["example", "--dataset", "x"], "--dataset: found a scenario beside it"),
        (["--dataset", "x", "--days", "1"], "--dataset: found --days beside it"),
        (["--places", "munich"], "--places: found munich without --dataset"),
        (["--limit", "3"], "--limit: found 3 without --dataset"),
        (["--dataset", "x"], "expected a folder made by `peerwatt dataset make`"),
    ],
)
def test_bad_options_are_named(arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert isinstance(result.exception, InputError)
    assert expected in str(result.exception)

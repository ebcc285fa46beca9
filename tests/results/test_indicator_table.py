"""All indicators as a table: values as people read them, and their meaning beside them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from synthetic import make_run, save_run
from typer.testing import CliRunner

from coordinator.indicators.command import write_indicators
from runtime.cli.report import report
from runtime.results.indicator_table import print_indicators, value_text

APP = typer.Typer()
APP.command()(report)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_run(tmp_path / "day", *make_run(4, slots=24, slot_minutes=60))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (7, "7"),
        (0.12345, "0.1235"),
        (-1e-7, "0.0000"),
        (12.34567, "12.346"),
        (-123.456, "-123.46"),
        (12345.678, "12345.7"),
    ],
)
def test_values_as_people_read_them(value: float | None, text: str) -> None:
    assert value_text(value) == text


def test_every_indicator_of_the_community_is_told_with_its_meaning(run: Path) -> None:
    indicators = write_indicators(run)
    console = Console(file=io.StringIO(), width=140)
    print_indicators(indicators, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    told = {line.split()[0]: line for line in lines if line[:1].strip()}
    assert set(told) - {"indicator"} == set(indicators["run"]["community"])
    assert "kW²h" in told["loss_proxy_kw2h"]
    assert "lower" in told["loss_proxy_kw2h"]
    assert "our reading is uncertain" in " ".join(" ".join(lines).split())


def test_report_tells_all_when_asked(run: Path) -> None:
    short = CliRunner().invoke(APP, [str(run), "--no-figures"], catch_exceptions=False)
    told = CliRunner().invoke(APP, [str(run), "--no-figures", "--all"], catch_exceptions=False)
    assert (short.exit_code, told.exit_code) == (0, 0)
    assert "zhou_overall" not in short.stdout
    assert "zhou_overall" in told.stdout
    as_json = CliRunner().invoke(APP, [str(run), "--no-figures", "--all", "--json"], catch_exceptions=False)
    assert "zhou_overall" in json.loads(as_json.stdout)["run"]["community"]

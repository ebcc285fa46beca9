"""``peerwatt bench plan``: how well and how fast members plan on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.tables import table_console
from runtime.errors import InputError, PeerwattError

if TYPE_CHECKING:
    from rich.table import Table

QUICK_INSTANCES = 30
"""Random members of a quick measurement: one of each kind."""

_LOSSES = (
    ("loss", "loss"),
    ("certified_loss", "certified loss"),
    ("rule_loss", "the rule's loss"),
    ("paper_loss", "the paper's formulation's loss"),
)
_TIMES = (
    ("cold_s", "cold"),
    ("warm_s", "warm"),
    ("rounds_s", "30 warm rounds"),
    ("rule_s", "the rule"),
    ("oracle_s", "HiGHS"),
    ("paper_s", "the paper's formulation, stopped after"),
)

_AGEING = (
    ("value_eur", "battery value\n[EUR]", 1.0),
    ("gain", "gain\n[%]", 100.0),
    ("possible_gain", "possible\n[%]", 100.0),
    ("plan_s", "plan\n[s]", 1.0),
    ("sweep_s", "sweep\n[s]", 1.0),
    ("programme_s", "rainflow\nLP [s]", 1.0),
)
_FRONTS = (
    ("plans", "plans", 1.0),
    ("sweep_plans", "plans of\nthe sweep", 1.0),
    ("hypervolume_share", "hypervolume\n[% of sweep's]", 100.0),
    ("plan_s", "front\n[s]", 1.0),
    ("sweep_s", "sweep\n[s]", 1.0),
)

WIDTH = 120
"""Characters a line of a table that goes to a file or a pipe."""


def plan(
    instances: Annotated[int, typer.Option(min=0, help="Random members to plan for.")] = 200,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Lorient data, to plan for its buildings too.")
    ] = None,
    oracle_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds that HiGHS may take for each instance.")
    ] = 2.0,
    paper_seconds: Annotated[
        float,
        typer.Option(min=0, help="Seconds of the paper's formulation, on two of each group; 0: without."),
    ] = 5.0,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"At most {QUICK_INSTANCES} members, HiGHS and paper 1 s each.")
    ] = False,
    trade_offs: Annotated[
        bool, typer.Option("--trade-offs/--no-trade-offs", help="Ageing and trade-off fronts too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure planning: loss, certificate, time, ageing, fronts; beside HiGHS, rule, paper's formulation."""
    if data is not None and not data.is_dir():
        raise InputError(f"--data: found no folder {data}, expected the one with the Lorient data")
    if not instances and data is None:
        raise InputError("--instances: found 0, expected at least 1 without --data")
    if quick:
        instances = min(instances, QUICK_INSTANCES)
        oracle_seconds, paper_seconds = min(oracle_seconds, 1.0), min(paper_seconds, 1.0)
    command = [sys.executable, "-m", "agents", "bench", "--instances", str(instances)]
    command += ["--oracle-seconds", str(oracle_seconds), "--paper-seconds", str(paper_seconds)]
    if data is not None:
        command += ["--data", str(data)]
    if not trade_offs:
        command.append("--no-trade-offs")
    alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | alone, check=False)
    if done.returncode:
        raise PeerwattError(f"measuring planning ended with code {done.returncode}")
    figures = json.loads(done.stdout)
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
    else:
        _print(figures)


def _print(figures: dict[str, Any]) -> None:
    from rich.table import Table

    console = table_console(WIDTH)
    if not figures["oracle"]:
        console.print(
            "HiGHS is not installed (pip install highspy): no loss is measured where planning\n"
            "is not convex; elsewhere the certified loss tells. Ageing and fronts are left out.\n"
        )
    for group in figures["groups"]:
        kind = "convex" if group["convex"] else "not convex"
        table = Table(box=None, title=f"{group['suite']}, {kind}: {group['instances']} instances")
        table.title_justify = "left"
        for heading in ("", "median", "95 %", "worst"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for key, name in _LOSSES:
            if group[key] is not None:
                table.add_row(f"{name} [%]", *_cells(group[key], 100))
        for key, name in _TIMES:
            if group[key] is not None:
                table.add_row(f"{name} [ms]", *_cells(group[key], 1000))
        console.print(table)
        if group["oracle_unproven"]:
            console.print(
                f"HiGHS ran out of time on {group['oracle_unproven']}: there the better plan counts as best."
            )
        console.print()
    console.print(
        "Loss: share of the battery's value that a plan leaves. Times: process time, one thread.\n"
        "The paper's formulation ran on the first two of each group, and a battery followed the\n"
        "stored energy that it found."
    )
    if figures["ageing"]:
        console.print()
        console.print(_trade_offs(figures["ageing"], "Plans that count ageing by rainflow", _AGEING))
        console.print(
            "Gain: battery value beyond the best of a sweep of throughput prices by HiGHS; possible: what a\n"
            "linear programme with rainflow wear inside reaches."
        )
    if figures["fronts"]:
        console.print()
        console.print(_trade_offs(figures["fronts"], "Fronts of cost, energy imported and peak", _FRONTS))
        console.print("Hypervolume: beside a sweep of least-cost plans at premiums and caps by HiGHS.")
    for row in figures["flexible"]:
        console.print()
        console.print(_flexible(row))
    console.print("\nAims:")
    for aim in figures["aims"]:
        met = "met    " if aim["met"] else "not met"
        bound = "at least" if aim["at_least"] else "at most"
        console.print(f"  {met} {aim['what']}: {aim['found']:.2g}, {bound} {aim['limit']:g}")


def _flexible(row: dict[str, Any]) -> Table:
    from rich.table import Table

    title = f"Vehicles and appliances beside the battery, {row['suite']}: {row['instances']} instances"
    table = Table(box=None, title=title, title_justify="left")
    for heading in ("", "median", "95 %", "worst", "of"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for key, name, factor in (
        ("loss", "loss, cold [%]", 100),
        ("warm_loss", "loss, warm [%]", 100),
        ("cold_s", "cold [ms]", 1000),
        ("warm_s", "warm [ms]", 1000),
    ):
        spread = row[key]
        values = [spread[of] for of in ("median", "q95", "worst")]
        cells = ["–" if value is None else f"{factor * value:.3g}" for value in values]
        table.add_row(name, *cells, str(spread["count"]))
    return table


def _trade_offs(rows: list[dict[str, Any]], title: str, columns: tuple[tuple[str, str, float], ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, title=title)
    table.title_justify = "left"
    table.add_column("", no_wrap=True)
    for _, heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = (row[key] * times for key, _, times in columns)
        table.add_row(row["name"], *(f"{cell:.3g}" for cell in cells))
    return table


def _cells(spread: dict[str, float], times: float) -> list[str]:
    found = [times * spread[key] for key in ("median", "p95", "max")]
    # Below a millionth of the unit all is rounding.
    return ["0" if abs(value) < 1e-6 else f"{value:.3g}" for value in found]

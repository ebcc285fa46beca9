"""``peerwatt bench plan``: how well and how fast members plan on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.errors import InputError, PeerwattError

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


def plan(
    instances: Annotated[int, typer.Option(min=0, help="Random members to plan for.")] = 200,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Lorient data, to plan for its buildings too.")
    ] = None,
    oracle_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds that HiGHS may take for each instance.")
    ] = 10.0,
    paper_seconds: Annotated[
        float,
        typer.Option(min=0, help="Seconds of the paper's formulation, on two of each group; 0: without."),
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure planning: loss, certificate, time; beside HiGHS, the rule and the paper's formulation."""
    if data is not None and not data.is_dir():
        raise InputError(f"--data: found no folder {data}, expected the one with the Lorient data")
    if not instances and data is None:
        raise InputError("--instances: found 0, expected at least 1 without --data")
    command = [sys.executable, "-m", "agents", "bench", "--instances", str(instances)]
    command += ["--oracle-seconds", str(oracle_seconds), "--paper-seconds", str(paper_seconds)]
    if data is not None:
        command += ["--data", str(data)]
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
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not figures["oracle"]:
        console.print(
            "HiGHS is not installed (pip install highspy): no loss is measured where planning\n"
            "is not convex; elsewhere the certified loss tells.\n"
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
    console.print("\nAims:")
    for aim in figures["aims"]:
        met = "met    " if aim["met"] else "not met"
        console.print(f"  {met} {aim['what']}: {aim['found']:.2g}, at most {aim['limit']:g}")


def _cells(spread: dict[str, float], times: float) -> list[str]:
    found = [times * spread[key] for key in ("median", "p95", "max")]
    # Below a millionth of the unit all is rounding.
    return ["0" if abs(value) < 1e-6 else f"{value:.3g}" for value in found]

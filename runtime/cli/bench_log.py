"""``peerwatt bench log``: how fast message logs are written, paged through, searched and checked."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.bench.log_figures import Cost, LogFigures


def log(
    members: Annotated[int, typer.Option(min=1, max=300, help="Members, each with two meters.")] = 100,
    slots: Annotated[int, typer.Option(min=3, max=1440, help="Slots of the day.")] = 1440,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of the negotiation.")] = 10,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the logs in this new folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure message logs: a day of a million messages is written, listed, searched and checked.

    It takes some minutes and 2 GB of disk.
    """
    from runtime.bench.log_figures import measure_logs

    if keep is not None and keep.exists():
        raise InputError(f"--keep {keep}: is there already, expected a new folder")
    load = os.getloadavg()[0]
    figures = measure_logs(
        members, slots, rounds, keep, lambda text: print(text, file=sys.stderr, flush=True)
    )
    if as_json:
        typer.echo(json.dumps(_as_dict(figures, load), indent=1))
    else:
        typer.echo("\n".join(_lines(figures, load)))


def _as_dict(figures: LogFigures, load: float) -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "load_before": load,
        **asdict(figures),
        "writing_us": figures.day.writing_us,
        "check_messages_per_s": figures.check_messages_per_s,
        "json_messages_per_s": figures.json_messages_per_s,
        "aims": [{**asdict(aim), "met": aim.met} for aim in figures.aims()],
    }


def _lines(figures: LogFigures, load: float) -> list[str]:
    day = figures.day
    lines = [
        f"{day.messages} messages, {day.records} records, {day.bytes / 1e6:.0f} MB in {day.logs} logs",
        f"writing                          {day.writing_us:8.1f} µs a record",
        "",
        f"{'':<32}{'wall [s]':>10}{'core [s]':>10}{'peak [MiB]':>12}",
        _row("first listing, with index", figures.indexing) + f"   index {figures.index_bytes / 1e6:.0f} MB, "
        f"{1e6 * figures.indexing.cpu_s / day.messages:.0f} µs a message",
        *(_row(f"page: {name}", cost) for name, cost in figures.pages.items()),
        _row("dashboard's first page", figures.newest),
        _row("statistics of all", figures.statistics),
        _row("checking all logs", figures.check)
        + f"   {figures.check_messages_per_s:.0f} messages/s on one core",
        _row("Python's JSON parser alone", figures.json_bound)
        + f"   {figures.json_messages_per_s:.0f} messages/s on one core",
        "",
        f"Pages are of 50 messages, whole process; load of the machine before: {load:.1f}",
    ]
    return lines + [
        f"  {'met    ' if aim.met else 'not met'} {aim.what}: {aim.found:.2f}, at most {aim.limit:.2f}"
        for aim in figures.aims()
    ]


def _row(name: str, cost: Cost) -> str:
    return f"{name:<32}{cost.wall_s:>10.2f}{cost.cpu_s:>10.2f}{cost.peak_mib:>12.0f}"

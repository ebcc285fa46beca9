"""``peerwatt compare --dataset``: every way of trading on every community of a reference set."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runtime.errors import FleetError

if TYPE_CHECKING:
    from runtime.comparison.set_table import Figure, SetSheet
    from runtime.comparison.sheet import Row
    from runtime.fleet.servers import ServerKind

WIDTH = 132

HEADINGS = {
    "score": "of what could be saved",
    "saving_percent": "saved [%]",
    "members_worse_off": "members worse off",
    "boundary_self_sufficiency": "self- sufficiency",
    "rounds": "rounds",
    "messages": "messages",
}
"""Of the columns, short enough for a terminal."""


def compare_set(
    dataset: Path,
    *,
    mechanisms: list[str] | None,
    places: str | None,
    seasons: str | None,
    sizes: str | None,
    tariffs: str | None,
    limit: int | None,
    name: str | None,
    resume: Path | None,
    runs: Path,
    parallel: int | None,
    keep_runs: bool,
    server: ServerKind,
    as_json: bool,
) -> None:
    """Run mechanisms over a set, and write its table, charts and page.

    Args:
        dataset: the set's folder.
        mechanisms: names; None for all that are installed.
        places: filter, as ``choose_communities`` takes it; likewise the next three and ``limit``.
        seasons: filter.
        sizes: filter.
        tariffs: filter.
        limit: at most so many communities.
        name: of the comparison's folder.
        resume: folder of a comparison that was stopped.
        runs: folder in which runs are kept.
        parallel: fleets at a time.
        keep_runs: whether to keep tables, records and logs of every run.
        server: that runs are on, each on its own.
        as_json: print the figures as JSON.

    Raises:
        InputError: a set, filter or mechanism that will not do.
        FleetError: runs without results; the table of the others is written all the same.
    """
    from runtime.cli.run import new_directory
    from runtime.cli.runs import find_run
    from runtime.comparison.progress import CasesProgress
    from runtime.comparison.runs import run_cases
    from runtime.comparison.set_charts import write_set_charts
    from runtime.comparison.set_page import write_set_page
    from runtime.comparison.set_table import set_sheet, write_set_tables
    from runtime.comparison.sets import choose_communities, claim, set_cases
    from runtime.dataset.manifest import read_manifest

    manifest, sha256 = read_manifest(dataset)
    communities = choose_communities(manifest, places, seasons, sizes, tariffs, limit)
    pairs = set_cases(dataset, communities, mechanisms)
    cases = [case for _, case in pairs]
    folder = find_run(str(resume), runs) if resume else new_directory(runs, name, "compare-set")
    claim(folder, manifest, sha256)
    if not as_json:
        count = len(communities)
        typer.echo(
            f"{len(cases)} runs: {len(cases) // count} mechanisms on {count} communities; if this is "
            f"stopped, go on with --resume {folder}",
            err=True,
        )
    with CasesProgress(cases, quiet=as_json) as progress:
        outcomes = run_cases(
            cases,
            folder,
            parallel or os.cpu_count() or 1,
            progress.show,
            indicators_only=not keep_runs,
            server=server,
        )
    sheet = set_sheet(manifest, sha256, pairs, outcomes)
    files = write_set_tables(folder, sheet)
    charts = write_set_charts(folder / "charts", sheet)
    command = " ".join(shlex.quote(word) for word in ["peerwatt", *sys.argv[1:]])
    page = write_set_page(folder, sheet, charts, command)
    if as_json:
        typer.echo(sheet.model_dump_json(indent=1))
    else:
        _print(sheet)
        typer.echo(f"\nBy climate, season, size and tariff: {page}\n{len(files)} tables beside it")
    failed = [run for run in sheet.runs if run.failure is not None]
    if failed:
        shown = "; ".join(f"{run.community} {run.mechanism}: {run.failure}" for run in failed[:3])
        raise FleetError(f"{len(failed)} of {len(sheet.runs)} runs have no results: {shown}")


def _print(sheet: SetSheet) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from runtime.comparison.set_page import set_findings
    from runtime.pages import percent

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=WIDTH)
    title = f"{sheet.set_name} {sheet.set_version}, seed {sheet.set_seed}: mean (worst)"
    table = Table(title=Text(title), title_justify="left", box=None)
    table.add_column("mechanism", no_wrap=True)
    table.add_column("of it all, together", justify="right", max_width=9)
    for row in sheet.rows:
        table.add_column(Text(HEADINGS[row.key]), justify="right", max_width=15)
    table.add_column("done", justify="right")
    for mechanism in sheet.mechanisms:
        group = sheet.group(mechanism.key, "all")
        cells = [_cell(row, group.figures[row.key]) for row in sheet.rows]
        done = str(group.runs) if not group.failed else f"{group.runs - group.failed} of {group.runs}"
        table.add_row(
            *(
                Text(cell, no_wrap=True)
                for cell in [mechanism.key, percent(group.score_of_all, 1), *cells, done]
            )
        )
    console.print(table)
    for sentence in set_findings(sheet):
        console.print(Text(sentence))


def _cell(row: Row, figure: Figure) -> str:
    from runtime.comparison.set_page import mean, worst

    text = f"{mean(row, figure)} ({worst(row, figure)})"
    return text.replace("\N{NARROW NO-BREAK SPACE}", "")

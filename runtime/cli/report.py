"""``peerwatt report``: results of a finished run, made again from its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.runs import find_run
from runtime.rundir import RunDirectory
from runtime.wording import counted


def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A finished run's folder, or its name under ./runs.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the figures, or leave them as they are.")
    ] = True,
    every: Annotated[
        bool, typer.Option("--all", help="Print every indicator of the community, and what it says.")
    ] = False,
    collected: Annotated[
        list[Path] | None,
        typer.Option(
            "--collect",
            metavar="DIR",
            help="Folder with logs and records of members that ran elsewhere; again for each further one.",
        ),
    ] = None,
) -> None:
    """Write the tables, database, indicators and figures of a finished run, and print its summary."""
    # only this command and the end of a run need these
    from runtime.results import write_results
    from runtime.results.indicator_table import print_indicators
    from runtime.results.indicators import compute_indicators
    from runtime.results.reading import read_indicators, read_records
    from runtime.results.summary import print_summary

    directory = find_run(run)
    if collected:
        from runtime.results.collecting import collect

        found = collect(directory, collected)
        typer.echo(
            f"collected {counted(len(found.records), 'record')} and {counted(len(found.logs), 'log')}",
            err=as_json,
        )
    if not RunDirectory(
        directory
    ).communities_dir.is_dir():  # else there is no common record before indicators
        read_records(directory)  # says what is missing or damaged before a process is started
    compute_indicators(directory)
    result = write_results(directory, figures=figures)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
        return
    print_summary(result)
    if every:
        typer.echo("")
        print_indicators(read_indicators(directory))
    typer.echo(f"\n{counted(len(result['files']), 'file')} in {directory}")

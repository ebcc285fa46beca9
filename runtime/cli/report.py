"""``peerwatt report``: results of a finished run, made again from its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runtime.errors import InputError


def report(
    run: Annotated[str, typer.Argument(help="Directory of a finished run, or its name under ./runs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Leave the figures as they are.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Print every indicator of the community, and what it says.")
    ] = False,
) -> None:
    """Write the tables, database, indicators and figures of a finished run, and print its summary."""
    # only this command and the end of a run need these
    from runtime.results import write_results
    from runtime.results.indicator_table import print_indicators
    from runtime.results.indicators import compute_indicators
    from runtime.results.reading import read_indicators, read_records
    from runtime.results.summary import print_summary

    directory = find_run(run)
    read_records(directory)  # says what is missing or damaged before a process is started
    compute_indicators(directory)
    result = write_results(directory, figures=not no_figures)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
        return
    print_summary(result)
    if every:
        typer.echo("")
        print_indicators(read_indicators(directory))
    typer.echo(f"\n{len(result['files'])} files in {directory}")


def find_run(run: str, runs: Path = Path("runs")) -> Path:
    """Directory of a run given by path or by its name.

    Args:
        run: a path, or the name of a folder in ``runs``.
        runs: where runs are kept.

    Raises:
        InputError: neither is a directory.
    """
    for candidate in (Path(run), runs / run):
        if candidate.is_dir():
            return candidate
    known = sorted(path.name for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    raise InputError(
        f"{run}: no such run; expected a run's directory or one of the runs in {runs}/: "
        f"{', '.join(known) or 'there are none'}"
    )

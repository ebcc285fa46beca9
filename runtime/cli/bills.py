"""``peerwatt bills``: members' bills by calendar month, while a run goes on and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from runtime.results.statements import Statement

FILE_WIDTH = 100
"""Width of the tables where they do not go to a terminal [characters]."""


def bills(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Only this month, as 2026-11; else every month.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for pages and tables (default: the run's `statements`)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bills as JSON.")] = False,
) -> None:
    """Bill a run by calendar month, also while it goes on: pages and tables in a folder for each month."""
    from runtime.cli.runs import find_run
    from runtime.cli.tables import table_console
    from runtime.results.closed_sessions import read_books
    from runtime.results.reading import read_indicators
    from runtime.results.statements import months_of, write_statement
    from runtime.rundir import RunDirectory

    path = find_run(run)
    books = read_books(path)
    months = [*months_of(books)]
    if month is not None and month not in months:
        raise InputError(f"--month: found {month!r}, expected one with a closed session: {', '.join(months)}")
    known = books.ended and RunDirectory(path).indicators_json.is_file()
    indicators = read_indicators(path) if known else None
    wanted = months if month is None else [month]
    folder = out or RunDirectory(path).statements_dir
    try:
        statements = [write_statement(folder / each, books, each, indicators) for each in wanted]
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(
            f"{folder}: cannot be written to: {error.strerror}; `--out DIR` names another folder"
        ) from error
    if as_json:
        typer.echo(json.dumps({"months": [each.as_json() for each in statements]}, indent=1))
        return
    console = table_console(FILE_WIDTH)
    console.print(_member_table(statements[0]) if month is not None else _month_table(statements))
    for each in statements if month is not None else statements[-1:]:
        typer.echo(f"\n{folder / each.month / 'bills.html'}")


def _month_table(statements: Sequence[Statement]) -> Table:
    table = _table("month", "bills", "sessions", "estimated", "corrected", "all members")
    for each in statements:
        table.add_row(
            each.month,
            "final" if each.final else "so far",
            f"{each.sessions}",
            f"{sum(own.unread_slots for own in each.members)}",
            f"{sum(own.corrected_slots for own in each.members)}",
            f"{each.amount_eur:.2f} EUR",
        )
    return table


def _member_table(statement: Statement) -> Table:
    table = _table("member", "grid in", "grid out", "bought", "sold", "corrected", "estimated", "bill")
    table.title = (
        f"{statement.month}, {'final' if statement.final else 'so far'}: {statement.start:%Y-%m-%d %H:%M} to "
        f"{statement.end:%Y-%m-%d %H:%M}"
    )
    for each in statement.members:
        energies = ("grid_import_kwh", "grid_export_kwh", "local_purchase_kwh", "local_sale_kwh")
        table.add_row(
            each.member,
            *(f"{each.energy_kwh[name]:.1f} kWh" for name in energies),
            f"{each.lines_eur['correction']:.2f} EUR",
            f"{each.unread_slots}",
            f"{each.amount_eur:.2f} EUR",
        )
    table.add_section()
    table.add_row("all together", *[""] * 6, f"{statement.amount_eur:.2f} EUR")
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table

"""``peerwatt compare``: the same community under every way of trading, on one page."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.server_choice import OWN_XMPP_HELP, own_server_kind
from runtime.errors import FleetError, InputError

if TYPE_CHECKING:
    from runtime.comparison.sheet import Sheet

WIDTH = 120

HEADINGS = {
    "bill_eur": "all pay\n[EUR]",
    "saving_eur": "saved\n[EUR]",
    "score": "of the\npossible",
    "boundary_self_sufficiency": "self-\nsuff.",
    "peak_import_kw": "peak\n[kW]",
    "members_worse_off": "worse\noff",
    "saving_jain": "evenness\n(Jain)",
    "rounds": "rounds",
    "messages": "messages",
}
"""Indicators of the printed table, with headings as narrow as a terminal needs them."""

SET = "Over a reference set"


def compare(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO",
            help="A scenario file, or the name of a built-in one: example (the default), lorient.",
            show_default=False,
        ),
    ] = None,
    mechanisms: Annotated[
        str | None, typer.Option(help="Names with commas between; without it, all that are installed.")
    ] = None,
    days: Annotated[
        str | None,
        typer.Option(help="Dates of sessions with commas between, or how many; without it, all."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="What to vary besides: battery=0,0.5,1,2 or pv=… (times the scenario's), members=4,8."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the folder in --runs (default: compare-SCENARIO, numbered)."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a comparison that was stopped; what is finished is kept.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Fleets at a time; without it, as many as there are cores.")
    ] = None,
    xmpp: Annotated[str, typer.Option(help=OWN_XMPP_HELP)] = "embedded",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="A set made by `peerwatt dataset make`: compare on its communities.", rich_help_panel=SET
        ),
    ] = None,
    places: Annotated[str | None, typer.Option(help="Only these of the set.", rich_help_panel=SET)] = None,
    seasons: Annotated[str | None, typer.Option(help="Only these of the set.", rich_help_panel=SET)] = None,
    sizes: Annotated[str | None, typer.Option(help="Only these of the set.", rich_help_panel=SET)] = None,
    tariffs: Annotated[str | None, typer.Option(help="Only these of the set.", rich_help_panel=SET)] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only so many of these, a mixed sample.", rich_help_panel=SET)
    ] = None,
    keep_runs: Annotated[
        bool,
        typer.Option(
            "--keep-runs", help="Keep records, tables and logs of every run of a set.", rich_help_panel=SET
        ),
    ] = False,
) -> None:
    """Compare ways of trading: run each, and write a page, tables and charts for those who choose."""
    server = own_server_kind(xmpp)
    if dataset is not None:
        from runtime.cli.compare_set import compare_set

        _only_with_a_scenario(scenario=scenario, days=days, sweep=sweep, data=data)
        compare_set(
            dataset,
            mechanisms=None if mechanisms is None else _parts(mechanisms),
            places=places,
            seasons=seasons,
            sizes=sizes,
            tariffs=tariffs,
            limit=limit,
            name=name,
            resume=resume,
            runs=runs,
            parallel=parallel,
            keep_runs=keep_runs,
            server=server,
            as_json=as_json,
        )
        return
    _only_with_a_set(places=places, seasons=seasons, sizes=sizes, tariffs=tariffs, limit=limit)
    from runtime.cli.run import new_directory
    from runtime.cli.runs import find_run
    from runtime.comparison.cases import Case, choose_days, comparison_cases, sweep_cases
    from runtime.comparison.charts import write_charts
    from runtime.comparison.page import write_page
    from runtime.comparison.progress import CasesProgress
    from runtime.comparison.runs import run_cases
    from runtime.comparison.sheet import sheet_of
    from runtime.comparison.tables import write_tables
    from runtime.scenario.resolve import resolve
    from runtime.scenario.summary import notices

    resolved = resolve(scenario or "example", data)
    if days is not None:
        resolved = choose_days(resolved, _parts(days))
    cases = comparison_cases(resolved, None if mechanisms is None else _parts(mechanisms))
    names = [case.mechanism for case in cases if case.mechanism]
    swept: list[Case] = []
    for each in sweep or []:
        kind, values = _sweep(each)
        swept += sweep_cases(resolved, kind, values, names)
    for notice in notices(resolved):
        typer.echo(f"notice: {notice}", err=True)
    folder = find_run(str(resume), runs) if resume else new_directory(runs, name, f"compare-{resolved.name}")
    with CasesProgress([*cases, *swept], quiet=as_json) as progress:
        outcomes = run_cases(
            [*cases, *swept], folder, parallel or os.cpu_count() or 1, progress.show, server=server
        )
    sheet = sheet_of(resolved, outcomes[: len(cases)], outcomes[len(cases) :])
    files = write_tables(folder, sheet)
    charts = write_charts(folder / "charts", sheet, folder)
    command = " ".join(shlex.quote(word) for word in ["peerwatt", *sys.argv[1:]])
    page = write_page(folder, sheet, charts, command)
    if as_json:
        typer.echo(sheet.model_dump_json(indent=1))
    else:
        _print(sheet)
        typer.echo(f"\nThe decision sheet: {page}\n{len(files)} tables and {len(charts)} charts beside it")
    failed = [way for way in [*sheet.ways, *sheet.sweeps] if way.failure is not None]
    if failed:
        raise FleetError("; ".join(f"{way.title}: {way.failure}" for way in failed))


def _only_with_a_scenario(**given: object) -> None:
    for option, value in given.items():
        if value:
            words = "a scenario" if option == "scenario" else f"--{option}"
            raise InputError(f"--dataset: found {words} beside it, expected one or the other")


def _only_with_a_set(**given: object) -> None:
    for option, value in given.items():
        if value is not None:
            raise InputError(f"--{option}: found {value} without --dataset, expected both or neither")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _sweep(text: str) -> tuple[Any, list[float]]:
    from typing import get_args

    from runtime.comparison.cases import SweepKind

    kind, equals, values = text.partition("=")
    kinds = get_args(SweepKind)
    try:
        numbers = [float(part) for part in _parts(values)]
    except ValueError:
        numbers = []
    if kind not in kinds or not equals or not numbers:
        raise InputError(
            f"--sweep: found {text!r}, expected {' or '.join(kinds)}, an equals sign and numbers with commas "
            "between, for example battery=0,0.5,1,2"
        )
    return kind, numbers


def _print(sheet: Sheet) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from runtime.comparison.page import findings, shown

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=WIDTH)
    rows = [row for row in sheet.rows if row.key in HEADINGS]
    table = Table(title=Text(f"{sheet.community}: ways of trading"), title_justify="left", box=None)
    table.add_column("way", no_wrap=True)
    for row in rows:
        table.add_column(Text(HEADINGS[row.key]), justify="right", no_wrap=True)
    for way in sheet.ways:
        table.add_row(Text(way.title), *(Text("failed" if way.failure else shown(row, way)) for row in rows))
    console.print(table)
    for sentence in findings(sheet):
        console.print(Text(sentence))

"""``peerwatt replicate``: the paper's Table III and figures, as published and put right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runtime.replication.table import Figures, Replication

WIDTH = 110
"""Characters a line that the tables need."""


def replicate(
    data: Annotated[
        Path, typer.Option(help="Folder with the paper's data: a clone of LF2L/P2PEnergySharing on GitHub.")
    ],
    generations: Annotated[
        int,
        typer.Option(
            min=1,
            help="Generations of the paper's genetic algorithm, for each building, twice. "
            "The paper's program has 1600, which take half an hour.",
        ),
    ] = 200,
    name: Annotated[
        str | None, typer.Option(help="Name of the folder made in --runs (default: replicate, numbered).")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Replicate the paper: its table and figures as published, corrected, and what the market makes of it."""
    from runtime.cli.progress import FleetProgress
    from runtime.cli.run import new_directory
    from runtime.replication.figures import copy_run_figures, write_published_figures
    from runtime.replication.fleet_runs import RUN_SETTINGS, run_fleet
    from runtime.replication.page import write_page
    from runtime.replication.paper_case import read_case
    from runtime.replication.replicate import work_out
    from runtime.replication.table import write_tables
    from runtime.replication.whole import whole

    resolved, case = read_case(data)
    folder = new_directory(runs, name, "replicate")

    def say(text: str) -> None:
        if not as_json:
            typer.echo(text, err=True)

    for number, setting in enumerate(RUN_SETTINGS, start=1):
        say(f"fleet {number}/{len(RUN_SETTINGS)}: {setting}")
        with FleetProgress(quiet=as_json) as progress:
            run_fleet(resolved, setting, folder / setting, progress.show)
    worked_out = work_out(case, generations, say)
    say("figures and page")
    replication = whole(worked_out, folder)
    files = write_tables(folder, replication)
    files += write_published_figures(folder / "figures", worked_out, resolved.horizons[0])
    files += copy_run_figures(folder / "figures", folder)
    page = write_page(folder, replication)
    if as_json:
        typer.echo(replication.model_dump_json(indent=1))
        return
    print_replication(replication)
    typer.echo(f"\nThe differences explained: {page}")
    typer.echo(f"{len(files) + 1} files in {folder}, and the runs of {len(RUN_SETTINGS)} fleets")


def print_replication(replication: Replication) -> None:
    """Print Table III and what each slip changes."""
    from rich.console import Console
    from rich.table import Table

    from runtime.replication.wording import CHANGES

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if console.width < WIDTH:
        console = Console(highlight=False, markup=False, soft_wrap=True, width=WIDTH)
    table = Table(box=None, title="Table III: self-sufficiency and cost", title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in ("published\n%", "\nEUR", "replicated\n%", "\nEUR", "corrected\n%", "\nEUR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in replication.rows:
        table.add_row(
            row.title,
            "–" if row.published_index_percent is None else f"{row.published_index_percent:.2f}",
            "–" if row.published_cost_eur is None else f"{row.published_cost_eur:.2f}",
            *_cells(row.replicated),
            *_cells(row.corrected, 6),
        )
    console.print(table)
    console.print()
    steps = Table(box=None, title="What each slip changes, one after the other", title_justify="left")
    steps.add_column("", no_wrap=True)
    for heading in ("PV only\n%", "\nEUR", "PV + battery\n%", "\nEUR", "optimised*\n%", "\nEUR"):
        steps.add_column(heading, justify="right", no_wrap=True)
    for step in replication.increments:
        cells: list[Any] = []
        for figures in step.so_far.values():
            cells += _cells(figures)
        steps.add_row(CHANGES[step.key].short, *cells)
    console.print(steps)
    console.print(
        f"* by Peerwatt's optimisation. The paper's genetic algorithm ran {replication.generations} "
        "generations here, 1600 in the paper."
    )


def _cells(figures: Figures | None, digits: int = 4) -> list[str]:
    if figures is None:
        return ["–", "–"]
    return [f"{figures.self_sufficiency_percent:.4f}", f"{figures.cost_eur:.{digits}f}"]

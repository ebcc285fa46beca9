"""``peerwatt dataset``: the reference set, made and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runtime.errors import InputError
from runtime.wording import counted

MOST_SHOWN = 8

app = typer.Typer(
    help="Write, or check, a set of invented communities: by place, season, size and tariff.",
    no_args_is_help=True,
)


@app.command()
def make(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder; one that is there is never written over.")
    ],
    places: Annotated[
        str | None, typer.Option(help="Some of lorient, seville, munich, lulea; without it, all.")
    ] = None,
    seasons: Annotated[
        str | None, typer.Option(help="Some of winter, spring, summer, autumn; without it, all.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of members, 2 to 25; without it, 4,10,25.")
    ] = None,
    tariffs: Annotated[
        str | None, typer.Option(help="Some of time-of-use, dynamic; without it, both.")
    ] = None,
    days: Annotated[int, typer.Option(help="Consecutive days of each community, 1 to 7.")] = 1,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of all that is random; the same seed makes the same bytes. Without it, one whose days are "
            "near the seasons' means."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Make the reference set: communities that mechanisms can be held against each other on."""
    from rich.console import Console
    from rich.progress import Progress

    from runtime.dataset.choice import choice_of
    from runtime.dataset.make import DEFAULT_SEED, make_dataset

    choice = choice_of(places, seasons, sizes, tariffs, days)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("making communities", total=choice.count)
        manifest = make_dataset(
            folder, choice, DEFAULT_SEED if seed is None else seed, lambda key: progress.advance(task)
        )
    size_bytes = sum(entry.bytes for entry in manifest.all_files())
    if as_json:
        facts = {
            "folder": str(folder),
            "communities": [community.key for community in manifest.communities],
            "files": len(manifest.all_files()) + 1,
            "bytes": size_bytes,
            "seed": manifest.seed,
            "version": manifest.version,
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(
        f"{folder}: {counted(len(manifest.communities), 'community')}, "
        f"{counted(len(manifest.all_files()) + 1, 'file')}, "
        f"{size_bytes / 1e6:.1f} MB; what is in it: {folder / 'README.md'}"
    )


@app.command()
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder made by `peerwatt dataset make`.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Check a set: every file unchanged, none added, every scenario ready to run."""
    from runtime.dataset.check import check_dataset

    manifest, problems = check_dataset(folder)
    if as_json:
        facts = {
            "folder": str(folder),
            "communities": len(manifest.communities),
            "files": len(manifest.all_files()) + 1,
            "problems": problems,
        }
        typer.echo(json.dumps(facts, indent=1))
    if problems:
        shown = [f"{folder}: {problem}" for problem in problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            shown.append(f"{folder}: and {len(problems) - MOST_SHOWN} more")
        raise InputError("\n".join(shown))
    if not as_json:
        typer.echo(
            f"{folder}: {counted(len(manifest.all_files()), 'file')} as they were made, "
            f"{len(manifest.communities)} scenarios ready to run"
        )

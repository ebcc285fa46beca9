"""``peerwatt new``: a commented scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.scenario.load import BUILTIN, load_scenario

TEMPLATE = BUILTIN.with_name("template.toml")


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("community.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Write a commented scenario that runs as it is and is easy to change."""
    if file.is_dir():
        raise InputError(f"{file}: found a folder, expected the name of a file to write")
    if file.exists() and not force:
        raise InputError(f"{file}: is already there; expected a new name, or --force to overwrite it")
    try:
        write_text_atomically(file, TEMPLATE.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from error
    load_scenario(file)
    typer.echo(f"Wrote {file}. Next: peerwatt check {file}, then peerwatt run {file}")

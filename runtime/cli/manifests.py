"""What the commands that write files for container engines have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from runtime.errors import InputError


def as_yaml(mark: str, community: str, documents: Sequence[dict[str, Any]]) -> str:
    """Write documents as one YAML text that begins with ``mark`` and says what it is for."""
    import yaml

    title = " ".join(community.split())
    head = f"{mark} for {title}:\n# change the scenario and write it again, rather than edit this file.\n"
    return head + str(yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=None, width=120))


def emit(text: str, out: Path | None, mark: str) -> None:
    """Save ``text`` as ``out``, or print it.

    Raises:
        InputError: ``out`` is there and does not begin with ``mark``, or cannot be written.
    """
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        if out.exists() and not out.read_text(encoding="utf-8").startswith(mark):
            by = mark.removeprefix("# Written by ")
            raise InputError(f"{out}: exists and was not written by {by}: name another file with --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{out}: cannot be written: {error}") from error


def tell(out: Path | None, what: str) -> None:
    """Tell a person what was written; beside the file where that is printed."""
    typer.echo(f"{out}: {what}" if out else what, err=out is None)


def check_members(names: Sequence[str], members: Sequence[str], option: str) -> list[str]:
    """Return ``names`` if all are members.

    Raises:
        InputError: one is not, naming ``option``.
    """
    for name in names:
        if name not in members:
            raise InputError(f"{option}: found no member {name!r}, expected some of {', '.join(members)}")
    return [*names]

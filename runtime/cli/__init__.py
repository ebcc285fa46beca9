"""The command line: one module a command, all of them in ``commands``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from runtime.cli.usage import carry_out
from runtime.errors import PeerwattError
from runtime.files import no_room

if TYPE_CHECKING:
    from runtime.cli.commands import app

__all__ = ["app", "main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the shells' custom."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what a module may be asked for
    """Import all commands when they are asked for: some need what takes long to import."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runtime.cli.commands import app

    return app


def main() -> None:
    """Entry point: errors a person can mend are one line on standard error, with the error's exit code."""
    try:
        code = carry_out(_app_for(sys.argv[1:]))
    except PeerwattError as error:
        typer.echo(f"error: {error}", err=True)
        code = error.exit_code
    except OSError as error:
        reason = no_room(error)
        if reason is None:
            raise
        typer.echo(f"error: {reason}", err=True)
        code = PeerwattError.exit_code
    if code == INTERRUPTED:  # Typer has made this of Ctrl-C, without a word
        typer.echo("stopped", err=True)
    sys.exit(code)


def _app_for(arguments: list[str]) -> typer.Typer:
    """All commands, or only the one that is to answer at once."""
    if arguments[:1] != ["messages"]:
        from runtime.cli.commands import app

        return app
    from runtime.cli.messages import messages

    alone = typer.Typer(
        name="peerwatt", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    alone.callback()(lambda: None)
    alone.command()(messages)
    return alone

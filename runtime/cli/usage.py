"""What the command line cannot be understood for, said as all other errors are: one line, exit code 2."""

from __future__ import annotations

import typer

from runtime.errors import InputError

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What Typer raises for all that was typed wrong; which package has the class depends on its version."""


def carry_out(app: typer.Typer) -> int:
    """Carry out what was typed; the exit code.

    Raises:
        InputError: there is no such command or option, an argument is missing, or a value is none.
    """
    try:
        code = app(prog_name="peerwatt", standalone_mode=False)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            return InputError.exit_code  # the help was printed
        hint = "" if context is None else f"; see {context.command_path} --help"
        raise InputError(f"{_one_line(error)}{hint}") from None
    except typer.Abort:
        typer.echo("stopped", err=True)
        return 1
    return code if type(code) is int else 0


def _one_line(error: Exception) -> str:
    """Typer's words as a part of a line of ours."""
    format_message = getattr(error, "format_message", error.__str__)
    text = " ".join(str(format_message()).split()).rstrip(".")
    return text[:1].lower() + text[1:]

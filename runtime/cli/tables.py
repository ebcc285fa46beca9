"""Tables on a terminal, or as wide as they are in a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def table_console(width: int) -> Console:
    """Where tables are printed.

    Args:
        width: of a line that goes to a file or a pipe [characters].
    """
    from rich.console import Console  # takes its time, and commands that print no table do without

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, soft_wrap=True, width=width)

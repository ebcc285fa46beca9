"""Every indicator of the community with what it means, for those who want to look closer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_WIDTH = 140
"""Characters a line when the table goes to a file or a pipe."""


def print_indicators(indicators: Mapping[str, Any], console: Console | None = None) -> None:
    """Print all indicators of the whole run.

    Args:
        indicators: content of ``indicators.json``.
        console: where to; standard output if none is given.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=FILE_WIDTH)
    values = indicators["run"]["community"]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("indicator", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("better", no_wrap=True)
    table.add_column("what it says")
    for name, definition in indicators["definitions"].items():
        if name not in values:
            continue  # of a single session, or of members only
        unit = "" if definition["unit"] == "1" else definition["unit"]
        source = f" ({definition['source']})" if definition["source"] else ""
        says = Text(f"{definition['explanation']}{source}")
        table.add_row(name, value_text(values[name]), unit, definition["better"], says)
    console.print(table)


def value_text(value: float | int | None) -> str:
    """A value as people read it: four significant digits or more, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    size = abs(value)
    decimals = 1 if size >= 1000 else 2 if size >= 100 else 3 if size >= 10 else 4
    text = f"{value:.{decimals}f}"
    # what rounds to nothing is nothing, not "−0.0000"
    return text.replace("-", "", 1) if float(text) == 0 else text

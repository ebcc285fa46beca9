"""How far something is, on standard error: a live line on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn


class ShownProgress:
    """Base of what shows progress; used as a context manager around what is shown."""

    def __init__(self, *columns: ProgressColumn, quiet: bool) -> None:
        """Show with ``columns`` on a terminal, or nothing at all where ``quiet``."""
        console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._live = console.is_terminal and not quiet
        self._progress = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._progress.stop()

    def _say(self, text: str) -> None:
        """Say a line that stays, above the live one."""
        if self._live:
            self._progress.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

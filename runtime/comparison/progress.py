"""How far the runs of a comparison are, for a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from runtime.comparison.cases import Case


class CasesProgress:
    """A bar of the runs done, and what those running are at; off a terminal, a line for each that ends."""

    def __init__(self, cases: Sequence[Case], quiet: bool = False) -> None:
        """Show progress on standard error, or nothing at all."""
        console = Console(stderr=True, highlight=False)
        self._quiet, self._live = quiet, console.is_terminal and not quiet
        self._total, self._done = len(cases), 0
        self._began_s: dict[str, float] = {}
        self._at: dict[str, str] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("starting", total=self._total)

    def __enter__(self) -> Self:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._progress.stop()

    def show(self, key: str, phase: str, detail: dict[str, Any]) -> None:
        """Show a step of a case."""
        if self._quiet:
            return
        now_s = time.monotonic()
        self._began_s.setdefault(key, now_s)
        if phase in ("done", "failed"):
            self._done += 1
            self._at.pop(key, None)
            words = "done" if phase == "done" else f"failed: {detail.get('reason')}"
            line = f"{key}: {words} after {now_s - self._began_s[key]:.0f} s ({self._done}/{self._total})"
            if self._live:
                self._progress.console.print(line, markup=False)
            else:
                print(line, file=sys.stderr, flush=True)
        elif phase == "round":
            self._at[key] = f"{key}: round {detail['round']}"
        elif phase == "slot":
            self._at[key] = f"{key}: slot {detail['slot']}/{detail['slots']}"
        elif phase == "results":
            self._at[key] = f"{key}: results"
        else:
            self._at.setdefault(key, f"{key}: starting")
        self._progress.update(self._task, completed=self._done, description="; ".join(self._at.values()))

"""How far the runs of a comparison are, for a person."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from runtime.comparison.cases import Case
from runtime.shown_progress import ShownProgress


class CasesProgress(ShownProgress):
    """A bar of the runs done, and what those running are at; off a terminal, a line for each that ends."""

    def __init__(self, cases: Sequence[Case], quiet: bool = False) -> None:
        """Show progress on standard error, or nothing at all."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, quiet=quiet)
        self._total, self._done = len(cases), 0
        self._began_s: dict[str, float] = {}
        self._at: dict[str, str] = {}
        self._task = self._progress.add_task("starting", total=self._total)

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
            self._say(line)
        elif phase == "round":
            self._at[key] = f"{key}: round {detail['round']}"
        elif phase == "slot":
            self._at[key] = f"{key}: slot {detail['slot']}/{detail['slots']}"
        elif phase == "results":
            self._at[key] = f"{key}: results"
        else:
            self._at.setdefault(key, f"{key}: starting")
        self._progress.update(self._task, completed=self._done, description="; ".join(self._at.values()))

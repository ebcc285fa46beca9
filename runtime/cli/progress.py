"""How far a fleet is, for a person: a live line on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from runtime.rundir import SECOND_COORDINATOR, controller_account
from runtime.shown_progress import ShownProgress
from runtime.wording import counted

SHARES_OF_SLOTS_TOLD = 4
"""Off a terminal, how many times the passing of slots is told in a session."""

_COORDINATOR_PHASES = frozenset({"joining", "round", "agreement", "slot", "closing"})


class FleetProgress(ShownProgress):
    """Shows what a fleet tells; used as a context manager around its run."""

    def __init__(self, quiet: bool = False) -> None:
        """Show progress on standard error, or nothing at all."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
        super().__init__(*columns, TimeElapsedColumn(), quiet=quiet)
        self._task = self._progress.add_task("starting", total=None, count="")
        self._told: str | None = None

    def show(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        """Show one step of a process or agent."""
        if self._quiet:
            return
        match phase:
            case "restarted":
                self._say(f"{agent} {detail['after']}; started again ({detail['restarts']})")
            case "left-behind":
                self._say(f"{agent} did not finish within {detail['seconds']:g} s of the market's close")
            case "community-lost":
                self._say(
                    f"{agent}: community {detail['community']} {detail['reason']}; session "
                    f"{detail['session'] + 1} goes on without it"
                )
            case "late":
                self._say(
                    f"session {detail['session'] + 1}: ready {detail['seconds']:.0f} s after its first slot "
                    "had ended; that slot is settled by the same plans"
                )
            case "complaint":
                self._say(f"{agent}: {detail}")
            case "meter-attached":
                self._say(f"{agent}: now metered by {detail['source']} ({detail['meter']})")
            case "meter-lost":
                self._say(f"{agent}: {detail['meter']} fell silent; metered by its own meter again")
            case "meter-detached":
                self._say(f"{agent}: metered by its own meter again")
            case "controller-attached":
                dry = " (dry run: nothing is written)" if detail["dry_run"] else ""
                self._say(f"{agent}: set-points of its battery go to {detail['target']}{dry}")
            case "setpoint-failed" if detail["slot"] is None or not agent.endswith(controller_account("")):
                where = "" if detail["slot"] is None else f"slot {detail['slot']}: "
                self._say(f"{agent}: {where}the battery's set-point: {detail['reason']}")
            case "starting":
                self._step(f"starting {counted(detail['processes'], 'process')}", None, None, "")
            case "made":
                if agent == "fleet":
                    self._step(f"logs read after {detail['seconds']:.1f} s", None, None, "")
            case "ready":
                if agent == "fleet":
                    self._step(f"all connected after {detail['seconds']:.1f} s", None, None, "")
            case "results":
                self._step("working out the results", None, None, "")
            case _ if phase in _COORDINATOR_PHASES and agent != SECOND_COORDINATOR:
                self._market(phase, detail)

    def _market(self, phase: str, detail: dict[str, Any]) -> None:
        if phase == "joining":
            self._step("members join", detail["joined"], detail["members"], "")
            return
        session = f"session {detail['session'] + 1}/{detail['sessions']}"
        match phase:
            case "round":
                self._step(f"{session}: price round {detail['round']}", None, None, "")
            case "agreement":
                self._step(f"{session}: agreed on round {detail['round']}", None, None, "")
            case "slot":
                self._step(f"{session}: slots", detail["slot"], detail["slots"], "")
            case "closing":
                self._step(f"{session}: settled", None, None, "")

    def _step(self, description: str, done: int | None, total: int | None, count: str) -> None:
        if self._live:
            count = f"{done}/{total}" if total else count
            self._progress.update(
                self._task, description=description, completed=done, total=total, count=count
            )
            return
        if total:
            share = SHARES_OF_SLOTS_TOLD * (done or 0) // total
            description = f"{description} {share * total // SHARES_OF_SLOTS_TOLD}/{total}"
        if description != self._told:
            self._told = description
            print(description, file=sys.stderr, flush=True)

"""A run as whoever watches it sees it: its logs followed, its members' records when it has ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.errors import InputError, LogError
from runtime.fleet.lock import is_supervised
from runtime.inspection.batteries import states_of_charge
from runtime.inspection.counts import RunCounts
from runtime.inspection.kept_fold import MUCH_BYTES, keep, take_up
from runtime.inspection.state import SILENT_AFTER_S, RunState
from runtime.inspection.tail import LogTail
from runtime.messagelog.record import instant
from runtime.rundir import RunDirectory

LOOK_S = 0.2
"""Time between two looks into the logs [s]."""
SUPERVISED_AGAIN_S = 5.0
"""Time after which it is looked up again whether anybody runs a silent run [s]."""
LOOK_BUDGET_S = 0.25
"""Time that one look may take before something else is done [s]."""


class RunFollower:
    """Follows a run's logs; dashboard and terminal show what it knows.

    Attributes:
        directory: the run's.
        logs_dir: its folder of logs.
        state: what the logs say so far.
        counts: how much of everything there was.
        problem: why logs or records cannot be read, or None.
    """

    def __init__(self, run: Path, logs_dir: Path) -> None:
        """Follow a run; nothing is read yet.

        Args:
            run: the run's directory.
            logs_dir: its folder of logs.
        """
        self.directory = RunDirectory(run)
        self.logs_dir = logs_dir
        configs = self.directory.config_dir / "members"
        self.state = RunState(sorted(path.stem for path in configs.glob("*.json")))
        self.counts = RunCounts()
        self.problem: str | None = None
        read_bytes = take_up(logs_dir, self.state, self.counts)
        self._tail = LogTail(logs_dir, read_bytes)
        self._kept_bytes = sum(read_bytes.values())
        self._batteries: dict[str, dict[str, list[float]]] | None = None
        self._supervised: tuple[float, bool | None] | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended: the coordinator has left its record."""
        return self.directory.coordinator_record.is_file()

    @property
    def stopped(self) -> str:
        """Why the run does not go on though it has not ended, in words; empty if it does, or may."""
        if self.finished or self.read_share < 1.0 or self._spoke_lately() or self._is_supervised():
            return ""
        name = self.directory.path.resolve().name
        return f"nobody runs it any more; `peerwatt resume {name}` goes on with it"

    def _spoke_lately(self) -> bool:
        if not self.state.last_at:
            return False
        return (datetime.now(UTC) - instant(self.state.last_at)).total_seconds() < SILENT_AFTER_S

    def _is_supervised(self) -> bool:
        """Whether a process of this machine runs it, or that cannot be told; looked up now and then."""
        now_s = time.monotonic()
        if self._supervised is None or now_s - self._supervised[0] > SUPERVISED_AGAIN_S:
            self._supervised = now_s, is_supervised(self.directory)
        return self._supervised[1] is not False

    @property
    def read_share(self) -> float:
        """Share of the logs' bytes read so far."""
        return self._tail.read_share

    def look(self, budget_s: float = LOOK_BUDGET_S) -> bool:
        """Fold what is new; True if there is more to be read at once.

        Args:
            budget_s: time to spend [s].
        """
        ends_s = time.monotonic() + budget_s
        try:
            for at, agent, line in self._tail.look(budget_s):
                self.state.feed(at, agent, line)
                self.counts.feed(agent, line)
        except (LogError, OSError) as error:
            self.problem = str(error)
            return False
        if self._tail.read_share < 1.0:
            return True
        if time.monotonic() < ends_s:
            self._keep()
        return False

    def _keep(self) -> None:
        """Keep what was folded of much, once all that is there was."""
        read_bytes = self._tail.read_bytes
        if sum(read_bytes.values()) - self._kept_bytes >= MUCH_BYTES:
            self._kept_bytes = sum(read_bytes.values())
            keep(self.logs_dir, read_bytes, self.state, self.counts)

    def snapshot(self, session: int | None = None) -> dict[str, Any]:
        """Give the state as a JSON object; not while a look goes on.

        Args:
            session: the session to show; None for the latest.
        """
        stopped = self.stopped
        state = self.state.as_json(session, finished=self.finished, stopped=bool(stopped))
        shown = state["shown"]
        state["soc"] = self._soc(shown["number"]) if shown is not None else {}
        return state | {
            "finished": self.finished,
            "stopped": stopped,
            "read_share": self.read_share,
            "problem": self.problem,
        }

    def _soc(self, session: int) -> dict[str, list[float]]:
        """States of charge from the members' own records, which they write when the run ends."""
        if not self.finished:
            return {}
        if self._batteries is None:
            try:
                self._batteries = states_of_charge(self.directory)
            except InputError as error:
                self._batteries, self.problem = {}, str(error)
        return self._batteries.get(str(session), {})

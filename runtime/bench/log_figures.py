"""How long it takes to write, page through, search and check the logs of a day."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.bench.day_of_logs import RARE_TEXT, WrittenDay, write_day
from runtime.errors import PeerwattError
from runtime.inspection.index.store import INDEX_NAME, TEXT_NAME

if TYPE_CHECKING:
    from runtime.bench.aims import Aim

WRITING_LIMIT_US = 20.0
PAGE_LIMIT_S = 0.5
VERIFY_MESSAGES_PER_S = 100_000.0
PAGE_ROWS = 50
DASHBOARD_ROWS = 100
PAGE_TIMES = 3
LIMIT_S = 1800.0

FILTERS: dict[str, tuple[str, ...]] = {
    "all": (),
    "kind: deliveries": ("--type", "delivery"),
    "agent and slot": ("--agent", "house-042", "--slot", "1200"),
    "conversation and round": ("--session", "session-0", "--round", "5"),
    "performative, once in all": ("--performative", "refuse"),
    "nothing matches": ("--performative", "failure", "--agent", "house-007"),
    "text: common": ("--grep", "Metered"),
    "text: once in all": ("--grep", RARE_TEXT.upper()),
    "text: in no message": ("--grep", "no such text anywhere"),
    "text: a number": ("--grep", "0.0123456"),
    "time": ("--since", "2100-01-01T00:00:00"),
}
"""What is looked for, and how."""


@dataclass(frozen=True)
class Cost:
    """What a process took: wall time, time of the processor [s], greatest memory [MiB]."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True)
class LogFigures:
    """All figures.

    Attributes:
        day: what was written.
        indexing: the first listing, which makes the index.
        index_bytes: length of the index.
        pages: the first page of each filter, median of ``PAGE_TIMES``, whole process.
        newest: the newest messages as the dashboard lists them, median of ``PAGE_TIMES``, whole process.
        check: checking all logs: hashes, pairs, speakers.
        json_bound: reading all lines with Python's JSON parser, and nothing else; the check needs that parser
            only for lines that are not just as the writer makes those of messages.
        statistics: counting all messages.
    """

    day: WrittenDay
    indexing: Cost
    index_bytes: int
    pages: dict[str, Cost] = field(default_factory=dict)
    newest: Cost = field(default_factory=lambda: Cost(0, 0, 0))
    check: Cost = field(default_factory=lambda: Cost(0, 0, 0))
    json_bound: Cost = field(default_factory=lambda: Cost(0, 0, 0))
    statistics: Cost = field(default_factory=lambda: Cost(0, 0, 0))

    @property
    def check_messages_per_s(self) -> float:
        """Messages checked per second of one core."""
        return self.day.messages / self.check.cpu_s

    @property
    def json_messages_per_s(self) -> float:
        """Messages parsed, at both ends, per second of one core."""
        return self.day.messages / self.json_bound.cpu_s

    def aims(self) -> list[Aim]:
        """What is aimed at, held against what was measured."""
        from runtime.bench.aims import Aim  # not in the processes that are measured

        aims = [Aim("writing a record [µs]", WRITING_LIMIT_US, self.day.writing_us)]
        aims += [
            Aim(f"first page, {name} [s]", PAGE_LIMIT_S, cost.wall_s) for name, cost in self.pages.items()
        ]
        aims.append(Aim("dashboard's first page [s]", PAGE_LIMIT_S, self.newest.wall_s))
        limit_us = 1e6 / VERIFY_MESSAGES_PER_S
        aims.append(Aim("checking a message on one core [µs]", limit_us, 1e6 / self.check_messages_per_s))
        return aims


def measure_logs(
    members: int, slots: int, rounds: int, folder: Path | None, say: Callable[[str], None]
) -> LogFigures:
    """Write a day of logs and measure what can be done with it.

    Args:
        members: of the community.
        slots: of the day.
        rounds: of the negotiation.
        folder: where to keep the logs; None for a temporary folder.
        say: told where the measurement is.

    Raises:
        PeerwattError: a measured command failed.
    """
    run = folder or Path(tempfile.mkdtemp(prefix="peerwatt-bench-log-"))
    try:
        return _measure(run / "logs", members, slots, rounds, say)
    finally:
        if folder is None:
            shutil.rmtree(run, ignore_errors=True)


def _measure(logs_dir: Path, members: int, slots: int, rounds: int, say: Callable[[str], None]) -> LogFigures:
    say(f"writing the logs of {members} members and {slots} slots")
    day = write_day(logs_dir, members, slots, rounds)
    say(f"  {day.messages} messages, {day.bytes / 1e6:.0f} MB in {day.logs} logs")
    page = ("-m", "runtime", "messages", str(logs_dir), "--limit", str(PAGE_ROWS))
    say("indexing")
    indexing = _cost(*page)
    index_bytes = sum((logs_dir / name).stat().st_size for name in (INDEX_NAME, TEXT_NAME))
    pages = {}
    for name, options in FILTERS.items():
        say(f"first page: {name}")
        pages[name] = _median_cost(*page, *options)
    say("first page of the dashboard")
    newest = _median_cost("-m", "runtime.bench.log_figures", "newest", str(logs_dir))
    say("counting")
    counting = _cost("-m", "runtime", "messages", str(logs_dir), "--stats")
    say("checking")
    check = _cost("-m", "runtime.bench.log_figures", "check", str(logs_dir))
    bound = _cost("-m", "runtime.bench.log_figures", "parse", str(logs_dir))
    return LogFigures(day, indexing, index_bytes, pages, newest, check, bound, counting)


def _median_cost(*arguments: str) -> Cost:
    costs = [_cost(*arguments) for _ in range(PAGE_TIMES)]
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_mib for cost in costs),
    )


def _cost(*arguments: str) -> Cost:
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None, "it was asked for"
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    if process.returncode:
        last = said.strip().splitlines()[-1:] or ["without a word"]
        raise PeerwattError(f"{' '.join(arguments)}: exit code {process.returncode}: {last[0]}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _check(logs_dir: Path) -> int:
    from runtime.messagelog.reader import log_paths
    from runtime.messagelog.verify import check_logs

    return len(check_logs(log_paths(logs_dir)).findings)


def _newest(logs_dir: Path) -> int:
    from runtime.inspection.history import MessageHistory
    from runtime.messagelog.filters import MessageFilter

    history = MessageHistory(logs_dir)
    try:
        return 0 if history.page(MessageFilter(), limit=DASHBOARD_ROWS).rows else 1
    finally:
        history.close()


def _parse(logs_dir: Path) -> int:
    for path in logs_dir.glob("*.jsonl"):
        with path.open("rb") as file:
            for line in file:
                json.loads(line)
    return 0


if __name__ == "__main__":
    sys.exit({"check": _check, "newest": _newest, "parse": _parse}[sys.argv[1]](Path(sys.argv[2])))

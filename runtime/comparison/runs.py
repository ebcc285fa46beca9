"""Runs the cases of a comparison, a few at a time, each as a fleet of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.comparison.cases import Case
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import write_configs

OnNews = Callable[[str, str, dict[str, Any]], None]
"""Told the key of a case, the phase of its fleet, and detail; ``done`` and ``failed`` come last."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: the case.
        path: its run directory.
        wall_seconds: how long it took, others running beside it [s]; None if it was there already.
        failure: why there are no results; None if there are.
    """

    case: Case
    path: Path
    wall_seconds: float | None
    failure: str | None = None


def is_finished(path: Path) -> bool:
    """Whether a run directory holds a run with all its results."""
    directory = RunDirectory(path)
    return directory.coordinator_record.is_file() and directory.results_sqlite.is_file()


def run_cases(cases: Sequence[Case], folder: Path, parallel: int, on_news: OnNews) -> list[Outcome]:
    """Run cases, ``parallel`` at a time; those whose folder holds a finished run are taken as they are.

    Args:
        cases: what to run.
        folder: each case has the folder of its key in it.
        parallel: how many fleets at a time.
        on_news: told every step.

    Returns:
        One outcome a case, in their order.
    """
    lock = threading.Lock()
    processes: dict[str, subprocess.Popen[str]] = {}

    def tell(key: str, phase: str, detail: dict[str, Any]) -> None:
        with lock:
            on_news(key, phase, detail)

    def run(case: Case) -> Outcome:
        path = folder / case.key
        if is_finished(path):
            tell(case.key, "done", {})
            return Outcome(case, path, None)
        began_s = time.monotonic()
        write_configs(case.resolved, RunDirectory(path))
        failure: str | None = "its process ended without a word"
        with (path / "comparison.stderr").open("wb") as errors:
            command = [sys.executable, "-m", "runtime.comparison.worker", str(path)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            processes[case.key] = process
            assert process.stdout is not None, "standard output is a pipe"
            for line in process.stdout:
                phase, detail = json.loads(line)
                if phase == "failed":
                    failure = detail["reason"]
                elif phase == "done":
                    failure = None
                else:
                    tell(case.key, phase, detail)
            process.wait()
        tell(case.key, "done" if failure is None else "failed", {"reason": failure})
        return Outcome(case, path, time.monotonic() - began_s, failure)

    with ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(run, case) for case in cases]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes.values():
                process.send_signal(signal.SIGINT)  # a fleet leaves no process behind on Ctrl-C
            raise

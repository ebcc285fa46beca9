"""Runs the cases of a comparison, a few at a time, each as a fleet of its own."""

from __future__ import annotations

import json
import shutil
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
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.fleet.servers import ServerKind, keep_server
from runtime.rundir import RunDirectory
from runtime.scenario.resolved import ResolvedScenario
from runtime.scenario.write import write_configs

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


NO_WORD = "its process ended without a word"

OUTCOME = "outcome.json"
"""Marks a run of which the indicators alone were kept, and holds how long it took."""

KEPT_OF_A_RUN = frozenset({"run.json", "scenario.toml", "indicators.json", OUTCOME})
"""What is kept of a run where only its indicators are wanted; a large community's log is tens of MB."""


def is_finished(path: Path) -> bool:
    """Whether a run directory holds a run with all its results, or all that was to be kept of it."""
    directory = RunDirectory(path)
    if (path / OUTCOME).is_file():
        return directory.indicators_json.is_file()
    return directory.coordinator_record.is_file() and directory.results_sqlite.is_file()


def refuse_another_run(path: Path, resolved: ResolvedScenario) -> None:
    """Keep a comparison from being continued with another one's runs.

    Raises:
        InputError: the folder holds a run of another scenario, mechanism or days.
    """
    run_json = RunDirectory(path).run_json
    if not run_json.is_file():
        return
    there = json.loads(run_json.read_text("utf-8"))
    found = (there["scenario_sha256"], there["mechanism"], [day["start"] for day in there["sessions"]])
    days = [horizon.model_dump(mode="json")["start"] for horizon in resolved.horizons]
    if found != (resolved.sha256, resolved.coordinator_config().mechanism, days):
        raise InputError(
            f"{path}: found a run of another scenario, mechanism or days ({there['scenario']}, "
            f"{there['mechanism']}), expected one of this comparison; name another folder"
        )


def run_cases(
    cases: Sequence[Case],
    folder: Path,
    parallel: int,
    on_news: OnNews,
    *,
    indicators_only: bool = False,
    server: ServerKind = "embedded",
) -> list[Outcome]:
    """Run cases, ``parallel`` at a time; those whose folder holds a finished run are taken as they are.

    A run that was stopped on the way is run again from its start.

    Args:
        cases: what to run.
        folder: each case has the folder of its key in it.
        parallel: how many fleets at a time.
        on_news: told every step.
        indicators_only: whether to keep only the indicators of each run, once its ledger is checked:
            no tables, figures, records and logs.
        server: that runs are on, each on its own.

    Returns:
        One outcome a case, in their order.

    Raises:
        InputError: a case's folder holds a run of another scenario, mechanism or days; nothing was started.
    """
    for case in cases:
        refuse_another_run(folder / case.key, case.resolved)
    lock = threading.Lock()
    processes: dict[str, subprocess.Popen[str]] = {}
    stopping = threading.Event()

    def tell(key: str, phase: str, detail: dict[str, Any]) -> None:
        with lock:
            on_news(key, phase, detail)

    def run(case: Case) -> Outcome:
        path = folder / case.key
        if is_finished(path):
            tell(case.key, "done", {})
            return Outcome(case, path, _wall_seconds(path))
        began_s = time.monotonic()
        if RunDirectory(path).coordinator_config.is_file():
            shutil.rmtree(path)
        keep_server(RunDirectory(path), server)
        write_configs(case.resolved, RunDirectory(path))
        failure: str | None = NO_WORD
        with (path / "comparison.stderr").open("wb") as errors:
            command = [sys.executable, "-m", "runtime.comparison.worker", str(path)]
            if indicators_only:
                command.append("--indicators-only")
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            with lock:
                processes[case.key] = process
                if stopping.is_set():  # it began while the others were being stopped
                    process.send_signal(signal.SIGINT)
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
        if failure == NO_WORD:
            said = (path / "comparison.stderr").read_text("utf-8", errors="replace").strip().splitlines()
            failure = f"its process ended: {said[-1]}" if said else NO_WORD
        wall_seconds = time.monotonic() - began_s
        if indicators_only and failure is None:
            _keep_indicators(path, wall_seconds)
        tell(case.key, "done" if failure is None else "failed", {"reason": failure})
        return Outcome(case, path, wall_seconds, failure)

    with ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(run, case) for case in cases]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with lock:
                stopping.set()
                for process in processes.values():
                    process.send_signal(signal.SIGINT)  # a fleet leaves no process behind on Ctrl-C
            raise


def _keep_indicators(path: Path, wall_seconds: float) -> None:
    """Mark a run as finished, then drop what is not to be kept of it."""
    write_text_atomically(path / OUTCOME, json.dumps({"wall_seconds": round(wall_seconds, 3)}) + "\n")
    for item in path.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name not in KEPT_OF_A_RUN:
            item.unlink()


def _wall_seconds(path: Path) -> float | None:
    """How long a finished run took; None if it does not say."""
    if not (path / OUTCOME).is_file():
        return None
    return float(json.loads((path / OUTCOME).read_text("utf-8"))["wall_seconds"])

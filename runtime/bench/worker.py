"""Measurements run in a process of their own, so that none starts with what another one has loaded.

A worker prints JSON lines: ``{"news": …}`` while it works, ``{"result": …}`` at the end. It stops when its
standard input ends, that is when whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

from runtime.errors import FleetError

STOP_LIMIT_S = 30.0
"""How long a worker may take to stop all it has started."""

News = Callable[[str, str, dict[str, Any]], None]
"""Takes an agent or process, a phase and its detail."""


def run_worker(module: str, arguments: Sequence[str], on_news: News) -> dict[str, Any]:
    """Run ``python -m module arguments`` and return its result.

    Raises:
        FleetError: it ended without a result.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C comes to it as the end of its input, once
    )
    assert process.stdin is not None, "stdin is a pipe"
    assert process.stdout is not None, "stdout is a pipe"
    assert process.stderr is not None, "stderr is a pipe"
    complaints: list[str] = []
    reader = threading.Thread(target=lambda: complaints.extend(process.stderr or ()), daemon=True)
    reader.start()
    result: dict[str, Any] | None = None
    try:
        for line in process.stdout:
            told = json.loads(line)
            if "news" in told:
                on_news(*told["news"])
            else:
                result = told["result"]
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(1.0)
        process.stdout.close()
    if result is None or process.returncode != 0:
        words = complaints[-1].strip() if complaints else f"exit code {process.returncode}"
        raise FleetError(f"{module} gave no result: {words}")
    return result


def tell(news: tuple[str, str, dict[str, Any]]) -> None:
    """In a worker: pass on what happened."""
    print(json.dumps({"news": news}), flush=True)


def give(result: dict[str, Any]) -> None:
    """In a worker: hand over the result."""
    print(json.dumps({"result": result}), flush=True)


def stop_with_parent() -> None:
    """In a worker: take the end of standard input for Ctrl-C."""

    def wait() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=wait, name="lifeline", daemon=True).start()


@contextmanager
def ended_at_last(processes: Sequence[BaseProcess]) -> Iterator[None]:
    """Around what forked processes are needed for: they are killed and waited for at the end of it.

    Args:
        processes: those that were started; more may be added meanwhile.
    """
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()

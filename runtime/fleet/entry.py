"""What runs in an agent process that a fleet has forked."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from runtime.process import PipeWatcher, leave_with


def enter(module: str, arguments: list[str], watcher: Pipe, lifeline: Pipe, errors_path: Path) -> None:
    """Run ``python -m module arguments`` in this forked process and leave with its exit code.

    Args:
        module: ``agents`` or ``coordinator``.
        arguments: the module's command line.
        watcher: where progress is told.
        lifeline: the process leaves when the other end of this is closed.
        errors_path: file that standard error goes to.
    """
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all; the fleet decides
    errors_path.parent.mkdir(parents=True, exist_ok=True)
    with errors_path.open("ab", buffering=0) as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    leave_with(lifeline)
    sys.exit(import_module(f"{module}.__main__").main(arguments, PipeWatcher(watcher)))

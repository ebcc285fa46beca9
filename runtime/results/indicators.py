"""Has the indicators of a run computed; how is the coordinator's business, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runtime.errors import InputError, PeerwattError

INDICATORS_TIMEOUT_S = 120.0


def compute_indicators(run: Path) -> None:
    """Have the coordinator's side compute ``indicators.json`` of a run, in a process of its own.

    Args:
        run: the run's directory.

    Raises:
        InputError: the records are missing or contradict each other.
        PeerwattError: the computation failed or took too long.
    """
    command = [sys.executable, "-m", "coordinator", "indicators", "--run", str(run)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INDICATORS_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise PeerwattError(f"{run}: no indicators after {INDICATORS_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        reason = f"{run}: no indicators: {said[-1].removeprefix('error: ')}"
        raise (InputError if done.returncode == InputError.exit_code else PeerwattError)(reason)

"""Asks a package's command for something to be worked out, in a process of its own; JSON comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from runtime.errors import InputError, PeerwattError

QUERY_TIMEOUT_S = 300.0


def ask_agents(*arguments: str) -> dict[str, Any]:
    """Run ``python -m agents`` with arguments and read what it prints; as ``ask``."""
    return ask("agents", *arguments)


def ask(package: str, *arguments: str) -> dict[str, Any]:
    """Run ``python -m PACKAGE`` with arguments and read what it prints.

    Args:
        package: ``agents`` or ``coordinator``.
        arguments: subcommand and options.

    Raises:
        InputError: the command refused what it was given.
        PeerwattError: it failed otherwise, or took too long.
    """
    command = [sys.executable, "-m", package, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise PeerwattError(f"{arguments[0]}: no answer after {QUERY_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        reason = said[-1].removeprefix("error: ")
        raise (InputError if done.returncode == InputError.exit_code else PeerwattError)(reason)
    found: dict[str, Any] = json.loads(done.stdout)
    return found

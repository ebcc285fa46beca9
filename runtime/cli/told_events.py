"""What a trial's process tells, event by event, to the end that a person or the process itself puts to it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from runtime.errors import FleetError, InputError


def told_events(command: list[str], what: str) -> Iterator[dict[str, Any]]:
    """Events that a process prints as JSON lines; Ctrl-C has it say its last ones before it leaves.

    Args:
        command: the process and its arguments.
        what: whose process it is, for an error without words.

    Raises:
        InputError: it refused what it was given.
        FleetError: it failed.
    """
    # In a group of its own: a terminal's Ctrl-C reaches it through us alone, for twice could hit it leaving.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # passed on instead of raised here: an exception could lose the line that is being read
        before = signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGINT))
        try:
            for line in process.stdout:
                yield json.loads(line)
            words = process.stderr.read().strip().splitlines()
            code = process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
    if code:
        reason = words[-1].removeprefix("error: ") if words else f"{what}'s process left with {code}"
        raise InputError(reason) if code == InputError.exit_code else FleetError(reason)

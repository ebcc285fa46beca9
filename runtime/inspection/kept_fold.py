"""What was folded from a run's logs, kept beside them: whoever looks again reads only what is new.

Like the index of messages it may be deleted, and is made anew where the logs are no longer those it is of.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runtime.files import write_text_atomically
from runtime.inspection.accounts import MemberAccount
from runtime.inspection.counts import RunCounts, Seconds
from runtime.inspection.plain_values import from_json, to_json
from runtime.inspection.sessions import SessionView
from runtime.inspection.state import MemberView, RunState

KEPT_NAME = ".messages.fold.json"
"""Its file in the folder of logs."""
MUCH_BYTES = 16_000_000
"""So much that was read is worth keeping what was made of it [bytes]."""
MOST_CHARACTERS = 64_000_000
"""What is longer is not kept: reading it would take as long as what it spares."""

_VERSION = 1
_END_BYTES = 67
"""Length of the end of a record, which has its hash [bytes]."""
_CLASSES = (MemberAccount, MemberView, Seconds, SessionView)
_NOT_KEPT = frozenset({"_now"})


def keep(logs_dir: Path, read_bytes: Mapping[Path, int], state: RunState, counts: RunCounts) -> None:
    """Keep what was folded; where the folder cannot be written to, nothing is.

    Args:
        logs_dir: the folder of logs.
        read_bytes: how much of each log was folded.
        state: what goes on.
        counts: how much of everything there was.
    """
    with contextlib.suppress(OSError):
        text = json.dumps(
            {
                "version": [_VERSION, version("peerwatt")],
                "logs": {path.name: [size, _end_of(path, size)] for path, size in read_bytes.items()},
                "state": {name: to_json(value) for name, value in _values(state).items()},
                "counts": {name: to_json(value) for name, value in _values(counts).items()},
            }
        )
        if len(text) <= MOST_CHARACTERS:
            write_text_atomically(logs_dir / KEPT_NAME, text)


def take_up(logs_dir: Path, state: RunState, counts: RunCounts) -> dict[Path, int]:
    """Take up what was kept, if it is of these logs and of this version; else nothing is changed.

    Args:
        logs_dir: the folder of logs.
        state: new, with nothing seen.
        counts: new.

    Returns:
        How much of each log is folded [bytes]; empty if nothing was taken up.
    """
    try:
        kept = json.loads((logs_dir / KEPT_NAME).read_text(encoding="utf-8"))
        if kept["version"] != [_VERSION, version("peerwatt")]:
            return {}
        read_bytes = {logs_dir / name: size for name, (size, _) in kept["logs"].items()}
        if any(_end_of(logs_dir / name, size) != end for name, (size, end) in kept["logs"].items()):
            return {}
        taken = [
            (folded, {name: from_json(value, _CLASSES) for name, value in kept[part].items()})
            for folded, part in ((state, "state"), (counts, "counts"))
        ]
        if any(values.keys() != _values(folded).keys() for folded, values in taken):
            return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    for folded, values in taken:
        vars(folded).update(values)
    return read_bytes


def _values(folded: object) -> dict[str, Any]:
    return {name: value for name, value in vars(folded).items() if name not in _NOT_KEPT}


def _end_of(path: Path, size: int) -> str:
    """The end of the record that a log had last when it was so long; empty if it is shorter now."""
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES))
        end = file.read(min(size, _END_BYTES))
    return end.decode("ascii", "replace") if len(end) == min(size, _END_BYTES) else ""

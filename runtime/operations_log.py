"""What processes say of their own running, as JSON lines on standard error; messages are in the message logs.

One object a line: ``time`` (UTC), ``level``, ``agent``, ``event`` and ``fields``. Steps of an agent, lost and
regained connections, refusals and failures come so; what libraries log has its logger's name in ``fields``.
``PEERWATT_LOG_FORMAT`` is ``json`` or ``text``, by default text on a terminal and JSON elsewhere;
``PEERWATT_LOG_LEVEL`` is ``debug``, ``info`` (default), ``warning`` or ``error``.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runtime.errors import InputError

FORMAT_VARIABLE, LEVEL_VARIABLE = "PEERWATT_LOG_FORMAT", "PEERWATT_LOG_LEVEL"
FORMATS = ("json", "text")
LEVELS = ("debug", "info", "warning", "error")

_OWN = ("peerwatt", "runtime", "agents", "coordinator")
_UNIMPORTANT = frozenset({"debug", "info"})
_TRACEBACK = "Traceback (most recent call last):"
_ERROR_CHARACTERS = 300

logger = logging.getLogger("peerwatt.operations")


def say(event: str, agent: str = "", *, level: int = logging.INFO, **fields: object) -> None:
    """Log an event of this process.

    Args:
        event: its name, as ``reconnected``.
        agent: whom it concerns; empty for the process.
        level: of ``logging``.
        fields: more about it, JSON-ready; never the content of a message.
    """
    logger.log(level, event, extra={"agent": agent, "fields": fields})


def configure(shape: str | None = None, level: str = "info") -> None:
    """Have this process's log written to standard error; once.

    A program that has set up logging itself is left alone.

    Args:
        shape: one of ``FORMATS``; None for text on a terminal, JSON elsewhere. The environment has its way.
        level: one of ``LEVELS``, from which on it is written; the environment has its way.

    Raises:
        InputError: an environment variable says something else than it may.
    """
    root = logging.getLogger()
    default = "text" if sys.stderr.isatty() else "json"
    chosen = _chosen(FORMAT_VARIABLE, FORMATS, shape or default)
    from_level = _chosen(LEVEL_VARIABLE, LEVELS, level).upper()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if chosen == "json" else TextFormatter())
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[from_level]))
    for name in _OWN:
        logging.getLogger(name).setLevel(from_level)


def _chosen(variable: str, allowed: tuple[str, ...], default: str) -> str:
    found = os.environ.get(variable) or default
    if found not in allowed:
        raise InputError(f"{variable}: found {found!r}, expected {' or '.join(allowed)}")
    return found


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line, ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Write it."""
        return entry_text(**_entry(record))


class TextFormatter(logging.Formatter):
    """A record as a line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write it; the trace of an exception follows."""
        entry = _entry(record)
        trace = entry["fields"].pop("trace", None)
        parts = [f"{name}={value}" for name, value in entry["fields"].items()]
        line = " ".join([entry["time"][11:19], entry["level"], entry["agent"] or "-", entry["event"], *parts])
        return line if trace is None else f"{line}\n{trace}"


def entry_text(*, time: str, level: str, agent: str, event: str, fields: dict[str, Any]) -> str:
    """A line of the log, without its end."""
    entry = {"time": time, "level": level, "agent": agent, "event": event, "fields": fields}
    return json.dumps(entry, default=str)


def now_text() -> str:
    """This instant, as entries have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields = dict(getattr(record, "fields", {}))
    if record.name != logger.name:
        fields["logger"] = record.name
    if record.exc_info:
        fields["trace"] = logging.Formatter().formatException(record.exc_info)
    return {
        "time": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "agent": getattr(record, "agent", ""),
        "event": record.getMessage(),
        "fields": fields,
    }


def last_complaint(text: str) -> str:
    """The last thing that a process complained of, in what it wrote to standard error; empty if nothing.

    Args:
        text: lines of this log, and whatever else was written there: of a traceback the error counts, whose
            message may have several lines.
    """
    lines = text.strip().splitlines()
    for number, line in reversed([*enumerate(lines)]):
        entry = entry_of(line)
        if entry is None:
            return _error_of_traceback(lines[: number + 1]) or line
        if entry["level"] not in _UNIMPORTANT:
            reason = entry["fields"].get("reason")
            return f"{entry['event']}: {reason}" if reason else str(entry["event"])
    return ""


def _error_of_traceback(lines: Sequence[str]) -> str:
    """The error that a traceback at the end of lines tells of, on one line; empty where there is none."""
    try:
        began = len(lines) - lines[::-1].index(_TRACEBACK)
    except ValueError:
        return ""
    told = [*itertools.dropwhile(lambda line: line.startswith(" "), lines[began:])]
    if any(entry_of(line) for line in told):
        return ""  # what was written since is another thing
    return textwrap.shorten(" ".join(told), _ERROR_CHARACTERS, placeholder=" …")


def entry_of(line: str) -> dict[str, Any] | None:
    """Read a line as an entry of this log; None if it is something else."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if isinstance(entry, dict) and {"time", "level", "agent", "event"} <= entry.keys():
        fields = entry.get("fields")
        return entry | {"fields": fields if isinstance(fields, dict) else {}}
    return None

"""One value in a JSON document: ``ENERGY.Power``, ``emeters[0].total``, ``em1:0.act_power``.

Names are separated by dots and may hold anything but dots and brackets; ``[n]`` is an element of an array. An
empty path is the document itself.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")

MAX_BODY_BYTES = 64 * 1024
"""No device tells more about itself."""


class JsonValueError(ValueError):
    """The document is none, or has no such value; the message says what was found."""


def parse_path(path: str) -> list[str | int]:
    """Take a path apart.

    Raises:
        JsonValueError: it is none.
    """
    steps: list[str | int] = []
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise JsonValueError(f"path {path!r}: expected names and [n], found {path[place:]!r}")
        steps.append(step[1] if step[1] is not None else int(step[2]))
        place = step.end()
    return steps


def parse_document(body: bytes | str) -> Any:  # noqa: ANN401 - any JSON
    """Read a document.

    Raises:
        JsonValueError: it is too long or no JSON.
    """
    if len(body) > MAX_BODY_BYTES:
        raise JsonValueError(f"found {len(body)} bytes, expected at most {MAX_BODY_BYTES}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise JsonValueError(f"expected JSON, found {body[:40]!r}") from error


def value_at(document: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """The value at a path.

    Raises:
        JsonValueError: there is none.
    """
    found, seen = document, ""
    for step in parse_path(path):
        try:
            if isinstance(step, int) != isinstance(found, list):
                raise KeyError(step)
            found = found[step]
        except (KeyError, IndexError, TypeError):
            has = ", ".join(map(str, found))[:80] if isinstance(found, dict) else type(found).__name__
            raise JsonValueError(f"found no {step!r} at {seen or 'the top'}, found {has}") from None
        seen += f"[{step}]" if isinstance(step, int) else f".{step}" if seen else step
    return found


def number_at(document: Any, path: str) -> float:  # noqa: ANN401 - any JSON
    """The number at a path; a number written as text counts.

    Raises:
        JsonValueError: there is none, or something else.
    """
    found = value_at(document, path)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise JsonValueError(f"{path or 'document'}: expected a number, found {str(found)[:40]!r}")
    try:
        return float(found)
    except (ValueError, OverflowError):
        raise JsonValueError(f"{path or 'document'}: expected a number, found {str(found)[:40]!r}") from None


def instant_at(document: Any, path: str) -> datetime:  # noqa: ANN401 - any JSON
    """The instant at a path: ISO 8601 with offset, or seconds or milliseconds since 1970.

    Raises:
        JsonValueError: there is none, or a time without offset, which could be anywhere's.
    """
    found = value_at(document, path)
    try:
        if isinstance(found, str) and not found.replace(".", "", 1).isdecimal():
            stamp = datetime.fromisoformat(found)
            if stamp.tzinfo is None:
                raise JsonValueError(f"{path}: expected a time with its offset from UTC, found {found!r}")
            return stamp.astimezone(UTC)
        seconds = number_at(document, path)
        return datetime.fromtimestamp(seconds / 1000.0 if seconds > 1e11 else seconds, UTC)
    except JsonValueError:
        raise
    except (ValueError, OverflowError, OSError):
        expected = "ISO 8601 or seconds since 1970"
        raise JsonValueError(f"{path}: expected a time, {expected}, found {str(found)[:40]!r}") from None

"""Where two JSON values differ by more than rounding."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

ROUNDING = 2e-9
"""Numbers that are this close are the same: another machine's arithmetic may round the last of nine decimals
differently."""


def differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON values
    """What differs between two JSON values, beyond rounding, each under its place.

    Args:
        found: what is there.
        expected: what should be.
        where: what the values are called; empty for a message's body.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in (*expected, *(name for name in found if name not in expected)):
            inner = f"{where}.{name}" if where else str(name)
            yield from differences(found.get(name), expected.get(name), inner)
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            yield f"{where}: found {len(found)} values, expected {len(expected)}"
        for place, (one, other) in enumerate(zip(found, expected, strict=False)):
            yield from differences(one, other, f"{where}[{place}]")
    elif not same(found, expected):
        yield f"{where or 'body'}: found {_shown(found)}, expected {_shown(expected)}"


def same(found: object, expected: object) -> bool:
    """Tell whether two values that are no lists or objects are the same, but for rounding."""
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=0.0, abs_tol=ROUNDING)
    return type(found) is type(expected) and found == expected


def _shown(value: object) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"

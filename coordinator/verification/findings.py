"""What a recomputation finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from runtime.rundir import COORDINATORS

MOST_FINDINGS = 200
"""A wrong price makes every line wrong: beyond so many, findings are only counted."""


_RECORD = re.compile(rf"(?:{'|'.join(COORDINATORS)})\.jsonl, (?:after )?record (\d+)")


@dataclass(slots=True)
class Findings:
    """Everything found wrong so far, in the order of looking.

    Attributes:
        texts: what was found, for a person, each naming message, record or line.
        more: how many further ones there were.
    """

    texts: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, text: str) -> None:
        """Note something wrong."""
        if len(self.texts) < MOST_FINDINGS:
            self.texts.append(text)
        else:
            self.more += 1

    def compare(self, where: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
        """Note every value that is not as expected, under its name; True if all are."""
        wrong = [
            f"{name}: found {shown(found.get(name))}, expected {shown(value)}"
            for name, value in expected.items()
            if found.get(name) != value
        ]
        if wrong:
            self.add(f"{where}: {'; '.join(wrong)}")
        return not wrong

    def sort(self) -> None:
        """Put first what names the first record of the coordinator's log; what names none stays behind."""
        self.texts.sort(key=_record_of)


def shown(value: object) -> str:
    """A value in a finding: decimals without exponent, long ones cut."""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _record_of(text: str) -> float:
    named = _RECORD.match(text)
    return float(named[1]) if named else float("inf")

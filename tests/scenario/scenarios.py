"""A small correct scenario that tests change in one place, and ways to run the command line on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.scenario import resolve

BASE = """
seed = 3
mechanism = "mid-market-rate"
[community]
name = "Test"
[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 60
[tariff]
import = 0.25
export = 0.10
[[member]]
name = "house"
load = { constant = 0.5, unit = "kW" }
[[member]]
name = "school"
load = { constant = 4.0, unit = "kW" }
pv = { production = { constant = 1.0, unit = "kW" } }
[member.battery]
capacity_kwh = 10
soc_min = 0.2
soc_max = 0.8
soc_start = 0.5
"""


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    """The small scenario with changes made; every change must find its text."""
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, data: Path | None = None) -> str:
    """The message with which a scenario is refused; its exit code is that of bad input."""
    with pytest.raises(InputError) as refused:
        resolve(path, data)
    assert refused.value.exit_code == 2
    return str(refused.value)

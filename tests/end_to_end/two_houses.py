"""Two members with constant loads: what is metered otherwise shows. Their day, as a fleet that runs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runtime.rundir import RunDirectory


def two_houses(slots: int, clock: str, *, import_tariff: str = "0.25", school: str = "") -> str:
    """A scenario.

    Args:
        slots: hours of the day.
        clock: the table of that name, e.g. ``kind = "simulated"``.
        import_tariff: value of ``tariff.import``.
        school: further lines of that member.
    """
    return f"""
seed = 5
mechanism = "mid-market-rate"

[community]
name = "two houses"

[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 60
slots = {slots}

[tariff]
import = {import_tariff}
export = 0.05

[clock]
{clock}

[[member]]
name = "school"
load = {{ constant = 1.0, unit = "kW" }}
{school}

[[member]]
name = "house"
load = {{ constant = 0.5, unit = "kW" }}
"""


def real_time(slot_s: float) -> str:
    """The clock on which a slot takes so many seconds."""
    return f'kind = "real-time"\nspeed = {3600 / slot_s}'


def running(folder: Path, scenario: str) -> Iterator[tuple[subprocess.Popen[bytes], RunDirectory, Path]]:
    """A run of ``scenario`` while it lasts: process, run directory, and what it prints."""
    (folder / "village.toml").write_text(scenario)
    command = [sys.executable, "-m", "runtime", "run", folder / "village.toml"]
    command += ["--runs", folder / "runs", "--name", "village", "--no-figures", "--json"]
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    yield process, RunDirectory(folder / "runs" / "village"), folder / "out"
    if process.poll() is None:
        process.terminate()
    process.wait(30)


def said(directory: RunDirectory, agent: str, kind: str) -> int:
    """How many messages of a kind are in an agent's log."""
    with contextlib.suppress(FileNotFoundError):
        return directory.log(agent).read_text().count(f'\\"type\\":\\"{kind}\\"')
    return 0

"""A day of four buildings as a person runs it: ``peerwatt run``, from the command to the results."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runtime.bench.community import day, import_price_eur_per_kwh, load_kwh, production_kwh
from runtime.errors import FleetError

MEMBERS, SLOTS = 4, 144

LIMIT_S, STOP_LIMIT_S = 300.0, 30.0


def write_day(folder: Path) -> Path:
    """Write a scenario as large as the Lorient case, with its series, into ``folder``; returns its path."""
    horizon, rng = day(SLOTS), random.Random(0)
    columns: dict[str, list[object]] = {"price": [*import_price_eur_per_kwh(horizon)]}
    members = []
    for number in range(1, MEMBERS + 1):
        columns[f"load{number}"] = [*load_kwh(horizon, rng)]
        columns[f"pv{number}"] = [*production_kwh(horizon, rng)]
        members.append(f"""
[[member]]
name = "building-{number}"
kind = "building"
load = {{ file = "day.csv", column = "load{number}", unit = "kWh" }}
pv = {{ production = {{ file = "day.csv", column = "pv{number}", unit = "kWh" }} }}
battery = {{ capacity_kwh = {4 * number} }}
""")
    with (folder / "day.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    path = folder / "day.toml"
    path.write_text(
        f"""seed = 0
mechanism = "mid-market-rate"

[community]
name = "Bench"

[horizon]
start = {horizon.start.date()}
zone = "UTC"
slot_minutes = {horizon.slot_minutes}
slots = {SLOTS}

[tariff]
import = {{ file = "day.csv", column = "price", unit = "EUR/kWh" }}
export = 0.06
{"".join(members)}""",
        encoding="utf-8",
    )
    return path


def run_day(data: Path | None) -> float:
    """Run a day of 144 slots with four members, each with a battery, in a process of its own.

    Args:
        data: folder with the authors' data for the Lorient case itself; without it a synthetic day as large.

    Returns:
        Seconds from the command to the end of the process, results written and printed.

    Raises:
        FleetError: the command failed, or took longer than ``LIMIT_S``.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        command = [sys.executable, "-m", "runtime", "run"]
        command += ["lorient", "--data", str(data)] if data else [str(write_day(Path(folder)))]
        errors_path = Path(folder, "stderr")
        with errors_path.open("wb") as errors:
            began_s = time.monotonic()
            process = subprocess.Popen(
                [*command, "--runs", str(Path(folder, "runs"))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # a terminal's Ctrl-C is passed on below, once
            )
            try:
                code = process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                raise FleetError(f"peerwatt run took longer than {LIMIT_S:g} s") from None
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    try:
                        process.wait(STOP_LIMIT_S)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
            seconds = time.monotonic() - began_s
        if code != 0:
            lines = errors_path.read_text(errors="replace").strip().splitlines()
            words = lines[-1] if lines else f"exit code {code}"
            raise FleetError(f"peerwatt run failed: {words}")
    return seconds

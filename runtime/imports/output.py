"""What an import leaves behind: a CSV that a scenario reads, what to write into the scenario, a report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from runtime.conventions import clock_change_days, local_day_minutes, local_midnight
from runtime.errors import InputError
from runtime.imports.doubts import doubts, sun_centre_utc_h
from runtime.imports.regular import RegularSeries
from runtime.imports.series import Quantity

TIME_COLUMN = "period_start_utc"
COLUMN: dict[Quantity, str] = {
    "load": "load_kw",
    "pv": "pv_kw",
    "irradiance": "irradiance_w_per_m2",
    "price": "price_eur_per_kwh",
    "intensity": "co2_intensity_g_per_kwh",
}
"""Headers of values, with their unit."""

DIGITS = 12
"""Significant digits written."""


def csv_text(series: RegularSeries) -> str:
    """The series as CSV: start of the period in UTC, value (nothing in a gap), and whether it was filled."""
    marked = any(series.filled)
    lines = [f"{TIME_COLUMN},{COLUMN[series.quantity]}{',filled' if marked else ''}"]
    starts = np.datetime_as_string(series.starts_s.astype("datetime64[s]"))
    for start, value, filled in zip(starts, series.values.tolist(), series.filled, strict=True):
        cell = "" if value != value else f"{value:.{DIGITS}g}"
        lines.append(f"{start}Z,{cell}{f',{int(filled)}' if marked else ''}")
    return "\n".join(lines) + "\n"


def write_new(files: Sequence[tuple[Path, str]]) -> None:
    """Write files that are not there yet: all of them, each whole, or none.

    Raises:
        InputError: one is there already, or a folder cannot be written to.
    """
    for path, _ in files:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: is already there; expected a new name, or another folder with --out")
    written: list[Path] = []
    try:
        for path, text in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).chmod(0o644)
                path.hardlink_to(name)  # fails where somebody has made it meanwhile
                written.append(path)
            finally:
                Path(name).unlink(missing_ok=True)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise InputError(
            f"{error.filename2 or error.filename}: cannot be written: {error.strerror}"
        ) from error
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def snippet(series: RegularSeries, name: str) -> str:
    """What to write into a scenario, in TOML; the file is looked for beside it, or in ``--data FOLDER``."""
    column = COLUMN[series.quantity]
    inline = f'{{ file = "{name}", column = "{column}", unit = "{series.unit}", time = "{TIME_COLUMN}" }}'
    match series.quantity:
        case "load":
            return f"# in a [[member]]\nload = {inline}\n"
        case "pv":
            return f"# in a [[member]]\npv = {{ production = {inline} }}\n"
        case "price":
            return f"# in [tariff]; import or export\nimport = {inline}\n"
        case "intensity":
            return f"# in [grid]\nco2_intensity = {inline}\n"
        case _:
            return (
                f'[irradiance]\nfile = "{name}"\ncolumn = "{column}"\nunit = "{series.unit}"\n'
                f'time = "{TIME_COLUMN}"\n'
            )


def describe(series: RegularSeries) -> dict[str, Any]:
    """What was understood, for people and machines."""
    raw, measured = series.raw, series.values[~np.isnan(series.values)]
    zone = ZoneInfo(raw.day_zone)
    found: dict[str, Any] = {
        "quantity": series.quantity,
        "column": raw.column,
        "unit_found": raw.unit,
        "unit_written": series.unit,
        "zone": raw.day_zone,
        "stamps_name": raw.label,
        "step_minutes": series.step_s / 60,
        "steps_found": {f"{size:g} min": rows for size, rows in series.steps_min.items()},
        "first": _utc(int(series.starts_s[0])),
        "end": _utc(series.end_s),
        "rows": series.rows,
        "values": len(measured),
        "duplicate_rows": series.duplicates,
        "gaps": [
            {
                "start": _utc(gap.start_s),
                "end": _utc(gap.end_s),
                "minutes": (gap.end_s - gap.start_s) / 60,
                "filled": gap.filled,
            }
            for gap in series.gaps
        ],
        "values_missing": int(np.isnan(series.values).sum()),
        "values_filled": sum(series.filled),
        "clock_changes": _clock_changes(series, zone),
        "complete_days": _complete_days(series, zone),
        "least": float(measured.min()),
        "mean": float(measured.mean()),
        "greatest": float(measured.max()),
        "understood": [*raw.understood, *series.remarks],
        "doubts": doubts(series),
    }
    if series.quantity in ("load", "pv"):
        found["energy_kwh"] = float(measured.sum()) * series.step_s / 3600
    if series.quantity == "irradiance" and (centre := sun_centre_utc_h(series)) is not None:
        found["sun_centre_utc_h"] = round(centre, 2)
    return found


def _day_counts(series: RegularSeries, day: date, zone: ZoneInfo) -> tuple[int, float]:
    """Values within a local day, and how many would be all."""
    first = int(local_midnight(day, zone).timestamp())
    last = int(local_midnight(day + timedelta(days=1), zone).timestamp())
    begin, end = np.searchsorted(series.starts_s, [first, last])
    return int(np.count_nonzero(~np.isnan(series.values[begin:end]))), (last - first) / series.step_s


def _clock_changes(series: RegularSeries, zone: ZoneInfo) -> list[dict[str, Any]]:
    first, last = (datetime.fromtimestamp(at, UTC) for at in (int(series.starts_s[0]), series.end_s - 1))
    changes = []
    for day in clock_change_days(first, last, zone):
        found, expected = _day_counts(series, day, zone)
        hours = local_day_minutes(day, zone) / 60
        changes.append({"day": day.isoformat(), "hours": hours, "values": found, "values_expected": expected})
    return changes


def _complete_days(series: RegularSeries, zone: ZoneInfo) -> dict[str, Any]:
    """Local days of which no value is missing: how many, and the longest run of them."""
    day = datetime.fromtimestamp(int(series.starts_s[0]), zone).date()
    last = datetime.fromtimestamp(series.end_s - 1, zone).date()
    count, run, best, best_end = 0, 0, 0, day
    while day <= last:
        found, expected = _day_counts(series, day, zone)
        run = run + 1 if found >= expected else 0
        count += run > 0
        if run > best:
            best, best_end = run, day
        day += timedelta(days=1)
    if not count:
        return {"count": 0}
    return {
        "count": count,
        "longest_run": best,
        "longest_run_first": (best_end - timedelta(days=best - 1)).isoformat(),
        "longest_run_last": best_end.isoformat(),
    }


def _utc(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).isoformat().replace("+00:00", "Z")

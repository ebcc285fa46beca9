"""PVGIS: hourly irradiance, and power of a PV system where it was asked for, as CSV or JSON ("Hourly data").

CSV: lines about place, database, slope and azimuth, a header ``time,G(i),H_sun,T2m,WS10m,Int`` (or ``P``
and the parts ``Gb(i),Gd(i),Gr(i)``), rows such as ``20160101:0010,0.0,…`` and a legend; JSON: ``inputs``,
``outputs.hourly``, ``meta``. Times are UTC. The minute is that of the satellite's picture (``:10``) or the
middle of the hour (``:30``, ERA5), so a value stands for the hour around its stamp. G in W/m² on the plane,
P in W.

Source:
https://joint-research-centre.ec.europa.eu/photovoltaic-geographical-information-system-pvgis/pvgis-tools/hourly-radiation_en
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import numpy as np

from runtime.conventions import FloatArray
from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, number, stamp, table

FORMATS = ("%Y%m%d:%H%M",)
PARTS = ("Gb(i)", "Gd(i)", "Gr(i)")
"""Beam, diffuse and reflected: together G(i)."""


class Pvgis:
    """Irradiance, and production where the file has it."""

    kind = "pvgis"
    title = "PVGIS hourly data (CSV or JSON)"
    takes = frozenset({"column", "label"})

    def recognise(self, file: SourceFile) -> str | None:
        """By its first line, or the keys of its JSON."""
        if isinstance(file.json, dict):
            outputs = file.json.get("outputs")
            names = [key for key in ("hourly", "tmy_hourly") if isinstance(outputs, dict) and key in outputs]
            return f"it has the key outputs.{names[0]}" if names else None
        first = file.lines[0]
        return "its first line is that of PVGIS" if first.startswith("Latitude (decimal degrees):") else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """Power if the file has it, and the irradiance on the plane."""
        if file.json is not None:
            columns, places, about = _of_json(file)
        else:
            columns, places, about = _of_csv(file)
        times = [stamp(text, FORMATS, at, "time") for text, at in zip(columns["time"], places, strict=True)]
        stamps = [time.replace(tzinfo=UTC) for time in times]

        def numbers(name: str) -> FloatArray:
            return np.array([number(c, ".", at, name) for c, at in zip(columns[name], places, strict=True)])

        offered: dict[str, FloatArray] = {}
        if "P" in columns:
            offered["P"] = numbers("P")
        if "G(i)" in columns:
            offered["G(i)"] = numbers("G(i)")
        elif all(part in columns for part in PARTS):
            offered["G(i)"] = np.sum([numbers(part) for part in PARTS], axis=0)
        wanted = [name for name in offered if options.column in (None, name)]
        if not wanted:
            raise InputError(
                f"{file.path}: found columns {', '.join(columns)}, expected {options.column or 'P or G(i)'}"
            )
        slope = about["slope"]
        minutes = sorted({time.minute for time in times})
        understood = [
            f"UTC, as PVGIS defines it; values at minute {', '.join(map(str, minutes))} stand for the "
            "hour around them",
            f"plane: slope {slope or 'not given'}, azimuth {about['azimuth'] or 'not given'} (0 is south)",
        ]
        tilted = slope not in ("", "0")
        return [
            RawSeries(
                quantity="pv" if name == "P" else "irradiance",
                column=name,
                unit="W" if name == "P" else "W/m2",
                label=options.label or "centre",
                stamps=stamps,
                values=offered[name],
                places=places,
                stamp_zone="UTC",
                day_zone=options.zone or "UTC",
                understood=understood,
                doubts=["irradiance on a tilted plane: for arrays in that plane only"]
                if tilted and name != "P"
                else [],
                longitude_deg=float(about["longitude"]) if about["longitude"] and not tilted else None,
            )
            for name in wanted
        ]


def _of_csv(file: SourceFile) -> tuple[Mapping[str, Sequence[str]], list[str], dict[str, str]]:
    header_at = next((at for at, line in enumerate(file.lines[:60]) if line.startswith("time")), None)
    if header_at is None:
        raise InputError(
            f"{file.path}: found no header 'time,…' in its first lines, expected PVGIS hourly data"
        )
    if file.lines[header_at].startswith("time(UTC)"):
        raise _typical_year(file)
    rows = table(file, ",", header_at, until_blank=True)
    above = "\n".join(file.lines[:header_at])

    def value(name: str) -> str:
        found = re.search(rf"{name}:\s*(-?[\d.]+)", above)
        return found[1].removesuffix(".0") if found else ""

    about = {
        "longitude": value(r"Longitude \(decimal degrees\)"),
        "slope": value("Slope"),
        "azimuth": value("Azimuth"),
    }
    return {name: rows.cells(name) for name in rows.header}, rows.places(), about


def _of_json(file: SourceFile) -> tuple[Mapping[str, Sequence[str]], list[str], dict[str, str]]:
    outputs = file.json.get("outputs", {})
    if "tmy_hourly" in outputs:
        raise _typical_year(file)
    rows = outputs.get("hourly")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file.path}: outputs.hourly: found no list of rows, expected PVGIS hourly data")
    names = list(rows[0])
    for at, row in enumerate(rows):
        if list(row) != names:
            raise InputError(
                f"{file.path}: outputs.hourly[{at}]: found {', '.join(row)}, expected {', '.join(names)}"
            )
    inputs = file.json.get("inputs", {})
    system: dict[str, Any] = next(iter(inputs.get("mounting_system", {}).values()), {})

    def value(part: Any) -> str:  # noqa: ANN401 - whatever the JSON holds
        found = part.get("value") if isinstance(part, dict) else part
        return "" if found is None else f"{found:g}" if isinstance(found, int | float) else str(found)

    about = {
        "longitude": value(inputs.get("location", {}).get("longitude")),
        "slope": value(system.get("slope")),
        "azimuth": value(system.get("azimuth")),
    }
    columns = {name: ["" if row[name] is None else str(row[name]) for row in rows] for name in names}
    return columns, [f"{file.path}: outputs.hourly[{at}]" for at in range(len(rows))], about


def _typical_year(file: SourceFile) -> InputError:
    return InputError(
        f"{file.path}: found a typical meteorological year, whose months are of different years; "
        "expected PVGIS 'Hourly data', which has real dates"
    )

"""Open-Meteo: irradiance, as CSV with its lines about the place, or as JSON.

CSV: ``latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation``, their values, a
blank line, then ``time,shortwave_radiation (W/m²)``; JSON: the same as keys, ``hourly`` (or
``minutely_15``) and ``hourly_units``. Times have no offset and are all ``utc_offset_seconds`` ahead of UTC,
in summer as in winter. ``shortwave_radiation`` and ``global_tilted_irradiance`` are means over the period
before the stamp.

Source: https://open-meteo.com/en/docs (solar radiation is a mean over the hour before; time zones).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

from runtime.conventions import ConventionError, FloatArray, unit_of
from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, chosen, iso_stamp, no_unit, number, table

MEANS = ("shortwave_radiation", "global_tilted_irradiance")
"""What is read, in order of preference; the ``…_instant`` ones are no means."""


@dataclass(frozen=True)
class _Read:
    """What either form of file gives."""

    columns: dict[str, str]  # by header, the unit
    offset_s: int
    zone: str
    longitude_deg: float


class OpenMeteo:
    """Global irradiance."""

    kind = "open-meteo"
    title = "Open-Meteo irradiance (CSV or JSON)"
    takes = frozenset({"column", "label", "select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By its offset from UTC."""
        if isinstance(file.json, dict | list):
            first = file.json[0] if isinstance(file.json, list) and file.json else file.json
            keys = first if isinstance(first, dict) else {}
            return "it has the key utc_offset_seconds" if "utc_offset_seconds" in keys else None
        return "its first line names utc_offset_seconds" if "utc_offset_seconds" in file.lines[0] else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The mean irradiance."""
        return [_of_json(file, options) if file.json is not None else _of_csv(file, options)]


def _of_csv(file: SourceFile, options: Options) -> RawSeries:
    places_table = table(file, ",", until_blank=True)
    if "location_id" in places_table.header:
        wanted = options.select.get("location_id")
        if wanted is None:
            places_table.sole("location_id")
        else:
            places_table = places_table.selected({"location_id": wanted})
    about = dict(zip(places_table.header, places_table.rows[0], strict=False))
    header_at = next(
        (
            at
            for at, line in enumerate(file.lines)
            if re.match(r'(location_id,)?"?time\b', line) and any(mean in line for mean in MEANS)
        ),
        None,
    )
    if header_at is None:
        raise InputError(
            f"{file.path}: found no columns time and {' or '.join(MEANS)}, expected them in a header"
        )
    rows = table(file, ",", header_at, until_blank=True).selected(options.select)
    units = {name: name.rpartition("(")[2].rstrip(")") for name in rows.header if _is_mean(name)}
    column = _column(units, options, file)
    read = _about(about, units, file)
    places = rows.places()
    stamps = [
        _local(iso_stamp(text, at, "time"), read) for text, at in zip(rows.cells("time"), places, strict=True)
    ]
    values = [number(cell, ".", at, column) for cell, at in zip(rows.cells(column), places, strict=True)]
    return _series(file, options, read, column, stamps, np.array(values), places)


def _of_json(file: SourceFile, options: Options) -> RawSeries:
    content = file.json
    if not isinstance(content, dict):
        raise InputError(f"{file.path}: found a list of {len(content)} places, expected one place")
    if options.select:
        raise InputError(f"--select: found {options.select} with JSON of one place, expected none")
    part = next((key for key in ("minutely_15", "hourly") if isinstance(content.get(key), dict)), None)
    units: dict[str, Any] = content.get(f"{part}_units") or {}
    series: dict[str, Any] = content[part] if part else {}
    offered = {name: str(units.get(name, "")) for name in series if _is_mean(name)}
    column = _column(offered, options, file)
    read = _about(content, offered, file)
    times, values = series.get("time"), series[column]
    if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        raise InputError(
            f"{file.path}: {part}: found lists of other lengths, expected as many times as values"
        )
    places = [f"{file.path}: {part}[{at}]" for at in range(len(times))]
    if units.get("time") == "unixtime":
        stamps = [_unix(value, place) for value, place in zip(times, places, strict=True)]
    else:
        stamps = [
            _local(iso_stamp(str(text), at, "time"), read) for text, at in zip(times, places, strict=True)
        ]
    numbers = [
        number("" if value is None else str(value), ".", at, column)
        for value, at in zip(values, places, strict=True)
    ]
    return _series(file, options, read, column, stamps, np.array(numbers), places)


def _is_mean(name: str) -> bool:
    return name.partition(" (")[0].strip() in MEANS


def _column(units: dict[str, str], options: Options, file: SourceFile) -> str:
    if not units:
        raise InputError(f"{file.path}: found none of the columns {', '.join(MEANS)}, expected one")
    if options.column:
        return chosen(list(units), options.column, file.path, "columns")
    return min(units, key=lambda name: MEANS.index(name.partition(" (")[0].strip()))


def _about(about: dict[str, Any], units: dict[str, str], file: SourceFile) -> _Read:
    try:
        offset_s = int(about["utc_offset_seconds"])
        longitude = float(about["longitude"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file.path}: found no whole utc_offset_seconds and longitude, expected both before the values"
        ) from error
    if abs(offset_s) > 15 * 3600:
        raise InputError(f"{file.path}: utc_offset_seconds: found {offset_s}, expected within ±54000")
    zone = str(about.get("timezone", "UTC"))
    return _Read(units, offset_s, "UTC" if zone == "GMT" else zone, longitude)


def _local(stamp: datetime, read: _Read) -> datetime:
    return stamp.replace(tzinfo=timezone(timedelta(seconds=read.offset_s))) if stamp.tzinfo is None else stamp


def _unix(value: object, place: str) -> datetime:
    if not isinstance(value, int):
        raise InputError(f"{place}, time: found {value!r}, expected seconds since 1970")
    return datetime.fromtimestamp(value, UTC)


def _series(
    file: SourceFile,
    options: Options,
    read: _Read,
    column: str,
    stamps: list[datetime],
    values: FloatArray,
    places: list[str],
) -> RawSeries:
    try:
        unit = unit_of(read.columns[column])
    except ConventionError as error:
        raise no_unit(error, f"{file.path}: column {column!r}") from error
    if unit != "W/m2":
        raise InputError(f"{file.path}: column {column!r}: found the unit {unit}, expected W/m²")
    tilted = "tilted" in column
    return RawSeries(
        quantity="irradiance",
        column=column,
        unit=unit,
        label=options.label or "end",
        stamps=stamps,
        values=values,
        places=places,
        stamp_zone="UTC",
        day_zone=options.zone or read.zone,
        understood=[
            "values are means over the period before their stamp, as Open-Meteo defines them",
            f"times are {read.offset_s / 3600:+g} h from UTC throughout, as the file says",
        ],
        doubts=["irradiance on a tilted plane: for arrays in that plane only"] if tilted else [],
        longitude_deg=read.longitude_deg,
    )

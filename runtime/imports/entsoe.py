"""ENTSO-E transparency platform: day-ahead prices as CSV.

Now ``"MTU (CET/CEST)","Area","Sequence","Day-ahead Price (EUR/MWh)",…`` with ``01/10/2025 00:00:00 -
01/10/2025 00:15:00`` and, where clocks are set back, ``(CEST)`` and ``(CET)`` behind the times; before
``MTU (CET/CEST)``, ``Day-ahead Price [EUR/MWh]``, ``Currency``, ``BZN|FR`` with ``dd.mm.yyyy HH:MM -
dd.mm.yyyy HH:MM``. The zone is that of the header; missing prices are ``-``, ``N/A``, ``n/e`` or nothing. A
file may go from hours to quarters of an hour.

Source: https://transparencyplatform.zendesk.com, "Energy prices (12.1.D)", export as CSV.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import numpy as np

from runtime.conventions import ConventionError, unit_of
from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, Table, no_unit, number, stamp, table

ZONES = {
    "CET/CEST": "Europe/Brussels",
    "UTC": "UTC",
    "WET/WEST": "Europe/Lisbon",
    "EET/EEST": "Europe/Helsinki",
    "GMT/BST": "Europe/London",
}
"""By what the header says, the zone whose clocks these are."""

OFFSETS_H = {"CET": 1, "CEST": 2, "UTC": 0, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "GMT": 0, "BST": 1}
FORMATS = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
PRICE = re.compile(r"Day-ahead (?:Energy )?Price[s]? [\[(](.+)[\])]", re.IGNORECASE)
TIME = re.compile(r"MTU \((.+)\)")
UNITS_MIN = (15, 30, 60)
"""Lengths of market time units [min]."""


class Entsoe:
    """Day-ahead prices, CSV."""

    kind = "entsoe"
    title = "ENTSO-E day-ahead prices (CSV)"
    takes = frozenset({"decimal", "select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By the column of market time units."""
        found = TIME.search(file.lines[0])
        return f"it has the column {found.group(0)!r}" if found else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The prices of one area and sequence."""
        separator = max(",;\t", key=file.lines[0].count)
        rows = table(file, separator).selected(options.select)
        time = next((name for name in rows.header if TIME.fullmatch(name)), None)
        price = next((name for name in rows.header if PRICE.fullmatch(name)), None)
        if time is None or price is None:
            raise InputError(
                f"{file.path}: found columns {', '.join(rows.header)}, expected 'MTU (…)' and "
                "'Day-ahead Price (EUR/MWh)'"
            )
        clocks = str(TIME.fullmatch(time)[1])  # type: ignore[index]
        if clocks not in ZONES:
            raise InputError(f"{file.path}: column {time!r}: found {clocks!r}, expected {', '.join(ZONES)}")
        area = rows.sole("Area")
        _one_price_a_time(rows, time)
        unit = str(PRICE.fullmatch(price)[1])  # type: ignore[index]
        currency = rows.sole("Currency")
        try:
            known = unit_of(unit if not currency else unit.replace("EUR", currency))
        except ConventionError as error:
            raise no_unit(error, f"{file.path}: column {price!r}") from error
        places = rows.places()
        pairs = [_mtu(text, at, time) for text, at in zip(rows.cells(time), places, strict=True)]
        return [
            RawSeries(
                quantity="price",
                column=price,
                unit=known,
                label="start",
                stamps=[start for start, _ in pairs],
                values=np.array(
                    [
                        number(cell, options.decimal or ".", at, price)
                        for cell, at in zip(rows.cells(price), places, strict=True)
                    ]
                ),
                places=places,
                stamp_zone=ZONES[clocks],
                day_zone=options.zone or ZONES[clocks],
                lengths_s=np.array(_lengths_s(pairs, places), dtype=np.int64),
                understood=[
                    f"area {area}" if area else "one area",
                    f"market time units with start and end, on the clocks of {clocks} ({ZONES[clocks]})",
                ],
            )
        ]


def _one_price_a_time(rows: Table, time: str) -> None:
    """Refuse several auctions at a time; a file may have them one after the other."""
    if "Sequence" not in rows.header:
        return
    by_time: dict[str, str] = {}
    for text, sequence, at in zip(rows.cells(time), rows.cells("Sequence"), rows.places(), strict=True):
        before = by_time.setdefault(text, sequence)
        if before != sequence:
            raise InputError(
                f"{at}, column 'Sequence': found {sequence!r} beside {before!r} at {text}, expected one "
                "price a time; "
                f"choose with --select 'Sequence={before}'"
            )


def _mtu(text: str, place: str, column: str) -> tuple[datetime, datetime]:
    """Start and end of a market time unit as written; with offset where the text says which clock."""
    parts = text.split(" - ")
    if len(parts) != 2:
        raise InputError(f"{place}, column {column!r}: found {text!r}, expected 'start - end'")
    stamps = []
    for part in parts:
        marked = re.fullmatch(r"(.+?)\s*\((\w+)\)", part.strip())
        at = stamp(marked[1] if marked else part, FORMATS, place, column)
        if marked:
            if marked[2] not in OFFSETS_H:
                raise InputError(
                    f"{place}, column {column!r}: found the clock {marked[2]!r}, expected CET or CEST"
                )
            at = at.replace(tzinfo=timezone(timedelta(hours=OFFSETS_H[marked[2]])))
        stamps.append(at)
    return stamps[0], stamps[1]


def _lengths_s(pairs: list[tuple[datetime, datetime]], places: list[str]) -> list[int]:
    """Length of each unit [s]; where clocks change between its ends unmarked, as of the unit before it."""
    minutes: list[int | None] = []
    for (start, end), place in zip(pairs, places, strict=True):
        aware = start.tzinfo is not None and end.tzinfo is not None
        first = start if aware else start.replace(tzinfo=None)
        last = end if aware else end.replace(tzinfo=None)
        length = (last - first).total_seconds() / 60
        changed = not aware and any(length + change in UNITS_MIN for change in (60, -60))
        if length not in UNITS_MIN and not changed:
            raise InputError(f"{place}: found a market time unit of {length:g} min, expected 15, 30 or 60")
        minutes.append(int(length) if length in UNITS_MIN else None)
    last_known = next((each for each in minutes if each is not None), 60)
    lengths = []
    for each in minutes:
        last_known = each or last_known
        lengths.append(last_known * 60)
    return lengths

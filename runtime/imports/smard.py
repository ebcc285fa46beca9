"""SMARD: wholesale prices as the Bundesnetzagentur's market data platform gives them.

``;`` between columns, a byte-order mark, local time of Germany without offset (in autumn the hour comes
twice), ``-`` for missing. In German ``Datum von;Datum bis;Deutschland/Luxemburg [€/MWh]
Originalauflösungen`` with ``26.12.2025 00:15`` and ``1.106,45``; before ``Datum;Anfang;Ende;…``; in English
``Start date;End date;Germany/Luxembourg [€/MWh] Original resolutions`` with ``Dec 26, 2025 12:15 AM`` and
``1,106.45``; before ``Date;Start;End`` or ``Date;Time of day``. A stamp is the start of its period.

Source: https://www.smard.de/home/downloadcenter/download-marktdaten (Bundesnetzagentur, CC BY 4.0) and its
manual.
"""

from __future__ import annotations

import numpy as np

from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, chosen, number, stamp, table

GERMAN = ("%d.%m.%Y %H:%M",)
ENGLISH = ("%b %d, %Y %I:%M %p", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M", "%m/%d/%Y %I:%M %p")
TIMES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("Datum von",): GERMAN,
    ("Datum", "Anfang"): GERMAN,
    ("Datum", "Uhrzeit"): GERMAN,
    ("Start date",): ENGLISH,
    ("Date", "Start"): ENGLISH,
    ("Date", "Time of day"): ENGLISH,
}
"""Columns of stamps, and their formats."""


class Smard:
    """Day-ahead prices."""

    kind = "smard"
    title = "SMARD wholesale prices (CSV, German or English)"
    takes = frozenset({"column", "decimal"})

    def recognise(self, file: SourceFile) -> str | None:
        """By its columns of stamps and the unit in brackets."""
        header = _header(file)
        if "[€/MWh]" not in file.lines[0] and "[MWh]" not in file.lines[0]:
            return None
        times = next((times for times in TIMES if set(times) <= set(header)), None)
        return f"columns {' and '.join(times)}, and a unit in brackets" if times else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The prices of one market area."""
        header = _header(file)
        times = next((times for times in TIMES if set(times) <= set(header)), None)
        if times is None:
            raise InputError(
                f"{file.path}: found columns {', '.join(header)}, expected 'Datum von' or 'Start date'"
            )
        rows = table(file, ";")
        offered = [name for name in rows.header if "[€/MWh]" in name]
        if not offered:
            raise InputError(f"{file.path}: found columns {', '.join(header)}, expected prices in [€/MWh]")
        column = chosen(offered, options.column, file.path, "market areas")
        decimal = options.decimal or ("," if TIMES[times] == GERMAN else ".")
        places = rows.places()
        texts = [" ".join(parts) for parts in zip(*(rows.cells(name) for name in times), strict=True)]
        return [
            RawSeries(
                quantity="price",
                column=column,
                unit="EUR/MWh",
                label="start",
                stamps=[
                    stamp(text, TIMES[times], at, times[0]) for text, at in zip(texts, places, strict=True)
                ],
                values=np.array(
                    [
                        number(cell, decimal, at, column)
                        for cell, at in zip(rows.cells(column), places, strict=True)
                    ]
                ),
                places=places,
                stamp_zone="Europe/Berlin",
                day_zone=options.zone or "Europe/Berlin",
                understood=[
                    f"stamps name the start of their period ({', '.join(times)})",
                    "stamps are local time of Europe/Berlin, as SMARD defines them",
                    f"decimal mark {decimal!r}",
                ],
            )
        ]


def _header(file: SourceFile) -> list[str]:
    return [name.strip().strip('"') for name in file.lines[0].split(";")]

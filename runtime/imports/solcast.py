"""Solcast: irradiance, or the estimated power of a PV site, as CSV.

``PeriodEnd,PeriodStart,Period,…,Ghi`` (older downloads) or ``period_end,period,ghi`` (API); stamps in UTC
with ``Z`` or with an offset, periods as ISO 8601 durations (``PT30M``), values means over the period that
ends at ``PeriodEnd``: irradiance in W/m², ``pv_estimate`` in kW.

Source: https://docs.solcast.com.au (data parameters; ``period_end`` is the end of the averaging period).
"""

from __future__ import annotations

from datetime import UTC

import numpy as np

from runtime.conventions import Unit, common_step_s
from runtime.errors import InputError
from runtime.imports.series import Quantity, RawSeries
from runtime.imports.source import Options, SourceFile, chosen, duration_s, iso_stamp, number, table

COLUMNS: dict[str, tuple[Quantity, Unit]] = {
    "ghi": ("irradiance", "W/m2"),
    "gti": ("irradiance", "W/m2"),
    "pvestimate": ("pv", "kW"),
    "pvpowerrooftop": ("pv", "kW"),
}
"""What is read, in order of preference; names without underscores, in lower case."""


class Solcast:
    """Irradiance, or estimated production."""

    kind = "solcast"
    title = "Solcast irradiance or PV power (CSV)"
    takes = frozenset({"column", "label", "select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By the column of period ends."""
        return "it has a column of period ends" if "periodend" in _names(file) else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The wanted column; else global horizontal irradiance before tilted before power."""
        rows = table(file, ",").selected(options.select)
        names = _names(file)
        offered = {plain: names[plain] for plain in COLUMNS if plain in names}
        if not offered or "periodend" not in names:
            raise InputError(
                f"{file.path}: found columns {', '.join(rows.header)}, expected PeriodEnd and Ghi, Gti "
                "or PvEstimate"
            )
        column = (
            chosen(list(offered.values()), options.column, file.path, "columns")
            if options.column
            else next(iter(offered.values()))
        )
        quantity, unit = COLUMNS[_plain(column)]
        places = rows.places()
        end = names["periodend"]
        stamps = [iso_stamp(text, at, end) for text, at in zip(rows.cells(end), places, strict=True)]
        naive = any(stamp.tzinfo is None for stamp in stamps)
        stamps = [stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC) for stamp in stamps]
        doubts = []
        stated = _stated_lengths(rows.cells(names["period"]), places) if "period" in names else None
        if "periodstart" in names:
            start = names["periodstart"]
            begins = [iso_stamp(text, at, start) for text, at in zip(rows.cells(start), places, strict=True)]
            begins = [stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC) for stamp in begins]
            stated = [round((b - a).total_seconds()) for a, b in zip(begins, stamps, strict=True)]
        if stated and len(stamps) > 1:
            spacing = common_step_s(np.sort(np.array([int(stamp.timestamp()) for stamp in stamps])))
            wrong = next((row for row, length in enumerate(stated) if length != spacing), None)
            if wrong is not None:
                doubts.append(
                    f"{places[wrong]}: a period of {stated[wrong] / 60:g} min, but rows are "
                    f"{spacing / 60:g} min "
                    "apart; the rows' spacing was taken"
                )
        if _plain(column) == "gti":
            doubts.append("irradiance on a tilted plane: for arrays in that plane only")
        return [
            RawSeries(
                quantity=quantity,
                column=column,
                unit=unit,
                label=options.label or "end",
                stamps=stamps,
                values=np.array(
                    [
                        number(cell, ".", at, column)
                        for cell, at in zip(rows.cells(column), places, strict=True)
                    ]
                ),
                places=places,
                stamp_zone="UTC",
                day_zone=options.zone or "UTC",
                understood=[
                    "stamps name the end of their period (PeriodEnd)",
                    "stamps without offset are UTC, as Solcast defines them"
                    if naive
                    else "stamps have offsets",
                ],
                doubts=doubts,
            )
        ]


def _plain(name: str) -> str:
    return name.strip().strip('"').replace("_", "").lower()


def _names(file: SourceFile) -> dict[str, str]:
    """Headers by plain name."""
    return {_plain(name): name.strip().strip('"') for name in file.lines[0].split(",")}


def _stated_lengths(cells: list[str], places: list[str]) -> list[int]:
    return [duration_s(text, at) for text, at in zip(cells, places, strict=True)]

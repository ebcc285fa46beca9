"""Ember: hourly European wholesale prices.

``Country,ISO3 Code,Datetime (UTC),Datetime (Local),Price (EUR/MWhe)``; stamps ``2024-03-31 01:00:00`` name
the start of their period and are read from the UTC column. The file of all countries needs ``--select
Country=France``.

Source: https://ember-energy.org/data/european-wholesale-electricity-price-data (CC-BY-4.0).
"""

from __future__ import annotations

from datetime import UTC

import numpy as np

from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, number, stamp, table

TIME = "Datetime (UTC)"
PRICE = "Price (EUR/MWhe)"
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ")


class Ember:
    """Day-ahead prices."""

    kind = "ember"
    title = "Ember wholesale prices (hourly CSV)"
    takes = frozenset({"select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By the column of prices."""
        return f"it has the column {PRICE!r}" if PRICE in file.lines[0] else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The prices of one country."""
        everything = table(file, ",")
        if TIME not in everything.header:
            raise InputError(
                f"{file.path}: found columns {', '.join(everything.header)}, expected {TIME!r}: the "
                "hourly file, "
                "not that of days or months"
            )
        rows = everything.selected(options.select)
        country = rows.sole("Country")
        places = rows.places()
        return [
            RawSeries(
                quantity="price",
                column=PRICE,
                unit="EUR/MWh",
                label="start",
                stamps=[
                    stamp(text, FORMATS, at, TIME).replace(tzinfo=UTC)
                    for text, at in zip(rows.cells(TIME), places, strict=True)
                ],
                values=np.array(
                    [number(cell, ".", at, PRICE) for cell, at in zip(rows.cells(PRICE), places, strict=True)]
                ),
                places=places,
                stamp_zone="UTC",
                day_zone=options.zone or "UTC",
                understood=[f"prices of {country}", "stamps name the start of their hour, in UTC"],
            )
        ]

"""What an importer reads out of a file: a column with its conventions, not turned into ours yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, get_args, runtime_checkable

from runtime.conventions import (
    ENERGY_UNITS,
    INTENSITY_UNITS,
    IRRADIANCE_UNITS,
    PRICE_UNITS,
    FloatArray,
    IntArray,
    PeriodLabel,
    Unit,
)
from runtime.errors import InputError
from runtime.imports.source import Options, SourceFile

Quantity = Literal["load", "pv", "irradiance", "price", "intensity"]
"""What a series is of, by the place that a scenario has for it."""

OUR_UNIT: dict[Quantity, Unit] = {
    "load": "kW",
    "pv": "kW",
    "irradiance": "W/m2",
    "price": "EUR/kWh",
    "intensity": "g/kWh",
}
"""Units of what is written."""


@dataclass(frozen=True)
class RawSeries:
    """A column of a file as it is written there.

    Attributes:
        quantity: what it is of.
        column: what the file calls it.
        unit: unit of ``values``: a mean over the period, or its energy.
        label: what of its period a stamp names.
        stamps: with offset, or without (then on the clocks of ``stamp_zone``), length n.
        values: shape (n,); NaN where the file says that nothing was measured.
        places: where each value is, for errors, length n.
        stamp_zone: IANA zone of stamps without offset.
        day_zone: IANA zone in which days are counted.
        lengths_s: length of each period where the file says it [s], shape (n,); else told from the stamps.
        understood: how zone, label and unit were told, for the report.
        doubts: what looks wrong.
        longitude_deg: where it was measured, if the file says so [°], east positive.
    """

    quantity: Quantity
    column: str
    unit: Unit
    label: PeriodLabel
    stamps: list[datetime]
    values: FloatArray
    places: list[str]
    stamp_zone: str
    day_zone: str
    lengths_s: IntArray | None = None
    understood: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    longitude_deg: float | None = None


@runtime_checkable
class Importer(Protocol):
    """Reads one kind of file.

    Entry points of the group ``peerwatt.importers`` name classes of this form, made without arguments.

    Attributes:
        kind: what ``--as`` calls it.
        title: what it reads, in a few words.
        takes: names of the ``Options`` that it heeds, beside ``zone``; others are refused.
    """

    kind: str
    title: str
    takes: frozenset[str]

    def recognise(self, file: SourceFile) -> str | None:
        """By what in its content the file is of this kind; None if it is not."""
        ...

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The series in it, one or more.

        Raises:
            InputError: a line that will not do, or a choice that only a person can make.
        """
        ...


def quantity_of(unit: Unit, asked: str | None) -> Quantity:
    """What a series of a unit is of; power and energy are a load unless ``asked`` says ``pv``.

    Raises:
        InputError: the two do not go together.
    """
    by_unit: dict[tuple[Unit, ...], tuple[Quantity, ...]] = {
        ENERGY_UNITS: ("load", "pv"),
        IRRADIANCE_UNITS: ("irradiance",),
        PRICE_UNITS: ("price",),
        INTENSITY_UNITS: ("intensity",),
    }
    fitting = next(quantities for units, quantities in by_unit.items() if unit in units)
    for quantity in fitting:
        if asked in (None, quantity):
            return quantity
    known = f"one of {', '.join(get_args(Quantity))}" if asked not in get_args(Quantity) else fitting[0]
    raise InputError(f"--quantity: found {asked!r} with the unit {unit}, expected {known}")

"""Any other CSV: the person says which column is what.

``--time`` (twice for date and time apart) and ``--column`` are needed, ``--unit`` where the header does not
say it, ``--zone`` where stamps have no offset. Separator, decimal mark and form of the stamps are told from
the content unless given.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date, datetime

import numpy as np

from runtime.conventions import ConventionError, Unit, unit_of
from runtime.errors import InputError
from runtime.imports.series import RawSeries, quantity_of
from runtime.imports.source import (
    Options,
    SourceFile,
    chosen,
    decimal_mark,
    iso_stamp,
    no_unit,
    number,
    stamp,
    table,
)
from runtime.imports.stamp_forms import form_of


class Columns:
    """A CSV with a map of its columns."""

    kind = "csv"
    title = "any CSV, with --time, --column and --unit"
    takes = frozenset(each.name for each in fields(Options))

    def recognise(self, file: SourceFile) -> str | None:
        """Never: what its columns mean is not to be guessed."""
        return None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The named column."""
        skipped = options.skip_lines or 0
        if skipped >= len(file.lines):
            raise InputError(
                f"--skip-lines: found {skipped}, expected fewer than the {len(file.lines)} lines"
            )
        separator = options.separator or max(";,\t|", key=file.lines[skipped].count)
        rows = table(file, separator, skipped).selected(options.select)
        missing = [
            name
            for name, given in (
                ("--time", options.time),
                ("--column", options.column),
            )
            if not given
        ]
        if missing:
            raise InputError(
                f"{file.path}: found columns {', '.join(map(repr, rows.header))} (separator {separator!r}), "
                f"expected also {', '.join(missing)}"
            )
        column = chosen(rows.header, options.column, file.path, "--column")
        unit = options.unit or _unit_in(column, file)
        times = [chosen(rows.header, name, file.path, "--time") for name in options.time]
        places = rows.places()
        cells = rows.cells(column)
        decimal = options.decimal or decimal_mark(cells)
        texts = [" ".join(parts) for parts in zip(*(rows.cells(name) for name in times), strict=True)]
        options, shown = _with_form(options, texts, f"{file.path}: column {times[0]!r}")
        stamps = [_stamp(text, at, times[0], options) for text, at in zip(texts, places, strict=True)]
        naive = next((row for row, at in enumerate(stamps) if at.tzinfo is None), None)
        if naive is not None and options.zone is None:
            raise InputError(
                f"{places[naive]}, column {times[0]!r}: found {texts[naive]!r} without offset, expected "
                "--zone, "
                "such as Europe/Paris or UTC"
            )
        zone = options.zone or "UTC"
        label = options.label or "start"
        return [
            RawSeries(
                quantity=quantity_of(unit, options.quantity),
                column=column,
                unit=unit,
                label=label,
                stamps=stamps,
                values=np.array(
                    [number(c, decimal, at, column) for c, at in zip(cells, places, strict=True)]
                ),
                places=places,
                stamp_zone=zone,
                day_zone=zone,
                understood=[
                    f"separator {separator!r}, decimal mark {decimal!r}",
                    *([] if options.unit else [f"unit {unit}, as the header says"]),
                    *([f"stamps read as {options.time_format}, as {shown!r} shows"] if shown else []),
                    f"stamps name the {label} of their period"
                    + (", as told by --label" if options.label else ", as nothing says otherwise (--label)"),
                    f"stamps without offset are local time of {zone}"
                    if naive is not None
                    else "stamps have offsets",
                ],
            )
        ]


def _unit_in(column: str, file: SourceFile) -> Unit:
    """The unit that a header has in brackets at its end."""
    within = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", column)
    if within is None:
        raise InputError(f"{file.path}: found column {column!r} without a unit, expected also --unit")
    try:
        return unit_of(within.group(1).strip())
    except ConventionError as error:
        raise no_unit(error, f"{file.path}: column {column!r}, or --unit") from error


def _with_form(options: Options, texts: list[str], place: str) -> tuple[Options, str | None]:
    """The options with the form of the stamps where these tell it, and the stamp that does."""
    if options.time_format or options.date:
        return options, None
    try:
        datetime.fromisoformat(texts[0].strip())
    except ValueError:
        found = form_of(texts, place)
        if found is not None:
            return replace(options, time_format=found[0]), found[1]
    return options, None


def _stamp(text: str, place: str, column: str, options: Options) -> datetime:
    if options.date is None:
        if options.time_format:
            return stamp(text, [options.time_format], place, column)
        return iso_stamp(text, place, column)
    try:
        day = date.fromisoformat(options.date)
    except ValueError as error:
        raise InputError(f"--date: found {options.date!r}, expected a day such as 2020-01-02") from error
    time = stamp(text, [options.time_format or "%H:%M"], place, column)
    return time.replace(year=day.year, month=day.month, day=day.day)

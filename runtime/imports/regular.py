"""From columns as they are in files to one series on a regular grid, in our conventions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from runtime.conventions import (
    ConventionError,
    FloatArray,
    IntArray,
    PeriodLabel,
    Unit,
    exists,
    instants_s,
    is_ambiguous,
    mean_power_kw,
    on_regular_grid,
    period_lengths_s,
    period_starts_s,
    price_eur_per_kwh,
)
from runtime.errors import InputError
from runtime.imports.series import OUR_UNIT, Quantity, RawSeries
from runtime.wording import counted


@dataclass(frozen=True)
class Gap:
    """Periods running that have no value.

    Attributes:
        start_s: start of the first [s since 1970].
        end_s: end of the last.
        filled: whether values were interpolated into it.
    """

    start_s: int
    end_s: int
    filled: bool = False


@dataclass(frozen=True)
class RegularSeries:
    """A series in our conventions: UTC, named by the start of its periods, every value a mean.

    Attributes:
        raw: the first of the columns it was made of.
        unit: unit of ``values``.
        starts_s: starts of its periods [s since 1970], shape (n,).
        step_s: their length [s].
        values: shape (n,); NaN in gaps.
        filled: whether a value was interpolated, shape (n,).
        gaps: in order.
        rows: rows in the files.
        duplicates: rows dropped as they say again what another says.
        steps_min: lengths of periods that the files have, with the number of rows of each.
        remarks: what was done on the way.
        doubts: what could not be told for sure on the way.
    """

    raw: RawSeries
    unit: Unit
    starts_s: IntArray
    step_s: int
    values: FloatArray
    filled: list[bool]
    gaps: list[Gap]
    rows: int
    duplicates: int
    steps_min: dict[float, int]
    remarks: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def quantity(self) -> Quantity:
        """What it is of."""
        return self.raw.quantity

    @property
    def end_s(self) -> int:
        """End of the last period [s since 1970]."""
        return int(self.starts_s[-1]) + self.step_s


@dataclass(frozen=True)
class _Rows:
    """Rows with instants, in order of time."""

    stamps_s: IntArray
    values: FloatArray
    places: list[str]
    lengths_s: IntArray | None


def regular_series(parts: Sequence[RawSeries], fill_gaps_up_to_min: float = 0) -> RegularSeries:
    """One series of one or more columns that go together.

    Args:
        parts: of one quantity; from several files where they are joined.
        fill_gaps_up_to_min: gaps up to this length are interpolated between their neighbours [min].

    Raises:
        InputError: columns that do not go together, times that the clocks skip, rows that contradict each
            other or overlap, no values, or no common step.
    """
    raw = parts[0]
    for other in parts[1:]:
        for what in ("quantity", "unit", "label", "day_zone"):
            first, second = getattr(raw, what), getattr(other, what)
            if first != second:
                raise InputError(f"{other.places[0]}: --join: found {what} {second}, expected {first}")
    remarks: list[str] = []
    unsure: list[str] = []
    dated = [_dated(part, remarks, unsure) for part in parts]
    rows = _ordered(dated, remarks)
    count = len(rows.places)
    rows = _without_duplicates(rows)
    duplicates = count - len(rows.places)
    measured = np.flatnonzero(~np.isnan(rows.values))
    if len(rows.places) < 2 or len(measured) == 0:
        raise InputError(
            f"{rows.places[0]}: found {counted(len(rows.places), 'row')}, {len(measured)} of them with a "
            "value; expected two rows or more, to tell their step, and a value"
        )
    label: PeriodLabel = raw.label
    lengths = rows.lengths_s
    if lengths is None:
        lengths = period_lengths_s(rows.stamps_s, label)
    starts = period_starts_s(rows.stamps_s, lengths, label)
    kept = slice(int(measured[0]), int(measured[-1]) + 1)
    dropped = len(rows.places) - (kept.stop - kept.start)
    if dropped:
        remarks.append(
            f"left out {counted(dropped, 'row')} without a value, before the first or after the last"
        )
    starts, lengths = starts[kept], lengths[kept]
    for row in np.flatnonzero(starts[:-1] + lengths[:-1] > starts[1:]):
        raise InputError(
            f"{rows.places[kept.start + int(row) + 1]}: found a period from "
            f"{_utc(int(starts[row + 1]))}, expected none "
            f"before {_utc(int(starts[row] + lengths[row]))}, where the one before it ends (no steady step)"
        )
    values = _in_our_unit(rows.values[kept], lengths, raw.quantity, raw.unit)
    try:
        grid_s, step_s, grid = on_regular_grid(starts, lengths, values)
    except ConventionError as error:
        raise InputError(f"{rows.places[kept.start]} and below: {error}") from error
    gaps, grid, filled = _gaps(grid_s, step_s, grid, fill_gaps_up_to_min)
    sizes, counts = np.unique(lengths, return_counts=True)
    return RegularSeries(
        raw=raw,
        unit=OUR_UNIT[raw.quantity],
        starts_s=grid_s,
        step_s=step_s,
        values=grid,
        filled=filled,
        gaps=gaps,
        rows=count,
        duplicates=duplicates,
        steps_min={float(size) / 60: int(rows_of) for size, rows_of in zip(sizes, counts, strict=True)},
        remarks=remarks,
        doubts=unsure,
    )


def _dated(raw: RawSeries, remarks: list[str], unsure: list[str]) -> _Rows:
    """Rows with their instants; the order of a file tells the two hours apart when clocks are set back."""
    zone = ZoneInfo(raw.stamp_zone)
    order = list(range(len(raw.stamps)))
    naive = [stamp.replace(tzinfo=None) for stamp in raw.stamps]
    falling = sum(b < a for a, b in pairwise(naive))
    if falling > len(naive) / 2:
        order.reverse()
        remarks.append("rows were in falling order of time")
    kept = []
    for row in order:
        if raw.stamps[row].tzinfo is not None or exists(raw.stamps[row], zone):
            kept.append(row)
        elif not np.isnan(raw.values[row]):
            raise InputError(
                f"{raw.places[row]}: found {raw.stamps[row].isoformat(sep=' ')}, expected a time that "
                "the clocks of "
                f"{zone.key} show (they skip this one); if the file's clock is not set to summer time, "
                "say so with "
                "--zone, such as Etc/GMT-1 for UTC+1"
            )
    if skipped := len(order) - len(kept):
        remarks.append(f"left out {counted(skipped, 'row')} without a value, at times that clocks skip")
    twice = Counter(raw.stamps[row] for row in kept if is_ambiguous(raw.stamps[row], zone))
    if once := [stamp for stamp, count in twice.items() if count == 1]:
        unsure.append(
            f"{counted(len(once), 'time')} at which clocks were set back: there once, not twice, from "
            f"{once[0]} on: taken as the first of the two hours"
        )
    return _Rows(
        stamps_s=instants_s([raw.stamps[row] for row in kept], zone),
        values=raw.values[kept],
        places=[raw.places[row] for row in kept],
        lengths_s=None if raw.lengths_s is None else raw.lengths_s[kept],
    )


def _ordered(parts: list[_Rows], remarks: list[str]) -> _Rows:
    stamps = np.concatenate([part.stamps_s for part in parts])
    order = np.argsort(stamps, kind="stable")
    moved = int(np.count_nonzero(np.diff(stamps) < 0))
    if moved:
        remarks.append(f"rows were put in order: they went back in time {counted(moved, 'time')}")
    values = np.concatenate([part.values for part in parts])
    places = [place for part in parts for place in part.places]
    known = [part.lengths_s for part in parts if part.lengths_s is not None]
    lengths = np.concatenate(known)[order] if len(known) == len(parts) else None
    return _Rows(stamps[order], values[order], [places[at] for at in order], lengths)


def _without_duplicates(rows: _Rows) -> _Rows:
    """One row an instant: of equal rows the first, of one with and one without a value the one with."""
    kept: list[int] = []
    for row in range(len(rows.places)):
        if not kept or rows.stamps_s[row] != rows.stamps_s[kept[-1]]:
            kept.append(row)
            continue
        before, now = rows.values[kept[-1]], rows.values[row]
        if np.isnan(before):
            kept[-1] = row
        elif not np.isnan(now) and now != before:
            raise InputError(
                f"{rows.places[row]}: found {now:g} for {_utc(int(rows.stamps_s[row]))}, expected "
                f"{before:g} as "
                f"in {rows.places[kept[-1]]}: two values for one time"
            )
    return replace(
        rows,
        stamps_s=rows.stamps_s[kept],
        values=rows.values[kept],
        places=[rows.places[row] for row in kept],
        lengths_s=None if rows.lengths_s is None else rows.lengths_s[kept],
    )


def _in_our_unit(values: FloatArray, lengths_s: IntArray, quantity: Quantity, unit: Unit) -> FloatArray:
    if quantity == "price":
        return price_eur_per_kwh(values, unit)
    if quantity in ("load", "pv"):
        result = np.empty_like(values)
        for length in np.unique(lengths_s):
            of_length = lengths_s == length
            result[of_length] = mean_power_kw(values[of_length], unit, float(length) / 3600)
        return result
    return values


def _gaps(
    starts_s: IntArray, step_s: int, values: FloatArray, longest_min: float
) -> tuple[list[Gap], FloatArray, list[bool]]:
    """Runs without a value, those up to a length filled along a straight line between their neighbours."""
    missing = np.isnan(values)
    edges = np.flatnonzero(np.diff(np.r_[0, missing.astype(np.int8), 0]))
    filled_values, filled = values.copy(), np.zeros(len(values), dtype=bool)
    gaps = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        fill = bool((end - first) * step_s <= longest_min * 60)
        if fill:  # values start and end the grid, so a gap has both neighbours
            at = np.arange(first, end)
            filled_values[at] = np.interp(at, [first - 1, end], [values[first - 1], values[end]])
            filled[at] = True
        gaps.append(Gap(int(starts_s[first]), int(starts_s[end - 1]) + step_s, fill))
    return gaps, filled_values, [bool(each) for each in filled]


def _utc(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).isoformat().replace("+00:00", "Z")

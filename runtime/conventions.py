"""From the conventions of files and models to the ones used inside; nowhere else.

Inside: energy in kWh per slot, power in kW, irradiance in W/m², prices in EUR/kWh, instants in UTC,
a slot and a period named by their start, every value a mean over its slot. Outside: W, Wh, MWh, local
time, periods named by their end, other steps. Functions are pure; arrays are float64 of the shape given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from runtime.device_units import ConventionError as ConventionError

PeriodLabel = Literal["start", "end", "centre"]
"""What of its period a stamp names."""

STEADY = 8
"""Equal spacings running that make a step."""

MOST_PERIODS = 6_000_000
"""Periods of one series: eleven years of minutes."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Unit = Literal["W", "kW", "Wh", "kWh", "W/m2", "EUR/kWh", "EUR/MWh", "ct/kWh", "g/kWh", "kg/MWh"]
ENERGY_UNITS: tuple[Unit, ...] = ("W", "kW", "Wh", "kWh")
IRRADIANCE_UNITS: tuple[Unit, ...] = ("W/m2",)
PRICE_UNITS: tuple[Unit, ...] = ("EUR/kWh", "EUR/MWh", "ct/kWh")
INTENSITY_UNITS: tuple[Unit, ...] = ("g/kWh", "kg/MWh")
"""Two names of the same size."""

PRICE_STEP_EUR_PER_KWH = Decimal("1e-9")
"""Prices are exact decimals to this step."""


_SPELLINGS: dict[str, Unit] = {
    **{unit.lower(): unit for unit in get_args(Unit)},
    **{"w/m²": "W/m2", "w/m^2": "W/m2", "w m-2": "W/m2", "w/qm": "W/m2"},
    **{"eur/mwhe": "EUR/MWh", "€/mwh": "EUR/MWh", "eur/mwhel": "EUR/MWh", "euro/mwh": "EUR/MWh"},
    **{"€/kwh": "EUR/kWh", "euro/kwh": "EUR/kWh", "c€/kwh": "ct/kWh", "cent/kwh": "ct/kWh"},
    **{"gco2/kwh": "g/kWh", "gco2eq/kwh": "g/kWh", "kgco2/mwh": "kg/MWh"},
}


def unit_of(text: str) -> Unit:
    """The unit that a file or a person spells somehow: ``€/MWh``, ``W/m²``, ``kwh``.

    Raises:
        ConventionError: none that is known.
    """
    unit = _SPELLINGS.get(text.strip().lower())
    if unit is None:
        raise ConventionError(f"found the unit {text.strip()!r}, expected one of {', '.join(get_args(Unit))}")
    return unit


def mean_power_kw(values: FloatArray, unit: Unit, step_hours: float) -> FloatArray:
    """Mean power of each step.

    Args:
        values: shape (n,), in ``unit``: mean power, or energy per step.
        unit: W, kW, Wh or kWh.
        step_hours: length of a step [h].

    Returns:
        Mean power [kW], shape (n,).
    """
    match unit:
        case "W":
            return values / 1000.0
        case "kW":
            return values
        case "Wh":
            return values / 1000.0 / step_hours
        case "kWh":
            return values / step_hours
        case _:
            raise ConventionError(f"{unit} is not a unit of power or energy")


def energy_kwh(power_kw: FloatArray, slot_hours: float) -> FloatArray:
    """Energy of each slot [kWh], shape (slots,), of a mean power [kW], shape (slots,)."""
    return power_kw * slot_hours


def price_eur_per_kwh(values: FloatArray, unit: Unit) -> FloatArray:
    """Prices [EUR/kWh], shape (n,), of prices in ``unit``."""
    match unit:
        case "EUR/kWh":
            return values
        case "EUR/MWh":
            return values / 1000.0
        case "ct/kWh":
            return values / 100.0
        case _:
            raise ConventionError(f"{unit} is not a unit of price")


def exact_price(value_eur_per_kwh: float) -> Decimal:
    """The price as an exact decimal, to 1e-9 EUR/kWh, without trailing zeros after that step."""
    return Decimal(repr(value_eur_per_kwh)).quantize(PRICE_STEP_EUR_PER_KWH)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """UTC instant of a time as written.

    Args:
        wall: with a UTC offset (kept), or without (read on the clocks of ``zone``; ``fold`` says which
            of two when clocks are set back).
        zone: where a time without offset is local.

    Raises:
        ConventionError: the clocks of the zone skip this time.
    """
    if wall.tzinfo is not None:
        return wall.astimezone(UTC)
    utc = wall.replace(tzinfo=zone).astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) != wall.replace(fold=0):
        raise ConventionError(f"{wall.isoformat(sep=' ')} does not exist in {zone.key}: clocks skip it")
    return utc


def is_ambiguous(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether a local time without offset happens twice in ``zone`` (clocks are set back)."""
    if wall.tzinfo is not None:
        return False
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    return first is not None and second is not None and first > second


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks of ``zone`` ever show this time (they skip an hour in spring)."""
    try:
        instant(wall, zone)
    except ConventionError:
        return False
    return True


def instants_s(walls: Sequence[datetime], zone: ZoneInfo) -> IntArray:
    """UTC instants of a column of stamps in file order [s since 1970], shape (n,).

    When clocks are set back, a local stamp that comes a second time is the second of the two.

    Raises:
        ConventionError: a stamp does not exist in the zone.
    """
    seen: set[datetime] = set()
    result = np.empty(len(walls), dtype=np.int64)
    for row, stamp in enumerate(walls):
        wall = stamp
        if is_ambiguous(wall, zone):
            if wall in seen:
                wall = wall.replace(fold=1)
            else:
                seen.add(wall)
        result[row] = int(instant(wall, zone).timestamp())
    return result


def common_step_s(stamps_s: IntArray) -> int:
    """The most frequent distance between stamps [s]; files are trusted in this, not in their labels.

    Args:
        stamps_s: increasing instants [s], shape (n,), n >= 2.
    """
    distances, counts = np.unique(np.diff(stamps_s), return_counts=True)
    return int(distances[np.argmax(counts)])


def period_starts_s(stamps_s: IntArray, step_s: int | IntArray, label: PeriodLabel) -> IntArray:
    """Starts of periods [s], shape (n,), of stamps that name their start, their end or their centre.

    Args:
        stamps_s: instants [s], shape (n,).
        step_s: length of every period, or of each, shape (n,) [s].
        label: what of its period a stamp names.
    """
    match label:
        case "end":
            return stamps_s - step_s
        case "centre":
            return stamps_s - step_s // 2
        case _:
            return stamps_s


def period_lengths_s(stamps_s: IntArray, label: PeriodLabel) -> IntArray:
    """Length of each period [s], shape (n,), told from the spacing of stamps.

    A file may change its step on the way (a market goes from hours to quarters of an hour, a meter is set
    anew). A spacing of up to an hour that holds for ``STEADY`` stamps running is a step; any other is that
    of a gap, beside which periods are as long as their neighbours.

    Args:
        stamps_s: increasing instants [s], shape (n,), n >= 2.
        label: what of its period a stamp names.
    """
    distances = np.diff(stamps_s)
    common = common_step_s(stamps_s)
    edges = np.flatnonzero(np.diff(distances)) + 1
    firsts, ends = np.r_[0, edges], np.r_[edges, len(distances)]
    steady = (ends - firsts >= STEADY) & ((distances[firsts] <= 3600) | (distances[firsts] == common))
    known = np.where(np.repeat(steady, ends - firsts), distances, 0)
    if not known.any():
        return np.full(len(stamps_s), common, dtype=np.int64)
    if label == "end":  # a distance is the length of the period that ends it, and a gap's is not
        return _carried(np.r_[0, known][::-1])[::-1]
    return _carried(np.r_[known, 0])


def _carried(lengths: IntArray) -> IntArray:
    """Each 0 replaced by the last other value before it; leading ones by the first after them."""
    at = np.maximum.accumulate(np.where(lengths > 0, np.arange(len(lengths)), -1))
    return lengths[np.where(at < 0, np.flatnonzero(lengths)[0], at)].astype(np.int64)


def on_regular_grid(
    starts_s: IntArray, lengths_s: IntArray, values: FloatArray
) -> tuple[IntArray, int, FloatArray]:
    """Periods of any lengths on one grid without holes, as fine as they need; values are held.

    Args:
        starts_s: increasing starts [s], shape (n,); no period may reach into the next.
        lengths_s: lengths [s], shape (n,).
        values: means over the periods, shape (n,).

    Returns:
        Starts [s] and values, shape (m,), NaN where there is no period; and the step between them [s].
    """
    step_s = int(np.gcd.reduce(np.r_[lengths_s, np.diff(starts_s)]))
    first_s = int(starts_s[0])
    count = (int(starts_s[-1] + lengths_s[-1]) - first_s) // step_s
    if step_s < 60 or count > MOST_PERIODS:
        raise ConventionError(
            f"found times that fit no common step of a minute or more (greatest common one: {step_s} s)"
        )
    grid = np.full(count, np.nan)
    parts = lengths_s // step_s
    ends = np.cumsum(parts)
    within = np.arange(ends[-1]) - np.repeat(ends - parts, parts)
    grid[np.repeat((starts_s - first_s) // step_s, parts) + within] = np.repeat(values, parts)
    return first_s + step_s * np.arange(count, dtype=np.int64), step_s, grid


def slot_means(
    starts_s: IntArray, step_s: int, values: FloatArray, slot_starts_s: IntArray, slot_s: int
) -> FloatArray:
    """Mean over each slot of a quantity that is constant within each period of a file.

    Finer periods are averaged, coarser ones held.

    Args:
        starts_s: increasing starts of the periods [s], shape (n,).
        step_s: length of a period [s].
        values: mean over each period, shape (n,); NaN where nothing was measured.
        slot_starts_s: starts of the slots [s], shape (slots,).
        slot_s: length of a slot [s].

    Returns:
        Means, shape (slots,); NaN for a slot that the periods do not cover wholly.
    """
    part_s = math.gcd(step_s, slot_s, int(slot_starts_s[0] - starts_s[0]))
    parts_s = slot_starts_s[:, None] + np.arange(0, slot_s, part_s, dtype=np.int64)[None, :]
    period = np.searchsorted(starts_s, parts_s, side="right") - 1
    covered = (period >= 0) & (parts_s < starts_s[period] + step_s)
    means: FloatArray = np.where(covered, values[period], np.nan).mean(axis=1)
    return means


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """UTC instant at which a local day starts (also where clocks skip midnight)."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def local_day_minutes(day: date, zone: ZoneInfo) -> int:
    """Length of a local day [min]: 1440, or 1380 and 1500 when clocks change by an hour."""
    length = local_midnight(day + timedelta(days=1), zone) - local_midnight(day, zone)
    return round(length.total_seconds() / 60)


def clock_change_days(first: datetime, last: datetime, zone: ZoneInfo) -> list[date]:
    """Local days of another length than 24 h that lie in whole or in part between two instants."""
    day, end = first.astimezone(zone).date(), last.astimezone(zone).date()
    offsets = []
    while day <= end:
        if local_day_minutes(day, zone) != 1440:
            offsets.append(day)
        day += timedelta(days=1)
    return offsets

"""A metered series as a table: one row per local day, one column per slot of the wall clock.

Days are compared at equal wall-clock times. When clocks are set forward a day lacks an hour, which is a gap;
when they are set back, the hour that comes twice is the mean of both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import InputError
from runtime.horizon import Horizon

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WORKDAY, SATURDAY, SUNDAY = 0, 1, 2
"""Classes of days; public holidays count as Sundays."""

DAY_MINUTES = 1440


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a forecast begins: nothing at or after it may be used.

    Attributes:
        day: row of the table.
        column: slot of the wall clock; earlier columns of ``day`` are known.
    """

    day: int
    column: int


@dataclass(frozen=True, eq=False)
class Targets:
    """Slots to be forecast, by row and column of the table, shapes (slots,)."""

    day: IntArray
    column: IntArray


@dataclass(frozen=True, eq=False)
class DayTable:
    """A metered series by local day and slot of the wall clock.

    Attributes:
        first_day: the day of row 0; rows are consecutive days.
        slot_minutes: length of a slot [min].
        energy_kwh: shape (days, 1440 / slot_minutes) [kWh per slot]; NaN where nothing was metered.
        day_class: class of each day, shape (days,).
    """

    first_day: date
    slot_minutes: int
    energy_kwh: FloatArray
    day_class: IntArray

    @property
    def columns(self) -> int:
        """Slots of a day of 24 h."""
        return DAY_MINUTES // self.slot_minutes

    def known(self, origin: Origin) -> FloatArray:
        """Rows up to the origin's day with everything from the origin on taken out, shape (day + 1, S)."""
        known = self.energy_kwh[: origin.day + 1].copy()
        known[-1, origin.column :] = np.nan
        return known

    def of_targets(self, targets: Targets) -> FloatArray:
        """What was metered in the targets [kWh], shape (slots,); NaN where nothing was."""
        found: FloatArray = self.energy_kwh[targets.day, targets.column]
        return found


def day_class(day: date, holidays: Collection[date]) -> int:
    """Class of a day: workday, Saturday, or Sunday and public holiday."""
    if day in holidays or day.weekday() == 6:
        return SUNDAY
    return SATURDAY if day.weekday() == 5 else WORKDAY


def day_table(
    energy_kwh: ArrayLike, target: Horizon, holidays: Collection[date]
) -> tuple[DayTable, Origin, Targets]:
    """Arrange a metered history for the forecast of a horizon.

    Args:
        energy_kwh: metered energy of the slots before the target, the last one ending where it starts [kWh],
            shape (n,); NaN where nothing was metered.
        target: the slots to be forecast.
        holidays: public holidays in the time both cover.

    Returns:
        The table, the origin (the target's start) and the target's slots in it.

    Raises:
        InputError: slots do not divide a day, or there is no history.
    """
    values = np.asarray(energy_kwh, dtype=np.float64)
    minutes = target.slot_minutes
    if DAY_MINUTES % minutes:
        raise InputError(
            f"forecast: found slots of {minutes} min, expected a divisor of {DAY_MINUTES} min: days are "
            "compared slot by slot"
        )
    if values.ndim != 1 or not values.size:
        raise InputError(
            f"forecast: found a history of shape {values.shape}, expected one value for each slot before "
            "the horizon"
        )
    zone = ZoneInfo(target.zone)
    past_day, past_column = _places(target, zone, -values.size, 0)
    next_day, next_column = _places(target, zone, 0, target.slots)
    first = int(past_day[0])
    days = int(next_day[-1]) - first + 1
    total, count = np.zeros((2, days, DAY_MINUTES // minutes))
    known = ~np.isnan(values)
    place = (past_day[known] - first, past_column[known])
    np.add.at(total, place, values[known])
    np.add.at(count, place, 1.0)
    table = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
    first_day = date.fromordinal(first)
    classes = [day_class(first_day + timedelta(days=row), holidays) for row in range(days)]
    targets = Targets(next_day - first, next_column)
    return (
        DayTable(first_day, minutes, table, np.array(classes, dtype=np.int64)),
        Origin(int(targets.day[0]), int(targets.column[0])),
        targets,
    )


def past_windows(origin: Origin, columns: int, windows: int) -> list[tuple[Origin, Targets]]:
    """The day-long windows before an origin, the latest first: an origin and the 24 h after it each.

    Args:
        origin: where the forecast proper begins.
        columns: slots of a day.
        windows: how many at most; fewer where the table begins earlier.
    """
    found = []
    steps = np.arange(columns) + origin.column
    for back in range(1, windows + 1):
        day = origin.day - back
        if day < 0:
            break
        found.append((Origin(day, origin.column), Targets(day + steps // columns, steps % columns)))
    return found


def _places(horizon: Horizon, zone: ZoneInfo, first: int, last: int) -> tuple[IntArray, IntArray]:
    """Ordinal of the local day and slot of the wall clock of slots ``first`` to ``last``, without it."""
    starts = [horizon.slot_start(slot).astimezone(zone) for slot in range(first, last)]
    day = np.array([at.toordinal() for at in starts], dtype=np.int64)
    minute = np.array([at.hour * 60 + at.minute for at in starts], dtype=np.int64)
    return day, minute // horizon.slot_minutes

"""Similar-day forecast: the weighted mean of the last days of the same class, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.forecast.daytable import DayTable, FloatArray, Origin, Targets
from runtime.errors import InputError


@dataclass(frozen=True)
class SimilarDays:
    """Which days count.

    Attributes:
        weights: of the last day of the class, the one before, …; a day without a value for a slot is passed
            over, the next earlier one takes its place.
        by_class: whether only days of the target's class count (workday, Saturday, Sunday and holidays).
    """

    weights: tuple[float, ...]
    by_class: bool


LOAD_DAYS = SimilarDays(weights=(0.4, 0.3, 0.2, 0.1), by_class=True)
"""Consumption: the last four days of the same class."""

PV_DAYS = SimilarDays(weights=(5 / 15, 4 / 15, 3 / 15, 2 / 15, 1 / 15), by_class=False)
"""Production: the last five days, whatever people do on them."""


@dataclass(frozen=True, eq=False)
class DayForecast:
    """A forecast and how it had to be made up.

    Attributes:
        energy_kwh: energy of each slot [kWh], shape (slots,), at least 0.
        other_class_slots: slots for which no day of the class had a value, taken from other days.
        interpolated_slots: slots that no day at all had a value for, taken from their neighbours in the day.
    """

    energy_kwh: FloatArray
    other_class_slots: int = 0
    interpolated_slots: int = 0


def similar_day(table: DayTable, origin: Origin, targets: Targets, days: SimilarDays) -> DayForecast:
    """Forecast slots from what was metered before the origin.

    Args:
        table: the metered series; what it holds from the origin on is not looked at.
        origin: where the forecast begins.
        targets: the slots wanted, at or after the origin.
        days: which days count, and how much.

    Returns:
        The forecast.

    Raises:
        InputError: nothing at all was metered before the origin.
    """
    known = table.known(origin)
    if np.isnan(known).all():
        raise InputError("forecast: found no metered value before the horizon, expected a history")
    any_class = np.ones(len(known), dtype=np.bool_)
    energy = np.empty(targets.day.size)
    other = interpolated = 0
    for day in np.unique(targets.day).tolist():
        here = targets.day == day
        columns = targets.column[here]
        same = table.day_class[: len(known)] == table.day_class[day] if days.by_class else any_class
        profile = _weighted(known[same], days.weights)
        missing = np.isnan(profile)
        if missing.any():
            other += int(missing[columns].sum()) if days.by_class else 0
            profile = np.where(missing, _weighted(known, days.weights), profile)
            missing = np.isnan(profile)
        if missing.any():
            lost = int(missing[columns].sum())
            interpolated += lost
            other -= lost if days.by_class else 0
            profile = _around_the_clock(profile, missing)
        energy[here] = profile[columns]
    return DayForecast(energy, other, interpolated)


def _weighted(rows: FloatArray, weights: tuple[float, ...]) -> FloatArray:
    """Weighted mean of the last values of each column, shape (S,); NaN where there are none."""
    latest = rows[::-1]
    has = ~np.isnan(latest)
    rank = np.cumsum(has, axis=0) - 1
    counts = has & (rank < len(weights))
    weight = np.where(counts, np.array(weights)[np.clip(rank, 0, len(weights) - 1)], 0.0)
    total = weight.sum(axis=0)
    summed = (weight * np.where(has, latest, 0.0)).sum(axis=0)
    mean: FloatArray = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    return mean


def _around_the_clock(profile: FloatArray, missing: NDArray[np.bool_]) -> FloatArray:
    columns = np.arange(profile.size)
    filled = profile.copy()
    filled[missing] = np.interp(columns[missing], columns[~missing], profile[~missing], period=profile.size)
    return filled

"""A forecast corrected by the last hours: how far was the same method off just before?

The ratio of what was metered in the last hours to what the method says of them lives on into the forecast and
fades: slot h hours ahead is multiplied by 1 + (ratio − 1) · exp(−h/τ). Whether that helps, and which τ, is
tried on past days at the same time of day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from agents.forecast.daytable import DayTable, FloatArray, Origin, Targets
from agents.forecast.similar_day import DayForecast

RECENT_HOURS = 3.0
"""How far back the last hours reach."""

FADING_HOURS = (2.0, 5.0, 12.0)
"""Time constants τ that are tried."""

LEAST_RATIO, GREATEST_RATIO = 0.1, 4.0
"""Bounds of the ratio: what is beyond says more of the last hours than of those to come."""

LEAST_SHARE = 0.05
"""The last hours say nothing where the method expects less of them than this share of an average time."""

LEAST_GAIN = 0.01
"""Share of the error that a correction must save on past days to be made."""

Forecast = Callable[[Origin, Targets], DayForecast]


def recent_ratio(table: DayTable, origin: Origin, forecast: Forecast) -> float:
    """Metered over forecast energy of the last hours before an origin; 1 where they say nothing.

    Args:
        table: the metered series.
        origin: where the forecast begins.
        forecast: the method; asked for these hours as it would have been before them.
    """
    slots = max(1, round(RECENT_HOURS * 60 / table.slot_minutes))
    first = origin.day * table.columns + origin.column - slots
    if first < table.columns:
        return 1.0
    places = np.arange(first, first + slots)
    targets = Targets(places // table.columns, places % table.columns)
    metered = table.of_targets(targets)
    known = ~np.isnan(metered)
    before = table.known(Origin(first // table.columns, first % table.columns))
    if not known.any() or np.isnan(before).all():
        return 1.0
    expected = forecast(Origin(int(targets.day[0]), int(targets.column[0])), targets).energy_kwh[known]
    if expected.mean() <= LEAST_SHARE * np.nanmean(before):
        return 1.0
    return float(np.clip(metered[known].sum() / expected.sum(), LEAST_RATIO, GREATEST_RATIO))


def faded(energy_kwh: FloatArray, ratio: float, fading_hours: float, slot_minutes: int) -> FloatArray:
    """A forecast with a ratio that fades from its first slot on [kWh], shape as given."""
    ahead_hours = (np.arange(energy_kwh.size) + 0.5) * slot_minutes / 60.0
    corrected: FloatArray = energy_kwh * (1.0 + (ratio - 1.0) * np.exp(-ahead_hours / fading_hours))
    return corrected


def best_fading_hours(
    table: DayTable, forecast: Forecast, windows: Sequence[tuple[Origin, Targets]]
) -> float | None:
    """The time constant that would have made past forecasts best [h]; None where no correction helps.

    Args:
        table: the metered series.
        forecast: the method.
        windows: past days: where each forecast begins, and its slots.
    """
    errors = np.zeros(1 + len(FADING_HOURS))
    for origin, targets in windows:
        metered = table.of_targets(targets)
        known = ~np.isnan(metered)
        plain = forecast(origin, targets).energy_kwh
        ratio = recent_ratio(table, origin, forecast)
        tried = [plain, *(faded(plain, ratio, hours, table.slot_minutes) for hours in FADING_HOURS)]
        errors += [float(np.abs(energy - metered)[known].sum()) for energy in tried]
    best = int(errors.argmin())
    if best == 0 or errors[best] > (1.0 - LEAST_GAIN) * errors[0]:
        return None
    return FADING_HOURS[best - 1]


def corrected(table: DayTable, forecast: Forecast, fading_hours: float | None) -> Forecast:
    """The method with its correction; the method itself where there is none."""
    if fading_hours is None:
        return forecast

    def made(origin: Origin, targets: Targets) -> DayForecast:
        plain = forecast(origin, targets)
        ratio = recent_ratio(table, origin, forecast)
        return replace(plain, energy_kwh=faded(plain.energy_kwh, ratio, fading_hours, table.slot_minutes))

    return made

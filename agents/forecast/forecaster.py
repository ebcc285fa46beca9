"""From a member's history to its forecast of a horizon, with the same method's errors on past days."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from agents.forecast.daytable import Origin, Targets, day_table, past_windows
from agents.forecast.errors import forecast_error
from agents.forecast.recent import best_fading_hours, corrected
from agents.forecast.similar_day import DayForecast, SimilarDays, similar_day
from runtime.configuration import ForecastMethod
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.records import SeriesForecast

BACKTEST_DAYS = 28
"""Days before the horizon that forecasts are compared with what was metered, at most."""

_Forecast = Callable[[Origin, Targets], DayForecast]


def forecast_series(
    method: ForecastMethod,
    history_kwh: ArrayLike,
    target: Horizon,
    holidays: Collection[date],
    days: SimilarDays,
    seed: int,
    *,
    by_recent: bool = False,
) -> SeriesForecast:
    """Forecast a series over a horizon, and compare the method with the past days it can be tried on.

    On a past day the method sees what came before that day only; boosted trees for past days learn from
    what came before the first of them.

    Args:
        method: ``similar-day`` or ``boosting``.
        history_kwh: metered energy of the slots before the horizon [kWh], shape (n,); NaN where none was.
        target: the horizon.
        holidays: public holidays in the time of both.
        days: which days count as similar.
        seed: seed of the trees' random numbers.
        by_recent: whether the last hours before the horizon may correct it, where that helped on past days.

    Returns:
        The forecast and the errors on past days.

    Raises:
        InputError: no history, one that cannot be compared by days, or an unknown method.
    """
    table, origin, targets = day_table(history_kwh, target, holidays)
    windows = [
        (start, slots)
        for start, slots in past_windows(origin, table.columns, BACKTEST_DAYS)
        if not np.isnan(table.known(start)).all()
    ]
    # A tried day is one with history of at least a week before it.
    windows = [(start, slots) for start, slots in windows if start.day >= 7]
    forecast: _Forecast
    tried: _Forecast
    match method:
        case "similar-day":

            def forecast(at: Origin, slots: Targets) -> DayForecast:
                return similar_day(table, at, slots, days)

            tried = forecast
        case "boosting":
            from agents.forecast.boosting import BoostedDays

            forecast = BoostedDays(table, origin, days, seed).forecast
            # half of the history to learn from, the other half to be tried on
            windows = windows[: max(min(len(windows), origin.day // 2), 0)]
            tried = BoostedDays(table, windows[-1][0], days, seed).forecast if windows else forecast
        case _:
            raise InputError(f"forecast.method: found {method!r}, expected similar-day or boosting")
    name: str = method
    fading_hours = best_fading_hours(table, tried, windows) if by_recent else None
    if fading_hours is not None:
        forecast, tried = (corrected(table, each, fading_hours) for each in (forecast, tried))
        name = f"{method}, corrected by the last hours"
    made = forecast(origin, targets)
    values = np.asarray(history_kwh, dtype=np.float64)
    past = forecast_error(
        [tried(start, slots).energy_kwh for start, slots in windows],
        [table.of_targets(slots) for _, slots in windows],
    )
    return SeriesForecast(
        method=name,
        energy_kwh=made.energy_kwh.tolist(),
        history_slots=values.size,
        unmetered_slots=int(np.isnan(values).sum()),
        other_class_slots=made.other_class_slots,
        interpolated_slots=made.interpolated_slots,
        past=past,
    )

"""How far forecasts were off on past days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.forecast.daytable import FloatArray
from runtime.records import ForecastError


def forecast_error(forecast_kwh: Sequence[FloatArray], metered_kwh: Sequence[FloatArray]) -> ForecastError:
    """Errors over several days, in the slots that were metered.

    Args:
        forecast_kwh: by day, energy of each slot [kWh].
        metered_kwh: by day, what was metered [kWh]; NaN where nothing was.

    Returns:
        Mean absolute error, bias (forecast − metered) and root mean square error; percentages of the mean
        metered energy of a slot, None where that is zero or nothing was metered.
    """
    forecast = np.concatenate([np.zeros(0), *forecast_kwh])
    metered = np.concatenate([np.zeros(0), *metered_kwh])
    known = ~np.isnan(metered)
    days = sum(bool((~np.isnan(day)).any()) for day in metered_kwh)
    unmetered = int((~known).sum())
    if not known.any():
        return ForecastError(days=0, slots=0, unmetered_slots=unmetered)
    error = forecast[known] - metered[known]
    mean = float(metered[known].mean())
    mae, bias = float(np.abs(error).mean()), float(error.mean())
    rmse = float(np.sqrt((error**2).mean()))
    return ForecastError(
        days=days,
        slots=int(known.sum()),
        unmetered_slots=unmetered,
        mean_kwh=mean,
        mae_kwh=mae,
        bias_kwh=bias,
        rmse_kwh=rmse,
        mae_percent_of_mean=100 * mae / mean if mean > 0 else None,
        bias_percent_of_mean=100 * bias / mean if mean > 0 else None,
        rmse_percent_of_mean=100 * rmse / mean if mean > 0 else None,
    )

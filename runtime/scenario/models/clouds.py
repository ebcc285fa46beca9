"""A seeded process of clouds: the clear-sky index, day by day and minute by minute.

The index is global irradiance over what a clear sky would give. A latent Gaussian is the sum of a day's
weather (AR(1) from day to day) and of passing clouds (AR(1) within a day); a quantile function maps it to
the index, whose distribution has one mode under overcast and one under clear sky. The time constants are
set so that hourly means step from hour to hour with a standard deviation of 0.142, as in a measured
German year.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from runtime.configuration import derive_seed
from runtime.conventions import FloatArray

DAY_CORRELATION = 0.45
"""Correlation of the latent weather of one day with the next."""

DAY_SHARE = 0.62
"""Share of the latent variance that is the day's weather; the rest are passing clouds."""

CLOUD_MINUTES = 90.0
"""Time constant of passing clouds [min]."""

SEASON_SHIFT = 0.3
"""Summer's latent weather above the year's mean, and winter's below, in standard deviations, in the middle of
Europe."""

_LATENT = np.array([-3.5, -2.0, -1.28, -0.67, 0.0, 0.52, 0.84, 1.64, 3.5])
_INDEX = np.array([0.05, 0.12, 0.2, 0.38, 0.68, 0.9, 0.99, 1.04, 1.12])


def _autoregression(noise: FloatArray, correlation: float) -> FloatArray:
    """A stationary AR(1) of unit variance, shape of ``noise`` (n,), driven by unit white noise."""
    result = np.empty_like(noise)
    state = noise[0]
    scale = (1.0 - correlation**2) ** 0.5
    for step, shock in enumerate(noise):
        state = shock if step == 0 else correlation * state + scale * shock
        result[step] = state
    return result


def clear_sky_index(
    day: date,
    step_minutes: int,
    northern: bool,
    seed: int,
    clearness_shift: float = 0.0,
    season_shift: float = SEASON_SHIFT,
) -> FloatArray:
    """Clear-sky index through one day, from its solar midnight on.

    A day's values depend on the seed and the day alone, so any horizon sees the same weather.

    Args:
        day: the day, in local solar time.
        step_minutes: distance of values [min], a divisor of 1440.
        northern: whether summer is in July.
        seed: of the place's weather.
        clearness_shift: the climate's latent weather above that of middle Europe [standard deviations].
        season_shift: summer's latent weather above the year's mean, and winter's below [standard deviations].

    Returns:
        Index, shape (1440 / step_minutes,), between 0.05 and 1.12.
    """
    ordinal = day.timetuple().tm_yday
    year = np.random.default_rng(derive_seed(seed, "days", str(day.year)))
    weather = _autoregression(year.standard_normal(366), DAY_CORRELATION)[ordinal - 1]
    season = -np.cos(2 * np.pi * (ordinal - 15) / 365.25) * (1.0 if northern else -1.0)
    minutes = np.random.default_rng(derive_seed(seed, "clouds", day.isoformat()))
    correlation = float(np.exp(-step_minutes / CLOUD_MINUTES))
    clouds = _autoregression(minutes.standard_normal(1440 // step_minutes), correlation)
    latent = DAY_SHARE**0.5 * weather + (1 - DAY_SHARE) ** 0.5 * clouds + SEASON_SHIFT * season
    index: FloatArray = np.interp(latent, _LATENT, _INDEX)
    climate = clearness_shift + (season_shift - SEASON_SHIFT) * season
    if climate != 0.0:  # makes the sky clear more often, but never brighter than clear
        index = np.minimum(np.interp(latent + climate, _LATENT, _INDEX), np.maximum(index, 1.0))
    return index

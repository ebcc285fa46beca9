"""Global horizontal irradiance of a place: a clear sky times passing clouds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np

from runtime.configuration import derive_seed
from runtime.conventions import FloatArray
from runtime.horizon import Horizon
from runtime.scenario.models.clouds import clear_sky_index
from runtime.scenario.series import IrradianceSeries


def irradiance_w_per_m2(series: IrradianceSeries, horizon: Horizon, seed: int, label: str) -> FloatArray:
    """Mean irradiance of each slot.

    Clear sky: Ineichen and Perez (2002), with the Linke turbidity climatology that pvlib ships.

    Args:
        series: the place.
        horizon: the slots.
        seed: the scenario's.
        label: of the sky; members under one label share it.

    Returns:
        Irradiance [W/m²], shape (slots,).
    """
    import pandas as pd
    from pvlib.location import Location

    step = 5 if horizon.slot_minutes % 5 == 0 else 1
    steps = horizon.slots * horizon.slot_minutes // step
    starts = [horizon.slot_start(0) + timedelta(minutes=step * i) for i in range(steps)]
    middles = pd.DatetimeIndex([start + timedelta(minutes=step / 2) for start in starts])
    place = Location(series.latitude_deg, series.longitude_deg, tz="UTC", altitude=series.altitude_m)
    clear = place.get_clearsky(middles, model="ineichen")["ghi"].to_numpy(dtype=np.float64)
    if series.sky == "cloudy":
        clear = clear * _index(series, starts, derive_seed(seed, label))
    means: FloatArray = clear.reshape(horizon.slots, -1).mean(axis=1)
    return means


def _index(series: IrradianceSeries, starts: list[datetime], seed: int) -> FloatArray:
    """Clear-sky index at each start, shape (n,); days begin at solar midnight, where nothing shines."""
    solar = timedelta(hours=series.longitude_deg / 15)
    days: dict[date, FloatArray] = {}
    result = np.empty(len(starts))
    for at, start in enumerate(starts):
        moment = start.astimezone(UTC) + solar
        day = moment.date()
        if day not in days:
            days[day] = clear_sky_index(
                day, 5, series.latitude_deg >= 0, seed, series.clearness_shift, series.season_shift
            )
        result[at] = days[day][(moment.hour * 60 + moment.minute) // 5]
    return result

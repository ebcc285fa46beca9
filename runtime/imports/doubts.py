"""What looks wrong in an imported series: a unit, a sign, a zone, a meter that stood still."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from runtime.conventions import FloatArray
from runtime.imports.regular import RegularSeries
from runtime.wording import counted

HIGHEST_LOAD_KW = 1000.0
HIGHEST_IRRADIANCE_W_PER_M2 = 1500.0
"""Above the solar constant only for moments, between clouds."""
HIGHEST_PRICE_EUR_PER_KWH = 1.0
STILL_HOURS = 24.0
"""For how long a load above 0 hardly stays the same to the last digit."""
NOON_WITHIN_DEG = 15.0
"""By how much the sun's middle may differ from where the file says it was measured: an hour."""
NOON_DAYS = 5


def doubts(series: RegularSeries) -> list[str]:
    """What looks wrong, in words; nothing is changed."""
    values = series.values[~np.isnan(series.values)]
    found = [*series.raw.doubts, *series.doubts]
    match series.quantity:
        case "load" | "pv":
            found += _power(series, values)
        case "irradiance":
            found += _irradiance(series, values)
        case "price":
            high = np.abs(values) > HIGHEST_PRICE_EUR_PER_KWH
            found += _counted(
                high, "price", f"beyond ±{HIGHEST_PRICE_EUR_PER_KWH:g} EUR/kWh: is the unit right?"
            )
            if len(values) >= 24 and 0 < np.mean(np.abs(values)) < 0.001:
                found.append(
                    f"prices of {np.mean(np.abs(values)):.2g} EUR/kWh on average: is the unit right?"
                )
        case _:
            found += _counted((values < 0) | (values > 2000), "intensity", "below 0 or above 2000 g/kWh")
    return found


def sun_centre_utc_h(series: RegularSeries) -> float | None:
    """Time of day around which the irradiance lies [h UTC]; None where it cannot be told."""
    measured = ~np.isnan(series.values)
    weights = np.where(measured, np.maximum(series.values, 0), 0)
    if len(weights) * series.step_s < 86400 or weights.sum() <= 0:
        return None
    angle = 2 * np.pi * ((series.starts_s + series.step_s / 2) % 86400) / 86400
    vector = complex((weights * np.cos(angle)).sum(), (weights * np.sin(angle)).sum())
    if abs(vector) < 0.1 * weights.sum():
        return None
    return float((np.angle(vector) % (2 * np.pi)) * 24 / (2 * np.pi))


def _power(series: RegularSeries, values: FloatArray) -> list[str]:
    what = "load" if series.quantity == "load" else "production"
    found = _counted(
        values < 0, "value", f"below 0, which a scenario refuses as {what}: is it a net measurement?"
    )
    if values.mean() > HIGHEST_LOAD_KW:
        found.append(f"{values.mean():.4g} kW on average: is the unit right?")
    elif 0 < values.mean() < 0.005:
        found.append(f"{values.mean() * 1000:.2g} W on average: is the unit right?")
    if still := _still(series):
        found.append(still)
    return found


def _still(series: RegularSeries) -> str | None:
    """The longest run of one value above 0, if it is long."""
    if series.quantity != "load" or np.ptp(series.values[~np.isnan(series.values)]) == 0:
        return None
    edges = np.r_[0, np.flatnonzero(np.diff(series.values) != 0) + 1, len(series.values)]
    runs = np.where(series.values[edges[:-1]] > 0, np.diff(edges), 0)
    longest = int(np.argmax(runs))
    hours = float(runs[longest]) * series.step_s / 3600
    if hours <= STILL_HOURS:
        return None
    since = datetime.fromtimestamp(int(series.starts_s[edges[longest]]), UTC)
    return f"{series.values[edges[longest]]:g} kW without change for {hours:g} h from {since:%Y-%m-%dT%H:%MZ}"


def _irradiance(series: RegularSeries, values: FloatArray) -> list[str]:
    found = _counted(values < 0, "value", "below 0, which a scenario refuses")
    found += _counted(
        values > HIGHEST_IRRADIANCE_W_PER_M2, "value", f"above {HIGHEST_IRRADIANCE_W_PER_M2:g} W/m²"
    )
    if 0 < values.max() < 2:
        found.append(f"at most {values.max():.3g} W/m²: is the unit right?")
    centre, longitude = sun_centre_utc_h(series), series.raw.longitude_deg
    if centre is not None and longitude is not None and len(values) * series.step_s >= NOON_DAYS * 86400:
        expected = (12 - longitude / 15) % 24
        apart = (centre - expected + 12) % 24 - 12
        if abs(apart) * 15 > NOON_WITHIN_DEG:
            found.append(
                f"the sun's middle is at {_clock(centre)} UTC, at longitude {longitude:g}° it is at about "
                f"{_clock(expected)}: are zone and label right?"
            )
    return found


def _clock(hours: float) -> str:
    minutes = round(hours * 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _counted(wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], noun: str, what: str) -> list[str]:
    count = int(np.count_nonzero(wrong))
    return [f"{counted(count, noun)} {what}"] if count else []

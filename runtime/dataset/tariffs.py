"""The two tariff worlds of the reference set: time of use, and a dynamic price shaped as a day-ahead one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from runtime.configuration import derive_seed
from runtime.conventions import FloatArray
from runtime.dataset.places import Place, RetailPrices, Season
from runtime.horizon import Horizon

TariffWorld = Literal["time-of-use", "dynamic"]

DECIMALS = 5
"""Kept of a price [EUR/kWh]: a hundredth of EUR/MWh."""

MIDDAY_DIP: dict[Season, float] = {"winter": 0.15, "spring": 1.25, "summer": 1.1, "autumn": 0.5}
"""How much the country's solar production takes off the day-ahead price at noon, over its daily mean."""

NIGHT, MORNING_PEAK, EVENING_PEAK, WEEKEND = 0.85, 0.3, 0.5, 0.85
"""Night's price, what the peaks at 8 and 19.30 h add, and a weekend's price, over a weekday's daily mean."""

NOISE, NOISE_CORRELATION = 0.08, 0.7
"""Standard deviation of an hour around the shape, over the daily mean, and its correlation with the next."""


@dataclass(frozen=True)
class Prices:
    """What the grid asks and pays, slot by slot.

    Attributes:
        import_eur_per_kwh: shape (slots,).
        export_eur_per_kwh: shape (slots,), at most the other.
    """

    import_eur_per_kwh: FloatArray
    export_eur_per_kwh: FloatArray

    def joined(self, later: Sequence[Prices]) -> Prices:
        """These, and then those of later sessions."""
        return Prices(
            np.concatenate([self.import_eur_per_kwh, *(each.import_eur_per_kwh for each in later)]),
            np.concatenate([self.export_eur_per_kwh, *(each.export_eur_per_kwh for each in later)]),
        )


def prices_of(place: Place, season: Season, world: TariffWorld, horizon: Horizon, seed: int) -> Prices:
    """Prices of a session.

    Args:
        place: whose prices.
        season: of the session.
        world: which tariffs.
        horizon: the slots; none may cross a full hour.
        seed: the set's; a day's prices depend on seed, place and day alone.
    """
    local = [horizon.local(slot) for slot in range(horizon.slots)]
    if world == "time-of-use":
        return _time_of_use(place.prices, local)
    spot = {day: spot_day_eur_per_kwh(place, season, day, seed) for day in {at.date() for at in local}}
    return _dynamic(place.prices, np.array([spot[at.date()][at.hour] for at in local]))


def _time_of_use(prices: RetailPrices, local: Sequence[datetime]) -> Prices:
    asked = [
        next(
            window.price_eur_per_kwh
            for window in prices.windows
            if window.covers(at.hour + at.minute / 60, at.weekday() >= 5)
        )
        for at in local
    ]
    return Prices(np.array(asked), np.full(len(asked), prices.feed_in_eur_per_kwh))


def spot_day_eur_per_kwh(place: Place, season: Season, day: date, seed: int) -> FloatArray:
    """Day-ahead price of each local hour of a day, shape (24,) [EUR/kWh]; may be negative at noon.

    A shape of night, two peaks and a dip at the sun's own noon, with noise around it, times the season's mean
    at the place.
    """
    hours = np.arange(24) + 0.5
    noon = _solar_noon_hour(place, day)

    def bell(middle: float, width: float) -> FloatArray:
        result: FloatArray = np.exp(-0.5 * ((hours - middle) / width) ** 2)
        return result

    dip = MIDDAY_DIP[season] * bell(noon, 2.4)
    night = (NIGHT - 1.0) * np.where((hours < 6) | (hours > 23), 1.0, 0.0)
    shape = 1.0 + night + MORNING_PEAK * bell(8.0, 1.3) + EVENING_PEAK * bell(19.5, 1.6) - dip
    shape += 1.0 - shape.mean()
    rng = np.random.default_rng(derive_seed(seed, "spot", place.country, day.isoformat()))
    noise = np.empty(24)
    for hour, shock in enumerate(rng.standard_normal(24)):
        before = noise[hour - 1] if hour else 0.0
        noise[hour] = NOISE_CORRELATION * before + (1 - NOISE_CORRELATION**2) ** 0.5 * shock
    level = place.prices.spot_eur_per_kwh[season] * (WEEKEND if day.weekday() >= 5 else 1.0)
    spot: FloatArray = level * (shape + NOISE * noise)
    return spot


def _solar_noon_hour(place: Place, day: date) -> float:
    """Local clock time of the sun's highest stand, without the equation of time [h]."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(place.zone))
    offset = noon.utcoffset()
    assert offset is not None, "a zone-aware time has an offset"
    return 12.0 - place.longitude_deg / 15 + offset.total_seconds() / 3600


def _dynamic(prices: RetailPrices, spot_eur_per_kwh: FloatArray) -> Prices:
    asked = (spot_eur_per_kwh + prices.grid_and_taxes_eur_per_kwh) * (1 + prices.vat)
    paid: FloatArray = np.maximum(spot_eur_per_kwh - prices.marketing_eur_per_kwh, 0.0)
    return Prices(asked.round(DECIMALS), paid.round(DECIMALS))

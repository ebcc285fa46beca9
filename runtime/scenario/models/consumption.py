"""Consumption behind one meter: a standard profile, and around it what one customer's own day adds.

A standard profile is the average of many customers and too smooth for one. A home is made of appliance
events whose rates follow the profile, so that many homes, or many days, average to it again (bottom-up, as in
Richardson et al. 2010, Energy and Buildings 42). Other customers fluctuate slowly around theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from runtime.configuration import derive_seed
from runtime.conventions import FloatArray, local_day_minutes, local_midnight
from runtime.horizon import Horizon
from runtime.scenario.models.profiles import annual_profile_kw
from runtime.scenario.series import BdewSeries


@dataclass(frozen=True)
class Appliance:
    """An appliance as blocks of power.

    Attributes:
        power_kw: while it runs [kW].
        minutes: that it runs each time [min].
        share: of a home's energy above its base load.
    """

    power_kw: float
    minutes: int
    share: float


APPLIANCES = (
    Appliance(power_kw=0.12, minutes=45, share=0.30),  # lights, screens
    Appliance(power_kw=2.0, minutes=4, share=0.10),  # kettle, microwave
    Appliance(power_kw=1.6, minutes=20, share=0.14),  # hob
    Appliance(power_kw=2.2, minutes=35, share=0.12),  # oven
    Appliance(power_kw=0.9, minutes=75, share=0.12),  # washing machine
    Appliance(power_kw=1.1, minutes=80, share=0.12),  # dishwasher
    Appliance(power_kw=0.5, minutes=30, share=0.10),  # vacuum cleaner, iron, tools
)

BASE_SHARE = 0.7
"""Base load (cold appliances, standby) as a share of the profile's least power of the day."""

NOISE_MINUTES = 120.0
"""Time constant of slow fluctuations [min]."""


def consumption_kw(series: BdewSeries, horizon: Horizon, seed: int, label: str) -> FloatArray:
    """Mean power of each slot.

    A day's values depend on seed, label and day alone, so that any horizon sees the same day.

    Args:
        series: profile, yearly energy, calendar and what surrounds the profile.
        horizon: the slots.
        seed: the scenario's.
        label: of the customer.

    Returns:
        Power [kW], shape (slots,).

    Raises:
        ConventionError: a country or year that the calendars do not know.
    """
    zone = ZoneInfo(horizon.zone)
    own = derive_seed(seed, label)
    start = horizon.slot_start(0)
    minutes = horizon.slots * horizon.slot_minutes
    power_kw = np.zeros(minutes)
    day = start.astimezone(zone).date() - timedelta(days=1)
    while (begins := local_midnight(day, zone)) < horizon.slot_start(horizon.slots):
        of_day = _day_kw(series, day, zone, own)
        offset = round((begins - start).total_seconds() / 60)
        first, last = max(offset, 0), min(offset + len(of_day), minutes)
        if first < last:
            power_kw[first:last] += of_day[first - offset : last - offset]
        day += timedelta(days=1)
    means: FloatArray = power_kw.reshape(horizon.slots, -1).mean(axis=1)
    return means


def _day_kw(series: BdewSeries, day: date, zone: ZoneInfo, seed: int) -> FloatArray:
    """Power by the minute from local midnight on [kW]; longer than the day where events run into the next."""
    profile_kw = _profile_by_minute(series, day, zone)
    if series.appliances:
        return appliance_events_kw(profile_kw, derive_seed(seed, day.isoformat()))
    if series.noise > 0:
        rng = np.random.default_rng(derive_seed(seed, day.isoformat()))
        return profile_kw * slow_noise(len(profile_kw), series.noise, rng)
    return profile_kw


def _profile_by_minute(series: BdewSeries, day: date, zone: ZoneInfo) -> FloatArray:
    """The profile on the clocks of a local day [kW], shape (minutes of the day,)."""
    annual_kw = series.annual_kwh * annual_profile_kw(
        series.profile, day.year, series.country, series.calendar, series.school_zone
    )
    first_quarter = (day - date(day.year, 1, 1)).days * 96
    midnight = local_midnight(day, zone)
    quarters = []
    for minute in range(0, local_day_minutes(day, zone), 15):
        local = (midnight + timedelta(minutes=minute)).astimezone(zone)
        quarters.append(first_quarter + local.hour * 4 + local.minute // 15)
    return np.repeat(annual_kw[quarters], 15)


def appliance_events_kw(profile_kw: FloatArray, seed: int) -> FloatArray:
    """Homes behind one meter through a day, event by event; the mean over many seeds is the profile.

    Events of many homes add up to more frequent events (a sum of Poisson processes is one), so that the
    power expected of them all is enough to know.

    Args:
        profile_kw: expected power, by the minute [kW], shape (n,).
        seed: of the day.

    Returns:
        Power [kW], shape (n + longest event - 1,): the tail runs into the next day.
    """
    rng = np.random.default_rng(seed)
    base_kw = BASE_SHARE * float(profile_kw.min())
    above_kw = profile_kw - base_kw
    longest = max(appliance.minutes for appliance in APPLIANCES)
    total_kw = np.zeros(len(profile_kw) + longest - 1)
    total_kw[: len(profile_kw)] = base_kw
    for appliance in APPLIANCES:
        energy_kwh = appliance.power_kw * appliance.minutes / 60
        starts_per_minute = appliance.share * above_kw / 60 / energy_kwh
        starts = rng.poisson(starts_per_minute)
        switched_kw = starts * appliance.power_kw * rng.uniform(0.8, 1.2, len(starts))
        pulse = np.convolve(switched_kw, np.ones(appliance.minutes))
        total_kw[: len(pulse)] += pulse
    return total_kw


def slow_noise(minutes: int, deviation: float, rng: np.random.Generator) -> FloatArray:
    """A factor around 1 by the minute, shape (minutes,): lognormal AR(1) in quarters of an hour."""
    quarters = -(-minutes // 15)
    correlation = float(np.exp(-15 / NOISE_MINUTES))
    shocks = rng.standard_normal(quarters)
    state = 0.0
    latent = np.empty(quarters)
    for at, shock in enumerate(shocks):
        state = shock if at == 0 else correlation * state + (1 - correlation**2) ** 0.5 * shock
        latent[at] = state
    factor: FloatArray = np.repeat(np.exp(deviation * latent - deviation**2 / 2), 15)[:minutes]
    return factor

"""What a member foresees for a session: told in advance, or forecast from what its meters recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agents.building import series_of
from agents.devices.pv import pv_energy_kwh
from agents.forecast.forecaster import forecast_series
from agents.forecast.similar_day import LOAD_DAYS, PV_DAYS
from runtime.configuration import MemberConfig, MemberHistory, derive_seed
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.records import MemberForecast, MemberSessionRecord

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Load and production that a member plans with [kWh], shapes (slots,).

    Attributes:
        load_kwh: load.
        pv_kwh: production.
        forecast: how they were forecast; None where they were told.
    """

    load_kwh: Array
    pv_kwh: Array
    forecast: MemberForecast | None = None

    @property
    def residual_load_kwh(self) -> Array:
        """Load − production [kWh], shape (slots,)."""
        return self.load_kwh - self.pv_kwh


def foresee(config: MemberConfig, number: int, done: Iterable[MemberSessionRecord] = ()) -> Foreseen:
    """Load and production of a session as the member foresees them at its start.

    Args:
        config: the member's.
        number: the session.
        done: the member's records of sessions before it; what they metered joins the history.

    Raises:
        InputError: a history to forecast from is missing or will not do.
    """
    session = config.sessions[number]
    if config.forecast is None:
        return Foreseen(*series_of(session, config.pv))
    horizon = session.horizon
    first, history = _history_of(config, number)
    past_load, past_pv = (
        _up_to(past_kwh, first, horizon) for past_kwh in _history_kwh(config, history, first)
    )
    for record in done:
        earlier = config.sessions[record.session].horizon
        _join(past_load, record.inflexible_load_kwh, record, earlier, horizon)
        _join(past_pv, record.pv_kwh, record, earlier, horizon)
    load = pv = None
    rolling = session.operated_slots is not None  # it is made again soon, with what was metered till then
    if past_load is not None:
        seed = _tree_seed(config, "load")
        load = forecast_series(
            config.forecast, past_load, horizon, history.holidays, LOAD_DAYS, seed, by_recent=rolling
        )
    if past_pv is not None:
        seed = _tree_seed(config, "pv")
        pv = forecast_series(config.forecast, past_pv, horizon, (), PV_DAYS, seed, by_recent=rolling)
    nothing = np.zeros(horizon.slots)
    return Foreseen(
        np.array(load.energy_kwh) if load else nothing,
        np.array(pv.energy_kwh) if pv else nothing,
        MemberForecast(load_series=load, pv_series=pv),
    )


def _history_of(config: MemberConfig, number: int) -> tuple[Horizon, MemberHistory]:
    """The history that a session goes on from, its own or that of one before, and the horizon it ends at."""
    for session in reversed(config.sessions[: number + 1]):
        if session.history is not None:
            return session.horizon, session.history
        if not session.continues:
            break
    raise InputError(f"{config.name}: found no history for session {number}, expected one to forecast from")


def _up_to(past_kwh: Array | None, first: Horizon, horizon: Horizon) -> Array | None:
    """A history that ends where ``first`` starts, made one as long that ends where ``horizon`` starts."""
    if past_kwh is None or first.start == horizon.start:
        return past_kwh
    passed = (horizon.slot_start(0) - first.slot_start(0)) // timedelta(minutes=horizon.slot_minutes)
    return np.concatenate([past_kwh, np.full(passed, np.nan)])[-past_kwh.size :]


def _history_kwh(
    config: MemberConfig, history: MemberHistory, horizon: Horizon
) -> tuple[Array | None, Array | None]:
    """Metered load and production before a session [kWh]; NaN where nothing was metered."""
    production = _array(history.pv_production_kwh)
    irradiance = _array(history.ghi_w_per_m2)
    if production is None and irradiance is not None and config.pv is not None:
        unmetered = np.isnan(irradiance)
        production = pv_energy_kwh(np.where(unmetered, 0.0, irradiance), config.pv, horizon.slot_hours)
        production[unmetered] = np.nan
    return _array(history.load_kwh), production


def _tree_seed(config: MemberConfig, series: str) -> int:
    return derive_seed(config.seed, "forecast", series) % 2**32


def _array(values: Sequence[float | None] | None) -> Array | None:
    return None if values is None else np.array([np.nan if v is None else v for v in values])


def _join(
    past_kwh: Array | None,
    metered_kwh: Sequence[float],
    record: MemberSessionRecord,
    earlier: Horizon,
    horizon: Horizon,
) -> None:
    """Put what an earlier session metered into a history that ends where the horizon starts."""
    if past_kwh is None or earlier.slot_minutes != horizon.slot_minutes:
        return
    ahead, rest = divmod(
        horizon.slot_start(0) - earlier.slot_start(0), timedelta(minutes=earlier.slot_minutes)
    )
    if rest:
        return
    for slot, (energy_kwh, quality) in enumerate(zip(metered_kwh, record.quality, strict=True)):
        place = past_kwh.size - ahead + slot
        if quality == "metered" and 0 <= place < past_kwh.size:
            past_kwh[place] = energy_kwh

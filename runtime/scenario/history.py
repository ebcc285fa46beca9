"""What members forecast from: their metered past before each session, resolved like any other series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np

from runtime.configuration import ForecastMethod, MemberHistory
from runtime.conventions import ConventionError, FloatArray
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.arrays import Quantity, SeriesResolver
from runtime.scenario.model import ForecastTable, HistoryTable, Member, Scenario, SeriesSource
from runtime.scenario.series import FileSeries, ValuesSeries

DEFAULT_DAYS = 56
"""Days of history: eight Sundays, of which four make a forecast and four can be forecast to try it."""

MOST_SLOTS = 5000
"""Slots of history resolved at a time."""

_DAY_MINUTES = 1440


@dataclass(frozen=True)
class ForecastChoice:
    """What holds for one member, its own table over the one for all.

    Attributes:
        method: None is a perfect forecast.
        days: days of history before each session.
        country: whose public holidays count as Sundays, or ``none``.
        history: the member's own.
        common: for all members.
    """

    method: ForecastMethod | None
    days: int
    country: str
    history: HistoryTable
    common: HistoryTable


def forecast_choice(scenario: Scenario, member: Member) -> ForecastChoice:
    """How a member forecasts."""
    common, own = scenario.forecast, member.forecast or ForecastTable()
    told = own.history is None and common.history is None
    implied: Literal["perfect", "similar-day"] = "perfect" if told else "similar-day"
    method: Literal["perfect", "similar-day", "boosting"] = own.method or common.method or implied
    return ForecastChoice(
        method=None if method == "perfect" else method,
        days=own.days or common.days or DEFAULT_DAYS,
        country=own.country or common.country or "FR",
        history=own.history or HistoryTable(),
        common=common.history or HistoryTable(),
    )


def forecasting(scenario: Scenario, name: str, method: ForecastMethod | None) -> Scenario:
    """The scenario with one member forecasting: by a method, or as it does, or else by similar days."""

    def changed(member: Member) -> Member:
        if member.name != name:
            return member
        chosen = method or forecast_choice(scenario, member).method or "similar-day"
        table = (member.forecast or ForecastTable()).model_copy(update={"method": chosen})
        return member.model_copy(update={"forecast": table})

    return scenario.model_copy(update={"members": [changed(member) for member in scenario.members]})


def member_history(
    scenario: Scenario, resolver: SeriesResolver, member: Member, place: int
) -> tuple[ForecastMethod, list[MemberHistory]] | None:
    """A member's past before each session, in the sessions' slots.

    Args:
        scenario: the scenario.
        resolver: of the sessions; knows files, seed and models, and keeps account of the origins.
        member: the member.
        place: its number in the scenario, from 1 on.

    Returns:
        How it forecasts, and one history per session; None with a perfect forecast.

    Raises:
        InputError: a series without a past, or nothing metered in it.
    """
    choice = forecast_choice(scenario, member)
    if choice.method is None:
        return None
    where = f'{resolver.source}: member[{place}] "{member.name}" forecast'
    if _DAY_MINUTES % resolver.horizons[0].slot_minutes:
        raise InputError(
            f"{where}.method: found {choice.method!r} with slots of {resolver.horizons[0].slot_minutes} min, "
            f"expected slots that divide a day of {_DAY_MINUTES} min"
        )
    chunks = [_chunks_before(horizon, choice.days) for horizon in resolver.horizons]
    past = SeriesResolver(
        source=resolver.source,
        folder=resolver.folder,
        hint=resolver.hint,
        horizons=[chunk for session in chunks for chunk in session],
        seed=resolver.seed,
        generate=resolver.generate,
        provenance=resolver.provenance,
        gaps_allowed=True,
    )

    def resolved(
        own: SeriesSource | None, live: SeriesSource | None, quantity: Quantity, field: str, label: str
    ) -> list[list[float | None] | None]:
        series = own or live
        if series is None:
            return [None] * len(chunks)
        spot = f'member[{place}] "{member.name}" forecast.history.{field}'
        if own is None and _has_no_past(series):
            raise InputError(
                f"{resolver.source}: {spot}: found none, and the {field} of the horizon has no times that "
                f"reach back before it; expected a series of the {choice.days} days before"
            )
        arrays = iter(past.resolve(series, quantity, spot, label))
        sessions = [np.concatenate([next(arrays) for _ in session]) for session in chunks]
        for number, values in enumerate(sessions):
            if np.isnan(values).all():
                raise InputError(
                    f"{resolver.source}: {spot}: found no value in the {choice.days} days before session "
                    f"{number + 1}, expected some of them metered"
                )
        return [_as_list(values) for values in sessions]

    pv, own, common = member.pv, choice.history, choice.common
    for field in ("pv", "irradiance") if pv is None else ():
        if getattr(own, field) is not None:
            raise InputError(f"{where}.history.{field}: found a series, but the member has no pv")
    if own.load is not None and member.load is None:
        raise InputError(f"{where}.history.load: found a series, but the member has no load")
    load = resolved(own.load, member.load, "energy", "load", f"{member.name}/load")
    nothing: list[list[float | None] | None] = [None] * len(chunks)
    production = sky = nothing
    if pv is not None and (pv.production is not None or own.pv is not None):
        production = resolved(own.pv, pv.production, "energy", "pv", f"{member.name}/pv")
    elif pv is not None:
        live = pv.irradiance or scenario.irradiance
        sky = resolved(own.irradiance or common.irradiance, live, "irradiance", "irradiance", "sky")
    return choice.method, [
        MemberHistory(
            load_kwh=load[number],
            ghi_w_per_m2=sky[number],
            pv_production_kwh=production[number],
            holidays=_holidays(horizon, choice, where),
        )
        for number, horizon in enumerate(resolver.horizons)
    ]


def _has_no_past(series: SeriesSource) -> bool:
    return isinstance(series, ValuesSeries) or (isinstance(series, FileSeries) and series.time is None)


def _chunks_before(horizon: Horizon, days: int) -> list[Horizon]:
    """Consecutive horizons that end where a session starts."""
    slots = days * _DAY_MINUTES // horizon.slot_minutes
    chunks = []
    while slots:
        length = min(slots, MOST_SLOTS)
        chunks.append(horizon.model_copy(update={"start": horizon.slot_start(-slots), "slots": length}))
        slots -= length
    return chunks


def _holidays(horizon: Horizon, choice: ForecastChoice, where: str) -> list[date]:
    from runtime.scenario.models.profiles import sundays_like

    first = horizon.local(0).date() - timedelta(days=choice.days + 1)
    last = horizon.local(horizon.slots).date()
    try:
        years = [
            sundays_like(year, choice.country, "standard", "B") for year in range(first.year, last.year + 1)
        ]
    except ConventionError as error:
        raise InputError(f"{where}.{error}") from error
    return [day for year in years for day in year if first <= day <= last]


def _as_list(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]

"""BDEW standard load profiles of a year, by demandlib, with the calendar of a place."""

from __future__ import annotations

import unittest.mock
import warnings
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from runtime.conventions import ConventionError, FloatArray
from runtime.scenario.series import BdewProfile


def sundays_like(year: int, country: str, calendar: str, school_zone: str) -> list[date]:
    """Days of a year on which people live as on a Sunday.

    Args:
        year: the year.
        country: ISO 3166 code of whose public holidays count, or ``none``.
        calendar: ``school`` adds the days of French school holidays.
        school_zone: A, B or C.

    Raises:
        ConventionError: a country or year that the calendars do not know.
    """
    import holidays
    from vacances_scolaires_france import (  # type: ignore[import-untyped]
        SchoolHolidayDates,
        UnsupportedYearException,
    )

    days: set[date] = set()
    if country != "none":
        try:
            days.update(holidays.country_holidays(country, years=year))
        except NotImplementedError as error:
            raise ConventionError(
                f"country: found {country!r}, expected an ISO 3166 code whose holidays are known, or 'none'"
            ) from error
    if calendar == "school":
        try:
            days.update(SchoolHolidayDates().holidays_for_year_and_zone(year, school_zone))
        except UnsupportedYearException as error:
            raise ConventionError(f"calendar: school holidays of {year} are not known") from error
    return sorted(days)


@lru_cache(maxsize=32)
def annual_profile_kw(
    profile: BdewProfile, year: int, country: str, calendar: str, school_zone: str
) -> FloatArray:
    """Mean power of each quarter of an hour of a year of local time, for 1 kWh a year.

    Quarters are counted on local clocks without clock changes, as the profiles define them.

    Returns:
        Power [kW], shape (35040,), or (35136,) in a leap year.

    Raises:
        ConventionError: a country or year that the calendars do not know.
    """
    column = "h0_dyn" if profile == "H0" else profile.lower()
    if profile.endswith("25"):
        values = _profile_2025(profile, year, tuple(sundays_like(year, country, calendar, school_zone)))
    else:
        table = _profiles_1999(year, tuple(sundays_like(year, country, calendar, school_zone)))
        values = table[column].to_numpy(dtype=np.float64)
    result: FloatArray = values / (values.sum() / 4)
    return result


@lru_cache(maxsize=8)
def _profiles_1999(year: int, sundays: tuple[date, ...]) -> Any:  # noqa: ANN401 - a pandas DataFrame
    from demandlib import bdew

    # ElecSlp turns every warning into an error, for good and for everybody; pandas' deprecations then end it.
    with warnings.catch_warnings(), unittest.mock.patch.object(warnings, "simplefilter"):
        warnings.filterwarnings("ignore")
        return bdew.ElecSlp(year, holidays=list(sundays)).get_profiles()


def _profile_2025(profile: str, year: int, sundays: tuple[date, ...]) -> FloatArray:
    import pandas as pd
    from demandlib import bdew

    index = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq="15min", inclusive="left")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        series = getattr(bdew, profile)(index, holidays=list(sundays))
    values: FloatArray = np.asarray(series, dtype=np.float64)
    return values

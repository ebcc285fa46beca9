"""The places of the reference set: climate, customs, equipment and prices, with where each comes from.

Places are real; the communities in them are not. Numbers are rounded to what is typical of the place, so that
communities differ as places do; none of them is a measurement of anybody's.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

Season = Literal["winter", "spring", "summer", "autumn"]

SEASON_DAYS: dict[Season, date] = {
    "winter": date(2024, 1, 16),
    "spring": date(2024, 4, 16),
    "summer": date(2024, 6, 18),
    "autumn": date(2024, 10, 15),
}
"""The first day of each season's communities: a Tuesday without a public holiday in any of the places."""


class TariffWindow(BaseModel):
    """A price during a part of the local day.

    Attributes:
        from_hour: first hour of it.
        to_hour: hour before which it ends; not after ``from_hour`` means past midnight.
        price_eur_per_kwh: all taxes included [EUR/kWh].
        days: days on which it holds.
    """

    model_config = ConfigDict(frozen=True)

    from_hour: int
    to_hour: int
    price_eur_per_kwh: float
    days: Literal["every", "weekday", "weekend"] = "every"

    def covers(self, hour: float, weekend: bool) -> bool:
        """Whether it holds at an hour of a weekday's or a weekend's local day."""
        if self.days == ("weekday" if weekend else "weekend"):
            return False
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour < self.to_hour
        return hour >= self.from_hour or hour < self.to_hour


class RetailPrices(BaseModel):
    """What the grid asks and pays at a place, in both tariff worlds.

    Attributes:
        windows: time-of-use prices.
        feed_in_eur_per_kwh: feed-in tariff beside them [EUR/kWh].
        spot_eur_per_kwh: mean day-ahead price of each season's days [EUR/kWh].
        grid_and_taxes_eur_per_kwh: what a dynamic contract adds to the day-ahead price, before VAT [EUR/kWh].
        vat: value-added tax on both, as a share.
        marketing_eur_per_kwh: what is kept of the day-ahead price when energy is fed in [EUR/kWh].
        co2_g_per_kwh: emissions of the country's electricity [g/kWh].
    """

    model_config = ConfigDict(frozen=True)

    windows: tuple[TariffWindow, ...]
    feed_in_eur_per_kwh: float
    spot_eur_per_kwh: dict[Season, float]
    grid_and_taxes_eur_per_kwh: float
    vat: float
    marketing_eur_per_kwh: float
    co2_g_per_kwh: float


class Place(BaseModel):
    """A place and what is typical of it.

    Attributes:
        key: as options and folders name it.
        name: as people call it.
        country: ISO 3166 code, whose public holidays count.
        climate: in words, with its class by Köppen and Geiger.
        zone: IANA time zone.
        latitude_deg: north positive [°].
        longitude_deg: east positive [°].
        altitude_m: above sea level [m].
        yearly_ghi_kwh_per_m2: global horizontal irradiation of a mean year that the sky is set to [kWh/m²].
        clearness_shift: of the model's sky (``runtime.scenario.series.IrradianceSeries``).
        season_shift: of the model's sky.
        home_kwh: mean electricity of a house in a year [kWh].
        season_factor: a season's consumption of homes over what the standard profile has: heat and cooling.
        home_pv_kwp: typical array of a house [kWp].
        home_battery_kwh: typical battery of a house [kWh].
        prices: what the grid asks and pays.
        sources: what the numbers go by.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    country: str
    climate: str
    zone: str
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    yearly_ghi_kwh_per_m2: float
    clearness_shift: float
    season_shift: float
    home_kwh: float
    season_factor: dict[Season, float]
    home_pv_kwp: float
    home_battery_kwh: float
    prices: RetailPrices
    sources: dict[str, str]


_CLIMATE = "Köppen-Geiger classes: Beck et al. (2018), Scientific Data 5"
_HOMES = "order of ODYSSEE-MURE, electricity consumption per dwelling, for a house rather than a flat"
_CO2 = "order of the European Environment Agency's greenhouse gas intensity of electricity generation, 2023"
_SPOT = "order of the monthly means of the bidding zone's day-ahead price in 2024 (ENTSO-E), rounded; "

LORIENT = Place(
    key="lorient",
    name="Lorient",
    country="FR",
    climate="oceanic (Cfb)",
    zone="Europe/Paris",
    latitude_deg=47.748,
    longitude_deg=-3.366,
    altitude_m=20,
    yearly_ghi_kwh_per_m2=1250,
    clearness_shift=0.2,
    season_shift=0.3,
    home_kwh=4200,
    season_factor={"winter": 1.15, "spring": 1.0, "summer": 0.85, "autumn": 1.0},
    home_pv_kwp=4.5,
    home_battery_kwh=6,
    prices=RetailPrices(
        windows=(
            TariffWindow(from_hour=6, to_hour=22, price_eur_per_kwh=0.27),
            TariffWindow(from_hour=22, to_hour=6, price_eur_per_kwh=0.2068),
        ),
        feed_in_eur_per_kwh=0.1269,
        spot_eur_per_kwh={"winter": 0.077, "spring": 0.030, "summer": 0.033, "autumn": 0.062},
        grid_and_taxes_eur_per_kwh=0.085,
        vat=0.20,
        marketing_eur_per_kwh=0.01,
        co2_g_per_kwh=45,
    ),
    sources={
        "climate": _CLIMATE,
        "irradiation": "order of PVGIS-SARAH for the coast of southern Brittany, rounded",
        "consumption": _HOMES,
        "equipment": "arrays below 6 kWp, most of new French ones; a battery of a day's evening",
        "time of use": "of the kind of peak and off-peak hours and of feed-in for surplus in France in 2024",
        "dynamic": _SPOT + "FR",
        "co2": _CO2,
    },
)

SEVILLE = Place(
    key="seville",
    name="Seville",
    country="ES",
    climate="hot-summer Mediterranean (Csa)",
    zone="Europe/Madrid",
    latitude_deg=37.389,
    longitude_deg=-5.984,
    altitude_m=10,
    yearly_ghi_kwh_per_m2=1820,
    clearness_shift=0.75,
    season_shift=0.45,
    home_kwh=3800,
    season_factor={"winter": 0.95, "spring": 0.85, "summer": 1.35, "autumn": 0.9},
    home_pv_kwp=4.5,
    home_battery_kwh=5,
    prices=RetailPrices(
        windows=(
            TariffWindow(from_hour=0, to_hour=8, price_eur_per_kwh=0.095, days="weekday"),
            TariffWindow(from_hour=8, to_hour=10, price_eur_per_kwh=0.13, days="weekday"),
            TariffWindow(from_hour=10, to_hour=14, price_eur_per_kwh=0.19, days="weekday"),
            TariffWindow(from_hour=14, to_hour=18, price_eur_per_kwh=0.13, days="weekday"),
            TariffWindow(from_hour=18, to_hour=22, price_eur_per_kwh=0.19, days="weekday"),
            TariffWindow(from_hour=22, to_hour=24, price_eur_per_kwh=0.13, days="weekday"),
            TariffWindow(from_hour=0, to_hour=24, price_eur_per_kwh=0.095, days="weekend"),
        ),
        feed_in_eur_per_kwh=0.055,
        spot_eur_per_kwh={"winter": 0.074, "spring": 0.020, "summer": 0.056, "autumn": 0.068},
        grid_and_taxes_eur_per_kwh=0.06,
        vat=0.21,
        marketing_eur_per_kwh=0.01,
        co2_g_per_kwh=135,
    ),
    sources={
        "climate": _CLIMATE,
        "irradiation": "order of AEMET, Atlas de radiación solar en España (2012), for Seville, rounded",
        "consumption": _HOMES + "; summers by cooling",
        "equipment": "typical of Spanish homes with own consumption",
        "time of use": "the three periods of the toll 2.0TD; levels of the kind that customers had in 2024",
        "dynamic": _SPOT + "ES",
        "co2": _CO2,
    },
)

MUNICH = Place(
    key="munich",
    name="Munich",
    country="DE",
    climate="humid continental to oceanic (Dfb/Cfb)",
    zone="Europe/Berlin",
    latitude_deg=48.137,
    longitude_deg=11.575,
    altitude_m=520,
    yearly_ghi_kwh_per_m2=1180,
    clearness_shift=0.1,
    season_shift=0.3,
    home_kwh=4000,
    season_factor={"winter": 1.05, "spring": 1.0, "summer": 0.95, "autumn": 1.0},
    home_pv_kwp=9,
    home_battery_kwh=9,
    prices=RetailPrices(
        windows=(
            TariffWindow(from_hour=6, to_hour=22, price_eur_per_kwh=0.37),
            TariffWindow(from_hour=22, to_hour=6, price_eur_per_kwh=0.30),
        ),
        feed_in_eur_per_kwh=0.0811,
        spot_eur_per_kwh={"winter": 0.077, "spring": 0.062, "summer": 0.073, "autumn": 0.086},
        grid_and_taxes_eur_per_kwh=0.165,
        vat=0.19,
        marketing_eur_per_kwh=0.01,
        co2_g_per_kwh=370,
    ),
    sources={
        "climate": _CLIMATE,
        "irradiation": "order of Deutscher Wetterdienst's maps of global irradiation, Upper Bavaria, rounded",
        "consumption": _HOMES,
        "equipment": "order of new home systems in Germany (Figgener et al., RWTH Aachen, 2023)",
        "time of use": "levels of the kind of BDEW's analysis of electricity prices 2024; feed-in of the EEG "
        "for surplus up to 10 kWp, February to July 2024",
        "dynamic": _SPOT + "DE-LU",
        "co2": _CO2,
    },
)

LULEA = Place(
    key="lulea",
    name="Luleå",
    country="SE",
    climate="subarctic (Dfc)",
    zone="Europe/Stockholm",
    latitude_deg=65.584,
    longitude_deg=22.155,
    altitude_m=15,
    yearly_ghi_kwh_per_m2=930,
    clearness_shift=0.2,
    season_shift=0.3,
    home_kwh=9000,
    season_factor={"winter": 1.5, "spring": 1.0, "summer": 0.55, "autumn": 1.0},
    home_pv_kwp=9,
    home_battery_kwh=10,
    prices=RetailPrices(
        windows=(
            TariffWindow(from_hour=6, to_hour=22, price_eur_per_kwh=0.155, days="weekday"),
            TariffWindow(from_hour=22, to_hour=6, price_eur_per_kwh=0.105, days="weekday"),
            TariffWindow(from_hour=0, to_hour=24, price_eur_per_kwh=0.105, days="weekend"),
        ),
        feed_in_eur_per_kwh=0.04,
        spot_eur_per_kwh={"winter": 0.055, "spring": 0.042, "summer": 0.022, "autumn": 0.018},
        grid_and_taxes_eur_per_kwh=0.055,
        vat=0.25,
        marketing_eur_per_kwh=0.01,
        co2_g_per_kwh=10,
    ),
    sources={
        "climate": _CLIMATE,
        "irradiation": "order of SMHI, Meteorologi 84 (normals 1961-90, global irradiation), Luleå, rounded",
        "consumption": _HOMES + "; winters by electric heat",
        "equipment": "typical of Swedish detached houses",
        "time of use": "of the kind of a time-of-use grid tariff with energy tax and VAT in northern Sweden",
        "dynamic": _SPOT + "SE1",
        "co2": _CO2,
    },
)

PLACES: dict[str, Place] = {place.key: place for place in (LORIENT, SEVILLE, MUNICH, LULEA)}
"""All places by their key."""

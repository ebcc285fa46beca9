"""Who is in a community of the reference set: one line of members, of which a size takes the first so many.

A community of ten so has the four members of that of four, with the same days: sizes differ in their members
alone. What a member has is drawn once for a place, around what is typical there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.configuration import derive_seed
from runtime.dataset.places import Place, Season
from runtime.devices import Battery
from runtime.scenario.series import BdewProfile, BdewSeries

MODULE_EFFICIENCY = 0.20
"""Of the modules at standard conditions: 0.2 kWp for a square metre."""

PERFORMANCE_RATIO = 0.86
"""Of the whole array over its modules: losses of 14 %, PVGIS's default."""

FLAT_SHARE = 0.6
"""Consumption of a flat over that of a house."""


@dataclass(frozen=True)
class Role:
    """A member's part in the community; sizes of homes are shares of what is typical of the place.

    Attributes:
        name: of the member.
        kind: what it is, for people.
        profile: BDEW standard load profile; None for a pure producer.
        homes: how many houses it is as much as; 0 where ``annual_kwh`` says it.
        annual_kwh: consumption of a year of what is no home [kWh].
        home_pv: array over that typical of a house.
        pv_kwp: array of what is no home [kWp].
        home_battery: battery over that typical of a house.
        battery_kwh: battery of what is no home [kWh].
    """

    name: str
    kind: str
    profile: BdewProfile | None
    homes: float = 0.0
    annual_kwh: float = 0.0
    home_pv: float = 0.0
    pv_kwp: float = 0.0
    home_battery: float = 0.0
    battery_kwh: float = 0.0


def _house(number: int, homes: float = 1.0, pv: float = 0.0, battery: float = 0.0) -> Role:
    return Role(f"house-{number}", "house", "H0", homes=homes, home_pv=pv, home_battery=battery)


ROLES: tuple[Role, ...] = (
    _house(1, pv=1.0, battery=1.0),
    _house(2, pv=1.2),
    _house(3, homes=0.8),
    Role("shop", "shop", "G4", annual_kwh=14_000),
    _house(4, homes=1.1, battery=1.0),
    _house(5, homes=1.4, pv=1.6, battery=1.3),
    Role("flats-1", "apartment building", "H0", homes=8 * FLAT_SHARE),
    Role("school", "school", "G1", annual_kwh=50_000, pv_kwp=40),
    Role("office", "office", "G1", annual_kwh=30_000, pv_kwp=18, battery_kwh=20),
    Role("bakery", "bakery", "G5", annual_kwh=30_000),
    _house(6, pv=1.0),
    _house(7, homes=0.9),
    _house(8, pv=1.1, battery=1.0),
    _house(9, homes=1.2),
    Role("farm", "farm", "L0", annual_kwh=24_000, pv_kwp=40),
    _house(10, homes=0.7, pv=0.8),
    _house(11),
    Role("town-hall", "town hall", "G0", annual_kwh=45_000, pv_kwp=25, battery_kwh=30),
    _house(12, homes=1.1, pv=1.2, battery=1.2),
    _house(13, homes=0.8),
    Role("sports-hall", "sports hall", "G2", annual_kwh=38_000, pv_kwp=30),
    _house(14, pv=1.0),
    Role("flats-2", "apartment building", "H0", homes=12 * FLAT_SHARE),
    Role("restaurant", "restaurant", "G2", annual_kwh=28_000),
    Role("solar-shed", "solar roof", None, pv_kwp=35),
)
"""All that a community may have, in the order in which sizes take them."""

SMALLEST, LARGEST = 2, len(ROLES)
"""Least and most members of a community."""


@dataclass(frozen=True)
class Equipped:
    """A member of a place, with what was drawn for it.

    Attributes:
        role: its part.
        annual_kwh: consumption of a year before the season's factor [kWh]; 0 for a pure producer.
        pv_kwp: its array [kWp]; 0 for none.
        battery: its battery, or None.
    """

    role: Role
    annual_kwh: float
    pv_kwp: float
    battery: Battery | None

    @property
    def area_m2(self) -> float:
        """Surface of the array [m²]."""
        return round(self.pv_kwp / MODULE_EFFICIENCY, 2)

    @property
    def efficiency(self) -> float:
        """Of the array as a whole."""
        return round(MODULE_EFFICIENCY * PERFORMANCE_RATIO, 4)

    def load(self, place: Place, season: Season) -> BdewSeries | None:
        """The model of its consumption in a season; None for a pure producer."""
        if self.role.profile is None:
            return None
        home = self.role.homes > 0
        return BdewSeries(
            model="bdew",
            profile=self.role.profile,
            annual_kwh=self.annual_kwh * (place.season_factor[season] if home else 1.0),
            country=place.country,
            appliances=home,
            noise=0.0 if home else 0.06,
        )


def equip(place: Place, seed: int) -> list[Equipped]:
    """Draw what each member of a place has, the same for every season, size and tariff world.

    Args:
        place: whose customs count.
        seed: the set's.
    """
    return [_equip(role, place, derive_seed(seed, "member", place.key, role.name)) for role in ROLES]


def _equip(role: Role, place: Place, seed: int) -> Equipped:
    rng = np.random.default_rng(seed)
    use, array, store = (float(factor) for factor in rng.uniform(0.75, 1.3, 3))
    annual_kwh = round((role.homes * place.home_kwh or role.annual_kwh) * use, -1)
    pv_kwp = round((role.home_pv * place.home_pv_kwp or role.pv_kwp) * array, 1)
    capacity_kwh = round((role.home_battery * place.home_battery_kwh or role.battery_kwh) * store, 1)
    battery = None
    if capacity_kwh > 0:
        battery = Battery(
            capacity_kwh=capacity_kwh,
            soc_min=0.1,
            soc_max=0.95,
            soc_start=0.5,
            soc_end_min=0.5,
            charge_efficiency=0.96,
            discharge_efficiency=0.96,
            charge_limit_kw=round(capacity_kwh / 2, 2),
            discharge_limit_kw=round(capacity_kwh / 2, 2),
        )
    return Equipped(role=role, annual_kwh=annual_kwh, pv_kwp=pv_kwp, battery=battery)

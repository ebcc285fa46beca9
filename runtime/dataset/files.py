"""The files of one community of the reference set, as text: plain CSV, and a scenario that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np

from runtime.conventions import FloatArray
from runtime.dataset.members import Equipped
from runtime.dataset.places import Place, Season
from runtime.dataset.tariffs import DECIMALS, Prices, TariffWorld

TIME = "slot_start_utc"

ENERGY_DECIMALS, IRRADIANCE_DECIMALS = 6, 2
"""Kept of an energy [kWh] and of an irradiance [W/m²]: more than platforms differ by."""

UNITS = {
    "load.csv": "kWh consumed in each slot, one column a member; pure producers have none",
    "irradiance.csv": "W/m², global horizontal irradiance, mean over each slot, the same for all members",
    "production.csv": "kWh produced in each slot, one column a member with an array: irradiance times area "
    "times efficiency, as scenario.toml has them",
    "tariff.csv": "EUR/kWh, what the grid asks (import) and pays (export), taxes included",
}
"""What the columns of each file are in."""


def load_column(member: str) -> str:
    """Header of a member's column."""
    return f"{member} [kWh]"


def csv_text(starts: Sequence[datetime], columns: dict[str, FloatArray], decimals: int) -> str:
    """A table of numbers by slot.

    Args:
        starts: starts of the slots, zone-aware.
        columns: header to values, each of shape (slots,).
        decimals: places after the point, always all of them.
    """
    lines = [",".join([TIME, *columns])]
    for row, start in enumerate(starts):
        stamp = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(",".join([stamp, *(f"{values[row]:.{decimals}f}" for values in columns.values())]))
    return "\n".join(lines) + "\n"


def production_kwh(member: Equipped, ghi_w_per_m2: FloatArray, slot_hours: float) -> FloatArray:
    """Energy of a member's array in each slot (eq. 4) [kWh], shape (slots,)."""
    produced: FloatArray = ghi_w_per_m2 * member.area_m2 * member.efficiency / 1000.0 * slot_hours
    return produced


def community_files(
    place: Place,
    season: Season,
    world: TariffWorld,
    days: Sequence[date],
    slot_minutes: int,
    members: Sequence[Equipped],
    series: CommunitySeries,
    seed: int,
) -> dict[str, str]:
    """All files of a community by their name.

    Args:
        place: where it is.
        season: of its days.
        world: its tariffs.
        days: local dates, each a session.
        slot_minutes: length of a slot [min].
        members: who is in it.
        series: the numbers of all members of the place, at least.
        seed: of a run of it.
    """
    loads = {
        load_column(member.role.name): series.load_kwh[member.role.name]
        for member in members
        if member.role.profile is not None
    }
    arrays = {
        load_column(member.role.name): production_kwh(member, series.ghi_w_per_m2, slot_minutes / 60)
        for member in members
        if member.pv_kwp > 0
    }
    prices = series.prices[world]
    return {
        "scenario.toml": scenario_text(place, season, world, days, slot_minutes, members, seed),
        "load.csv": csv_text(series.starts, loads, ENERGY_DECIMALS),
        "irradiance.csv": csv_text(
            series.starts, {"irradiance [W/m2]": series.ghi_w_per_m2}, IRRADIANCE_DECIMALS
        ),
        "production.csv": csv_text(series.starts, arrays, ENERGY_DECIMALS),
        "tariff.csv": csv_text(
            series.starts,
            {
                "import [EUR/kWh]": prices.import_eur_per_kwh,
                "export [EUR/kWh]": prices.export_eur_per_kwh,
            },
            DECIMALS,
        ),
    }


class CommunitySeries:
    """The numbers of a place and season, all sessions one after the other.

    Attributes:
        starts: starts of the slots, UTC.
        load_kwh: by member, shape (slots,) [kWh].
        ghi_w_per_m2: shape (slots,) [W/m²].
        prices: by tariff world.
    """

    def __init__(
        self,
        starts: list[datetime],
        load_kwh: dict[str, FloatArray],
        ghi_w_per_m2: FloatArray,
        prices: dict[TariffWorld, Prices],
    ) -> None:
        """Round what is kept, so that files and what is derived from them agree."""
        self.starts = starts
        self.load_kwh = load_kwh
        self.ghi_w_per_m2 = np.round(ghi_w_per_m2, IRRADIANCE_DECIMALS) + 0.0
        self.prices = prices


def community_name(place: Place, season: Season, size: int, world: TariffWorld) -> str:
    """What people call a community."""
    return f"{place.name}, {season}, {size} members, {world.replace('-', ' ')}"


def scenario_text(
    place: Place,
    season: Season,
    world: TariffWorld,
    days: Sequence[date],
    slot_minutes: int,
    members: Sequence[Equipped],
    seed: int,
) -> str:
    """The scenario in TOML, reading the files beside it."""
    name = community_name(place, season, len(members), world)
    lines = [
        f"# {name}: an invented community of the {place.climate} climate.",
        "# Run it with `peerwatt run` and this file; the mechanism may be any that is installed.",
        "",
        f"seed = {seed}",
        "",
        "[community]",
        f'name = "{name}"',
        "",
        "[horizon]",
        f"start = [{', '.join(day.isoformat() for day in days)}]",
        f'zone = "{place.zone}"',
        f"slot_minutes = {slot_minutes}",
        "",
        "[tariff]",
        f"import = {_file('tariff.csv', 'import [EUR/kWh]', 'EUR/kWh')}",
        f"export = {_file('tariff.csv', 'export [EUR/kWh]', 'EUR/kWh')}",
        "",
        "[grid]",
        f"co2_intensity = {place.prices.co2_g_per_kwh}",
        "",
        "[irradiance]",
        'file = "irradiance.csv"',
        'column = "irradiance [W/m2]"',
        'unit = "W/m2"',
        f'time = "{TIME}"',
    ]
    for member in members:
        lines += ["", "[[member]]", f'name = "{member.role.name}"', f'kind = "{member.role.kind}"']
        if member.role.profile is not None:
            lines.append(f"load = {_file('load.csv', load_column(member.role.name), 'kWh')}")
        if member.pv_kwp > 0:
            lines.append(
                f"pv = {{ area_m2 = {member.area_m2}, efficiency = {member.efficiency} }}"
                f"  # {member.pv_kwp} kWp"
            )
        if member.battery is not None:
            battery = member.battery.model_dump(exclude_defaults=False, exclude_none=True)
            pairs = ", ".join(f"{key} = {value}" for key, value in battery.items())
            lines.append(f"battery = {{ {pairs} }}")
    return "\n".join(lines) + "\n"


def _file(name: str, column: str, unit: str) -> str:
    return f'{{ file = "{name}", column = "{column}", unit = "{unit}", time = "{TIME}" }}'

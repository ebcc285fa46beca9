"""Makes a reference set: the same choice and seed give the same bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from runtime.configuration import derive_seed
from runtime.conventions import energy_kwh, local_day_minutes, local_midnight
from runtime.dataset.choice import Choice
from runtime.dataset.files import ENERGY_DECIMALS, UNITS, CommunitySeries, community_files
from runtime.dataset.manifest import MANIFEST, NAME, VERSION, Community, Manifest, file_entry, manifest_text
from runtime.dataset.members import Equipped, equip
from runtime.dataset.places import PLACES, SEASON_DAYS, Place, Season
from runtime.dataset.tariffs import TariffWorld, prices_of
from runtime.dataset.texts import CONVENTIONS, INVENTED, LIBRARIES, LICENCE, LICENCE_TEXT, MODELS, readme_text
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.series import IrradianceSeries

SLOT_MINUTES = 15
"""Length of a slot: that of European balancing and day-ahead markets."""

DEFAULT_SEED = 2
"""Of the first sixty seeds the one whose days' irradiation is nearest to the seasons' means at all places."""


def make_dataset(
    folder: Path, choice: Choice, seed: int, on_made: Callable[[str], None] = lambda key: None
) -> Manifest:
    """Make a set in a new folder, which appears whole or not at all.

    Args:
        folder: where; must not exist yet.
        choice: which communities.
        seed: of all that is random, 0 to 2**53 - 1.
        on_made: told the key of every community made.

    Returns:
        The manifest.

    Raises:
        InputError: the folder is there already or cannot be made; a seed out of bounds.
    """
    if not 0 <= seed < 2**53:
        raise InputError(f"--seed: found {seed}, expected 0 to {2**53 - 1}")
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder}: is there already; a set is never written over, name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        manifest = _fill(temporary, choice, seed, on_made)
        temporary.chmod(0o755)
        if folder.exists():
            raise InputError(f"{folder}: was made by somebody else meanwhile; name a new folder")
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _fill(folder: Path, choice: Choice, seed: int, on_made: Callable[[str], None]) -> Manifest:
    communities = []
    for place in (PLACES[key] for key in choice.places):
        members = equip(place, seed)[: max(choice.sizes)]
        for season in choice.seasons:
            days = [SEASON_DAYS[season] + timedelta(days=number) for number in range(choice.days)]
            series = series_of(place, season, days, members, choice.tariffs, seed)
            for size in choice.sizes:
                for world in choice.tariffs:
                    key = f"{place.key}-{season}-{size:02d}-{world}"
                    files = community_files(
                        place,
                        season,
                        world,
                        days,
                        SLOT_MINUTES,
                        members[:size],
                        series,
                        derive_seed(seed, "run", key),
                    )
                    communities.append(_write(folder, key, place, season, world, days, members[:size], files))
                    on_made(key)
    manifest = Manifest(
        name=NAME,
        version=VERSION,
        generator="peerwatt dataset make",
        generator_version=version("peerwatt"),
        seed=seed,
        licence=LICENCE,
        conventions=list(CONVENTIONS),
        units=UNITS,
        invented=list(INVENTED),
        models=MODELS,
        libraries={name: {"version": version(name), **facts} for name, facts in LIBRARIES.items()},
        places=[PLACES[key] for key in choice.places],
        communities=communities,
        files=[],
    )
    (folder / "LICENSE").write_text(LICENCE_TEXT, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(manifest), encoding="utf-8")
    own = [file_entry(folder, folder / name) for name in ("LICENSE", "README.md")]
    manifest = manifest.model_copy(update={"files": own})
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    return manifest


def _write(
    folder: Path,
    key: str,
    place: Place,
    season: Season,
    world: TariffWorld,
    days: list[date],
    members: list[Equipped],
    files: dict[str, str],
) -> Community:
    own = folder / "communities" / key
    own.mkdir(parents=True)
    for name, text in files.items():
        (own / name).write_text(text, encoding="utf-8")
    return Community(
        key=key,
        folder=f"communities/{key}",
        place=place.key,
        climate=place.climate,
        season=season,
        size=len(members),
        tariff=world,
        days=[day.isoformat() for day in days],
        zone=place.zone,
        slot_minutes=SLOT_MINUTES,
        members=[member.role.name for member in members],
        files=[file_entry(folder, own / name) for name in sorted(files)],
    )


def series_of(
    place: Place,
    season: Season,
    days: list[date],
    members: list[Equipped],
    worlds: tuple[TariffWorld, ...],
    seed: int,
) -> CommunitySeries:
    """The numbers of a place and season: one sky, one price, and each member's own days.

    Args:
        place: the place.
        season: of the days.
        days: local dates in order, each a session.
        members: whose consumption is made.
        worlds: which tariffs.
        seed: the set's.
    """
    from runtime.scenario.models.consumption import consumption_kw
    from runtime.scenario.models.irradiance import irradiance_w_per_m2

    horizons = [_day(place, day) for day in days]
    own = derive_seed(seed, "series", place.key)
    sky = IrradianceSeries(
        model="irradiance",
        latitude_deg=place.latitude_deg,
        longitude_deg=place.longitude_deg,
        altitude_m=place.altitude_m,
        clearness_shift=place.clearness_shift,
        season_shift=place.season_shift,
    )
    load_kwh = {}
    for member in members:
        load = member.load(place, season)
        if load is not None:
            sessions = [
                energy_kwh(consumption_kw(load, horizon, own, member.role.name), horizon.slot_hours)
                for horizon in horizons
            ]
            load_kwh[member.role.name] = np.concatenate(sessions).round(ENERGY_DECIMALS)
    prices = {}
    for world in worlds:
        of_days = [prices_of(place, season, world, horizon, seed) for horizon in horizons]
        prices[world] = of_days[0].joined(of_days[1:])
    return CommunitySeries(
        starts=[start for horizon in horizons for start in horizon.slot_starts()],
        load_kwh=load_kwh,
        ghi_w_per_m2=np.concatenate([irradiance_w_per_m2(sky, horizon, own, "sky") for horizon in horizons]),
        prices=prices,
    )


def _day(place: Place, day: date) -> Horizon:
    zone = ZoneInfo(place.zone)
    return Horizon(
        start=local_midnight(day, zone),
        zone=place.zone,
        slot_minutes=SLOT_MINUTES,
        slots=local_day_minutes(day, zone) // SLOT_MINUTES,
    )

"""From a scenario to its numbers: arrays per member and session, and tariffs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np

from runtime.communities import parted
from runtime.configuration import (
    ForecastMethod,
    MemberHistory,
    Setting,
)
from runtime.conventions import FloatArray
from runtime.errors import InputError
from runtime.mechanisms import check_mechanism, has_two_communities
from runtime.scenario.arrays import SeriesResolver
from runtime.scenario.device_kinds import check_device_kinds
from runtime.scenario.generated import generate_series
from runtime.scenario.history import forecasting, member_history
from runtime.scenario.load import BUILTIN, find_scenario, parse_scenario, read_scenario
from runtime.scenario.model import Member
from runtime.scenario.resolved import MemberSeries, ResolvedScenario
from runtime.scenario.when import SessionSpan


def resolve(
    scenario: str | Path,
    data: Path | None = None,
    setting: str | None = None,
    forecast: tuple[str, ForecastMethod | None] | None = None,
    start: str | None = None,
) -> ResolvedScenario:
    """Read a scenario and all its series.

    Args:
        scenario: path of a TOML file, or the name of a built-in scenario.
        data: folder that relative paths of series start from; without it, the scenario's own folder.
        setting: instead of the one the scenario names.
        forecast: a member that forecasts, whatever the scenario says, and how; None: as the scenario says,
            or by similar days where the scenario says perfect.
        start: of the horizon, instead of the one the scenario says: a local date-time, or ``now``.

    Raises:
        InputError: anything that a person wrote or named and that will not do.
    """
    path = find_scenario(scenario)
    content = read_scenario(path)
    parsed = parse_scenario(content, str(path), start)
    if forecast is not None:
        parsed = forecasting(parsed, *forecast)
    if setting is not None and setting not in get_args(Setting):
        raise InputError(f"setting: found {setting!r}, expected one of {', '.join(get_args(Setting))}")
    if data is not None and not data.is_dir():
        raise InputError(f"--data: found no folder {data}, expected the one with the scenario's series")
    check_mechanism(parsed.mechanism.name, parsed.mechanism.parameters, str(path))
    check_device_kinds(parsed, str(path))
    if (setting or parsed.setting) == "community" and has_two_communities(parsed.mechanism.name):
        try:
            parted({member.name: member.community for member in parsed.members})
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    if parsed.horizon.replan_every_slots is not None and has_two_communities(parsed.mechanism.name):
        raise InputError(
            f"{path}: mechanism: found {parsed.mechanism.name!r} beside horizon.replan_every_slots, expected "
            "one of a single community: two plan the same slots, and operate all of them"
        )
    spans = parsed.horizon.spans()
    stretches = parsed.horizon.stretches()
    resolver = SeriesResolver(
        source=str(path),
        folder=data if data is not None else path.parent,
        hint=_hint(path, data),
        horizons=stretches,
        seed=parsed.seed,
        generate=generate_series,
    )
    import_price = resolver.resolve_prices(parsed.tariff.import_price, "tariff.import")
    export_price = resolver.resolve_prices(parsed.tariff.export_price, "tariff.export")
    co2_intensity = resolver.resolve_intensity(parsed.grid.co2_intensity, "grid.co2_intensity")
    sky: list[FloatArray | None] | None = None
    if parsed.irradiance is not None:
        sky = [*resolver.resolve(parsed.irradiance, "irradiance", "irradiance", label="sky")]
    series = {
        member.name: _member_series(resolver, member, place, sky)
        for place, member in enumerate(parsed.members, start=1)
    }
    forecasts = {
        member.name: found
        for place, member in enumerate(parsed.members, start=1)
        if (found := member_history(parsed, resolver, member, place)) is not None
    }
    return ResolvedScenario(
        name=path.stem,
        content=content,
        scenario=parsed,
        setting=parsed.setting if setting is None else setting,  # type: ignore[arg-type]  # checked above
        horizons=[span.horizon for span in spans],
        series={
            name: [part.of(span) for part, span in _by_span(parts, spans)] for name, parts in series.items()
        },
        import_price_eur_per_kwh=[_cut(part, span) for part, span in _by_span(import_price, spans)],
        export_price_eur_per_kwh=[_cut(part, span) for part, span in _by_span(export_price, spans)],
        provenance=resolver.provenance,
        folder=resolver.folder,
        forecasts={name: (how, _first_of_each(past, spans)) for name, (how, past) in forecasts.items()},
        co2_intensity_g_per_kwh=(
            None
            if co2_intensity is None
            else [_cut(part, span) for part, span in _by_span(co2_intensity, spans)]
        ),
        spans=spans if any(span.operated_slots or span.continues for span in spans) else [],
    )


T = TypeVar("T")


def _by_span(parts: Sequence[T], spans: Sequence[SessionSpan]) -> list[tuple[T, SessionSpan]]:
    """Each session with what was resolved for the stretch of time that it is in."""
    return [(parts[span.stretch], span) for span in spans]


def _cut(values: list[T], span: SessionSpan) -> list[T]:
    """A session's part of a stretch's values."""
    return values[span.offset : span.offset + span.horizon.slots]


def _first_of_each(past: list[MemberHistory], spans: Sequence[SessionSpan]) -> list[MemberHistory | None]:
    """Histories by session: of each stretch its first has one, and those after it go on from there."""
    return [past[span.stretch] if span.offset == 0 else None for span in spans]


def _hint(path: Path, data: Path | None) -> str:
    if data is not None:
        return "; relative paths start from the folder given by --data"
    if path.parent == BUILTIN:
        return (
            f"; the series of {path.stem!r} do not come with the software: "
            "name the folder that holds them with --data"
        )
    return "; relative paths start from the scenario's folder, or from the one given by --data"


def _member_series(
    resolver: SeriesResolver, member: Member, place: int, sky: list[FloatArray | None] | None
) -> list[MemberSeries]:
    where = f'member[{place}] "{member.name}"'
    nothing: list[FloatArray | None] = [None] * len(resolver.horizons)
    load: list[FloatArray | None] = nothing
    irradiance: list[FloatArray | None] = nothing
    production: list[FloatArray | None] = nothing
    if member.load is not None:
        load = [*resolver.resolve(member.load, "energy", f"{where} load", label=f"{member.name}/load")]
    elif member.pv is None:
        load = [np.zeros(horizon.slots) for horizon in resolver.horizons]
    if member.pv is not None:
        own = member.pv.irradiance
        if member.pv.production is not None:
            production = [
                *resolver.resolve(
                    member.pv.production, "energy", f"{where} pv.production", label=f"{member.name}/pv"
                )
            ]
        elif own is not None:
            irradiance = [*resolver.resolve(own, "irradiance", f"{where} pv.irradiance", label="sky")]
        elif sky is not None:
            irradiance = sky
    return [MemberSeries(*arrays) for arrays in zip(load, irradiance, production, strict=True)]

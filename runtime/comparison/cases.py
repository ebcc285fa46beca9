"""Which runs a comparison is made of: a community under other mechanisms, settings, days, sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from runtime.configuration import GRID_ONLY, Setting
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.mechanisms import check_mechanism, load_mechanism, mechanism_names
from runtime.scenario.model import Mechanism, Member
from runtime.scenario.resolved import MemberSeries, ResolvedScenario

T = TypeVar("T")

ALONE: tuple[tuple[Setting, str], ...] = (
    ("pv-only", "alone, PV only"),
    ("pv-battery-rule", "alone, battery by rule"),
    ("pv-battery-optimised", "alone, battery optimised"),
)
"""The paper's three scenarios, which every comparison starts from."""

FAMILIES = ("community", "auction", "decentralised", "hybrid", "coordinated", "none")
"""Kinds of market, in the order in which they are shown."""

SweepKind = Literal["battery", "pv", "members"]


@dataclass(frozen=True, eq=False)
class Case:
    """One run of a comparison.

    Attributes:
        key: names its folder.
        setting: how members live.
        mechanism: name of the market mechanism; None where everybody is alone.
        resolved: the scenario as this run has it.
        sweep: what was varied and to what; None in the comparison itself.
    """

    key: str
    setting: Setting
    mechanism: str | None
    resolved: ResolvedScenario
    sweep: tuple[SweepKind, float] | None = None


def comparable_mechanisms() -> list[str]:
    """Mechanisms that a community can be compared under: all that are installed but the grid alone."""
    names = [name for name in mechanism_names() if name != GRID_ONLY]
    return sorted(names, key=lambda name: FAMILIES.index(load_mechanism(name).family))


def comparison_cases(resolved: ResolvedScenario, mechanisms: Sequence[str] | None) -> list[Case]:
    """The paper's three scenarios, and the community under each mechanism.

    Args:
        resolved: the scenario; its own mechanism keeps its parameters, the others have theirs by default.
        mechanisms: names; None for all that are installed.

    Raises:
        InputError: no such mechanism, or one named twice.
    """
    names = list(mechanisms) if mechanisms is not None else comparable_mechanisms()
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--mechanisms: found {name!r} twice, expected each once")
        check_mechanism(name, {}, "--mechanisms")
    alone = [Case(setting, setting, None, replace(resolved, setting=setting)) for setting, _ in ALONE]
    return alone + [market_case(name, resolved, name) for name in names]


def market_case(
    key: str, resolved: ResolvedScenario, mechanism: str, sweep: tuple[SweepKind, float] | None = None
) -> Case:
    """The community under a mechanism."""
    own = resolved.scenario.mechanism
    parameters: dict[str, Any] = own.parameters if own.name == mechanism else {}
    scenario = resolved.scenario.model_copy(
        update={"mechanism": Mechanism(name=mechanism, parameters=parameters), "setting": "community"}
    )
    return Case(key, "community", mechanism, replace(resolved, scenario=scenario, setting="community"), sweep)


def choose_days(resolved: ResolvedScenario, days: Sequence[str]) -> ResolvedScenario:
    """The scenario with some of its sessions only.

    Args:
        resolved: the scenario.
        days: dates on which sessions begin (local, YYYY-MM-DD), or one number: that many from the first.

    Raises:
        InputError: no session begins on a date, or there are not as many.
    """
    if resolved.spans:
        raise InputError(
            "--days: found beside horizon.replan_every_slots or horizon.carry_over, expected neither: "
            "sessions go on from the one before"
        )
    starts = [f"{horizon.local(0):%Y-%m-%d}" for horizon in resolved.horizons]
    if len(days) == 1 and days[0].isdigit():
        count = int(days[0])
        if not 1 <= count <= len(starts):
            raise InputError(f"--days: found {count}, expected 1 to {len(starts)}: {', '.join(starts)}")
        kept = list(range(count))
    else:
        unknown = [day for day in days if day not in starts]
        if unknown or not days:
            found = ", ".join(unknown) or "none"
            raise InputError(f"--days: found {found}, expected a number or some of: {', '.join(starts)}")
        kept = [number for number, start in enumerate(starts) if start in days]

    def of(rows: Sequence[T]) -> list[T]:
        return [rows[number] for number in kept]

    return replace(
        resolved,
        horizons=of(resolved.horizons),
        series={member: of(series) for member, series in resolved.series.items()},
        import_price_eur_per_kwh=of(resolved.import_price_eur_per_kwh),
        export_price_eur_per_kwh=of(resolved.export_price_eur_per_kwh),
        forecasts={member: (how, of(past)) for member, (how, past) in resolved.forecasts.items()},
        co2_intensity_g_per_kwh=(
            None if resolved.co2_intensity_g_per_kwh is None else of(resolved.co2_intensity_g_per_kwh)
        ),
    )


# -- sweeps --------------------------------------------------------------------------------------------


def sweep_cases(
    resolved: ResolvedScenario, kind: SweepKind, values: Sequence[float], mechanisms: Sequence[str]
) -> list[Case]:
    """The community with more or less of something, alone and under each mechanism.

    Args:
        resolved: the scenario.
        kind: ``battery`` or ``pv``: times what the scenario has; ``members``: how many, from the first.
        values: what is tried.
        mechanisms: names.

    Raises:
        InputError: a value that will not do.
    """
    make = {"battery": with_batteries, "pv": with_pv, "members": with_members}[kind]
    cases = []
    for value in values:
        varied = make(resolved, value)
        stem = f"{kind}-{value:g}"
        alone = Case(
            f"{stem}-alone",
            "pv-battery-optimised",
            None,
            replace(varied, setting="pv-battery-optimised"),
            (kind, value),
        )
        cases += [alone, *(market_case(f"{stem}-{name}", varied, name, (kind, value)) for name in mechanisms)]
    return cases


def with_batteries(resolved: ResolvedScenario, factor: float) -> ResolvedScenario:
    """Every battery, with its power limits, times a factor; 0 takes them away.

    Raises:
        InputError: a negative factor, or no battery to be varied.
    """
    _check_factor("battery", factor, any(member.battery for member in resolved.scenario.members))

    def vary(member: Member) -> Member:
        battery = member.battery
        if battery is None:
            return member
        scaled: Battery | None = None
        if factor > 0:
            limits = {
                name: None if (limit := getattr(battery, name)) is None else limit * factor
                for name in ("charge_limit_kw", "discharge_limit_kw")
            }
            scaled = battery.model_copy(update={"capacity_kwh": battery.capacity_kwh * factor, **limits})
        return member.model_copy(update={"battery": scaled})

    return _with_each(resolved, vary)


def with_pv(resolved: ResolvedScenario, factor: float) -> ResolvedScenario:
    """All photovoltaics times a factor; 0 leaves them standing dark.

    Raises:
        InputError: a negative factor, or no photovoltaics to be varied.
    """
    _check_factor("pv", factor, any(member.pv for member in resolved.scenario.members))

    def scaled(series: MemberSeries) -> MemberSeries:
        return replace(
            series,
            ghi_w_per_m2=None if series.ghi_w_per_m2 is None else series.ghi_w_per_m2 * factor,
            pv_production_kwh=None if series.pv_production_kwh is None else series.pv_production_kwh * factor,
        )

    if resolved.forecasts:
        raise InputError("--sweep pv: found members that forecast from their history, which says otherwise")
    series = {member: [scaled(each) for each in own] for member, own in resolved.series.items()}
    return replace(resolved, series=series)


def with_members(resolved: ResolvedScenario, count: float) -> ResolvedScenario:
    """The first so many members.

    Raises:
        InputError: not a whole number, or more than there are.
    """
    members = resolved.scenario.members
    if count != int(count) or not 1 <= count <= len(members):
        raise InputError(
            f"--sweep members: found {count:g}, expected a whole number from 1 to {len(members)}"
        )
    kept = members[: int(count)]
    scenario = resolved.scenario.model_copy(update={"members": kept})
    names = {member.name for member in kept}
    return replace(
        resolved,
        scenario=scenario,
        series={name: own for name, own in resolved.series.items() if name in names},
        forecasts={name: own for name, own in resolved.forecasts.items() if name in names},
    )


def _with_each(resolved: ResolvedScenario, vary: Callable[[Member], Member]) -> ResolvedScenario:
    members = [vary(member) for member in resolved.scenario.members]
    return replace(resolved, scenario=resolved.scenario.model_copy(update={"members": members}))


def _check_factor(what: str, factor: float, there: bool) -> None:
    if not 0 <= factor < float("inf"):
        raise InputError(f"--sweep {what}: found {factor:g}, expected 0 or more")
    if not there:
        raise InputError(f"--sweep {what}: the community has none")

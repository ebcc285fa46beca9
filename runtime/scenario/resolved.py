"""A scenario with all its numbers, and what each process of a run is told of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from runtime.communities import CommunityPart, parted
from runtime.configuration import (
    GRID_ONLY,
    SIMULATED_SOURCE,
    CoordinatorConfig,
    CoordinatorSession,
    ForecastMethod,
    MemberConfig,
    MemberHistory,
    MemberSession,
    MeterConfig,
    MeterRole,
    MetersConfig,
    Setting,
    derive_seed,
    strategy_in,
)
from runtime.conventions import FloatArray, exact_price
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.mechanisms import has_two_communities
from runtime.preferences import PlanningWishes
from runtime.rundir import COORDINATOR
from runtime.scenario.flexible import FlexibleLoads, flexible_loads
from runtime.scenario.model import Member, Scenario
from runtime.scenario.rolling_loads import loads_of_sessions
from runtime.scenario.when import SessionSpan
from runtime.setpoints import SetpointTable


@dataclass(frozen=True, eq=False)
class MemberSeries:
    """One member's physical inputs in one session; arrays of shape (slots,).

    Attributes:
        load_kwh: consumption per slot [kWh], or None.
        ghi_w_per_m2: irradiance on its array [W/m²], or None.
        pv_production_kwh: production per slot [kWh] where given as such, or None.
    """

    load_kwh: FloatArray | None
    ghi_w_per_m2: FloatArray | None
    pv_production_kwh: FloatArray | None

    def of(self, span: SessionSpan) -> MemberSeries:
        """A session's part of a stretch's series."""
        return self._cut(span.offset, span.offset + span.horizon.slots)

    def first(self, slots: int) -> MemberSeries:
        """The first slots."""
        return self._cut(0, slots)

    def _cut(self, first: int, last: int) -> MemberSeries:
        arrays = (self.load_kwh, self.ghi_w_per_m2, self.pv_production_kwh)
        return MemberSeries(*(None if array is None else array[first:last] for array in arrays))


@dataclass(frozen=True, eq=False)
class ResolvedScenario:
    """A scenario with all its numbers.

    Attributes:
        name: the scenario's short name (of its file, or built-in).
        content: the TOML as read.
        scenario: what it says.
        setting: as said there, or as overridden.
        horizons: one per session.
        series: by member, one entry per session.
        import_price_eur_per_kwh: by session and slot, exact.
        export_price_eur_per_kwh: by session and slot, exact.
        provenance: where each series came from.
        folder: where relative paths in it start from.
        forecasts: by member that forecasts: how, and its metered past before each session; None
            where it goes on from the session before.
        co2_intensity_g_per_kwh: by session and slot; None if the scenario does not say.
        spans: by session, which of its slots are operated, and what it goes on from; empty where sessions
            are on their own and operate all of their horizon.
    """

    name: str
    content: bytes
    scenario: Scenario
    setting: Setting
    horizons: list[Horizon]
    series: dict[str, list[MemberSeries]]
    import_price_eur_per_kwh: list[list[Decimal]]
    export_price_eur_per_kwh: list[list[Decimal]]
    provenance: list[dict[str, Any]]
    folder: Path
    forecasts: dict[str, tuple[ForecastMethod, list[MemberHistory | None]]] = field(default_factory=dict)
    co2_intensity_g_per_kwh: list[list[float]] | None = None
    spans: list[SessionSpan] = field(default_factory=list)

    @property
    def operated_horizons(self) -> list[Horizon]:
        """By session, the slots operated."""
        return [h.first(slots) for h, (slots, _) in zip(self.horizons, self._operated(), strict=True)]

    @property
    def members(self) -> list[str]:
        """Names of the members, in the scenario's order."""
        return [member.name for member in self.scenario.members]

    @property
    def sha256(self) -> str:
        """Digest of the TOML as read."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def grid_terms(self) -> GridTerms:
        """What the grid asks beside its tariffs; fee and limit are a community's, not of members alone."""
        demand_charge = exact_price(self.scenario.tariff.demand_charge_eur_per_kw)
        if self.setting != "community":
            return GridTerms(demand_charge_eur_per_kw=demand_charge)
        grid = self.scenario.grid
        takes_kw, gives_kw = (
            None if limit_kw is None else exact_price(limit_kw)
            for limit_kw in (grid.import_limit_kw, grid.export_limit_kw)
        )
        return GridTerms(
            local_fee_eur_per_kwh=exact_price(grid.local_fee_eur_per_kwh),
            import_limit_kw=takes_kw,
            export_limit_kw=gives_kw,
            excess_price_eur_per_kwh=exact_price(grid.charge_above_limit_eur_per_kwh),
            demand_charge_eur_per_kw=demand_charge,
        )

    def suspended_slots(self) -> list[list[int]]:
        """By session, the slots without local trade: what it spares does not cover the local fee."""
        fee = self.grid_terms.local_fee_eur_per_kwh
        return [
            [slot for slot, (ask, pay) in enumerate(zip(asks, pays, strict=True)) if ask - pay < fee]
            for asks, pays in zip(self.import_price_eur_per_kwh, self.export_price_eur_per_kwh, strict=True)
        ]

    def export_above_import_slots(self) -> list[list[int]]:
        """By session, the slots in which the grid pays more for energy than it asks."""
        return [
            [slot for slot, (ask, pay) in enumerate(zip(asks, pays, strict=True)) if pay > ask]
            for asks, pays in zip(self.import_price_eur_per_kwh, self.export_price_eur_per_kwh, strict=True)
        ]

    def communities(self) -> list[CommunityPart]:
        """The two communities that the mechanism has the members in; none where it has one.

        Raises:
            InputError: as ``runtime.communities.parted``.
        """
        name = self.scenario.mechanism.name
        if self.setting != "community" or not has_two_communities(name):
            return []
        return parted({member.name: member.community for member in self.scenario.members})

    def member_config(self, name: str) -> MemberConfig:
        """What the prosumer process of a member is told."""
        member = self._member(name)
        coordinators = [part.coordinator for part in self.communities() if name in part.members]
        return MemberConfig(
            name=name,
            kind=member.kind,
            strategy=strategy_in(self.setting, member.strategy),
            trades=self.setting == "community",
            battery=None if self.setting == "pv-only" else member.battery,
            pv=member.pv.array if member.pv else None,
            seed=derive_seed(self.scenario.seed, "member", name),
            timing=self.scenario.timing,
            clock=self.scenario.clock,
            sessions=self._foreseen(name),
            roles=_roles(member),
            forecast=self.forecasts[name][0] if name in self.forecasts else None,
            preferences=member.preferences,
            planning=member.planning if self.setting != "pv-only" else PlanningWishes(),
            coordinator=coordinators[0] if coordinators else COORDINATOR,
            steered=member.setpoint is not None and self.setting != "pv-only",
        )

    def meters_config(self) -> MetersConfig:
        """What the process of the built-in meters is told."""
        meters = [
            MeterConfig(
                member=member.name,
                roles=_roles(member),
                pv=member.pv.array if member.pv else None,
                noise=max((meter.noise for meter in member.meters), default=0.0),
                seed=derive_seed(self.scenario.seed, "meter", member.name),
                source=_source_from(_usual_source(member), self.folder),
                sources={
                    role: _source_from(meter.source or SIMULATED_SOURCE, self.folder)
                    for meter in member.meters
                    for role in meter.roles or ()
                },
                has_battery=member.battery is not None and self.setting != "pv-only",
                setpoint=_setpoint(member) if self.setting != "pv-only" else None,
                sessions=[
                    _metered(session, operated_slots)
                    for session, (operated_slots, _) in zip(
                        self._sessions(member.name), self._operated(), strict=True
                    )
                ],
            )
            for member in self.scenario.members
        ]
        return MetersConfig(meters=meters, clock=self.scenario.clock)

    def coordinator_config(self) -> CoordinatorConfig:
        """What the coordinator's process is told."""
        market = self.setting == "community"
        unknown: list[list[float] | None] = [None] * len(self.horizons)
        return CoordinatorConfig(
            community=self.scenario.community.name,
            setting=self.setting,
            mechanism=self.scenario.mechanism.name if market else GRID_ONLY,
            parameters=self.scenario.mechanism.parameters if market else {},
            members=self.members,
            timing=self.scenario.timing,
            clock=self.scenario.clock,
            seed=derive_seed(self.scenario.seed, "coordinator"),
            communities=self.communities(),
            sessions=[
                CoordinatorSession(
                    horizon=horizon,
                    operated_slots=operated_slots,
                    continues=continues,
                    import_price_eur_per_kwh=asks,
                    export_price_eur_per_kwh=pays,
                    grid=self.grid_terms,
                    co2_intensity_g_per_kwh=intensity,
                )
                for horizon, (operated_slots, continues), asks, pays, intensity in zip(
                    self.horizons,
                    self._operated(),
                    self.import_price_eur_per_kwh,
                    self.export_price_eur_per_kwh,
                    self.co2_intensity_g_per_kwh or unknown,
                    strict=True,
                )
            ],
        )

    def flexible_loads(self, name: str) -> list[FlexibleLoads]:
        """A member's vehicles and appliances, session by session."""
        member = self._member(name)
        horizon = self.scenario.horizon
        if not self.spans:
            return [flexible_loads(name, member.vehicles, member.appliances, each) for each in self.horizons]
        return loads_of_sessions(name, member.vehicles, member.appliances, horizon.stretches(), self.spans)

    def _member(self, name: str) -> Member:
        return next(member for member in self.scenario.members if member.name == name)

    def _foreseen(self, name: str) -> list[MemberSession]:
        """What a prosumer is told of the sessions: all, or only the past to forecast load and PV from."""
        if name not in self.forecasts:
            sessions = self._sessions(name)
        else:
            pairs = zip(self.horizons, self.forecasts[name][1], strict=True)
            sessions = [MemberSession(horizon=horizon, history=history) for horizon, history in pairs]
        return [
            session.model_copy(
                update={
                    "vehicles": loads.vehicles,
                    "appliances": loads.appliances,
                    "appliance_closes": loads.closes,
                    "operated_slots": operated_slots,
                    "continues": continues,
                }
            )
            for session, loads, (operated_slots, continues) in zip(
                sessions, self.flexible_loads(name), self._operated(), strict=True
            )
        ]

    def _operated(self) -> list[tuple[int | None, bool]]:
        """By session: how many slots are operated (None: all), and whether it goes on from the one before."""
        if not self.spans:
            return [(None, False)] * len(self.horizons)
        return [(span.operated_slots, span.continues) for span in self.spans]

    def _sessions(self, name: str) -> list[MemberSession]:
        return [
            MemberSession(
                horizon=horizon,
                load_kwh=_as_list(series.load_kwh),
                ghi_w_per_m2=_as_list(series.ghi_w_per_m2),
                pv_production_kwh=_as_list(series.pv_production_kwh),
            )
            for horizon, series in zip(self.horizons, self.series[name], strict=True)
        ]


def _metered(session: MemberSession, operated_slots: int | None) -> MemberSession:
    """What meters play of a session: the slots operated."""
    if operated_slots is None:
        return session

    def first(values: list[float] | None) -> list[float] | None:
        return None if values is None else values[:operated_slots]

    return session.model_copy(
        update={
            "horizon": session.horizon.first(operated_slots),
            "load_kwh": first(session.load_kwh),
            "ghi_w_per_m2": first(session.ghi_w_per_m2),
            "pv_production_kwh": first(session.pv_production_kwh),
        }
    )


def _as_list(values: FloatArray | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]


def _roles(member: Member) -> list[MeterRole]:
    """What a member has meters for; one with a battery alone has a load meter, which reads zero.

    Where a meter of the exchange with the grid is declared and none of the load, the load is not read: it is
    what closes the balance.
    """
    declared = {role for meter in member.meters for role in meter.roles or ()}
    roles: list[MeterRole] = []
    if "load" in declared or ("net" not in declared and (member.load is not None or member.pv is None)):
        roles.append("load")
    if member.pv is not None:
        roles.append("pv")
    beside: list[MeterRole] = ["net", "battery"]
    return [*roles, *(role for role in beside if role in declared)]


def _setpoint(member: Member) -> SetpointTable | None:
    """Where a member's set-points are written, with the limits of its battery."""
    if member.setpoint is None or member.battery is None:
        return None
    return member.setpoint.within(member.battery)


def _usual_source(member: Member) -> str:
    """Where the roles that no meter names are read."""
    unnamed = (meter.source for meter in member.meters if meter.roles is None)
    return next(unnamed, None) or SIMULATED_SOURCE


def _source_from(source: str, folder: Path) -> str:
    """A meter's source, the path of a file in it made absolute: meters run in another folder."""
    scheme, _, rest = source.partition(":")
    path, question, parameters = rest.partition("?")
    if scheme != "csv" or not path:
        return source
    return f"csv:{quote(str((folder / unquote(path)).absolute()))}{question}{parameters}"

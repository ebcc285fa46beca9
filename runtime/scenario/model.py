"""A scenario as a person writes it in TOML, checked on its own (files are looked at when resolving)."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from runtime.configuration import ClockConfig, MeterRole, Setting, Strategy, Timing
from runtime.conventions import (
    ENERGY_UNITS,
    INTENSITY_UNITS,
    IRRADIANCE_UNITS,
    PRICE_UNITS,
)
from runtime.devices import Battery
from runtime.horizon import Horizon
from runtime.planners import BUILT_IN
from runtime.preferences import PlanningWishes, TradePreferences
from runtime.rundir import RESERVED_NAMES
from runtime.scenario.flexible import ApplianceTable, VehicleTable
from runtime.scenario.grid import GridTable
from runtime.scenario.photovoltaics import PvTable
from runtime.scenario.rolling_checks import check_end_soc, check_rolling
from runtime.scenario.rolling_loads import loads_of_sessions
from runtime.scenario.series import (
    BdewSeries,
    ConstantSeries,
    FileSeries,
    IrradianceSeries,
    Section,
    Series,
    ValuesSeries,
    check_unit,
)
from runtime.scenario.tariff import Tariff
from runtime.scenario.when import HorizonSection, SessionSpan
from runtime.setpoints import SetpointTable


def _mechanism(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "parameters" not in value:
        return {
            **({"name": value["name"]} if "name" in value else {}),
            "parameters": {key: item for key, item in value.items() if key != "name"},
        }
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"found {value!r}, expected words on one line, without control characters")
    return value


Words = Annotated[str, AfterValidator(_printable)]
"""What people call something: shown on pages, bills and terminals."""


class Community(Section):
    """The community's own table.

    Attributes:
        name: as people call it.
    """

    name: Words = Field(min_length=1, max_length=80)


class Mechanism(Section):
    """The market mechanism; the coordinator knows which there are and checks their parameters.

    Attributes:
        name: of the mechanism.
        parameters: all other keys of the table.
    """

    name: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _finite(self) -> Self:
        for key, value in self.parameters.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{key}: found {value}, expected a finite number")
        return self


class MeterTable(Section):
    """A member's meter.

    Attributes:
        noise: relative standard deviation of a simulated reading.
        source: URL of where readings come from; without it the meter plays the scenario's series.
        roles: what it reads (``load``, ``pv``, ``net``, ``battery``); without it what no other meter reads.
    """

    noise: float = Field(default=0.0, ge=0, le=1)
    source: str | None = Field(default=None, min_length=1)
    roles: list[MeterRole] | None = Field(default=None, min_length=1)


def _meters(value: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
    return [value] if isinstance(value, dict | MeterTable) else value


class HistoryTable(Section):
    """Where a member's metered past comes from; what is left out is taken from the series of the horizon.

    Attributes:
        load: what it consumed.
        pv: what it produced.
        irradiance: global horizontal irradiance on its array, instead of ``pv``.
    """

    load: Series | None = None
    pv: Series | None = None
    irradiance: Series | None = None

    @model_validator(mode="after")
    def _units(self) -> Self:
        for name, series in (("load", self.load), ("pv", self.pv)):
            try:
                check_unit(series, ENERGY_UNITS, "energy")
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        check_unit(self.irradiance, IRRADIANCE_UNITS, "irradiance")
        if self.pv is not None and self.irradiance is not None:
            raise ValueError("found pv beside irradiance, expected one of the two")
        return self


class ForecastTable(Section):
    """How members foresee load and production.

    Attributes:
        method: ``perfect`` (for studies: they know what the meters will read), ``similar-day`` or
            ``boosting``; without it similar-day where there is a history table, else perfect.
        days: days of history before each session; without it 56.
        country: whose public holidays count as Sundays (ISO 3166 code), or ``none``; without it FR.
        history: where the past comes from; for all members only its irradiance.
    """

    method: Literal["perfect", "similar-day", "boosting"] | None = None
    days: int | None = Field(default=None, ge=8, le=400)
    country: str | None = None
    history: HistoryTable | None = None


class Member(Section):
    """One member; all that it may have is optional, but something there must be.

    Attributes:
        name: also the local part of its account.
        kind: house, school, ... (free text).
        load: what it consumes.
        pv: its photovoltaics.
        battery: its battery.
        vehicles: its electric vehicles (written ``[[member.vehicle]]``).
        appliances: its appliances that can wait (written ``[[member.appliance]]``).
        strategy: how it runs battery, vehicles and appliances in a community: ``idle``, ``rule``,
            ``optimised`` or an installed planner; without it, optimised.
        planning: what its plans heed beside their cost: a preference, the battery's ageing.
        meters: its meters (one table ``meter``, or several written ``[[member.meter]]``); what none of them
            reads is played from the scenario's series.
        setpoint: where its battery's set-points are written.
        forecast: how it foresees load and production; what it leaves out is as for all members.
        preferences: what neighbours' energy is worth to it beyond its price, where members bargain.
        community: which of two communities it belongs to, where the mechanism has two.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    kind: Words = Field(default="member", max_length=40)
    load: Series | None = None
    pv: PvTable | None = None
    battery: Battery | None = None
    vehicles: list[VehicleTable] = Field(alias="vehicle", default=[], max_length=20)
    appliances: list[ApplianceTable] = Field(alias="appliance", default=[], max_length=20)
    strategy: Strategy | None = None
    planning: PlanningWishes = PlanningWishes()
    meters: Annotated[list[MeterTable], BeforeValidator(_meters)] = Field(
        alias="meter", default=[], max_length=4
    )
    setpoint: SetpointTable | None = None
    forecast: ForecastTable | None = None
    preferences: TradePreferences = TradePreferences()
    community: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,39}$")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"found {value!r}, which the fleet uses itself; expected another name")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        check_unit(self.load, ENERGY_UNITS, "load")
        if not (self.load or self.pv or self.battery or self.vehicles or self.appliances):
            raise ValueError("found nothing, expected at least one of load, pv, battery, vehicle, appliance")
        self._check_meters()
        if self.setpoint is not None:
            self.setpoint.check_for(self.battery)
        if self.strategy not in (None, *BUILT_IN) and self.planning != PlanningWishes():
            raise ValueError(
                f"planning: found a table beside strategy {self.strategy!r}, expected none: an installed "
                "planner is not told of wishes"
            )
        if self.planning.ageing is not None and self.battery is None:
            raise ValueError("planning.ageing: found a table, expected none without a battery")
        if self.planning.ageing is not None and (self.vehicles or self.appliances):
            raise ValueError(
                "planning.ageing: found a table beside vehicles or appliances, expected one of the two: "
                "ageing is planned for a battery alone"
            )
        return self

    def _check_meters(self) -> None:
        roles = [role for meter in self.meters for role in meter.roles or ()]
        for role in roles:
            if roles.count(role) > 1:
                raise ValueError(f"meter: roles: found {role} twice, expected one meter for it")
            if (role == "pv" and self.pv is None) or (role == "battery" and self.battery is None):
                raise ValueError(f"meter: roles: found {role}, which the member does not have")
        if sum(meter.roles is None for meter in self.meters) > 1:
            raise ValueError("meter: found several without roles, expected at most one, which reads the rest")


class Scenario(Section):
    """A whole scenario.

    Attributes:
        seed: of everything random in a run.
        setting: the community market, or each member alone in one of the paper's three ways.
        mechanism: how the community makes prices.
        community: its name.
        horizon: when.
        tariff: the grid's prices.
        grid: the community's connection, what local trade is charged, and CO₂.
        irradiance: for every member that has an array and no irradiance of its own.
        clock: simulated or real time.
        timing: deadlines.
        forecast: how members foresee load and production, where they do not say it themselves.
        members: those taking part (written ``[[member]]``).
    """

    seed: int = Field(default=0, ge=0, lt=2**53)
    setting: Setting = "community"
    mechanism: Annotated[Mechanism, BeforeValidator(_mechanism)] = Mechanism(name="admm")
    community: Community
    horizon: HorizonSection
    tariff: Tariff
    grid: GridTable = GridTable()
    irradiance: Series | None = None
    clock: ClockConfig = ClockConfig()
    timing: Timing = Timing()
    forecast: ForecastTable = ForecastTable()
    members: list[Member] = Field(alias="member", min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_unit(self.irradiance, IRRADIANCE_UNITS, "irradiance")
        for side, price in (("import", self.tariff.import_price), ("export", self.tariff.export_price)):
            try:
                check_unit(price, PRICE_UNITS, "a price")
            except ValueError as error:
                raise ValueError(f"tariff.{side}: {error}") from error
        try:
            check_unit(self.grid.co2_intensity, INTENSITY_UNITS, "CO₂ intensity")
        except ValueError as error:
            raise ValueError(f"grid.co2_intensity: {error}") from error
        history = self.forecast.history
        if history is not None and (history.load or history.pv) is not None:
            raise ValueError(
                "forecast.history: found load or pv for all members, expected them in each member's own "
                "forecast table"
            )
        for name, count in Counter(member.name for member in self.members).items():
            if count > 1:
                places = [f"member[{i}]" for i, m in enumerate(self.members, start=1) if m.name == name]
                raise ValueError(
                    f"{' and '.join(places)}: name: found {name!r} {count} times, "
                    "expected one member of a name"
                )
        if self.horizon.replan_every_slots is not None:
            check_rolling(
                self.mechanism.name, self.mechanism.parameters, self.tariff.demand_charge_eur_per_kw
            )
        spans, stretches = self.horizon.spans(), self.horizon.stretches()
        for place, member in enumerate(self.members, start=1):
            self._check_member(f'member[{place}] "{member.name}"', member, spans, stretches)
        return self

    def _check_member(
        self, place: str, member: Member, spans: list[SessionSpan], stretches: list[Horizon]
    ) -> None:
        pv = member.pv
        if pv is not None and pv.array is not None and (pv.irradiance or self.irradiance) is None:
            raise ValueError(f"{place} pv.irradiance: found none, expected one here or an [irradiance] table")
        loads_of_sessions(place, member.vehicles, member.appliances, stretches, spans)
        if member.battery is not None:
            check_end_soc(place, member.battery, spans)


SeriesSource = FileSeries | ConstantSeries | ValuesSeries | BdewSeries | IrradianceSeries
"""Any series, as a type for signatures."""

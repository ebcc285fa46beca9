"""What each process of a run is told at its start: resolved, checked, as JSON files.

A scenario is what a person writes; these are what it comes to for one process, with every series as
numbers per slot. Agent processes import this module, so it stands on pydantic and the standard library only.
"""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.communities import CommunityPart
from runtime.devices import Appliance, Battery, ElectricVehicle, PvArray
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.preferences import PlanningWishes, TradePreferences
from runtime.rundir import COORDINATOR
from runtime.setpoints import SetpointTable

Setting = Literal["community", "pv-only", "pv-battery-rule", "pv-battery-optimised"]
"""How members live: as a community market, or each alone against the grid (the paper's three scenarios)."""

Strategy = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""How a member runs its battery: not at all (``idle``), by the paper's ``rule``, by its own optimisation
(``optimised``), or by a planner that is installed (``runtime.planners``)."""

ForecastMethod = Literal["similar-day", "boosting"]
"""How a member forecasts from its history; without one it is told what its meters will read."""

MeterRole = Literal["load", "pv", "net", "battery"]
"""What a meter measures: consumption, production, the exchange with the grid, or what the battery does."""

GRID_ONLY = "grid-only"
"""Mechanism of the settings in which each member is alone against the grid."""

SIMULATED_SOURCE = "simulated:"
"""Source of a meter that plays the scenario's series."""


def derive_seed(seed: int, *labels: str) -> int:
    """Seed of one part of a run, the same on every machine, independent between labels.

    Args:
        seed: the scenario's seed.
        labels: what names the part, for example a member's name.

    Returns:
        An integer in [0, 2**53), so that JSON readers of any language keep it exact.
    """
    text = "/".join([str(seed), *labels])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11


class Configuration(BaseModel):
    """Base of what is handed to a process: frozen, nothing unknown, finite, saved as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def save(self, path: Path) -> None:
        """Write as JSON to ``path``, atomically."""
        write_text_atomically(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            InputError: no such file, or not this kind of configuration.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path}: not a {cls.__name__}: {where}: {first['msg']}") from error


class Timing(Configuration):
    """How long others are waited for, on the run's clock.

    Attributes:
        join_deadline_s: for all members to have joined [s].
        round_deadline_s: for an answer to a price round [s].
        delivery_deadline_s: for a slot's metered delivery after its end [s].
        correction_window_s: for corrections of a session's slots after the last, before its bills [s].
    """

    join_deadline_s: float = Field(default=60.0, gt=0)
    round_deadline_s: float = Field(default=30.0, gt=0)
    delivery_deadline_s: float = Field(default=30.0, gt=0)
    correction_window_s: float = Field(default=0.0, ge=0, le=2_678_400)


class ClockConfig(Configuration):
    """The clock of a run.

    Attributes:
        kind: ``simulated``: as fast as the machine allows; ``real-time``: a session's slots follow the wall
            clock from when it begins, whatever date it has; ``live``: slots are at their own instants.
        speed: factor by which real time is hastened; 600 runs a quarter-hour slot in 1.5 s; 1 where live.
    """

    kind: Literal["simulated", "real-time", "live"] = "simulated"
    speed: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _live_is_not_hastened(self) -> Self:
        if self.kind == "live" and self.speed != 1.0:
            raise ValueError(
                f'speed: found {self.speed:g} beside kind = "live", expected none: slots are when they are'
            )
        return self

    @property
    def simulated(self) -> bool:
        """Whether no time passes: nothing can be measured, and nothing has to outlive the machine."""
        return self.kind == "simulated"


class MemberHistory(Configuration):
    """What a member's meters recorded before a session, in the session's slots.

    The last value of every list ends where the session starts; None stands where nothing was metered.

    Attributes:
        load_kwh: energy consumed in each slot [kWh]; None without consumption.
        ghi_w_per_m2: irradiance on the member's array, mean over each slot [W/m²].
        pv_production_kwh: energy produced in each slot [kWh]; instead of irradiance.
        holidays: public holidays from the history's start to the session's end.
    """

    load_kwh: list[float | None] | None = None
    ghi_w_per_m2: list[float | None] | None = None
    pv_production_kwh: list[float | None] | None = None
    holidays: list[date] = []


class SessionSlots(Configuration):
    """Slots of a session: those that are planned, of which the first are operated.

    Attributes:
        horizon: the slots planned and negotiated.
        operated_slots: how many of them are operated and settled before the next session begins; None: all.
    """

    horizon: Horizon
    operated_slots: int | None = Field(default=None, gt=0)

    @property
    def operated(self) -> Horizon:
        """The slots operated and settled."""
        return self.horizon.first(self.operated_slots)


class MemberSession(SessionSlots):
    """One session's physical inputs of one member; every list has one value per slot planned.

    A member that forecasts is told the history instead of the three series.

    Attributes:
        continues: whether the battery begins with what the session before has left in it, not at its start
            SOC; and without a history of its own, whether the forecast goes on from the one before.
        load_kwh: energy consumed in each slot [kWh], >= 0; None without consumption.
        ghi_w_per_m2: global horizontal irradiance, mean over each slot [W/m²]; goes with a PV array.
        pv_production_kwh: energy produced in each slot [kWh], >= 0; instead of irradiance.
        history: what to forecast from.
        vehicles: stays of electric vehicles, on top of the load; for the prosumer alone, not its meters.
        appliances: runs of appliances that can wait, likewise.
        appliance_closes: where sessions go on from each other, slots by which the runs have to have ended,
            which tell them apart.
    """

    continues: bool = False
    load_kwh: list[float] | None = None
    ghi_w_per_m2: list[float] | None = None
    pv_production_kwh: list[float] | None = None
    history: MemberHistory | None = None
    vehicles: list[ElectricVehicle] = []
    appliances: list[Appliance] = []
    appliance_closes: list[int] = []


class MemberConfig(Configuration):
    """All that a prosumer process is told.

    Attributes:
        name: the member's name, also the local part of its account.
        kind: what it is (house, school, ...), for people.
        strategy: how it runs its battery.
        trades: True in a community, False alone against the grid.
        battery: its battery, or None.
        pv: its array (with irradiance in the sessions), or None.
        seed: of its own random numbers.
        timing: deadlines.
        clock: the run's clock.
        sessions: its inputs, session by session: the series that its simulated meters play, which make its
            forecast perfect, or the history that it forecasts from.
        roles: what it has meters for; ``pv`` also with a production series instead of an array.
        forecast: how it forecasts; None has a perfect forecast.
        planning: what its plans heed beside their cost.
        preferences: what neighbours' energy is worth to it beyond its price, where members bargain.
        coordinator: local part of its coordinator's account.
        steered: whether the run has a controller that is told its battery's set-points.
    """

    name: str
    kind: str
    strategy: Strategy
    trades: bool
    battery: Battery | None
    pv: PvArray | None
    seed: int
    timing: Timing
    clock: ClockConfig
    sessions: list[MemberSession]
    roles: list[MeterRole]
    forecast: ForecastMethod | None = None
    planning: PlanningWishes = PlanningWishes()
    preferences: TradePreferences = TradePreferences()
    coordinator: str = COORDINATOR
    steered: bool = False


class MeterConfig(Configuration):
    """One member's meter: what it measures and where readings come from.

    Attributes:
        member: whom it belongs to.
        roles: what it measures.
        pv: the member's array, to turn irradiance into production when simulating.
        noise: relative standard deviation of a reading; 0 measures exactly.
        seed: of the noise.
        source: where readings come from, as a URL; ``simulated:`` plays ``sessions``.
        sources: other sources, by the role that each of them reads instead.
        has_battery: whether there is a battery to be metered.
        setpoint: where the battery's set-points are written, its limits said; None writes none.
        sessions: the physical inputs, session by session.
    """

    member: str
    roles: list[MeterRole]
    pv: PvArray | None = None
    noise: float = Field(default=0.0, ge=0)
    seed: int = 0
    source: str = SIMULATED_SOURCE
    sources: dict[MeterRole, str] = Field(default_factory=dict)
    has_battery: bool = False
    setpoint: SetpointTable | None = None
    sessions: list[MemberSession]

    @property
    def measurable(self) -> list[MeterRole]:
        """What a meter of this member may measure."""
        beside: list[MeterRole] = ["net", "battery"] if self.has_battery else ["net"]
        return [*self.roles, *(role for role in beside if role not in self.roles)]


class MetersConfig(Configuration):
    """The meters that one meter process serves.

    Attributes:
        meters: one per member.
        clock: the run's clock.
    """

    meters: list[MeterConfig]
    clock: ClockConfig = ClockConfig()


class CoordinatorSession(SessionSlots):
    """One session's horizon and grid tariffs, exact to 1e-9 EUR/kWh; lists have one value per slot planned.

    Attributes:
        continues: whether batteries begin with what the session before has left in them.
        import_price_eur_per_kwh: what the grid asks (GT, eq. 1) [EUR/kWh].
        export_price_eur_per_kwh: what the grid pays (FIT, eq. 1) [EUR/kWh].
        grid: local fee, connection limit and demand charge.
        co2_intensity_g_per_kwh: CO₂ that a kWh from the grid causes [g/kWh]; None where it is not known.
    """

    continues: bool = False
    import_price_eur_per_kwh: list[Decimal]
    export_price_eur_per_kwh: list[Decimal]
    grid: GridTerms = GridTerms()
    co2_intensity_g_per_kwh: list[float] | None = None


class CoordinatorConfig(Configuration):
    """All that the coordinator process is told.

    Attributes:
        community: name of the community.
        setting: how members live.
        mechanism: name of the market mechanism; ``grid-only`` in the three settings without a market.
        parameters: the mechanism's parameters as the scenario gives them; the coordinator checks them.
        members: names of those to admit, in the scenario's order.
        timing: deadlines.
        clock: the run's clock.
        seed: of the coordinator's own random numbers.
        sessions: what is negotiated, in order.
        communities: the two that the members are in, each with a coordinator of its own; none where all are
            in one.
    """

    community: str
    setting: Setting
    mechanism: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    members: list[str]
    timing: Timing
    clock: ClockConfig
    seed: int
    sessions: list[CoordinatorSession]
    communities: list[CommunityPart] = Field(default_factory=list)

    @property
    def coordinators(self) -> list[str]:
        """Local parts of the coordinators' accounts."""
        return [part.coordinator for part in self.communities] or [COORDINATOR]


def strategy_in(setting: Setting, own: Strategy | None) -> Strategy:
    """How a member runs its battery in a setting; its own choice counts in a community only."""
    match setting:
        case "pv-only":
            return "idle"
        case "pv-battery-rule":
            return "rule"
        case "pv-battery-optimised":
            return "optimised"
        case "community":
            return own or "optimised"

"""A member's flexible loads as a person writes them, and what they come to in the slots of a session.

Times are local, of the day: a window or stay from 18:00 to 07:00 ends on the next day. Each day whose window
lies within the session counts once. Slots are whole: a vehicle charges from the first slot that starts at its
arrival or later to the last that ends by its departure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from runtime.conventions import ConventionError, instant
from runtime.devices import Appliance, ElectricVehicle
from runtime.horizon import Horizon
from runtime.scenario.series import Section

_REACH_TOLERANCE = 1e-9


def _time_of_day(value: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
    if isinstance(value, time):
        found = value
    else:
        try:
            found = time.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError(f'found {value!r}, expected a local time of day such as "18:30"') from None
    if found.tzinfo is not None:
        raise ValueError(f"found {value!r}, expected a local time without an offset")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_list(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, list) and not _is_number(value):
        raise ValueError(f"found {value!r}, expected a power [kW], or a list with one for each step")
    return value if isinstance(value, list) else [float(value)]


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]


class VehicleTable(Section):
    """An electric vehicle that charges at the member's; it never gives back.

    Attributes:
        name: what it is called.
        arrival: local time from which it can charge, each day.
        departure: local time by which it has what it needs; if not after ``arrival``, on the next day.
        energy_kwh: energy to be stored in it each stay [kWh].
        charge_limit_kw: greatest power drawn [kW].
        charge_efficiency: stored energy per energy drawn.
        room_kwh: energy that it can take at most each stay [kWh], where it is paid for; without it no more
            than ``energy_kwh``.
    """

    name: str = Field(default="vehicle", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    arrival: TimeOfDay
    departure: TimeOfDay
    energy_kwh: float = Field(gt=0)
    charge_limit_kw: float = Field(gt=0)
    charge_efficiency: float = Field(default=1.0, gt=0, le=1)
    room_kwh: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.room_kwh is not None and self.room_kwh < self.energy_kwh:
            raise ValueError(
                f"room_kwh: found {self.room_kwh}, expected at least energy_kwh {self.energy_kwh}"
            )
        return self

    def stays(self, horizon: Horizon) -> list[ElectricVehicle]:
        """Its stays within a session.

        Raises:
            ValueError: there is none, or one that is too short for its energy; the message names the field.
        """
        found = []
        for first, last in _windows(horizon, self.arrival, self.departure, "arrival", "departure", "stay"):
            if first >= last:
                raise ValueError(
                    f"departure: found {self.departure:%H:%M}, expected at least a whole slot of "
                    f"{horizon.slot_minutes} min after the arrival at {self.arrival:%H:%M}"
                )
            most = self.charge_limit_kw * (last - first) * horizon.slot_hours * self.charge_efficiency
            if self.energy_kwh > most * (1 + _REACH_TOLERANCE):
                raise ValueError(
                    f"energy_kwh: found {self.energy_kwh}, expected at most {most:.4g}: from "
                    f"{horizon.local(first):%H:%M} to {horizon.local(last):%H:%M} no more is stored at "
                    f"{self.charge_limit_kw:g} kW"
                )
            found.append(
                ElectricVehicle(
                    name=self.name,
                    arrival_slot=first,
                    departure_slot=last,
                    energy_kwh=self.energy_kwh,
                    charge_limit_kw=self.charge_limit_kw,
                    charge_efficiency=self.charge_efficiency,
                    room_kwh=self.room_kwh,
                )
            )
        return found


class ApplianceTable(Section):
    """An appliance that runs once in its window each day, uninterrupted, whenever it is started.

    Attributes:
        name: what it is called.
        power_kw: power drawn [kW]: one number throughout, or one for each step.
        minutes: length of the run where ``power_kw`` is one number, of a step where it is a list [min];
            without it, a step is a slot.
        earliest: local time before which it does not start.
        latest: local time by which it has ended; if not after ``earliest``, on the next day.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    power_kw: Annotated[
        list[Annotated[float, Field(ge=0)]], BeforeValidator(_as_list), Field(min_length=1, max_length=1000)
    ]
    minutes: float | None = Field(default=None, gt=0, le=1440)
    earliest: TimeOfDay
    latest: TimeOfDay

    @model_validator(mode="before")
    @classmethod
    def _length(cls, table: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        if isinstance(table, dict) and _is_number(table.get("power_kw")) and "minutes" not in table:
            raise ValueError("minutes: found none, expected the length of the run beside one power_kw")
        return table

    def energy_kwh(self, horizon: Horizon) -> tuple[float, ...]:
        """Energy drawn in each slot of its run [kWh]: mean power of a slot times its length."""
        steps = self.power_kw
        step = self.minutes or float(horizon.slot_minutes)
        slots = math.ceil(len(steps) * step / horizon.slot_minutes - 1e-9)
        energy = []
        for slot in range(slots):
            start, end = slot * horizon.slot_minutes, (slot + 1) * horizon.slot_minutes
            drawn = sum(
                power * max(0.0, min(end, (number + 1) * step) - max(start, number * step))
                for number, power in enumerate(steps)
            )
            energy.append(drawn / 60.0)
        return tuple(energy)

    def runs(self, horizon: Horizon) -> list[Appliance]:
        """Its runs within a session, one for each window.

        Raises:
            ValueError: there is no window, or one that is too short for a run; the message names the field.
        """
        energy = self.energy_kwh(horizon)
        found = []
        for first, last in _windows(horizon, self.earliest, self.latest, "earliest", "latest", "window"):
            if last - first < len(energy):
                raise ValueError(
                    f"latest: found {self.latest:%H:%M}, expected at least {len(energy)} slots of "
                    f"{horizon.slot_minutes} min after earliest {self.earliest:%H:%M}, the length of a run; "
                    f"there are {max(last - first, 0)}"
                )
            found.append(
                Appliance(
                    name=self.name,
                    energy_kwh=energy,
                    earliest_start_slot=first,
                    latest_start_slot=last - len(energy),
                )
            )
        return found


@dataclass(frozen=True)
class FlexibleLoads:
    """A member's flexible loads in one session, their times as its slots.

    Attributes:
        vehicles: stays.
        appliances: runs.
        closes: where the horizon rolls on, slots by which the runs' windows end.
    """

    vehicles: list[ElectricVehicle]
    appliances: list[Appliance]
    closes: list[int] = field(default_factory=list)


def flexible_loads(
    place: str, vehicles: Sequence[VehicleTable], appliances: Sequence[ApplianceTable], horizon: Horizon
) -> FlexibleLoads:
    """What a member's tables come to in a session.

    Args:
        place: the member, for messages.
        vehicles: its vehicles.
        appliances: its appliances.
        horizon: the session's.

    Raises:
        ValueError: a time, a window or an energy that the session has no room for, or a name twice; the
            message names table and field.
    """
    found = FlexibleLoads([], [])
    names: list[str] = []
    kinds: tuple[tuple[str, Sequence[VehicleTable | ApplianceTable]], ...] = (
        ("vehicle", vehicles),
        ("appliance", appliances),
    )
    for kind, tables in kinds:
        for number, table in enumerate(tables, start=1):
            where = f"{place} {kind}[{number}]"
            if table.name in names:
                raise ValueError(f"{where}.name: found {table.name!r} again, expected a name of its own")
            names.append(table.name)
            try:
                if isinstance(table, VehicleTable):
                    found.vehicles.extend(table.stays(horizon))
                else:
                    found.appliances.extend(table.runs(horizon))
            except ValueError as error:
                raise ValueError(f"{where}.{error}") from error
    return found


def _windows(
    horizon: Horizon, opens: time, closes: time, opens_name: str, closes_name: str, what: str
) -> list[tuple[int, int]]:
    """Slots of each daily window that lies within a horizon: the first, and the one after the last.

    Raises:
        ValueError: there is none.
    """
    zone = ZoneInfo(horizon.zone)
    begin, end = horizon.local(0), horizon.local(horizon.slots)
    found = []
    opened_within = False
    day = begin.date()
    while day <= end.date():
        following = day + timedelta(days=1)
        opened = _instant(datetime.combine(day, opens), zone, opens_name)
        closed = _instant(datetime.combine(day if closes > opens else following, closes), zone, closes_name)
        day = following
        if not begin <= opened < end:
            continue
        opened_within = True
        if closed > end:
            continue
        slot = timedelta(minutes=horizon.slot_minutes)
        start = horizon.slot_start(0)
        found.append((-((start - opened) // slot), (closed - start) // slot))
    if found:
        return found
    span = f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    if not opened_within:
        raise ValueError(f"{opens_name}: found {opens:%H:%M}, expected a time within the session from {span}")
    raise ValueError(
        f"{closes_name}: found {closes:%H:%M}, expected a {what} from {opens:%H:%M} that ends within the "
        f"session from {span}"
    )


def _instant(wall: datetime, zone: ZoneInfo, name: str) -> datetime:
    try:
        return instant(wall, zone).astimezone(UTC)
    except ConventionError as error:
        raise ValueError(f"{name}: {error}") from error

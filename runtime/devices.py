"""What a member may own, as data: the parameters that scenario, agents and checks share.

The physics on arrays (equations 4 to 10) is the agents'; here are the numbers, their units and bounds.
Flexible loads are those of one session, their times as its slots.
Source: Gabriel, Oulhaj and Dupont (2021), equations 4 to 10.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Battery(BaseModel):
    """A battery energy storage system.

    Attributes:
        capacity_kwh: nominal capacity W_NC [kWh].
        soc_min: least state of charge, fraction of capacity (eq. 5).
        soc_max: greatest state of charge, fraction of capacity (eq. 5).
        soc_start: state of charge before slot 0.
        soc_end_min: state of charge to hold at least at the end of a session; None leaves it free.
        self_discharge_per_slot: share of the stored energy lost in a slot, sigma (eq. 8).
        charge_efficiency: eta_C (eq. 10); stored energy per energy drawn.
        discharge_efficiency: eta_D (eq. 9); energy delivered per stored energy used.
        charge_limit_kw: greatest power drawn, at the building's side [kW]; None leaves only eq. 7.
        discharge_limit_kw: greatest power delivered, at the building's side [kW]; None leaves only eq. 6.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    capacity_kwh: float = Field(gt=0)
    soc_min: float = Field(default=0.2, ge=0, le=1)
    soc_max: float = Field(default=0.8, ge=0, le=1)
    soc_start: float = Field(default=0.5, ge=0, le=1)
    soc_end_min: float | None = Field(default=None, ge=0, le=1)
    self_discharge_per_slot: float = Field(default=0.0, ge=0, lt=1)
    charge_efficiency: float = Field(default=1.0, gt=0, le=1)
    discharge_efficiency: float = Field(default=1.0, gt=0, le=1)
    charge_limit_kw: float | None = Field(default=None, gt=0)
    discharge_limit_kw: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.soc_min >= self.soc_max:
            raise ValueError(f"soc_min {self.soc_min} must be below soc_max {self.soc_max}")
        if not self.soc_min <= self.soc_start <= self.soc_max:
            raise ValueError(
                f"soc_start {self.soc_start} must lie between soc_min {self.soc_min} "
                f"and soc_max {self.soc_max}"
            )
        if self.soc_end_min is not None and self.soc_end_min > self.soc_max:
            raise ValueError(f"soc_end_min {self.soc_end_min} is above soc_max {self.soc_max}")
        return self

    @property
    def stored_min_kwh(self) -> float:
        """W_min [kWh]."""
        return self.soc_min * self.capacity_kwh

    @property
    def stored_max_kwh(self) -> float:
        """W_max [kWh]."""
        return self.soc_max * self.capacity_kwh

    @property
    def stored_start_kwh(self) -> float:
        """Stored energy before slot 0 [kWh]."""
        return self.soc_start * self.capacity_kwh


class PvArray(BaseModel):
    """A photovoltaic array described by surface and efficiency (eq. 4).

    Attributes:
        area_m2: surface A [m²].
        efficiency: efficiency mu, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    area_m2: float = Field(gt=0)
    efficiency: float = Field(gt=0, le=1)


class ElectricVehicle(BaseModel):
    """A vehicle's stay at its charger within one session: it charges, and never gives back.

    Attributes:
        name: what it is called.
        arrival_slot: first slot in which it can charge.
        departure_slot: slot before which it leaves; the last in which it can charge is the one before.
        energy_kwh: energy to be stored in it between arrival and departure, at least [kWh].
        charge_limit_kw: greatest power drawn, at the building's side [kW].
        charge_efficiency: stored energy per energy drawn.
        room_kwh: energy that can be stored in it at most [kWh]; None stops at ``energy_kwh``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    arrival_slot: int = Field(ge=0)
    departure_slot: int = Field(gt=0)
    energy_kwh: float = Field(ge=0)
    charge_limit_kw: float = Field(gt=0)
    charge_efficiency: float = Field(default=1.0, gt=0, le=1)
    room_kwh: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.arrival_slot >= self.departure_slot:
            raise ValueError(
                f"arrival_slot {self.arrival_slot} must be before departure_slot {self.departure_slot}"
            )
        if self.room_kwh is not None and self.room_kwh < self.energy_kwh:
            raise ValueError(f"room_kwh {self.room_kwh} is below energy_kwh {self.energy_kwh}")
        return self


class Appliance(BaseModel):
    """A load that runs once in a session, uninterrupted, when it is started.

    Attributes:
        name: what it is called.
        energy_kwh: energy drawn in each slot of its run, at the building's side [kWh].
        earliest_start_slot: first slot in which it may start.
        latest_start_slot: last slot in which it may start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    energy_kwh: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    earliest_start_slot: int = Field(ge=0)
    latest_start_slot: int = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.earliest_start_slot > self.latest_start_slot:
            raise ValueError(
                f"earliest_start_slot {self.earliest_start_slot} is after "
                f"latest_start_slot {self.latest_start_slot}"
            )
        return self

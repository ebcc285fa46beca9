"""What a member may own, as data: the parameters that scenario, agents and checks share.

The physics on arrays (equations 4 to 10) is the agents'; here are the numbers, their units and bounds.
Source: Gabriel, Oulhaj and Dupont (2021), equations 4 to 10.
"""

from __future__ import annotations

from typing import Self

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

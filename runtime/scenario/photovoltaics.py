"""A member's photovoltaics in a scenario: an array by its surface or its peak power, or a series."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from runtime.conventions import ENERGY_UNITS, IRRADIANCE_UNITS
from runtime.devices import PvArray
from runtime.scenario.series import BdewSeries, Section, Series, check_unit

PEAK_EFFICIENCY = 0.2
"""With which an array given by its peak power has a surface; what it produces is the same with any."""


class PvTable(Section):
    """A member's photovoltaics: an array under an irradiance, or a series of production.

    Attributes:
        area_m2: surface [m²], with ``efficiency`` (eq. 4).
        efficiency: 0 to 1.
        peak_kw: power under 1 kW/m² [kW], instead of the two above: the kWp that arrays are sold by.
        irradiance: global horizontal irradiance; without it the scenario's ``[irradiance]``.
        production: what it produces, instead of all above.
    """

    area_m2: float | None = Field(default=None, gt=0)
    efficiency: float | None = Field(default=None, gt=0, le=1)
    peak_kw: float | None = Field(default=None, gt=0)
    irradiance: Series | None = None
    production: Series | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        check_unit(self.irradiance, IRRADIANCE_UNITS, "irradiance")
        check_unit(self.production, ENERGY_UNITS, "production")
        if isinstance(self.production, BdewSeries):
            raise ValueError("production: found a load profile, expected a file, constant or values")
        array = [self.area_m2, self.efficiency]
        if self.production is not None:
            if any(item is not None for item in [*array, self.peak_kw, self.irradiance]):
                raise ValueError("found production beside an array, expected one of the two")
        elif self.peak_kw is not None:
            if any(item is not None for item in array):
                raise ValueError("found peak_kw beside area_m2 or efficiency, expected one of the two")
        elif any(item is None for item in array):
            raise ValueError("expected area_m2 and efficiency, peak_kw, or production")
        return self

    @property
    def array(self) -> PvArray | None:
        """The array, or None where a production series is given; of a peak power, modules of 20 %."""
        if self.peak_kw is not None:
            return PvArray(area_m2=self.peak_kw / PEAK_EFFICIENCY, efficiency=PEAK_EFFICIENCY)
        if self.area_m2 is None or self.efficiency is None:
            return None
        return PvArray(area_m2=self.area_m2, efficiency=self.efficiency)

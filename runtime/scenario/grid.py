"""The grid that a community is connected to, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from runtime.scenario.intensity import IntensitySource
from runtime.scenario.series import Section

DEFAULT_EXCESS_PRICE_EUR_PER_KWH = 1.0
"""Charge on energy above a limit where a scenario gives a limit without a price: above any usual tariff, so
that keeping to the limit pays."""

Charge = Annotated[float, Field(ge=0, le=10)]
"""EUR/kWh, not negative; the bound catches prices written in EUR/MWh or cents."""


class GridTable(Section):
    """The community's place in the grid.

    Attributes:
        local_fee_eur_per_kwh: fee on energy traded between members, half of it borne by each side.
        import_limit_kw: power that the community's connection takes; without it no limit.
        export_limit_kw: power that it gives; without it no limit.
        excess_price_eur_per_kwh: charge on energy above a limit; without it 1 EUR/kWh.
        co2_intensity: CO₂ that a kWh from the grid causes: a number [g/kWh], or a series; without it,
            emissions are not told.
    """

    local_fee_eur_per_kwh: Charge = 0.0
    import_limit_kw: float | None = Field(default=None, ge=0)
    export_limit_kw: float | None = Field(default=None, ge=0)
    excess_price_eur_per_kwh: Charge | None = None
    co2_intensity: IntensitySource | None = None

    @model_validator(mode="after")
    def _price_of_a_limit(self) -> Self:
        if self.excess_price_eur_per_kwh is not None and not self.has_limit:
            raise ValueError(
                f"excess_price_eur_per_kwh: found {self.excess_price_eur_per_kwh} without a limit, expected "
                "import_limit_kw or export_limit_kw beside it"
            )
        return self

    @property
    def has_limit(self) -> bool:
        """Whether the connection is limited in either direction."""
        return self.import_limit_kw is not None or self.export_limit_kw is not None

    @property
    def charge_above_limit_eur_per_kwh(self) -> float:
        """Charge on energy above a limit [EUR/kWh]; 0 without one."""
        if not self.has_limit:
            return 0.0
        if self.excess_price_eur_per_kwh is None:
            return DEFAULT_EXCESS_PRICE_EUR_PER_KWH
        return self.excess_price_eur_per_kwh

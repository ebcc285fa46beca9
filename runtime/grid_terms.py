"""What a community's grid asks beside its tariffs: exact terms, as configured, settled and recorded."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NotNegative = Annotated[Decimal, Field(ge=0, decimal_places=9)]

_PRECISE = Context(prec=60)
_STEP = Decimal("1e-9")


class GridTerms(BaseModel):
    """Local fee, connection limit and demand charge of a session; all prices are multiples of 1e-9.

    Attributes:
        local_fee_eur_per_kwh: fee on energy traded between members, half of it borne by each side.
        import_limit_kw: power that the community's connection takes; None for no limit.
        export_limit_kw: power that it gives; None for no limit.
        excess_price_eur_per_kwh: charge on energy above either limit.
        demand_charge_eur_per_kw: charge on each member's greatest mean import power of a slot, a session.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    local_fee_eur_per_kwh: NotNegative = Decimal(0)
    import_limit_kw: NotNegative | None = None
    export_limit_kw: NotNegative | None = None
    excess_price_eur_per_kwh: NotNegative = Decimal(0)
    demand_charge_eur_per_kw: NotNegative = Decimal(0)

    @property
    def meter_fee_eur_per_kwh(self) -> Decimal:
        """What either side of a trade between members bears of the local fee [EUR/kWh]."""
        return self.local_fee_eur_per_kwh / 2

    def import_limit_kwh(self, slot_minutes: int) -> Decimal | None:
        """Energy that the connection takes in a slot, to 1 µWh; None for no limit."""
        return _energy_kwh(self.import_limit_kw, slot_minutes)

    def export_limit_kwh(self, slot_minutes: int) -> Decimal | None:
        """Energy that the connection gives in a slot, to 1 µWh; None for no limit."""
        return _energy_kwh(self.export_limit_kw, slot_minutes)


def mean_power_kw(energy_kwh: Decimal, slot_minutes: int) -> Decimal:
    """Mean power of a slot's energy, to 1 µW, halves to even [kW]."""
    power_kw = _PRECISE.divide(_PRECISE.multiply(energy_kwh, Decimal(60)), Decimal(slot_minutes))
    return power_kw.quantize(_STEP, context=_PRECISE)


def _energy_kwh(power_kw: Decimal | None, slot_minutes: int) -> Decimal | None:
    if power_kw is None:
        return None
    energy_kwh = _PRECISE.divide(_PRECISE.multiply(power_kw, Decimal(slot_minutes)), Decimal(60))
    return energy_kwh.quantize(_STEP, context=_PRECISE)

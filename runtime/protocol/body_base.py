"""What the bodies of messages have in common: their base, and their kinds of numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_SLOT_ENERGY_KWH = 1e6
"""Above this an energy of one slot is taken for a unit error."""

MAX_TOTAL_ENERGY_KWH = 1e10
"""What all members together may have in a slot: ten thousand of them, each with as much as it may claim. Who
adds up what others say has to be able to tell the sum, however absurd it is."""

Energy = Annotated[float, Field(ge=0, le=MAX_SLOT_ENERGY_KWH)]
TotalEnergy = Annotated[float, Field(ge=0, le=MAX_TOTAL_ENERGY_KWH)]
NetEnergy = Annotated[float, Field(ge=-MAX_SLOT_ENERGY_KWH, le=MAX_SLOT_ENERGY_KWH)]
NetTotalEnergy = Annotated[float, Field(ge=-MAX_TOTAL_ENERGY_KWH, le=MAX_TOTAL_ENERGY_KWH)]
Price = Annotated[float, Field(ge=-1e3, le=1e3)]
ExactEnergy = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=9)]
ExactTotalEnergy = Annotated[Decimal, Field(ge=0, le=10_000_000_000, decimal_places=9)]
Index = Annotated[int, Field(ge=0, le=1_000_000)]


class Body(BaseModel):
    """Base of all bodies: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> str:
        """The body as it travels (ASCII JSON)."""
        return self.model_dump_json(ensure_ascii=True)


class NetEnergies(Body):
    """Net energy per slot as a non-negative pair, at most one of them above zero in a slot."""

    grid_import_kwh: list[Energy]
    grid_export_kwh: list[Energy]

    @model_validator(mode="after")
    def _one_direction_a_slot(self) -> Self:
        check_one_direction(self, "grid_import_kwh", "grid_export_kwh")
        return self


def check_one_direction(body: Body, taken: str, given: str) -> None:
    """Check that two fields of a body have the same slots and at most one of them energy in a slot.

    Raises:
        ValueError: they have not.
    """
    taken_kwh, given_kwh = getattr(body, taken), getattr(body, given)
    if len(taken_kwh) != len(given_kwh):
        raise ValueError(f"{taken} and {given} differ in length")
    if max(map(min, taken_kwh, given_kwh), default=0.0) <= 0:
        return
    for slot, pair in enumerate(zip(taken_kwh, given_kwh, strict=True)):
        if min(pair) > 0:
            both = "imports and exports" if taken == "grid_import_kwh" else "buys and sells"
            raise ValueError(f"slot {slot} both {both}")


def check_slot_instants(start: datetime, end: datetime) -> None:
    """Check that two instants are those of a slot, told in UTC.

    Raises:
        ValueError: they are not.
    """
    for name, instant in (("slot_start", start), ("slot_end", end)):
        if instant.utcoffset() != timedelta(0):
            raise ValueError(f"{name}: found {instant.isoformat()}, expected UTC")
    if end <= start:
        raise ValueError(f"slot_end: found {end.isoformat()}, expected later than {start.isoformat()}")

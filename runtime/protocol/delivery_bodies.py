"""Bodies about a slot's metered net energy: asked for, delivered, and corrected after it was settled."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from runtime.protocol.body_base import Body, ExactEnergy, Index, check_slot_instants
from runtime.record_base import Quality

MeterName = Annotated[str, Field(min_length=1, max_length=80)]
"""Local part of a meter's account."""


class DeliveryRequest(Body):
    """A slot has passed: the member is to say what its meter measured.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        slot_start: UTC instant at which it started, on the community's clock.
        slot_end: UTC instant at which it ended.
    """

    type: Literal["delivery-request"] = "delivery-request"
    session: Index
    slot: Index
    slot_start: AwareDatetime
    slot_end: AwareDatetime

    @model_validator(mode="after")
    def _instants(self) -> Self:
        check_slot_instants(self.slot_start, self.slot_end)
        return self


class DeliveredEnergy(Body):
    """Net energy of a member in a slot, one direction only.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        grid_import_kwh: energy taken.
        grid_export_kwh: energy given.
        quality: how it was come by.
        meters: accounts of the meters that read it; none where the member estimated it.
    """

    session: Index
    slot: Index
    grid_import_kwh: ExactEnergy
    grid_export_kwh: ExactEnergy
    quality: Quality
    meters: Annotated[tuple[MeterName, ...], Field(max_length=8)] = ()

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if min(self.grid_import_kwh, self.grid_export_kwh) > 0:
            raise ValueError("a delivery either imports or exports")
        return self

    @property
    def net_kwh(self) -> Decimal:
        """Import − export."""
        return self.grid_import_kwh - self.grid_export_kwh


class MeteredDelivery(DeliveredEnergy):
    """Metered net energy of a member in a slot."""

    type: Literal["delivery"] = "delivery"


class DeliveryCorrection(DeliveredEnergy):
    """Net energy of a settled slot as it is known by now; it takes the place of what was settled.

    Answered with an ``AdjustmentLine``, or refused once the session's window for corrections is closed.
    """

    type: Literal["delivery-correction"] = "delivery-correction"


class AdjustmentLine(Body):
    """What all corrections of a slot come to: the member's exchange with the grid, entered anew.

    It takes the place of an adjustment of the same slot told before. Trade with neighbours stays as it was
    settled. Energies are differences to what was settled: > 0 for more, < 0 for less.

    Attributes:
        session: market session, from 0.
        slot: the slot corrected.
        settled_net_kwh: what the slot was settled with, import > 0.
        corrected_net_kwh: what it is now, import > 0.
        grid_import_kwh: how much more is taken from the grid.
        grid_export_kwh: how much more is given to the grid.
        import_price_eur_per_kwh: the slot's import tariff.
        export_price_eur_per_kwh: the slot's feed-in tariff.
        amount_eur: what the member pays for the difference (negative: receives).
        quality: how the corrected energy was come by.
    """

    type: Literal["adjustment-line"] = "adjustment-line"
    session: Index
    slot: Index
    settled_net_kwh: Decimal
    corrected_net_kwh: Decimal
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal
    import_price_eur_per_kwh: Decimal
    export_price_eur_per_kwh: Decimal
    amount_eur: Decimal
    quality: Quality

"""Bodies of bilateral bargaining: the coordinator's call, members' proposals, and members' reports."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runtime.protocol.body_base import (
    Body,
    Energy,
    Index,
    NetEnergies,
    Price,
    TotalEnergy,
    check_one_direction,
)

Penalty = Annotated[float, Field(gt=0, le=1e6)]


class BargainCall(Body):
    """The coordinator has members bargain among themselves; each is to report what it agreed on.

    Attributes:
        session: market session, from 0.
        round: the coordinator's round, which the report answers.
        members: who bargains, in the same order for everybody; each is a partner of all others.
        max_rounds: rounds of bargaining at most.
        tolerance_kwh: bargaining ends once everybody's residual is within this.
        penalty_eur_per_kwh2: ρ, by which prices follow disagreement, shape (slots,).
        import_price_eur_per_kwh: the grid's import tariff, shape (slots,).
        export_price_eur_per_kwh: the grid's feed-in tariff, shape (slots,).
        suspended_slots: slots in which nobody may trade.
        local_fee_eur_per_kwh: fee on energy traded, half for each side.
        demand_charge_eur_per_kw: price of the member's greatest mean import power of a slot.
        import_share_kwh: the member's own share of what the community's connection takes: energy that it has
            from the grid above this is charged the excess price on top, shape (slots,); null without a limit.
        export_share_kwh: of what the connection gives, likewise.
        excess_price_eur_per_kwh: the charge.
    """

    type: Literal["bargain-call"] = "bargain-call"
    session: Index
    round: Index
    members: list[str]
    max_rounds: Annotated[int, Field(ge=1, le=1000)]
    tolerance_kwh: Annotated[float, Field(ge=0)]
    penalty_eur_per_kwh2: list[Penalty]
    import_price_eur_per_kwh: list[Price]
    export_price_eur_per_kwh: list[Price]
    suspended_slots: list[Index] = Field(default_factory=list)
    local_fee_eur_per_kwh: Annotated[float, Field(ge=0)] = 0.0
    demand_charge_eur_per_kw: Annotated[float, Field(ge=0)] = 0.0
    import_share_kwh: list[Energy] | None = None
    export_share_kwh: list[Energy] | None = None
    excess_price_eur_per_kwh: Annotated[float, Field(ge=0)] = 0.0


class TradeProposal(Body):
    """What a member would trade with the partner it tells; each list has shape (slots,).

    Attributes:
        session: market session, from 0.
        round: round of bargaining, from 1.
        purchase_kwh: energy it would take from the partner.
        sale_kwh: energy it would give.
        price_eur_per_kwh: price of the two as it knows it.
        residual_kwh: how far it was from agreeing with its partners in the rounds before; null in the first.
        green: whether it produces energy from the sun.
    """

    type: Literal["trade-proposal"] = "trade-proposal"
    session: Index
    round: Annotated[int, Field(ge=1, le=1000)]
    purchase_kwh: list[Energy]
    sale_kwh: list[Energy]
    price_eur_per_kwh: list[Price]
    residual_kwh: TotalEnergy | None
    green: bool

    @model_validator(mode="after")
    def _one_direction_a_slot(self) -> Self:
        check_one_direction(self, "purchase_kwh", "sale_kwh")
        return self


class AgreedTrade(Body):
    """What a member agreed on with a partner, in the slots where they trade.

    Attributes:
        partner: name of the other.
        slots: the slots, ascending; the lists below have a value for each.
        purchase_kwh: energy taken from the partner.
        sale_kwh: energy given to it.
        price_eur_per_kwh: what who takes pays who gives, before the local fee.
    """

    partner: str
    slots: list[Index]
    purchase_kwh: list[Energy]
    sale_kwh: list[Energy]
    price_eur_per_kwh: list[Price]

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        check_one_direction(self, "purchase_kwh", "sale_kwh")
        if not len(self.slots) == len(self.purchase_kwh) == len(self.price_eur_per_kwh):
            raise ValueError("slots, purchase_kwh and price_eur_per_kwh differ in length")
        if any(later <= earlier for earlier, later in zip(self.slots, self.slots[1:], strict=False)):
            raise ValueError("slots are not ascending")
        return self


class BargainReport(NetEnergies):
    """What a member agreed on with its partners, and the position it then plans.

    Attributes:
        session: market session, from 0.
        round: the coordinator's round that it answers.
        rounds: rounds of bargaining held.
        trades: by partner.
    """

    type: Literal["bargain-report"] = "bargain-report"
    session: Index
    round: Index
    rounds: Index
    trades: list[AgreedTrade]

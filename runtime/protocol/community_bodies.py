"""Bodies between the coordinators of two communities: aggregates, trades across, and a slot's exchange.

No message names what a single member takes or gives, but for trades that it agreed on with a member of the
other community.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runtime.protocol.bargain_bodies import AgreedTrade
from runtime.protocol.body_base import (
    Body,
    ExactEnergy,
    ExactTotalEnergy,
    Index,
    Price,
    TotalEnergy,
)

ExactPrice = Annotated[Decimal, Field(ge=-1000, le=1000, decimal_places=9)]
"""A price by which both sides name a contract."""


class CommunityStatement(Body):
    """Where a community stands at a step of the negotiation; the other coordinator says the same of its own.

    Attributes:
        session: market session, from 0.
        step: 0 after the plans alone, 1 after bargaining, from 2 on after each look at who is better off
            alone.
        members: who takes part, in the scenario's order.
        demand_kwh: what they would take in all, shape (slots,).
        supply_kwh: what they would give in all, shape (slots,).
        price_eur_per_kwh: price proposed for the pool of both communities, shape (slots,); empty in step 0.
        withdrawn: members that have gone back to their plans alone, whose trades across are cancelled.
        contracts: in step 2, the contracts across that this side has, ``SELLER>BUYER`` to a digest of
            energies and prices; only what both have alike counts.
    """

    type: Literal["community-statement"] = "community-statement"
    session: Index
    step: Index
    members: list[str]
    demand_kwh: list[TotalEnergy]
    supply_kwh: list[TotalEnergy]
    price_eur_per_kwh: list[Price] = Field(default_factory=list)
    withdrawn: list[str] = Field(default_factory=list)
    contracts: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.demand_kwh) != len(self.supply_kwh):
            raise ValueError("demand_kwh and supply_kwh differ in length")
        return self


class RelayedTrades(Body):
    """What a member reported to its coordinator of its trades with members of the other community.

    Attributes:
        session: market session, from 0.
        member: whose report.
        trades: by partner.
    """

    type: Literal["relayed-trades"] = "relayed-trades"
    session: Index
    member: str
    trades: list[AgreedTrade]


class ContractAcross(Body):
    """A contract between members of two communities, in one slot.

    Attributes:
        seller: the member that gives.
        buyer: the member that takes.
        price_eur_per_kwh: what the buyer pays, exact.
        energy_kwh: what the teller's side allows by what it metered.
    """

    seller: str
    buyer: str
    price_eur_per_kwh: ExactPrice
    energy_kwh: ExactEnergy


class MeteredExchange(Body):
    """What a community metered in a slot: one coordinator proposes, the other accepts with its own.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        demand_kwh: what its members took in all.
        supply_kwh: what they gave in all.
        contracts: those across that its side allows.
    """

    type: Literal["metered-exchange"] = "metered-exchange"
    session: Index
    slot: Index
    demand_kwh: ExactTotalEnergy
    supply_kwh: ExactTotalEnergy
    contracts: list[ContractAcross]


class ExchangeEnded(Body):
    """From a slot on a coordinator settles its community alone, for the rest of the session.

    Attributes:
        session: market session, from 0.
        slot: the first slot settled alone.
        reason: why.
    """

    type: Literal["exchange-ended"] = "exchange-ended"
    session: Index
    slot: Index
    reason: str


class ExchangeClosed(Body):
    """A session's slots are all settled: which of them with the other community.

    Attributes:
        session: market session, from 0.
        slots: settled with what both had told, ascending.
    """

    type: Literal["exchange-closed"] = "exchange-closed"
    session: Index
    slots: list[Index]

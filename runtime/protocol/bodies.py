"""Typed bodies of the market's messages, checked on receipt.

Every body is a JSON object with a ``type``. Energies are kWh per slot in non-negative pairs
(``grid_import_kwh``/``grid_export_kwh``), prices EUR/kWh. Positions and prices of a negotiation are
numbers; what is settled (deliveries, bill lines) are exact decimals, written as text.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bargain_bodies import BargainCall, BargainReport, TradeProposal
from runtime.protocol.body_base import (
    Body,
    Energy,
    ExactEnergy,
    Index,
    NetEnergies,
    NetEnergy,
    NetTotalEnergy,
    Price,
)
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.delivery_bodies import (
    AdjustmentLine,
    DeliveryCorrection,
    DeliveryRequest,
    MeteredDelivery,
)
from runtime.protocol.meter_bodies import (
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Role,
    SenmlRecord,
)
from runtime.protocol.setpoint_bodies import (
    Setpoint,
    SetpointCancel,
    SetpointOutcome,
    SetpointsEnded,
    SetpointSubscribe,
)
from runtime.record_base import Quality

__all__ = [
    "Acknowledged",
    "AdjustmentLine",
    "Admission",
    "Agreement",
    "AnyBody",
    "BillLine",
    "DeclarationRequest",
    "DeliveryCorrection",
    "DeliveryRequest",
    "DeviceDeclaration",
    "DeviceSchedule",
    "Join",
    "MeterAttach",
    "MeterAttached",
    "MeterDetach",
    "MeteredDelivery",
    "MeteringEnded",
    "Position",
    "PriceSignal",
    "PriceStep",
    "Reading",
    "ReadingCorrection",
    "ReadingRequest",
    "Reason",
    "Role",
    "SenmlRecord",
    "SessionClosed",
    "Setpoint",
    "SetpointCancel",
    "SetpointOutcome",
    "SetpointSubscribe",
    "SetpointsEnded",
    "body_schema",
    "parse_body",
]


class Join(Body):
    """A member asks to take part."""

    type: Literal["join"] = "join"
    member: str


class Admission(Body):
    """The coordinator admits a member and tells it what will be negotiated.

    The grid's tariffs of a session come with its round 0.

    Attributes:
        community: the community's name.
        mechanism: the mechanism's name.
        sessions: the slots operated and settled in each session.
        planned_slots: how many slots each session plans from its start on; None: those operated.
    """

    type: Literal["admission"] = "admission"
    community: str
    mechanism: str
    sessions: list[Horizon]
    planned_slots: list[int] | None = None


class Reason(Body):
    """Why something was refused, failed or not understood."""

    type: Literal["reason"] = "reason"
    reason: str


class PriceStep(Body):
    """A change of price at a threshold of net energy, for each slot.

    Beyond the threshold a kWh costs ``above_eur_per_kwh`` more; short of it each kWh that is missing costs
    ``below_eur_per_kwh``: with net energy n and threshold a, above [n − a]₊ + below [a − n]₊.

    Attributes:
        threshold_kwh: a, import > 0, shape (slots,).
        above_eur_per_kwh: shape (slots,).
        below_eur_per_kwh: shape (slots,).
    """

    threshold_kwh: list[NetTotalEnergy]
    above_eur_per_kwh: list[Price]
    below_eur_per_kwh: list[Price]


class PriceSignal(Body):
    """Prices of a round; the member answers with the position it plans at these prices.

    Attributes:
        session: market session, from 0.
        round: 0 tells the grid's tariffs (the baseline), then 1, 2, ….
        import_price_eur_per_kwh: price of energy taken, shape (slots,).
        export_price_eur_per_kwh: price of energy given, shape (slots,).
        proximal_weight_eur_per_kwh2: w of the term w/2 (position - last position)² that the member
            adds to its cost, so that positions settle; 0 for none.
        step_limit_kwh: the position may leave the last one by no more than this in any slot; null for none.
        steps: changes of price at thresholds, as in a block tariff.
        demand_charge_eur_per_kw: price of the member's greatest mean import power of a slot.
        wants_limits: the position is to come with limit prices, as an order.
    """

    type: Literal["price-signal"] = "price-signal"
    session: Index
    round: Index
    import_price_eur_per_kwh: list[Price]
    export_price_eur_per_kwh: list[Price]
    proximal_weight_eur_per_kwh2: Annotated[float, Field(ge=0)] = 0.0
    step_limit_kwh: Annotated[float, Field(ge=0)] | None = None
    steps: Annotated[tuple[PriceStep, ...], Field(max_length=4)] = ()
    demand_charge_eur_per_kw: Price = 0.0
    wants_limits: bool = False


class Position(NetEnergies):
    """A member's position in a round: net energy at its meter that it plans for every slot.

    Attributes:
        session: market session, from 0.
        round: the round it answers.
        limit_price_eur_per_kwh: where asked for, the most that the member would pay for what it takes in a
            slot, or the least for what it gives; shape (slots,).
    """

    type: Literal["position"] = "position"
    session: Index
    round: Index
    limit_price_eur_per_kwh: list[Price] | None = None


class DeclarationRequest(Body):
    """The coordinator plans for everybody: the member is to say what it foresees and which devices it has."""

    type: Literal["declaration-request"] = "declaration-request"
    session: Index
    round: Index


class DeviceDeclaration(NetEnergies):
    """What a member discloses to a coordinator that plans for it, with the position it would have alone.

    Attributes:
        session: market session, from 0.
        round: the round it answers.
        residual_load_kwh: load − production as foreseen, shape (slots,).
        battery: its battery; null without one.
        vehicles: its electric vehicles in the session, on top of the residual load.
        appliances: its appliances that can wait, likewise.
    """

    type: Literal["declaration"] = "declaration"
    session: Index
    round: Index
    residual_load_kwh: list[NetEnergy]
    battery: Battery | None
    vehicles: Annotated[tuple[ElectricVehicle, ...], Field(max_length=20)] = ()
    appliances: Annotated[tuple[Appliance, ...], Field(max_length=20)] = ()


class DeviceSchedule(Body):
    """What the coordinator planned for a member's devices.

    Attributes:
        stored_kwh: stored energy of its battery at the end of each slot, shape (slots,); null without one.
        vehicle_kwh: what each vehicle draws, shape (slots,) each.
        appliance_start_slots: the slot in which each appliance starts.
    """

    stored_kwh: list[Energy] | None = None
    vehicle_kwh: Annotated[tuple[list[Energy], ...], Field(max_length=20)] = ()
    appliance_start_slots: Annotated[tuple[Index, ...], Field(max_length=20)] = ()


class Agreement(NetEnergies):
    """The end of the negotiation: final prices, and the member's position that now counts.

    Attributes:
        session: market session, from 0.
        round: the round agreed on.
        position_round: the round from which the member's counted position comes (an earlier one if the
            member was late in the agreed round).
        import_price_eur_per_kwh: price of energy taken at the agreed positions, shape (slots,).
        export_price_eur_per_kwh: price of energy given, likewise.
        local_price_eur_per_kwh: price at which neighbours' energy will be settled, before the local fee,
            shape (slots,); null in a slot without local trade.
        schedule: what the coordinator planned for the member's devices; null where its own plan counts.
        apart: whether the member is settled at the grid's tariffs, apart from the pool: it does better so.
        free_import_kwh: what it may take before it is charged for energy above the connection's limit, shape
            (slots,); null where such charges go by energy with the grid, or there is no limit.
        free_export_kwh: what it may give, likewise.
    """

    type: Literal["agreement"] = "agreement"
    session: Index
    round: Index
    position_round: Index
    import_price_eur_per_kwh: list[Price]
    export_price_eur_per_kwh: list[Price]
    local_price_eur_per_kwh: list[Price | None]
    schedule: DeviceSchedule | None = None
    apart: bool = False
    free_import_kwh: list[ExactEnergy] | None = None
    free_export_kwh: list[ExactEnergy] | None = None


class Acknowledged(Body):
    """The message this answers was taken in."""

    type: Literal["acknowledged"] = "acknowledged"


class BillLine(Body):
    """A settled slot: who the energy was exchanged with, at which prices, and what it comes to.

    Amounts are what the member pays (negative: receives).

    Attributes:
        session: market session, from 0.
        slot: the slot settled.
        local_purchase_kwh: energy taken from neighbours, by contract or from the pool.
        local_sale_kwh: energy given to neighbours, likewise.
        grid_import_kwh: energy taken from the grid.
        grid_export_kwh: energy given to the grid.
        local_price_eur_per_kwh: price of the pool; null in a slot without one.
        import_price_eur_per_kwh: the grid's import tariff.
        export_price_eur_per_kwh: the grid's feed-in tariff.
        contract_purchase_kwh: of the energy taken from neighbours, what was by contract.
        contract_sale_kwh: of the energy given to neighbours, likewise.
        contract_eur: what contracts come to, at their own prices.
        local_fee_eur: half the fee on energy traded with neighbours.
        excess_kwh: the member's part of the energy above the limit of the community's connection.
        excess_charge_eur: charge on it.
        amount_eur: all in all.
        quality: how the slot's energy was come by.
    """

    type: Literal["bill-line"] = "bill-line"
    session: Index
    slot: Index
    local_purchase_kwh: Decimal
    local_sale_kwh: Decimal
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal
    local_price_eur_per_kwh: Decimal | None
    import_price_eur_per_kwh: Decimal
    export_price_eur_per_kwh: Decimal
    contract_purchase_kwh: Decimal = Decimal(0)
    contract_sale_kwh: Decimal = Decimal(0)
    contract_eur: Decimal = Decimal(0)
    local_fee_eur: Decimal = Decimal(0)
    excess_kwh: Decimal = Decimal(0)
    excess_charge_eur: Decimal = Decimal(0)
    amount_eur: Decimal
    quality: Quality


class SessionClosed(Body):
    """The session is settled: the member's bill.

    Attributes:
        session: market session, from 0.
        amount_eur: the bill in cents; negative: the member receives it.
        demand_charge_eur: of it, what is for the member's peak import.
        sharing_eur: of it, what evens out a session of the same prices in all slots.
        last: no further session follows.
    """

    type: Literal["session-closed"] = "session-closed"
    session: Index
    amount_eur: Decimal
    demand_charge_eur: Decimal = Decimal(0)
    sharing_eur: Decimal = Decimal(0)
    last: bool


AnyBody = (
    Join
    | Admission
    | Reason
    | PriceSignal
    | Position
    | DeclarationRequest
    | DeviceDeclaration
    | BargainCall
    | TradeProposal
    | BargainReport
    | CommunityStatement
    | RelayedTrades
    | MeteredExchange
    | ExchangeEnded
    | ExchangeClosed
    | Agreement
    | Acknowledged
    | DeliveryRequest
    | MeteredDelivery
    | BillLine
    | DeliveryCorrection
    | AdjustmentLine
    | SessionClosed
    | MeterAttach
    | MeterAttached
    | MeterDetach
    | MeteringEnded
    | ReadingRequest
    | Reading
    | ReadingCorrection
    | SetpointSubscribe
    | SetpointCancel
    | Setpoint
    | SetpointOutcome
    | SetpointsEnded
)

_ADAPTER: TypeAdapter[AnyBody] = TypeAdapter(Annotated[AnyBody, Field(discriminator="type")])


def parse_body(text: str) -> AnyBody:
    """Read and check a body.

    Raises:
        ProtocolError: no JSON, unknown type, or a field that is missing, unknown, out of bounds or of the
            wrong shape; the message names the first such field and what was found.
    """
    try:
        return _validated(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        found = str(first.get("input"))[:80]
        raise ProtocolError(f"{where}: {first['msg'][:480]} (found {found!r})") from error


@lru_cache(maxsize=2)
def _validated(text: str) -> AnyBody:
    """Kept for who reads the same next: members of one process are told the same. Nobody changes a body."""
    return _ADAPTER.validate_json(text)


def body_schema() -> dict[str, object]:
    """JSON Schema of every body, for those who speak the protocol in another language."""
    return _ADAPTER.json_schema()

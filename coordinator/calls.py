"""A round's question to a member as it is told, and the member's answer as it is understood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coordinator.declared import check_declared
from coordinator.mechanisms import Bargain, Declaration, Declare, Schedule, Signal
from coordinator.mechanisms.base import Array, ConnectionShare
from coordinator.negotiation import Answer, Negotiation
from coordinator.trades import reported_trade
from runtime.errors import ProtocolError
from runtime.protocol.bargain_bodies import BargainCall, BargainReport
from runtime.protocol.bodies import (
    DeclarationRequest,
    DeviceDeclaration,
    DeviceSchedule,
    Position,
    PriceSignal,
    PriceStep,
)
from runtime.protocol.pairs import net_of_pair


def call_bodies(
    negotiation: Negotiation, session: int, members: Sequence[str], everybody: Sequence[str]
) -> dict[str, PriceSignal | DeclarationRequest | BargainCall]:
    """What each member that is to answer now is asked in the running round.

    Args:
        negotiation: the session's negotiation.
        session: number of the market session.
        members: who takes part.
        everybody: they, and those of the other community where there are two.
    """
    bodies: dict[str, PriceSignal | DeclarationRequest | BargainCall] = {}
    same: dict[int, PriceSignal | DeclarationRequest | BargainCall] = {}  # one for all who are asked the same
    for member, call in negotiation.asking.items():
        if id(call) not in same:
            across = isinstance(call, Bargain) and call.across
            same[id(call)] = call_body(call, session, negotiation, everybody if across else members)
        bodies[member] = same[id(call)]
    return bodies


def call_body(
    call: Signal | Declare | Bargain, session: int, negotiation: Negotiation, members: Sequence[str]
) -> PriceSignal | DeclarationRequest | BargainCall:
    """What a member is asked in the running round.

    Args:
        call: the question.
        session: number of the market session.
        negotiation: its negotiation.
        members: who takes part.
    """
    number, tariff = negotiation.number, negotiation.mechanism.tariff
    if isinstance(call, Declare):
        return DeclarationRequest(session=session, round=number)
    if isinstance(call, Bargain):
        share = call.shares[0] if call.shares else ConnectionShare(None, None)
        return BargainCall(
            session=session,
            round=number,
            members=list(members),
            max_rounds=call.max_rounds,
            tolerance_kwh=call.tolerance_kwh,
            penalty_eur_per_kwh2=told(call.penalty_eur_per_kwh2),
            import_price_eur_per_kwh=told(tariff.import_price_eur_per_kwh),
            export_price_eur_per_kwh=told(tariff.export_price_eur_per_kwh),
            suspended_slots=np.flatnonzero(tariff.suspended).tolist(),
            local_fee_eur_per_kwh=tariff.local_fee_eur_per_kwh,
            demand_charge_eur_per_kw=tariff.demand_charge_eur_per_kw,
            import_share_kwh=None if share.import_kwh is None else told(share.import_kwh),
            export_share_kwh=None if share.export_kwh is None else told(share.export_kwh),
            excess_price_eur_per_kwh=tariff.excess_price_eur_per_kwh if call.shares else 0.0,
        )
    return PriceSignal(
        session=session,
        round=number,
        import_price_eur_per_kwh=told(call.import_price_eur_per_kwh),
        export_price_eur_per_kwh=told(call.export_price_eur_per_kwh),
        proximal_weight_eur_per_kwh2=call.proximal_weight_eur_per_kwh2,
        step_limit_kwh=call.step_limit_kwh,
        steps=tuple(
            PriceStep(
                threshold_kwh=told(step.threshold_kwh),
                above_eur_per_kwh=told(step.above_eur_per_kwh),
                below_eur_per_kwh=told(step.below_eur_per_kwh),
            )
            for step in call.steps
        ),
        demand_charge_eur_per_kw=tariff.demand_charge_eur_per_kw,
        wants_limits=call.wants_limits,
    )


def answer_of(body: Position | DeviceDeclaration | BargainReport, slot_hours: Array) -> Answer:
    """What a member answered.

    Args:
        body: the answer.
        slot_hours: length of the session's slots, shape (slots,) [h].

    Raises:
        ProtocolError: a series that does not have a value for each slot, a slot that there is not, or a
            device that cannot be planned for.
    """
    slots = slot_hours.size
    _check_length(body.type, body.grid_import_kwh, slots)
    net_kwh = net_of_pair(body.grid_import_kwh, body.grid_export_kwh)
    match body:
        case BargainReport():
            trades = tuple(reported_trade(trade, slots) for trade in body.trades)
            return Answer(net_kwh, trades=trades, bargaining_rounds=body.rounds)
        case DeviceDeclaration():
            _check_length("residual_load_kwh", body.residual_load_kwh, slots)
            check_declared(body, slot_hours)
            residual_kwh = np.array(body.residual_load_kwh)
            declaration = Declaration(residual_kwh, body.battery, body.vehicles, body.appliances)
            return Answer(net_kwh, declaration=declaration)
        case Position(limit_price_eur_per_kwh=list() as limits):
            _check_length("limit_price_eur_per_kwh", limits, slots)
            return Answer(net_kwh, np.array(limits))
    return Answer(net_kwh)


def told(values: Array) -> list[float]:
    """Numbers as they are told: to nine decimals, as prices and energies are settled."""
    numbers: list[float] = values.round(9).tolist()
    return numbers


def _check_length(name: str, series: Sequence[float], slots: int) -> None:
    if len(series) != slots:
        raise ProtocolError(f"{name} has {len(series)} slots, expected {slots}")


def told_schedule(schedule: Schedule) -> DeviceSchedule:
    """What a member is told of its devices' schedule."""
    return DeviceSchedule(
        stored_kwh=None if schedule.stored_kwh is None else told(schedule.stored_kwh),
        vehicle_kwh=tuple(told(drawn) for drawn in schedule.vehicle_kwh),
        appliance_start_slots=schedule.appliance_start_slots,
    )

"""What is told, and kept, of a session whose slots are settled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coordinator.calls import told
from coordinator.expected import expected_prices
from coordinator.negotiation import Negotiation
from coordinator.operation import Operation
from coordinator.rolling import operated_record
from runtime.configuration import CoordinatorSession
from runtime.protocol.bodies import SessionClosed
from runtime.records import Bill, CommunityRecord, SessionRecord


def closings(session: int, bills: Sequence[Bill], *, last: bool) -> dict[str, SessionClosed]:
    """What each member is told of its bill.

    Args:
        session: number of the market session.
        bills: one of each member.
        last: whether no session follows.
    """
    return {
        bill.member: SessionClosed(
            session=session,
            amount_eur=bill.amount_eur,
            demand_charge_eur=bill.exact_of("demand-charge"),
            sharing_eur=bill.exact_of("sharing"),
            last=last,
        )
        for bill in bills
    }


def session_record(
    number: int,
    terms: CoordinatorSession,
    negotiation: Negotiation,
    operation: Operation,
    members: Sequence[str],
    bills: list[Bill],
    communities: list[CommunityRecord],
) -> SessionRecord:
    """The record of a session.

    Args:
        number: its number, from 0.
        terms: its horizon and the grid's tariffs.
        negotiation: ended.
        operation: closed.
        members: who took part.
        bills: one of each member.
        communities: what is told apart of each of two communities; empty where there is one.
    """
    assert negotiation.agreed is not None, "a session closes after its agreement"
    assert negotiation.clearing is not None, "what is agreed is cleared"
    tariff = negotiation.mechanism.tariff
    prices = expected_prices(negotiation.agreed_kwh, negotiation.clearing, tariff)
    record = SessionRecord(
        session=number,
        continues=terms.continues and number > 0,
        horizon=terms.horizon,
        grid_import_price_eur_per_kwh=terms.import_price_eur_per_kwh,
        grid_export_price_eur_per_kwh=terms.export_price_eur_per_kwh,
        co2_intensity_g_per_kwh=terms.co2_intensity_g_per_kwh,
        grid=terms.grid,
        rounds=negotiation.rounds,
        bargaining_rounds=negotiation.bargaining_rounds,
        agreed_round=negotiation.agreed.round,
        agreed_net_kwh=dict(zip(members, negotiation.agreed_kwh.tolist(), strict=True)),
        agreed_import_price_eur_per_kwh=told(prices.import_price_eur_per_kwh),
        agreed_export_price_eur_per_kwh=told(prices.export_price_eur_per_kwh),
        local_price_eur_per_kwh=operation.local_price_eur_per_kwh,
        contracts=operation.contracts,
        shared_by_day=operation.shared_by_day,
        opted_out=negotiation.opted_out,
        apart=operation.apart,
        free_kwh=operation.free_kwh,
        suspended_slots=np.flatnonzero(tariff.suspended).tolist(),
        deliveries=operation.deliveries,
        ledger=operation.ledger,
        bills=bills,
        communities=communities,
    )
    return operated_record(record, terms)

"""What members are told once a negotiation has ended: each one's agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from coordinator.calls import told, told_schedule
from coordinator.expected import expected_prices
from coordinator.negotiation import Negotiation
from runtime.protocol.bodies import Agreement
from runtime.protocol.pairs import pair_of_net


def agreements(
    session: int,
    negotiation: Negotiation,
    members: Sequence[str],
    free_kwh: Mapping[str, Sequence[Decimal]],
) -> dict[str, Agreement]:
    """The agreement that each member is told.

    Args:
        session: number of the market session.
        negotiation: ended.
        members: who takes part.
        free_kwh: by member and slot, what is free of charges for the connection's limit, import > 0 [kWh];
            empty where there is none.
    """
    agreed, clearing, tariff = negotiation.agreed, negotiation.clearing, negotiation.mechanism.tariff
    assert agreed is not None, "the negotiation has ended"
    assert clearing is not None, "what is agreed is cleared"
    local = told(np.where(tariff.suspended, np.nan, clearing.local_price_eur_per_kwh))
    local_price_eur_per_kwh = [None if np.isnan(price) else price for price in local]
    prices = expected_prices(negotiation.agreed_kwh, clearing, tariff)
    apart = {members[index] for index in clearing.apart}
    zero = Decimal(0)
    bodies: dict[str, Agreement] = {}
    for member in members:
        imports, exports = pair_of_net(negotiation.agreed_position_kwh(member))
        schedule = negotiation.schedule(member)
        own = tariff if member in apart else prices
        free = free_kwh[member] if free_kwh else None
        bodies[member] = Agreement(
            session=session,
            round=agreed.round,
            position_round=negotiation.agreed_position_round(member),
            import_price_eur_per_kwh=told(own.import_price_eur_per_kwh),
            export_price_eur_per_kwh=told(own.export_price_eur_per_kwh),
            local_price_eur_per_kwh=local_price_eur_per_kwh,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            schedule=None if schedule is None else told_schedule(schedule),
            apart=member in apart,
            free_import_kwh=None if free is None else [max(energy, zero) for energy in free],
            free_export_kwh=None if free is None else [max(-energy, zero) for energy in free],
        )
    return bodies

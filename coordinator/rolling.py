"""Rolling horizons: a session plans further than it operates; its record is of what it operated.

What lies beyond the operated slots was negotiated, so that batteries are not run empty towards the end, but
the next session negotiates it again: nothing of it is settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

import numpy as np

from coordinator.costs import CommunityTariff
from runtime.configuration import CoordinatorSession
from runtime.records import AgreedContract, Round, SessionRecord

T = TypeVar("T", float, Decimal, Decimal | None)


def planned_slots(sessions: Sequence[CoordinatorSession]) -> list[int] | None:
    """How many slots each session plans; None where all operate what they plan."""
    if all(session.operated_slots is None for session in sessions):
        return None
    return [session.horizon.slots for session in sessions]


def operated_contracts(contracts: Sequence[AgreedContract], slots: int) -> list[AgreedContract]:
    """Contracts as far as they are about the first slots; those without energy there are left out."""
    cut = (
        contract.model_copy(
            update={
                "energy_kwh": contract.energy_kwh[:slots],
                "price_eur_per_kwh": contract.price_eur_per_kwh[:slots],
            }
        )
        for contract in contracts
    )
    return [contract for contract in cut if any(contract.energy_kwh)]


def operated_record(record: SessionRecord, session: CoordinatorSession) -> SessionRecord:
    """The record of a session's operated slots; costs of rounds are of these slots alone.

    Args:
        record: with every series over the planned slots.
        session: which slots those are.
    """
    if session.operated_slots is None:
        return record
    slots = session.operated_slots

    def first(values: list[T]) -> list[T]:
        return values[:slots]

    tariff = CommunityTariff.of_session(session, slots)
    intensity = record.co2_intensity_g_per_kwh
    return record.model_copy(
        update={
            "horizon": session.operated,
            "planned_horizon": session.horizon,
            "grid_import_price_eur_per_kwh": first(record.grid_import_price_eur_per_kwh),
            "grid_export_price_eur_per_kwh": first(record.grid_export_price_eur_per_kwh),
            "co2_intensity_g_per_kwh": None if intensity is None else first(intensity),
            "rounds": [_operated_round(each, tariff, slots) for each in record.rounds],
            "agreed_net_kwh": {name: first(net) for name, net in record.agreed_net_kwh.items()},
            "agreed_import_price_eur_per_kwh": first(record.agreed_import_price_eur_per_kwh),
            "agreed_export_price_eur_per_kwh": first(record.agreed_export_price_eur_per_kwh),
            "local_price_eur_per_kwh": first(record.local_price_eur_per_kwh),
            "contracts": operated_contracts(record.contracts, slots),
            "free_kwh": {name: first(energy) for name, energy in record.free_kwh.items()},
            "suspended_slots": [slot for slot in record.suspended_slots if slot < slots],
        }
    )


def _operated_round(told: Round, tariff: CommunityTariff, slots: int) -> Round:
    net_kwh = {name: net[:slots] for name, net in told.net_kwh.items()}
    return told.model_copy(
        update={
            "import_price_eur_per_kwh": told.import_price_eur_per_kwh[:slots],
            "export_price_eur_per_kwh": told.export_price_eur_per_kwh[:slots],
            "net_kwh": net_kwh,
            "community_cost_eur": tariff.cost_eur(np.array(list(net_kwh.values()))),
        }
    )

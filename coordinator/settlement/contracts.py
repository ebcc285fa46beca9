"""Contracts as members agreed on them, made exact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from coordinator.mechanisms.base import Contract
from coordinator.settlement.energy import SlotContract
from coordinator.settlement.exact import ENERGY_STEP_KWH, PRICE_STEP_EUR_PER_KWH
from runtime.bookkeeping import AgreedContract


def agreed_contracts(
    contracts: Sequence[Contract], members: Sequence[str], suspended: NDArray[np.bool_]
) -> list[AgreedContract]:
    """Contracts in whole steps of energy and price, those without energy left out.

    Args:
        contracts: as the clearing has them.
        members: names, by the contracts' indices.
        suspended: slots in which trade is suspended, shape (slots,): there nothing counts.

    Raises:
        ValueError: a contract of a member with itself, of a member that is not there, or with energies or
            prices that are not finite, negative (energies) or of another shape.
    """
    exact = (
        _exact(contract, members, suspended, f"contract {number}")
        for number, contract in enumerate(contracts)
    )
    return [contract for contract in exact if any(contract.energy_kwh)]


def contracts_of_slot(contracts: Sequence[AgreedContract], slot: int) -> list[SlotContract]:
    """What is agreed for one slot."""
    return [
        SlotContract(each.seller, each.buyer, each.energy_kwh[slot], each.price_eur_per_kwh[slot])
        for each in contracts
        if each.energy_kwh[slot]
    ]


def _exact(
    contract: Contract, members: Sequence[str], suspended: NDArray[np.bool_], where: str
) -> AgreedContract:
    seller, buyer = contract.seller, contract.buyer
    if seller == buyer or not all(0 <= index < len(members) for index in (seller, buyer)):
        raise ValueError(
            f"{where}: found seller {seller} and buyer {buyer}, expected two of {len(members)} members"
        )
    for values in (contract.energy_kwh, contract.price_eur_per_kwh):
        if values.shape != suspended.shape:
            raise ValueError(f"{where}: found shape {values.shape}, expected {suspended.shape}")
    if not (np.isfinite(contract.energy_kwh).all() and (contract.energy_kwh >= 0).all()):
        raise ValueError(f"{where}: energy_kwh: expected finite numbers of 0 or more")
    energies = [
        Decimal(0) if no_trade else Decimal(repr(energy)).quantize(ENERGY_STEP_KWH)
        for energy, no_trade in zip(contract.energy_kwh.tolist(), suspended.tolist(), strict=True)
    ]
    prices = []
    for energy, price in zip(energies, contract.price_eur_per_kwh.tolist(), strict=True):
        if energy and not np.isfinite(price):
            raise ValueError(f"{where}: price_eur_per_kwh: found {price} where there is energy")
        prices.append(Decimal(repr(price)).quantize(PRICE_STEP_EUR_PER_KWH) if energy else Decimal(0))
    return AgreedContract(
        seller=members[seller], buyer=members[buyer], energy_kwh=energies, price_eur_per_kwh=prices
    )

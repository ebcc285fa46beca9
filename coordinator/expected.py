"""What agreed positions would come to if they were metered: in floating point, for telling and choosing.

What is metered is settled exactly, in ``coordinator.settlement``, by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordinator.costs import CommunityTariff
from coordinator.excess import excess_parts_kwh
from coordinator.mechanisms.base import Array, Clearing, Contract


@dataclass(frozen=True)
class AveragePrices:
    """What members pay and earn on average for a kWh, shape (slots,) each [EUR/kWh]."""

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array


def average_prices(net_kwh: Array, local_price_eur_per_kwh: Array, tariff: CommunityTariff) -> AveragePrices:
    """Prices of a pool that settles the shorter side at the local price and the rest at the grid's tariffs.

    Fee and charges for the connection's limit are in them, the demand charge is not. Without demand, the
    price of energy taken is that of a first small buyer, who would get it from a neighbour; without supply
    likewise.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        local_price_eur_per_kwh: price of the pool, shape (slots,); NaN where nothing is traded.
        tariff: the community's tariff.
    """
    demand = np.maximum(net_kwh, 0.0).sum(axis=0)
    supply = np.maximum(-net_kwh, 0.0).sum(axis=0)
    pooled = np.isfinite(local_price_eur_per_kwh) & ~tariff.suspended
    traded = np.where(pooled, np.minimum(demand, supply), 0.0)
    bought = np.divide(traded, demand, out=(pooled & (supply > 0)).astype(float), where=demand > 0)
    sold = np.divide(traded, supply, out=(pooled & (demand > 0)).astype(float), where=supply > 0)
    local = np.where(pooled, local_price_eur_per_kwh, 0.0)
    fee = tariff.meter_fee_eur_per_kwh
    charge_eur = tariff.excess_price_eur_per_kwh * tariff.excess_kwh(demand - supply)
    taken_eur = np.divide(charge_eur, demand, out=np.zeros_like(demand), where=demand > supply)
    given_eur = np.divide(charge_eur, supply, out=np.zeros_like(supply), where=supply > demand)
    return AveragePrices(
        bought * (local + fee) + (1 - bought) * tariff.import_price_eur_per_kwh + taken_eur,
        sold * (local - fee) + (1 - sold) * tariff.export_price_eur_per_kwh - given_eur,
    )


def shared_by_day_prices(
    net_kwh: Array, local_price_eur_per_kwh: Array, tariff: CommunityTariff
) -> AveragePrices:
    """What energy costs and earns on average when the bill of all slots is shared.

    Fee and charges for the connection's limit stay in their slots. Without any demand, or any supply, the
    prices of that side are those of slots shared by themselves.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        local_price_eur_per_kwh: price of the pool before that, shape (slots,); NaN where nothing is traded.
        tariff: the community's tariff.
    """
    by_slot = average_prices(net_kwh, local_price_eur_per_kwh, tariff)
    demand, supply = np.maximum(net_kwh, 0.0).sum(axis=0), np.maximum(-net_kwh, 0.0).sum(axis=0)
    pooled = np.isfinite(local_price_eur_per_kwh) & ~tariff.suspended
    volume = np.where(pooled, np.minimum(demand, supply), 0.0)

    def shared(energy_kwh: Array, price_eur_per_kwh: Array, slot_price_eur_per_kwh: Array) -> Array:
        whole_kwh = float(energy_kwh.sum())
        if whole_kwh == 0:
            return slot_price_eur_per_kwh
        amount_eur = (energy_kwh - volume) * price_eur_per_kwh
        in_slot = np.divide(amount_eur, energy_kwh, out=np.zeros_like(amount_eur), where=energy_kwh > 0)
        beside = np.where(energy_kwh > 0, slot_price_eur_per_kwh - in_slot, 0.0)
        return np.asarray(beside + amount_eur.sum() / whole_kwh)

    return AveragePrices(
        shared(demand, tariff.import_price_eur_per_kwh, by_slot.import_price_eur_per_kwh),
        shared(supply, tariff.export_price_eur_per_kwh, by_slot.export_price_eur_per_kwh),
    )


def expected_prices(net_kwh: Array, clearing: Clearing, tariff: CommunityTariff) -> AveragePrices:
    """What members pay and earn on average at agreed positions, contracts and who is apart left out.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        clearing: the terms of settlement.
        tariff: the community's tariff.
    """
    local = np.where(tariff.suspended, np.nan, clearing.local_price_eur_per_kwh)
    net_kwh = net_kwh * _together(clearing, len(net_kwh))
    if clearing.shared_by_day:
        return shared_by_day_prices(net_kwh, local, tariff)
    return average_prices(net_kwh, local, tariff)


def expected_bills_eur(net_kwh: Array, clearing: Clearing, tariff: CommunityTariff) -> Array:
    """Each member's bill if these positions were metered [EUR], shape (members,).

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        clearing: the terms of settlement.
        tariff: the community's tariff.
    """
    demand, supply = np.maximum(net_kwh, 0.0), np.maximum(-net_kwh, 0.0)
    bills = tariff.demand_charges_eur(net_kwh)
    traded = np.zeros_like(net_kwh)
    for contract, energy in _executed(demand, supply, clearing, tariff):
        for member, side, sign in ((contract.buyer, demand, 1.0), (contract.seller, supply, -1.0)):
            bills[member] += sign * float(
                np.sum(energy * np.where(energy > 0, contract.price_eur_per_kwh, 0))
            )
            traded[member] += energy
            side[member] -= energy
    pooled = np.isfinite(clearing.local_price_eur_per_kwh) & ~tariff.suspended
    together = _together(clearing, len(net_kwh))
    wanted, offered = demand * together, supply * together
    volume = np.where(pooled, np.minimum(wanted.sum(axis=0), offered.sum(axis=0)), 0.0)
    bought, sold = _rationed(wanted, volume), _rationed(offered, volume)
    traded += bought + sold
    from_grid, to_grid = demand - bought, supply - sold
    local = np.where(pooled, clearing.local_price_eur_per_kwh, 0.0)
    energy_eur = (
        local * (bought - sold)
        + tariff.import_price_eur_per_kwh * from_grid
        - tariff.export_price_eur_per_kwh * to_grid
    )
    if clearing.shared_by_day:
        bills += _shared_eur(wanted, tariff.import_price_eur_per_kwh * (from_grid * together))
        bills -= _shared_eur(offered, tariff.export_price_eur_per_kwh * (to_grid * together))
        bills += (energy_eur * ~together).sum(axis=1)
    else:
        bills += energy_eur.sum(axis=1)
    boundary = net_kwh.sum(axis=0)
    if clearing.free_kwh is None:
        excess = _rationed(np.where(boundary > 0, from_grid, to_grid), tariff.excess_kwh(boundary))
    else:
        excess = excess_parts_kwh(net_kwh, clearing.free_kwh, tariff)
    bills += (tariff.meter_fee_eur_per_kwh * traded + tariff.excess_price_eur_per_kwh * excess).sum(axis=1)
    return np.asarray(bills)


def bills_without_trade_eur(net_kwh: Array, tariff: CommunityTariff) -> Array:
    """Each member's bill if nobody traded and these positions were metered [EUR], shape (members,).

    The grid's tariffs, the demand charge, and what energy above the connection's limit comes to: without a
    market the community's wire is no wider.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        tariff: the community's tariff.
    """
    return expected_bills_eur(net_kwh, Clearing(np.full(tariff.slots, np.nan)), tariff)


def _executed(
    demand: Array, supply: Array, clearing: Clearing, tariff: CommunityTariff
) -> list[tuple[Contract, Array]]:
    """Contracts with their energies cut to what the smaller of both sides' shares allows."""
    agreed = [np.where(tariff.suspended, 0.0, each.energy_kwh) for each in clearing.contracts]
    to_give, to_take = np.zeros_like(supply), np.zeros_like(demand)
    for contract, energy in zip(clearing.contracts, agreed, strict=True):
        to_give[contract.seller] += energy
        to_take[contract.buyer] += energy
    gives, takes = _part(supply, to_give), _part(demand, to_take)
    return [
        (contract, energy * np.minimum(gives[contract.seller], takes[contract.buyer]))
        for contract, energy in zip(clearing.contracts, agreed, strict=True)
    ]


def _together(clearing: Clearing, members: int) -> NDArray[np.bool_]:
    """Who is not apart, shape (members, 1)."""
    return np.array([index not in clearing.apart for index in range(members)], dtype=np.bool_)[:, None]


def _part(metered: Array, agreed: Array) -> Array:
    """How much of what was agreed is metered, at most 1."""
    return np.asarray(np.divide(metered, agreed, out=np.ones_like(agreed), where=agreed > metered))


def _rationed(wanted: Array, volume: Array) -> Array:
    """``volume`` of each slot split in proportion to what members want, shape (members, slots)."""
    whole = wanted.sum(axis=0)
    return np.asarray(wanted * np.divide(volume, whole, out=np.zeros_like(whole), where=whole > 0))


def _shared_eur(energy_kwh: Array, amount_eur: Array) -> Array:
    """All amounts together, shared in proportion to the members' energies of all slots, shape (members,)."""
    of_member = energy_kwh.sum(axis=1)
    whole = of_member.sum()
    return np.asarray(of_member * (amount_eur.sum() / whole if whole > 0 else 0.0))

"""What agreed positions would come to if they were metered: in floating point, for telling and choosing.

What is metered is settled exactly, in ``coordinator.settlement``, by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array, Clearing


@dataclass(frozen=True)
class AveragePrices:
    """What members pay and earn on average for a kWh, shape (slots,) each [EUR/kWh]."""

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array


def average_prices(net_kwh: Array, local_price_eur_per_kwh: Array, tariff: CommunityTariff) -> AveragePrices:
    """Prices of a pool that settles the shorter side at the local price and the rest at the grid's tariffs.

    Without demand, the price of energy taken is that of a first small buyer, who would get it from a
    neighbour; without supply likewise.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        local_price_eur_per_kwh: price of the pool, shape (slots,); NaN where nothing is traded.
        tariff: the community's tariff.
    """
    demand = np.maximum(net_kwh, 0.0).sum(axis=0)
    supply = np.maximum(-net_kwh, 0.0).sum(axis=0)
    pooled = np.isfinite(local_price_eur_per_kwh)
    traded = np.where(pooled, np.minimum(demand, supply), 0.0)
    bought = np.divide(traded, demand, out=(pooled & (supply > 0)).astype(float), where=demand > 0)
    sold = np.divide(traded, supply, out=(pooled & (demand > 0)).astype(float), where=supply > 0)
    local = np.where(pooled, local_price_eur_per_kwh, 0.0)
    fee = tariff.meter_fee_eur_per_kwh
    return AveragePrices(
        bought * (local + fee) + (1 - bought) * tariff.import_price_eur_per_kwh,
        sold * (local - fee) + (1 - sold) * tariff.export_price_eur_per_kwh,
    )


def expected_bills_eur(net_kwh: Array, clearing: Clearing, tariff: CommunityTariff) -> Array:
    """Each member's bill if these positions were metered [EUR], shape (members,).

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        clearing: the terms of settlement.
        tariff: the community's tariff.
    """
    prices = average_prices(net_kwh, clearing.local_price_eur_per_kwh, tariff)
    price = np.where(net_kwh > 0, prices.import_price_eur_per_kwh, prices.export_price_eur_per_kwh)
    bills: Array = (net_kwh * price).sum(axis=1) + tariff.demand_charges_eur(net_kwh)
    return bills

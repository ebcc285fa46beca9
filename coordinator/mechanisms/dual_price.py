"""Settling at the dual price: what a kWh more at the community's boundary would have cost. Pure."""

from __future__ import annotations

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array

BALANCED_SHARE = 0.02
"""A slot whose net energy is at most this share of what flows through its meters counts as balanced."""


def dual_price_eur_per_kwh(net_kwh: Array, dual_eur_per_kwh: Array, tariff: CommunityTariff) -> Array:
    """Price of local trade in each slot: the pool's import or export tariff, or the dual where it balances.

    Where the community imports, a kWh among neighbours spares an import, and where it exports, it spares a
    kWh fed in: there the dual is the tariff, and the tariff is exact. In between the dual is cut at the
    pool's tariffs, so that nobody pays more than at the grid.

    Args:
        net_kwh: agreed positions, shape (members, slots), import > 0 [kWh].
        dual_eur_per_kwh: price of the balance, shape (slots,); NaN counts as the middle of the tariffs.
        tariff: the community's tariff.

    Returns:
        Shape (slots,), before the local fee; NaN in slots without local trade.
    """
    low, high = tariff.pool_export_price_eur_per_kwh, tariff.pool_import_price_eur_per_kwh
    boundary_kwh, flow_kwh = net_kwh.sum(axis=0), np.abs(net_kwh).sum(axis=0)
    dual = np.where(np.isnan(dual_eur_per_kwh), (low + high) / 2, dual_eur_per_kwh)
    price = np.minimum(np.maximum(dual, low), high)
    price = np.where(boundary_kwh > BALANCED_SHARE * flow_kwh, high, price)
    price = np.where(boundary_kwh < -BALANCED_SHARE * flow_kwh, low, price)
    return np.where(tariff.suspended, np.nan, price)

"""Supply–demand ratio: the scarcer local energy is, the nearer its price is to the grid's import tariff.

With r = S/D, supply over demand of a slot, and a and b the pool's import and export tariffs, sellers earn

    r < 1:  p = a b / ((a − b) r + b),     r ≥ 1:  p = b,

and buyers pay p r + a (1 − r), or b: the prices at which the longer side is served by the grid. 1/p runs
straight from 1/a at r = 0 to 1/b at r = 1, which needs positive tariffs; where the export tariff is not above
0, p itself runs straight from a to b.

Source: Liu et al., "Energy-sharing model with price-based demand response for microgrids of peer-to-peer
prosumers", IEEE Trans. Power Systems 32 (2017), equations 5 to 8.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism
from coordinator.mechanisms.base import Array


def supply_demand_price_eur_per_kwh(net_kwh: Array, tariff: CommunityTariff) -> Array:
    """Price of local trade by the ratio of supply to demand.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        tariff: the community's tariff.

    Returns:
        Shape (slots,), before the fee, between the pool's tariffs; NaN in slots without local trade. Without
        demand, the export tariff.
    """
    high, low = tariff.pool_import_price_eur_per_kwh, tariff.pool_export_price_eur_per_kwh
    demand, supply = np.maximum(net_kwh, 0.0).sum(axis=0), np.maximum(-net_kwh, 0.0).sum(axis=0)
    ratio = np.divide(supply, demand, out=np.ones_like(demand), where=demand > supply)
    straight = high * (1 - ratio) + low * ratio
    positive = ~tariff.suspended & (low > 0)
    price = np.divide(high * low, (high - low) * ratio + low, out=straight, where=positive)
    return np.where(tariff.suspended, np.nan, np.clip(price, np.minimum(low, high), high))


class SupplyDemandRatio(AveragePriceMechanism):
    """See the module."""

    title: ClassVar[str] = "Supply–demand ratio"
    summary: ClassVar[str] = (
        "The price among neighbours falls from what the grid asks to what it pays as their supply grows from "
        "nothing to all that they need."
    )
    individually_rational: ClassVar[bool] = True

    def local_price_eur_per_kwh(self, net_kwh: Array) -> Array:
        """By the ratio of supply to demand in each slot."""
        return supply_demand_price_eur_per_kwh(net_kwh, self.tariff)

"""Mid-market rate with proximal damping.

Neighbours trade at the middle of the grid's tariffs; the longer side pays or earns the mix of that and the
tariff. Told as average prices, members overshoot, so each adds a proximal term to its plan, whose weight
grows from round to round until positions stand still. The round with the least community cost is agreed on,
so the negotiation never ends worse than the members' own plans pooled (round 0).

Source: Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting 2017;
proximal term: Parikh and Boyd, "Proximal Algorithms", 2014.
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import numpy as np
from pydantic import Field

from coordinator.mechanisms.base import (
    Agreed,
    Array,
    Mechanism,
    Parameters,
    Signal,
    Tariffs,
    community_cost_eur,
)


class MidMarketRateParameters(Parameters):
    """What a scenario may set.

    Attributes:
        max_rounds: price rounds after round 0, at most.
        damping: first proximal weight, as a multiple of mean tariff spread / mean energy per slot.
        damping_growth: factor of the weight from round to round.
        tolerance: stop once no position changes by more than this share of the mean energy per slot.
    """

    max_rounds: int = Field(default=10, ge=0, le=200)
    damping: float = Field(default=0.15, ge=0)
    damping_growth: float = Field(default=1.3, ge=1)
    tolerance: float = Field(default=1e-3, ge=0)


def mid_market_prices(net_kwh: Array, tariffs: Tariffs) -> tuple[Array, Array]:
    """Prices that members pay and earn when everything is settled at the mid-market rate.

    With D and S the slot's demand and supply at the meters and m the middle of the tariffs: buyers pay
    (m min(D, S) + import price (D - S)+) / D, sellers earn (m min(D, S) + export price (S - D)+) / S; without
    demand the price is m for buyers (a first neighbour who takes energy gets it from the surplus), and
    without supply it is m for sellers. Suspended slots keep the tariffs.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        tariffs: the grid's tariffs.

    Returns:
        Import and export price, shape (slots,) each [EUR/kWh].
    """
    buy, sell = tariffs.import_price_eur_per_kwh, tariffs.export_price_eur_per_kwh
    demand = np.maximum(net_kwh, 0.0).sum(axis=0)
    supply = np.maximum(-net_kwh, 0.0).sum(axis=0)
    traded = np.minimum(demand, supply)
    mid = (buy + sell) / 2
    local_demand = np.divide(traded, demand, out=(supply > 0).astype(float), where=demand > 0)
    local_supply = np.divide(traded, supply, out=(demand > 0).astype(float), where=supply > 0)
    paid = local_demand * mid + (1 - local_demand) * buy
    earned = local_supply * mid + (1 - local_supply) * sell
    return np.where(tariffs.suspended, buy, paid), np.where(tariffs.suspended, sell, earned)


class MidMarketRate(Mechanism):
    """See the module."""

    parameters_model = MidMarketRateParameters

    def __init__(self, tariffs: Tariffs, parameters: Parameters) -> None:
        """Begin a session at these tariffs."""
        super().__init__(tariffs, parameters)
        self._own = cast(MidMarketRateParameters, parameters)
        self._round = 0
        self._last: Array | None = None
        self._best: tuple[float, int, Array] | None = None
        self._first_weight = 0.0

    def respond(self, net_kwh: Array) -> Signal | Agreed:
        """Prices from these positions, or the end when they stand still or the rounds are used up."""
        cost_eur = community_cost_eur(net_kwh, self.tariffs)
        if self._best is None or cost_eur < self._best[0] - 1e-9:
            self._best = (cost_eur, self._round, net_kwh.copy())
        scale_kwh = float(np.abs(net_kwh).mean())
        if self._last is None:
            spread = np.maximum(
                self.tariffs.import_price_eur_per_kwh - self.tariffs.export_price_eur_per_kwh, 0.0
            ).mean()
            self._first_weight = self._own.damping * float(spread) / scale_kwh if scale_kwh > 0 else 0.0
            still = scale_kwh == 0
        else:
            still = bool(np.abs(net_kwh - self._last).max() <= self._own.tolerance * scale_kwh)
        self._last = net_kwh.copy()
        if still or self._round >= self._own.max_rounds:
            _, number, positions = self._best
            return Agreed(number, *mid_market_prices(positions, self.tariffs))
        weight = self._first_weight * self._own.damping_growth**self._round
        self._round += 1
        return Signal(*mid_market_prices(net_kwh, self.tariffs), weight)

    def local_price_eur_per_kwh(self, import_price: Decimal, export_price: Decimal) -> Decimal | None:
        """The middle of the tariffs, or no local trade where the feed-in tariff is the higher."""
        return None if export_price > import_price else (import_price + export_price) / 2

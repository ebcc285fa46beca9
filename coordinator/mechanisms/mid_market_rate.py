"""Mid-market rate with proximal damping.

Neighbours trade at the middle of the grid's tariffs; the longer side pays or earns the mix of that and the
tariff. Told as average prices, members overshoot, so each adds a proximal term to its plan, whose weight
grows from round to round until positions stand still. The round with the least community cost is agreed on,
so the negotiation never ends worse than the members' own plans pooled (round 0).

Source: Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting 2017;
proximal term: Parikh and Boyd, "Proximal Algorithms", 2014.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import Field

from coordinator.costs import CommunityTariff
from coordinator.expected import average_prices
from coordinator.mechanisms.base import Agreed, Answers, Array, Clearing, Mechanism, Parameters, Signal


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


def mid_market_price_eur_per_kwh(tariff: CommunityTariff) -> Array:
    """Middle of the grid's tariffs, shape (slots,); NaN in slots without local trade."""
    middle = (tariff.import_price_eur_per_kwh + tariff.export_price_eur_per_kwh) / 2
    return np.where(tariff.suspended, np.nan, middle)


class MidMarketRate(Mechanism):
    """See the module."""

    parameters_model = MidMarketRateParameters

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        super().__init__(tariff, parameters, members)
        self._own = cast(MidMarketRateParameters, parameters)
        self._round = 0
        self._last: Array | None = None
        self._best: tuple[float, int] | None = None
        self._first_weight = 0.0

    def respond(self, answers: Answers) -> Signal | Agreed:
        """Prices from these positions, or the end when they stand still or the rounds are used up."""
        net_kwh = answers.net_kwh
        cost_eur = self.tariff.cost_eur(net_kwh)
        if self._best is None or cost_eur < self._best[0] - 1e-9:
            self._best = (cost_eur, self._round)
        scale_kwh = float(np.abs(net_kwh).mean())
        if self._last is None:
            spread = np.maximum(
                self.tariff.import_price_eur_per_kwh - self.tariff.export_price_eur_per_kwh, 0.0
            ).mean()
            self._first_weight = self._own.damping * float(spread) / scale_kwh if scale_kwh > 0 else 0.0
            still = scale_kwh == 0
        else:
            still = bool(np.abs(net_kwh - self._last).max() <= self._own.tolerance * scale_kwh)
        self._last = net_kwh.copy()
        if still or self._round >= self._own.max_rounds:
            return Agreed(self._best[1])
        weight = self._first_weight * self._own.damping_growth**self._round
        self._round += 1
        prices = average_prices(net_kwh, mid_market_price_eur_per_kwh(self.tariff), self.tariff)
        return Signal(prices.import_price_eur_per_kwh, prices.export_price_eur_per_kwh, weight)

    def clear(self, net_kwh: Array) -> Clearing:
        """The middle of the tariffs, or no local trade where that would destroy value."""
        return Clearing(mid_market_price_eur_per_kwh(self.tariff))

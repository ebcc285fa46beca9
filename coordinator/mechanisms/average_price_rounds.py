"""Rounds of average prices, which mid-market rate, supply–demand ratio and bill sharing have in common.

Such a mechanism turns positions into what a kWh costs and earns on average. Told to members as the price of
the next kWh, it makes them overshoot: they all move into the cheap slots, which are dear afterwards. Three
dampings hold them: a proximal term whose weight grows from round to round, a limit to how far a position may
move, and prices that learn, that is, move only part of the way. None of them mends that the average is not
the marginal price, so the rounds need not lead to the least cost; the round in which the community pays
least is agreed on, so they never end worse than the members' own plans pooled (round 0).

Sources: proximal term: Parikh and Boyd, "Proximal Algorithms", 2014; step limit and learning: Zhou, Wu and
Long, "Evaluation of peer-to-peer energy sharing mechanisms based on a multiagent simulation framework",
Applied Energy 222 (2018).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

import numpy as np
from pydantic import Field

from coordinator.costs import CommunityTariff
from coordinator.expected import AveragePrices, average_prices
from coordinator.mechanisms.base import Agreed, Answers, Array, Clearing, Mechanism, Parameters, Signal

_GAIN_EUR = 1e-9
"""A cost counts as lower from this difference on; below it is rounding."""


class AveragePriceParameters(Parameters):
    """What a scenario may set.

    Attributes:
        max_rounds: price rounds after round 0, at most.
        damping: first proximal weight, as a multiple of mean tariff spread / mean energy per slot; 0: none.
        damping_growth: factor of the weight from round to round.
        step_limit: how far a position may move in a slot from one round to the next, as a multiple of the
            members' mean energy per slot in round 0; without it, as far as it likes.
        learning: share of the way that the prices told move towards those of the last positions.
        tolerance: stop once no position changes by more than this share of the mean energy per slot, and no
            price by more than this share of the mean tariff spread.
    """

    max_rounds: int = Field(default=10, ge=0, le=200)
    damping: float = Field(default=0.15, ge=0)
    damping_growth: float = Field(default=1.3, ge=1)
    step_limit: float | None = Field(default=None, gt=0)
    learning: float = Field(default=1.0, gt=0, le=1)
    tolerance: float = Field(default=1e-3, ge=0)


class AveragePriceMechanism(Mechanism):
    """A mechanism that tells average prices; what it adds is its formula."""

    parameters_model = AveragePriceParameters

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        super().__init__(tariff, parameters, members)
        self._damping = cast(AveragePriceParameters, parameters)
        self._round = 0
        self._best: tuple[float, int] | None = None
        self._last_kwh: Array | None = None
        self._scale_kwh = 0.0
        spread = tariff.import_price_eur_per_kwh - tariff.export_price_eur_per_kwh
        self._spread_eur_per_kwh = float(np.maximum(spread, 0.0).mean())
        self._told = AveragePrices(tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh)

    @abstractmethod
    def local_price_eur_per_kwh(self, net_kwh: Array) -> Array:
        """Price of local trade at these positions, before the fee, shape (slots,); NaN where there is none.

        Args:
            net_kwh: shape (members, slots), import > 0 [kWh].
        """

    def prices(self, net_kwh: Array) -> AveragePrices:
        """What members pay and earn on average at these positions: what they are told.

        Args:
            net_kwh: shape (members, slots), import > 0 [kWh].
        """
        return average_prices(net_kwh, self.local_price_eur_per_kwh(net_kwh), self.tariff)

    def respond(self, answers: Answers) -> Signal | Agreed:
        """Prices from these positions, or the end when they stand still or the rounds are used up."""
        net_kwh = answers.net_kwh
        cost_eur = self.tariff.cost_eur(net_kwh)
        if self._best is None or cost_eur < self._best[0] - _GAIN_EUR:
            self._best = (cost_eur, self._round)
        if self._last_kwh is None:
            self._scale_kwh = float(np.abs(net_kwh).mean())
        prices = self._learnt(self.prices(net_kwh))
        still = self._scale_kwh == 0 or (self._round > 0 and self._still(net_kwh, prices))
        if still or self._round >= self._damping.max_rounds:
            return Agreed(self._best[1])
        self._last_kwh, self._told = net_kwh.copy(), prices
        first_weight = self._damping.damping * self._spread_eur_per_kwh / self._scale_kwh
        weight = first_weight * self._damping.damping_growth**self._round
        limit = self._damping.step_limit
        self._round += 1
        return Signal(
            prices.import_price_eur_per_kwh,
            prices.export_price_eur_per_kwh,
            weight,
            step_limit_kwh=None if limit is None else limit * self._scale_kwh,
        )

    def _learnt(self, prices: AveragePrices) -> AveragePrices:
        """The prices told last, moved part of the way to these."""
        share, told = self._damping.learning, self._told
        return AveragePrices(
            told.import_price_eur_per_kwh * (1 - share) + prices.import_price_eur_per_kwh * share,
            told.export_price_eur_per_kwh * (1 - share) + prices.export_price_eur_per_kwh * share,
        )

    def _still(self, net_kwh: Array, prices: AveragePrices) -> bool:
        assert self._last_kwh is not None, "a round of prices was held"
        moved_kwh = float(np.abs(net_kwh - self._last_kwh).max(initial=0.0))
        told = self._told
        moved_eur_per_kwh = max(
            float(np.abs(prices.import_price_eur_per_kwh - told.import_price_eur_per_kwh).max()),
            float(np.abs(prices.export_price_eur_per_kwh - told.export_price_eur_per_kwh).max()),
        )
        tolerance = self._damping.tolerance
        return (
            moved_kwh <= tolerance * self._scale_kwh
            and moved_eur_per_kwh <= tolerance * self._spread_eur_per_kwh
        )

    def clear(self, net_kwh: Array) -> Clearing:
        """The formula's price at the agreed positions."""
        return Clearing(self.local_price_eur_per_kwh(net_kwh))

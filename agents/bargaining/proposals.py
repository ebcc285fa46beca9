"""One member's side of a bilateral market: what it proposes to each partner, and how prices follow.

Every pair of members n, m has a price λ and a proposal from either side, t_nm and t_mn, energy taken from the
partner > 0, so that an agreement is t_nm + t_mn = 0. In each round a member plans at the prices it bargains
for, spreads its net energy over its partners, and tells each of them its proposal. Then both sides of a pair
do the same with the same numbers:

    λ ← λ + ρ (t_nm + t_mn) / 2,    target z_nm ← (t_nm − t_mn) / 2,

which is the alternating direction method of multipliers for min Σ cost of members, each minimising its own
cost plus Σ_m λ t_nm + ρ/2 (t_nm − z_nm)². Proposals are over-relaxed (Boyd et al. 2011, § 3.4.3). Who takes
energy in a slot only buys there and who gives only sells: nobody passes energy on. Sources: T. Baroche et
al., *Prosumer markets: a unified formulation*, IEEE PowerTech 2019; T. Sousa et al., *Peer-to-peer and
community-based markets*, Renew. Sustain. Energy Rev. 104 (2019).

Beside energy from the grid at λ⁺, a member has for every partner a price at which its first kWh comes:

    floor_nm = λ + φ/2 − w_nm − ρ z_nm,

φ the local fee, of which each side bears half, w_nm what energy of this partner is worth to it beyond its
price. Its demand at a marginal price π is Σ_m [π − floor_nm]₊ / ρ; this curve, inverted and cut at the grid's
tariffs, is what its net energy costs it in the plan, and filling it up to the planned net energy (as water
fills a vessel) spreads that over the partners. Selling is the mirror image.

Where the community's connection has a limit, the member has a share of it: energy from the grid is at λ⁺ up
to the share and dearer by the excess price e beyond, so that the curve has a step of that width at λ⁺ and
goes on up to λ⁺ + e. Prices of pairs rise with it, which makes partners with energy to spare give it then;
what is paid in the end stays within the tariffs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agents.bargaining.filling import fill_beside_grid
from agents.bargaining.terms import BargainTerms, NetCost, Proposal, Trade
from agents.planning.tariff import FloatArray, Hinge
from runtime.preferences import TradePreferences

OVER_RELAXATION = 1.5
"""Weight of a proposal against the last target; 1 is none, 1.5 to 1.8 is usual."""

SILENT_ROUNDS = 2
"""After so many rounds in a row without a proposal a partner is left out."""

STEADY_ROUNDS = 3
"""So many rounds in a row a pair is to agree before it counts: proposals that swing agree in passing, too."""

DECIMALS = 9
"""Energies and prices are told, and agreed on, in whole multiples of 1e-9."""

_IDLE_KWH = 0.5 * 10.0**-DECIMALS
_FINEST_STEP, _STEPS = 0.001, 8
"""The curve is sampled where its price leaves the last one by so much of the tariff's spread, then twice as
much, and so on."""


class Bargaining:
    """One member's state from round to round of a session's bargaining.

    Attributes:
        terms: what is bargained on.
        round: the running round, from 1.
        residual_kwh: mean over slots of what its pairs are apart, or of how far its net energy moved if that
            is more; the worst of the last ``STEADY_ROUNDS`` rounds, None before there are as many.
        active: names of the partners that are still there.
    """

    def __init__(
        self, terms: BargainTerms, preferences: TradePreferences, green: bool, alone_net_kwh: FloatArray
    ) -> None:
        """Begin with round 1.

        Args:
            terms: what is bargained on.
            preferences: what local and green energy are worth to the member beyond its price.
            green: whether the member produces energy from the sun.
            alone_net_kwh: its position alone at the grid, import > 0, shape (slots,).
        """
        self.terms = terms
        self.round = 1
        self.residual_kwh: float | None = None
        self.active = list(terms.partners)
        self._preferences = preferences
        self._green = green
        self._net_kwh = np.round(alone_net_kwh, DECIMALS)
        shape = (len(terms.partners), alone_net_kwh.size)
        middle = (terms.import_price_eur_per_kwh + terms.export_price_eur_per_kwh) / 2
        self._moved_kwh = np.zeros(alone_net_kwh.size)
        self._apart_kwh: list[float] = []
        self._level = middle
        self._price = np.tile(np.round(middle, DECIMALS), (shape[0], 1))
        self._told_price = self._price
        self._target = np.zeros(shape)
        self._own = np.zeros(shape)
        self._theirs: dict[str, Proposal] = {}
        self._silent = dict.fromkeys(terms.partners, 0)

    # -- planning --------------------------------------------------------------------------------------

    def net_cost(self) -> NetCost:
        """What net energy costs in this round: the curve of bought, sold and grid energy, in short lines."""
        terms = self.terms
        low, high, trades = self._bounds()
        spread = high - low
        steps = _FINEST_STEP * 2.0 ** np.arange(_STEPS)
        at = [low, *(self._level - step * spread for step in steps[::-1]), self._level]
        at += [*(self._level + step * spread for step in steps), high]
        lowest, highest = terms.lowest_eur_per_kwh, terms.highest_eur_per_kwh
        if terms.import_share_kwh is not None or terms.export_share_kwh is not None:
            at += [low, high, lowest, highest]  # from step to step of the grid's tariffs, and beyond
            at = list(np.sort(np.array(at), axis=0))
        prices = np.clip(np.array(at), lowest, highest)
        kinks = np.maximum.accumulate(self._traded_at(prices) + self._of_grid_at(prices), axis=0)
        slopes = np.concatenate([lowest[None], (prices[1:] + prices[:-1]) / 2, highest[None]])
        middle = len(at) // 2
        nothing = np.zeros(low.size)
        hinges = []
        for number, (kink, rise) in enumerate(zip(kinks, np.diff(slopes, axis=0), strict=True)):
            real = np.where(trades, rise, 0.0)
            sides = (real, nothing) if number >= middle else (nothing, real)
            hinges.append(Hinge(np.where(trades, kink, 0.0), *sides))
        hinges += self._beyond_shares(nothing, ~trades)
        base = slopes[middle]
        return NetCost(
            np.where(trades, base, terms.import_price_eur_per_kwh),
            np.where(trades, base, terms.export_price_eur_per_kwh),
            tuple(hinges),
        )

    def agreed_cost(self, trades: list[Trade]) -> NetCost:
        """What net energy costs once trades are agreed: the grid's tariffs for what differs from them.

        The trades themselves are to be kept, whether energy could be had for less or not.
        """
        terms = self.terms
        low, high, tradable = self._bounds()
        agreed = sum((trade.trade_kwh for trade in trades), np.zeros(low.size))
        base = np.clip(self._level, low, high)
        hinge = Hinge(agreed, np.where(tradable, high - base, 0.0), np.where(tradable, base - low, 0.0))
        return NetCost(
            np.where(tradable, base, terms.import_price_eur_per_kwh),
            np.where(tradable, base, terms.export_price_eur_per_kwh),
            (hinge, *self._beyond_shares(agreed, np.ones(low.size, dtype=np.bool_))),
        )

    def _beyond_shares(self, traded_kwh: FloatArray, where: NDArray[np.bool_]) -> list[Hinge]:
        """The excess price on energy with the grid beyond the member's shares, given what is traded."""
        terms, nothing = self.terms, np.zeros(where.size)
        excess = np.where(where, terms.excess_price_eur_per_kwh, 0.0)
        beyond = []
        if terms.import_share_kwh is not None:
            beyond.append(Hinge(traded_kwh + terms.import_share_kwh, excess, nothing))
        if terms.export_share_kwh is not None:
            beyond.append(Hinge(traded_kwh - terms.export_share_kwh, nothing, excess))
        return beyond

    def _bounds(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """The grid's tariffs, lower and higher, and where there is trade; shape (slots,) each."""
        terms = self.terms
        low = terms.export_price_eur_per_kwh
        high = np.maximum(terms.import_price_eur_per_kwh, low)
        return low, high, ~terms.suspended & (len(self.active) > 0)

    def _traded_at(self, prices: FloatArray) -> FloatArray:
        """Energy that would be traded at marginal prices, shape (points, slots), taken > 0.

        Who neither took nor gave energy last knows no pair's price for sure; it takes the middle between the
        best offers to both sides for the price of its first kWh in either direction.
        """
        rho = self.terms.penalty_eur_per_kwh2
        buys, sells = self._floors()
        if not self.active:
            return np.zeros_like(prices)
        bought = np.array([np.maximum(price - buys, 0.0).sum(axis=0) for price in prices]) / rho
        sold = np.array([np.maximum(sells - price, 0.0).sum(axis=0) for price in prices]) / rho
        middle = (buys.min(axis=0) + sells.max(axis=0)) / 2
        either = (prices - middle) * (len(self.active) + 1) / 2 / rho
        traded: FloatArray = np.where(
            self._net_kwh > _IDLE_KWH, bought, np.where(self._net_kwh < -_IDLE_KWH, -sold, either)
        )
        return traded

    def _of_grid_at(self, prices: FloatArray) -> FloatArray:
        """Energy within the member's shares at marginal prices in ascending order, shape (points, slots)."""
        low, high, _ = self._bounds()
        energy = np.zeros_like(prices)
        if self.terms.import_share_kwh is not None:
            # Of several points at the tariff itself, the last is at the far end of the step.
            beyond = np.concatenate([prices[1:] > high, np.ones((1, high.size), dtype=np.bool_)])
            energy += np.where((prices >= high) & beyond, self.terms.import_share_kwh, 0.0)
        if self.terms.export_share_kwh is not None:
            before = np.concatenate([np.ones((1, low.size), dtype=np.bool_), prices[:-1] < low])
            energy -= np.where((prices <= low) & before, self.terms.export_share_kwh, 0.0)
        return energy

    def _floors(self) -> tuple[FloatArray, FloatArray]:
        """Prices of the first kWh bought from, and sold to, each active partner, shape (active, slots)."""
        rows = [self.terms.partners.index(name) for name in self.active]
        centre = self._price[rows] - self.terms.penalty_eur_per_kwh2 * self._target[rows]
        worth = np.array([[self._worth(name)] for name in self.active]).reshape(len(rows), 1)
        fee = self.terms.local_fee_eur_per_kwh / 2
        return centre + fee - worth, centre - fee

    def _worth(self, partner: str) -> float:
        told = self._theirs.get(partner)
        green = self._preferences.green_eur_per_kwh if told is not None and told.green else 0.0
        return self._preferences.local_eur_per_kwh + green

    # -- a round ---------------------------------------------------------------------------------------

    def propose(self, net_kwh: FloatArray) -> dict[str, Proposal]:
        """Spread the planned net energy over the partners; what each active one is to be told.

        Args:
            net_kwh: the plan's net energy, import > 0, shape (slots,).
        """
        terms = self.terms
        net = np.round(net_kwh, DECIMALS)
        self._moved_kwh, self._net_kwh = np.abs(net - self._net_kwh), net
        self._told_price = self._price.copy()
        self._own[:] = 0.0
        if self.active:
            buys, sells = self._floors()
            rho, excess = terms.penalty_eur_per_kwh2, terms.excess_price_eur_per_kwh
            high, low = terms.import_price_eur_per_kwh, terms.export_price_eur_per_kwh
            take, give = np.maximum(net, 0.0), np.maximum(-net, 0.0)
            ask, bought = fill_beside_grid(take, buys, rho, high, terms.import_share_kwh, excess)
            bid, sold = fill_beside_grid(give, -sells, rho, -low, terms.export_share_kwh, excess)
            takes, gives = net > _IDLE_KWH, net < -_IDLE_KWH
            own = np.where(takes & ~terms.suspended, bought, 0.0)
            own = np.where(gives & ~terms.suspended, -sold, own)
            rows = [terms.partners.index(name) for name in self.active]
            self._own[rows] = np.round(own, DECIMALS)
            self._level = np.where(takes, ask, np.where(gives, -bid, (ask - bid) / 2))
        return {
            name: Proposal(self._own[row].copy(), self._told_price[row], self.residual_kwh, self._green)
            for row, name in enumerate(terms.partners)
            if name in self.active
        }

    def end_round(self, theirs: Mapping[str, Proposal]) -> bool:
        """Take the partners' proposals of the round; whether bargaining is over.

        All ends in the first round in which everybody told a residual within the tolerance, which everybody
        sees, or in the last one. Of a partner that proposed nothing the last proposal counts, and after
        ``SILENT_ROUNDS`` of that, none.

        Args:
            theirs: by partner, as told.
        """
        terms = self.terms
        low, high, _ = self._bounds()
        spread, lowest, highest = high - low, terms.lowest_eur_per_kwh, terms.highest_eur_per_kwh
        told = [self.residual_kwh, *(theirs[name].residual_kwh for name in self.active if name in theirs)]
        complete = all(name in theirs for name in self.active)
        self._theirs.update({name: theirs[name] for name in self.active if name in theirs})
        apart = np.zeros(self._net_kwh.size)
        for name in self.active:
            row, other = terms.partners.index(name), self._theirs.get(name)
            self._silent[name] = 0 if name in theirs else self._silent[name] + 1
            if other is None:
                continue
            own, last = self._own[row], self._target[row]
            ours = OVER_RELAXATION * own + (1 - OVER_RELAXATION) * last
            yours = OVER_RELAXATION * other.trade_kwh - (1 - OVER_RELAXATION) * last
            price = (self._told_price[row] + other.price_eur_per_kwh) / 2
            rise = terms.penalty_eur_per_kwh2 * (ours + yours) / 2
            # Two that both take, or both give, have nothing to trade.
            target = np.where(own * other.trade_kwh > 0, 0.0, (ours - yours) / 2)
            apart += np.abs(own + other.trade_kwh)
            # Far beyond the tariffs nobody trades; further than that no claim can drive a price.
            bounded = np.clip(price + rise, lowest - spread, highest + spread)
            self._price[row], self._target[row] = np.round(bounded, DECIMALS), target
        self.active = [name for name in self.active if self._silent[name] < SILENT_ROUNDS]
        self._apart_kwh.append(round(float(np.maximum(apart, self._moved_kwh).mean()), DECIMALS))
        if len(self._apart_kwh) >= STEADY_ROUNDS:
            self.residual_kwh = max(self._apart_kwh[-STEADY_ROUNDS:])
        agreed = complete and all(each is not None and each <= terms.tolerance_kwh for each in told)
        if agreed or self.round == terms.max_rounds or not self.active:
            return True
        self.round += 1
        return False

    def leave_out(self, partner: str) -> None:
        """Bargain on without a partner that takes no proposals any more."""
        if partner in self.active:
            self.active.remove(partner)

    # -- the agreement ---------------------------------------------------------------------------------

    def trades(self) -> list[Trade]:
        """What is agreed by the last proposals of both sides: of each pair the smaller energy.

        The price is the mean of what both sides told, within the tariffs less and plus half the fee, so that
        neither side does worse than at the grid. Both sides come to the same numbers.
        """
        terms = self.terms
        fee = terms.local_fee_eur_per_kwh / 2
        agreed = []
        for name in self.active:
            other = self._theirs.get(name)
            if other is None:
                continue
            row = terms.partners.index(name)
            own, yours = self._own[row], -other.trade_kwh
            energy = np.where(own * yours > 0, np.sign(own) * np.minimum(np.abs(own), np.abs(yours)), 0.0)
            price = np.round((self._told_price[row] + other.price_eur_per_kwh) / 2, DECIMALS)
            low, high = terms.export_price_eur_per_kwh + fee, terms.import_price_eur_per_kwh - fee
            if energy.any():
                agreed.append(Trade(name, energy, np.round(np.clip(price, low, high), DECIMALS)))
        return agreed

"""Proximal price rounds, then members in turn: the community's cost minimised by prices alone (ADMM).

The community's cost is g(Σ q) + Σ fᵢ(qᵢ): the pool's cost and what each member knows of itself. Three kinds
of round bring it down, each asking members only for the positions they plan at prices:

1. *price rounds*, all members at once: the alternating direction method of multipliers in its sharing form
   (Boyd et al. 2011, §7.3; for communities Moret and Pinson 2019), with over-relaxation. With n members, Q
   their net energy and weight ρ the price p moves by (ρ/n)(Q − Z), Z being the pool's proximal answer.
2. *smoothed turns*, one member after the other, who each see what the ones before have just answered: the
   same with a price that moves by ρ'(Q − Z), n times faster, since no two answers can add up to an overshoot
   (block successive minimisation of the augmented Lagrangian: Hong et al. 2020).
3. *block tariff*, one member after the other: each pays exactly what it changes in the community's cost. An
   answer that is better for the member is better for the community by the same amount, so it never gets
   worse. It ends what the rounds before have left, but alone it can get stuck where only two members moving
   together would gain.

The round with the least cost is agreed on. The grid is the slack in every round, so all are feasible.

Local trade is settled at the dual price: the pool's import tariff where the community imports, its export
tariff where it exports, the price of the balance in between. Where the connection is at its limit that price
is beyond the tariffs; there the tariff counts, and the excess charge comes beside it, on those who cause it.
A negotiation stopped in time leaves prices inexact by a little, by which a member who hardly gains could be
worse off than alone: prices are then moved by as little as it takes (``fair_prices``).

Sources: Boyd, Parikh, Chu, Peleato and Eckstein, "Distributed optimization and statistical learning via the
alternating direction method of multipliers", 2011; Moret and Pinson, "Energy collectives: a community and
fairness based approach to future electricity markets", IEEE Trans. Power Systems 34 (2019); Hong, Chang,
Wang, Razaviyayn, Ma and Luo, "A block successive upper-bound minimization method of multipliers for linearly
constrained convex optimization", Math. Operations Research 45 (2020).
"""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Array,
    Clearing,
    InTurn,
    Mechanism,
    Parameters,
    Signal,
)
from coordinator.mechanisms.dual_price import dual_price_eur_per_kwh
from coordinator.mechanisms.fair_prices import fair_clearing
from coordinator.mechanisms.pool_cost import PoolCost

_LEAST_SAVING_SHARE = 0.01
"""Gains are measured against the saving so far, but at least this share of what the energy is worth."""

_BALANCED = 10.0
"""Members and pool count as one once what they differ by is worth this many times the tolerance."""

_BALANCING_RATIO = 2.0
_BALANCING_FACTOR = 1.5

_GAIN_EUR = 1e-9
"""A cost counts as lower from this difference on; below it is rounding."""


class AdmmParameters(Parameters):
    """What a scenario may set.

    Attributes:
        max_rounds: rounds after round 0, at most, of all kinds; the last one is kept for a block tariff.
        price_rounds: rounds of the first kind, at most.
        smoothed_turns: rounds of the second kind, at most.
        damping: proximal weight of price rounds, as a multiple of mean tariff spread / mean energy per slot.
        turn_damping: first one of smoothed turns, likewise; it then adapts by residual balancing.
        over_relaxation: of price rounds.
        tolerance: go on to the next kind of round, and at last stop, once a round changes the community's
            cost by less than this share of the saving so far.
    """

    max_rounds: int = Field(default=15, ge=0, le=500)
    price_rounds: int = Field(default=3, ge=0, le=500)
    smoothed_turns: int = Field(default=10, ge=0, le=500)
    damping: float = Field(default=0.5, gt=0)
    turn_damping: float = Field(default=0.06, gt=0)
    over_relaxation: float = Field(default=1.6, ge=1, lt=2)
    tolerance: float = Field(default=1e-4, ge=0)


class BlockTariffParameters(AdmmParameters):
    """As of ``admm``, without its first two kinds of round."""

    price_rounds: int = Field(default=0, ge=0, le=500)
    smoothed_turns: int = Field(default=0, ge=0, le=500)


Kind = Literal["prices", "smoothed", "block"]


class Admm(Mechanism):
    """See the module."""

    parameters_model = AdmmParameters
    title: ClassVar[str] = "ADMM price rounds, then members in turn"
    summary: ClassVar[str] = (
        "Prices are corrected round by round until members' plans fit together; then each in turn sees what "
        "a kWh more or less costs the community; neighbours trade at the price that balances them."
    )
    individually_rational: ClassVar[bool] = True
    minimises_cost: ClassVar[bool] = True

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        super().__init__(tariff, parameters, members)
        self._own = cast(AdmmParameters, parameters)
        self._pool = PoolCost.of(tariff)
        self._kind: Kind | None = None
        self._costs_eur: list[float] = []
        self._held: dict[Kind, int] = {"prices": 0, "smoothed": 0, "block": 0}
        self._alone_kwh: Array | None = None
        self._last_kwh = np.zeros((members, tariff.slots))
        self._moved_kwh = np.zeros(members)
        self._answered = np.zeros(members, dtype=int)
        self._price: Array = self._pool.middle_eur_per_kwh
        self._pool_kwh: Array | None = None
        self._boundary_kwh = np.zeros(tariff.slots)
        self._value_eur = self._imbalance_eur = 0.0
        self._weight = self._turn_weight = 0.0

    # -- rounds ----------------------------------------------------------------------------------------

    def respond(self, answers: Answers) -> Signal | InTurn | Agreed:
        """The next round of the kind that is due, or the end."""
        net_kwh = answers.net_kwh
        self._observe(answers)
        if self._kind is None:
            self._begin(net_kwh)
            if self._value_eur <= 0:
                return Agreed(0)
        else:
            self._move_price(net_kwh)
        if len(self._costs_eur) > self._own.max_rounds:
            return self._end()
        kind = self._next_kind()
        order = self._order()
        if kind is None or (kind != "prices" and not order):
            return self._end()
        self._kind = kind
        self._held[kind] += 1
        if kind == "prices":
            return self._pool.signal(self._pull(net_kwh, self._weight / self.members), self._weight)
        return InTurn(order)

    def turn(self, member: int, net_kwh: Array) -> Signal:
        """Prices around what all others plan at present."""
        if self._kind == "block":
            return self._pool.block_signal(np.delete(net_kwh, member, axis=0).sum(axis=0))
        _, price = self._pool.proximal(net_kwh.sum(axis=0), self._price, self._turn_weight)
        return self._pool.signal(price, self._turn_weight)

    def _begin(self, net_kwh: Array) -> None:
        """Set weights by what the energy of round 0 is worth."""
        self._alone_kwh = net_kwh.copy()
        mean_kwh = float(np.abs(net_kwh).mean())
        spread = self._pool.spread_eur_per_kwh
        self._value_eur = spread * float(np.abs(net_kwh).sum())
        if self._value_eur > 0:
            self._weight = self._own.damping * spread / mean_kwh
            self._turn_weight = self._own.turn_damping * spread / mean_kwh
            if self._own.price_rounds or self._own.smoothed_turns:
                self._move_price(net_kwh)

    def _observe(self, answers: Answers) -> None:
        """Note cost, and who moves: members that never do have nothing to plan with."""
        self._costs_eur.append(self.tariff.cost_eur(answers.net_kwh))
        if len(self._costs_eur) > 1:
            self._moved_kwh += np.abs(answers.net_kwh - self._last_kwh).sum(axis=1)
            self._answered += [member not in answers.late for member in range(self.members)]
        self._last_kwh = answers.net_kwh.copy()

    def _move_price(self, net_kwh: Array) -> None:
        """The dual step after a round of prices; a block tariff leaves the price where it was."""
        if self._kind == "block":
            return
        boundary_kwh = net_kwh.sum(axis=0)
        relaxed_kwh = boundary_kwh
        if self._kind == "smoothed":
            self._balance_weight(boundary_kwh)
            weight = self._turn_weight
        else:
            weight = self._weight / self.members
            if self._pool_kwh is not None:
                beyond = self._own.over_relaxation - 1
                relaxed_kwh = boundary_kwh + beyond * (boundary_kwh - self._pool_kwh)
        self._boundary_kwh = boundary_kwh
        self._pool_kwh, self._price = self._pool.proximal(relaxed_kwh, self._price, weight)
        apart_kwh = np.abs(boundary_kwh - self._pool_kwh)
        self._imbalance_eur = self._pool.spread_eur_per_kwh * float(apart_kwh.sum())

    def _balance_weight(self, boundary_kwh: Array) -> None:
        """Residual balancing (Boyd et al. 2011, §3.4.1): heavier while the balance lags behind the moves."""
        assert self._pool_kwh is not None, "the price has moved at least once"
        apart_kwh = float(np.abs(boundary_kwh - self._pool_kwh).sum())
        moved_kwh = float(np.abs(boundary_kwh - self._boundary_kwh).sum())
        if apart_kwh > _BALANCING_RATIO * moved_kwh:
            self._turn_weight *= _BALANCING_FACTOR
        elif moved_kwh > _BALANCING_RATIO * apart_kwh:
            self._turn_weight /= _BALANCING_FACTOR

    def _pull(self, net_kwh: Array, weight: float) -> Array:
        """The price that draws members from where they are towards the pool's energy."""
        assert self._pool_kwh is not None, "the price has moved at least once"
        pull: Array = self._price + weight * (net_kwh.sum(axis=0) - self._pool_kwh)
        return pull

    def _next_kind(self) -> Kind | None:
        """The kind of the next round; None at the end."""
        left = self._own.max_rounds + 1 - len(self._costs_eur)
        settled = self._kind is not None and self._settled()
        if self._kind == "block":
            return None if settled else "block"
        limits: list[tuple[Kind, int]] = [
            ("prices", self._own.price_rounds),
            ("smoothed", self._own.smoothed_turns),
        ]
        for kind, limit in limits:
            if kind == "prices" and self._kind == "smoothed":
                continue
            if left > 1 and self._held[kind] < limit and not (settled and self._kind == kind):
                return kind
        return "block"

    def _settled(self) -> bool:
        """Whether the round just held changed next to nothing."""
        first, before, now = self._costs_eur[0], self._costs_eur[-2], self._costs_eur[-1]
        saving = max(first - min(self._costs_eur), _LEAST_SAVING_SHARE * self._value_eur)
        little_eur = max(self._own.tolerance * saving, _GAIN_EUR)
        if self._kind == "block":
            return before - now <= little_eur
        return abs(before - now) <= little_eur and self._imbalance_eur <= _BALANCED * little_eur

    def _order(self) -> tuple[int, ...]:
        """Whom to ask in turn: those who moved most first; not those who answered twice without moving."""
        asked = [
            member
            for member in range(self.members)
            if self._answered[member] < 2 or self._moved_kwh[member] > 0
        ]
        energy_kwh = np.abs(self._alone_kwh).sum(axis=1) if self._alone_kwh is not None else self._moved_kwh
        return tuple(sorted(asked, key=lambda member: (-self._moved_kwh[member], -energy_kwh[member])))

    # -- the end ---------------------------------------------------------------------------------------

    def _end(self) -> Agreed:
        best = 0
        for number, cost_eur in enumerate(self._costs_eur):
            if cost_eur < self._costs_eur[best] - _GAIN_EUR:
                best = number
        return Agreed(best)

    def clear(self, net_kwh: Array) -> Clearing:
        """Local trade at the dual price, moved where somebody would be worse off than alone."""
        clearing = Clearing(dual_price_eur_per_kwh(net_kwh, self._price, self.tariff))
        if self._alone_kwh is None:
            return clearing
        return fair_clearing(clearing, net_kwh, self._alone_kwh, self.tariff)


class BlockTariff(Admm):
    """Members in turn at the block tariff from the start: the third kind of round alone.

    There is no price of the balance: balanced slots are settled at the middle of the pool's tariffs.
    """

    parameters_model = BlockTariffParameters
    title: ClassVar[str] = "Block tariff, members in turn"
    summary: ClassVar[str] = (
        "Each member in turn is told what a kWh more or less costs the community, given what all others "
        "plan, until nobody can lower that cost alone."
    )

"""Order books: one order a member and slot, cleared by merit order. Pure.

A member that takes energy bids its quantity at its limit price, one that gives asks. Bids are served from the
highest limit down, asks from the lowest up, as far as bids are not below asks; at the margin, orders of the
same limit share what is left in proportion to their quantities.

Source: Friedman and Rust, "The Double Auction Market", 1993; k-double auction: Chatterjee and Samuelson,
"Bargaining under incomplete information", Operations Research 31 (1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coordinator.mechanisms.base import Array

_SAME_PRICE_EUR_PER_KWH = 1e-9


@dataclass(frozen=True)
class Match:
    """What one buyer takes from one seller in a slot; indices of members.

    Attributes:
        buyer: who takes.
        seller: who gives.
        energy_kwh: how much.
        bid_eur_per_kwh: the buyer's limit.
        ask_eur_per_kwh: the seller's limit.
    """

    buyer: int
    seller: int
    energy_kwh: float
    bid_eur_per_kwh: float
    ask_eur_per_kwh: float


def match_orders(net_kwh: Array, limit_eur_per_kwh: Array) -> list[Match]:
    """Match one slot's orders in merit order.

    Args:
        net_kwh: quantities, shape (members,), bids > 0, asks < 0 [kWh].
        limit_eur_per_kwh: limit prices, shape (members,); an order without one (NaN) does not take part.

    Returns:
        Matches from the best pair of limits to the marginal one.
    """
    bids = _levels(net_kwh, limit_eur_per_kwh, highest_first=True)
    asks = _levels(-net_kwh, limit_eur_per_kwh, highest_first=False)
    matches: list[Match] = []
    bid_level = ask_level = 0
    bid_served = ask_served = 0.0
    while bid_level < len(bids) and ask_level < len(asks):
        bid, ask = bids[bid_level], asks[ask_level]
        if bid.limit_eur_per_kwh < ask.limit_eur_per_kwh - _SAME_PRICE_EUR_PER_KWH:
            break
        energy = min(bid.energy_kwh - bid_served, ask.energy_kwh - ask_served)
        matches += [
            Match(
                buyer,
                seller,
                energy * wanted / bid.energy_kwh * offered / ask.energy_kwh,
                bid.limit_eur_per_kwh,
                ask.limit_eur_per_kwh,
            )
            for buyer, wanted in bid.orders
            for seller, offered in ask.orders
        ]
        bid_served, ask_served = bid_served + energy, ask_served + energy
        if bid_served >= bid.energy_kwh * (1 - 1e-12):
            bid_level, bid_served = bid_level + 1, 0.0
        if ask_served >= ask.energy_kwh * (1 - 1e-12):
            ask_level, ask_served = ask_level + 1, 0.0
    return matches


def uniform_price_eur_per_kwh(net_kwh: Array, limit_eur_per_kwh: Array, k: float) -> float:
    """The one price of a slot: k last accepted bid + (1 − k) last accepted ask.

    Where no bid reaches an ask, the same of the best bid and the best ask: energy that both sides exchange
    with the grid at the same time is worth more among neighbours whatever their limits.

    Args:
        net_kwh: as for :func:`match_orders`.
        limit_eur_per_kwh: likewise.
        k: share of the bid, 0 to 1.

    Returns:
        The price; NaN without orders on both sides.
    """
    matches = match_orders(net_kwh, limit_eur_per_kwh)
    if matches:
        return k * matches[-1].bid_eur_per_kwh + (1 - k) * matches[-1].ask_eur_per_kwh
    bids = limit_eur_per_kwh[(net_kwh > 0) & np.isfinite(limit_eur_per_kwh)]
    asks = limit_eur_per_kwh[(net_kwh < 0) & np.isfinite(limit_eur_per_kwh)]
    if bids.size == 0 or asks.size == 0:
        return float("nan")
    return float(k * bids.max() + (1 - k) * asks.min())


@dataclass(frozen=True)
class _Level:
    """Orders of the same limit price: who, and how much each."""

    limit_eur_per_kwh: float
    orders: list[tuple[int, float]]

    @property
    def energy_kwh(self) -> float:
        return sum(energy for _, energy in self.orders)


def _levels(quantity_kwh: Array, limit_eur_per_kwh: Array, highest_first: bool) -> list[_Level]:
    taking = [
        (float(limit_eur_per_kwh[member]), member, float(quantity_kwh[member]))
        for member in range(quantity_kwh.size)
        if quantity_kwh[member] > 0 and np.isfinite(limit_eur_per_kwh[member])
    ]
    taking.sort(key=lambda order: (-order[0] if highest_first else order[0], order[1]))
    levels: list[_Level] = []
    for limit, member, energy in taking:
        if levels and abs(levels[-1].limit_eur_per_kwh - limit) <= _SAME_PRICE_EUR_PER_KWH:
            levels[-1].orders.append((member, energy))
        else:
            levels.append(_Level(limit, [(member, energy)]))
    return levels

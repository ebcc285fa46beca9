"""Double auctions: members send orders for every slot, the auctioneer matches them in merit order.

An order is the net energy that a member plans in a slot and its limit price: the most it would pay for what
it takes, the least it would accept for what it gives, from what the energy is worth to its battery or at the
grid. Rounds of orders repeat: the prices of the last book are told, members plan and order anew, damped as
in other rounds of average prices, and the round in which the community pays least is the one that counts.

- *Uniform*: all of a slot trade at k · last accepted bid + (1 − k) · last accepted ask.
- *Pay as bid*: each match trades at k · bid + (1 − k) · ask of the two, as a contract between them; energy
  beyond the contracts is pooled at the middle of the tariffs.

When all bid the grid's tariffs, both come to the mid-market rate.

Sources: Friedman and Rust, "The Double Auction Market", 1993; Chatterjee and Samuelson, "Bargaining under
incomplete information", Operations Research 31 (1983), for the k.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
from pydantic import Field

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism, AveragePriceParameters
from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Array,
    Clearing,
    Contract,
    Family,
    Parameters,
    Signal,
)
from coordinator.mechanisms.mid_market_rate import mid_market_price_eur_per_kwh
from coordinator.mechanisms.order_book import match_orders, uniform_price_eur_per_kwh


class AuctionParameters(AveragePriceParameters):
    """What a scenario may set.

    Attributes:
        k: weight of the bid in a price, 0 to 1; the ask has the rest.
    """

    k: float = Field(default=0.5, ge=0, le=1)


class DoubleAuction(AveragePriceMechanism):
    """All of a slot trade at one price; see the module."""

    parameters_model = AuctionParameters
    title: ClassVar[str] = "Double auction, one price"
    summary: ClassVar[str] = (
        "Members send orders with limit prices for every slot; the highest bids meet the lowest asks, and "
        "all trade at the price between the last two that meet."
    )
    discloses: ClassVar[str] = "Net energy and a limit price per slot in every round, and metered net energy."
    family: ClassVar[Family] = "auction"
    individually_rational: ClassVar[bool] = True

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        super().__init__(tariff, parameters, members)
        self.k = cast(AuctionParameters, parameters).k
        self._limits: list[Array] = []
        self._book: Array | None = None

    def respond(self, answers: Answers) -> Signal | Agreed:
        """The prices of this round's book, or the end, at the book of the best round."""
        limits = answers.limit_price_eur_per_kwh
        self._book = np.full(answers.net_kwh.shape, np.nan) if limits is None else limits
        self._limits.append(self._book)
        response = super().respond(answers)
        if isinstance(response, Agreed):
            self._book = self._limits[response.round]
            return response
        return replace(response, wants_limits=True)

    def local_price_eur_per_kwh(self, net_kwh: Array) -> Array:
        """The book's price in each slot; the middle of the tariffs where it has none."""
        bids = self.limits_before_fee(net_kwh)
        middle = mid_market_price_eur_per_kwh(self.tariff)
        books = zip(net_kwh.T, bids.T, strict=True)
        price = np.array([uniform_price_eur_per_kwh(net, limits, self.k) for net, limits in books])
        low, high = self.tariff.pool_export_price_eur_per_kwh, self.tariff.pool_import_price_eur_per_kwh
        return np.where(np.isnan(price) | np.isnan(middle), middle, np.minimum(np.maximum(price, low), high))

    def limits_before_fee(self, net_kwh: Array) -> Array:
        """Limit prices of these positions before the local fee, of which each side bears half.

        A member without limits, as in the first round, bids what the grid asks and asks what the grid pays.

        Args:
            net_kwh: shape (members, slots), import > 0 [kWh].
        """
        tariff = self.tariff
        at_grid = np.where(net_kwh > 0, tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh)
        limits = at_grid if self._book is None else np.where(np.isnan(self._book), at_grid, self._book)
        return limits - np.sign(net_kwh) * tariff.meter_fee_eur_per_kwh


class PayAsBid(DoubleAuction):
    """Each match trades at a price of its own; see the module."""

    title: ClassVar[str] = "Double auction, pay as bid"
    summary: ClassVar[str] = (
        "Members send orders with limit prices for every slot; the highest bids meet the lowest asks, and "
        "each pair trades half-way between its own two limits."
    )

    def clear(self, net_kwh: Array) -> Clearing:
        """The matches as contracts, and the middle of the tariffs for energy beyond them."""
        limits = self.limits_before_fee(net_kwh)
        energy_kwh: dict[tuple[int, int], Array] = {}
        price: dict[tuple[int, int], Array] = {}
        slots = self.tariff.slots
        for slot in np.flatnonzero(~self.tariff.suspended).tolist():
            for match in match_orders(net_kwh[:, slot], limits[:, slot]):
                pair = (match.seller, match.buyer)
                own_price = self.k * match.bid_eur_per_kwh + (1 - self.k) * match.ask_eur_per_kwh
                energy_kwh.setdefault(pair, np.zeros(slots))[slot] += match.energy_kwh
                price.setdefault(pair, np.zeros(slots))[slot] = own_price
        contracts = tuple(
            Contract(seller, buyer, energy_kwh[seller, buyer], price[seller, buyer])
            for seller, buyer in sorted(energy_kwh)
        )
        return Clearing(mid_market_price_eur_per_kwh(self.tariff), contracts)

"""Two communities: members bargain inside and across, each has its pool, and the coordinators trade the rest.

Every member belongs to one of two communities and speaks to that one's coordinator. After round 0 both
coordinators have their members bargain pair by pair, with members of either community, as in ``bilateral``.
Members report to their own coordinator; trades across count if both coordinators heard the same
(``coordinator.two_communities``). What contracts leave is pooled inside each community, and what one pool is
short of comes from what the other has over. Both pools have one price, which the coordinators find by
splitting the difference of what they propose: each the mean price of its own members' trades. Energy beyond
that is at the grid's tariffs.

Where members are so many that their trades have no room in a report, they bargain inside their community
only, and the coordinators' exchange is all that goes across.

Both see the same aggregates, so both come to the same terms without a third who decides. A coordinator that
does not hear the other in time goes on alone for the rest of the session.

Sources: T. Sousa et al., "Peer-to-peer and community-based markets: a comprehensive review", Renew. Sustain.
Energy Rev. 104 (2019), §3.3 (hybrid market: communities that trade like peers); for splitting the difference
K. Chatterjee and W. Samuelson, "Bargaining under incomplete information", Operations Research 31 (1983).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Array,
    Bargain,
    Clearing,
    Contract,
    Family,
    Parameters,
)
from coordinator.mechanisms.bilateral import MOST_TRADES, Bilateral
from runtime.protocol.pairs import ENERGY_DECIMALS

PRICE_DECIMALS = 9
"""Prices are told and settled in whole multiples of 1e-9 EUR/kWh."""


def aggregate(net_kwh: Array) -> tuple[Array, Array]:
    """What members take and what they give in all, as it is told: shape (slots,) each [kWh].

    Args:
        net_kwh: positions, shape (members, slots), import > 0.
    """
    demand: Array = np.maximum(net_kwh, 0.0).sum(axis=0).round(ENERGY_DECIMALS)
    supply: Array = np.maximum(-net_kwh, 0.0).sum(axis=0).round(ENERGY_DECIMALS)
    return demand, supply


class Hybrid(Bilateral):
    """See the module. One of these serves one community; indices from ``members`` on are the other's."""

    title: ClassVar[str] = "Two communities that trade"
    summary: ClassVar[str] = (
        "Members of two communities bargain inside and across; each coordinator pools what is left, and the "
        "two trade surplus against deficit at a price they agree on."
    )
    discloses: ClassVar[str] = (
        "To every other member, the energy it would trade and at which price in every round; to its own "
        "coordinator, its position, what it agreed on, and metered net energy; to the other community's "
        "coordinator, its trades across."
    )
    family: ClassVar[Family] = "hybrid"
    individually_rational: ClassVar[bool] = True
    two_communities: ClassVar[bool] = True

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of a community with so many members at this tariff.

        Raises:
            InputError: as ``Bilateral``.
        """
        super().__init__(tariff, parameters, members)
        self._price = self._middle

    def respond(self, answers: Answers) -> Bargain | Agreed:
        """Have members bargain after the grid's tariffs, and take what they agreed on."""
        if self._bargained:
            self._contracts = answers.contracts
            if answers.other is not None:
                self._price = self._within((self._price + answers.other.price_eur_per_kwh) / 2)
            return Agreed(1)
        self._bargained = True
        demand_kwh, supply_kwh = aggregate(answers.net_kwh)
        flow_kwh, members = demand_kwh + supply_kwh, self.members
        if answers.other is not None:  # a sum of two, which is the same from either side
            flow_kwh = flow_kwh + (answers.other.demand_kwh + answers.other.supply_kwh)
            members += answers.other.members
        across = answers.other is not None and (members - 1) * self.tariff.slots <= MOST_TRADES
        partners = members if across else self.members
        mean_kwh = flow_kwh / members
        if members < 2 or not flow_kwh.any() or self.tariff.suspended.all():
            return Agreed(0)
        return Bargain(
            max_rounds=self._own.max_rounds,
            tolerance_kwh=float(self._own.tolerance * mean_kwh.mean()),
            penalty_eur_per_kwh2=self._penalties_at(mean_kwh, partners),
            across=across,
        )

    def propose(self, contracts: tuple[Contract, ...]) -> Array:
        """What this community proposes as price of the pool: the mean of its members' trades, shape (slots,).

        Without another proposal it is the price.

        Args:
            contracts: of its members, among themselves and as they reported them across.

        Returns:
            Within the pool's tariffs; their middle in slots where nobody trades.
        """
        energy, amount = np.zeros(self.tariff.slots), np.zeros(self.tariff.slots)
        for each in contracts:
            energy += each.energy_kwh
            amount += each.energy_kwh * np.where(each.energy_kwh > 0, each.price_eur_per_kwh, 0.0)
        mean = np.divide(amount, energy, out=self._middle.copy(), where=energy > 0)
        self._price = self._within(mean)
        return self._price

    def clear(self, net_kwh: Array) -> Clearing:
        """The contracts, and a pool at the price of both communities."""
        return Clearing(np.where(self.tariff.suspended, np.nan, self._price), self._contracts)

    @property
    def _middle(self) -> Array:
        low, high = self.tariff.pool_export_price_eur_per_kwh, self.tariff.pool_import_price_eur_per_kwh
        middle: Array = ((low + high) / 2).round(PRICE_DECIMALS)
        return middle

    def _within(self, price: Array) -> Array:
        """Cut at the pool's tariffs, so that nobody does worse than at the grid."""
        low, high = self.tariff.pool_export_price_eur_per_kwh, self.tariff.pool_import_price_eur_per_kwh
        within: Array = np.maximum(np.minimum(price.round(PRICE_DECIMALS), high), low)
        return within

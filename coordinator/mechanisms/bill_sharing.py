"""Bill sharing: the community has one bill from the grid, shared in proportion to energy.

Whoever takes energy shares what the community pays for imports, whoever gives energy what it earns for
exports: with D and S demand and supply and Q = D − S, buyers pay Σ λ⁺[Q]₊ / Σ D and sellers earn
Σ λ⁻[−Q]₊ / Σ S, summed over a slot or over all slots of the session (its day).

In a slot this is a pool whose price is 0: what neighbours cover among themselves costs and earns nothing. So
the budget is exact, but prices are not between the tariffs: where the community imports, sellers earn
nothing. Members who would be worse off for that than with their plan alone are settled at the grid's tariffs,
apart from the others (``coordinator.opting_out``), unless the scenario binds them (``opt_out_passes = 0``);
what is metered later can still cost more than alone. The local fee is borne half and half all the same.

Source: Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting 2017.
"""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.expected import AveragePrices, shared_by_day_prices
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism, AveragePriceParameters
from coordinator.mechanisms.base import Array, Clearing


class BillSharingParameters(AveragePriceParameters):
    """What a scenario may set.

    Attributes:
        period: what is shared at once: each slot, or the whole session (its day).
    """

    period: Literal["slot", "day"] = "slot"


def pool_price_eur_per_kwh(tariff: CommunityTariff) -> Array:
    """Nothing, shape (slots,); NaN in slots without local trade."""
    return np.where(tariff.suspended, np.nan, 0.0)


class BillSharing(AveragePriceMechanism):
    """See the module."""

    parameters_model = BillSharingParameters
    title: ClassVar[str] = "Bill sharing"
    summary: ClassVar[str] = (
        "The community has one bill from the grid: those who take energy share what imports cost, those who "
        "give energy share what exports earn, in proportion to energy, slot by slot or over the day. Who "
        "would pay more than alone is left out."
    )

    @property
    def _period(self) -> Literal["slot", "day"]:
        return cast(BillSharingParameters, self.parameters).period

    def local_price_eur_per_kwh(self, net_kwh: Array) -> Array:
        """Nothing: the community's bill is all there is to be shared."""
        return pool_price_eur_per_kwh(self.tariff)

    def prices(self, net_kwh: Array) -> AveragePrices:
        """Each side's share of the bill for a kWh."""
        if self._period == "day":
            return shared_by_day_prices(net_kwh, pool_price_eur_per_kwh(self.tariff), self.tariff)
        return super().prices(net_kwh)

    def clear(self, net_kwh: Array) -> Clearing:
        """Slot by slot or over the day, as the period says."""
        return Clearing(self.local_price_eur_per_kwh(net_kwh), shared_by_day=self._period == "day")

"""Mid-market rate: neighbours trade at the middle of the grid's tariffs.

The longer side pays or earns the mix of that and the grid's tariff: with demand D and supply S of a slot and
m = (λ⁺ + λ⁻)/2, buyers pay (m S + λ⁺ (D − S))/D where D > S, sellers earn (m D + λ⁻ (S − D))/S where S > D.

Source: Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting 2017.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism
from coordinator.mechanisms.base import Array


def mid_market_price_eur_per_kwh(tariff: CommunityTariff) -> Array:
    """Middle of the grid's tariffs, shape (slots,); NaN in slots without local trade."""
    middle = (tariff.import_price_eur_per_kwh + tariff.export_price_eur_per_kwh) / 2
    return np.where(tariff.suspended, np.nan, middle)


class MidMarketRate(AveragePriceMechanism):
    """See the module."""

    title: ClassVar[str] = "Mid-market rate"
    summary: ClassVar[str] = (
        "Neighbours trade half-way between what the grid asks and what it pays; what they cannot cover among "
        "themselves comes from the grid and is shared in proportion."
    )
    individually_rational: ClassVar[bool] = True

    def local_price_eur_per_kwh(self, net_kwh: Array) -> Array:
        """The middle of the tariffs, or no local trade where that would destroy value."""
        return mid_market_price_eur_per_kwh(self.tariff)

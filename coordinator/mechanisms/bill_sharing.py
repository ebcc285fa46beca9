"""Bill sharing: the community has one bill from the grid, shared in proportion to energy.

Whoever takes energy shares what the community pays for imports, whoever gives energy what it earns for
exports: with D and S demand and supply and Q = D − S, buyers pay Σ λ⁺[Q]₊ / Σ D and sellers earn
Σ λ⁻[−Q]₊ / Σ S, summed over a slot or over all slots of the session (its day).

In a slot this is a pool whose price is 0: what neighbours cover among themselves costs and earns nothing. So
the budget is exact, but prices are not between the tariffs: where the community imports, sellers earn
nothing, and a member can be worse off than at the grid. The local fee is borne half and half all the same.

Source: Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting 2017.
"""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.expected import AveragePrices, average_prices
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism, AveragePriceParameters
from coordinator.mechanisms.base import Array, Clearing


class BillSharingParameters(AveragePriceParameters):
    """What a scenario may set.

    Attributes:
        period: what is shared at once: each slot, or the whole session (its day).
    """

    period: Literal["slot", "day"] = "slot"


def shared_by_day_prices(net_kwh: Array, tariff: CommunityTariff) -> AveragePrices:
    """What energy costs and earns on average when the bill of all slots is shared.

    Fee and charges for the connection's limit stay in their slots. Without any demand, or any supply, the
    prices of that side are those of slots shared by themselves.

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        tariff: the community's tariff.
    """
    by_slot = average_prices(net_kwh, pool_price_eur_per_kwh(tariff), tariff)
    demand, supply = np.maximum(net_kwh, 0.0).sum(axis=0), np.maximum(-net_kwh, 0.0).sum(axis=0)
    volume = np.where(tariff.suspended, 0.0, np.minimum(demand, supply))

    def shared(energy_kwh: Array, price_eur_per_kwh: Array, slot_price_eur_per_kwh: Array) -> Array:
        whole_kwh = float(energy_kwh.sum())
        if whole_kwh == 0:
            return slot_price_eur_per_kwh
        amount_eur = (energy_kwh - volume) * price_eur_per_kwh
        in_slot = np.divide(amount_eur, energy_kwh, out=np.zeros_like(amount_eur), where=energy_kwh > 0)
        beside = np.where(energy_kwh > 0, slot_price_eur_per_kwh - in_slot, 0.0)
        return np.asarray(beside + amount_eur.sum() / whole_kwh)

    return AveragePrices(
        shared(demand, tariff.import_price_eur_per_kwh, by_slot.import_price_eur_per_kwh),
        shared(supply, tariff.export_price_eur_per_kwh, by_slot.export_price_eur_per_kwh),
    )


def pool_price_eur_per_kwh(tariff: CommunityTariff) -> Array:
    """Nothing, shape (slots,); NaN in slots without local trade."""
    return np.where(tariff.suspended, np.nan, 0.0)


class BillSharing(AveragePriceMechanism):
    """See the module."""

    parameters_model = BillSharingParameters
    title: ClassVar[str] = "Bill sharing"
    summary: ClassVar[str] = (
        "The community has one bill from the grid: those who take energy share what imports cost, those who "
        "give energy share what exports earn, in proportion to energy, slot by slot or over the day."
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
            return shared_by_day_prices(net_kwh, self.tariff)
        return super().prices(net_kwh)

    def clear(self, net_kwh: Array) -> Clearing:
        """Slot by slot or over the day, as the period says."""
        return Clearing(self.local_price_eur_per_kwh(net_kwh), shared_by_day=self._period == "day")

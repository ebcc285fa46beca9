"""Who is charged for energy above the connection's limit: first who goes beyond what it may have.

In floating point; what is metered is charged exactly, in ``coordinator.settlement.excess``, by the same rule.
Three times the energy X above the limit is shared in proportion to what members go beyond a position:

1. **Alone**, at the positions of round 0 as if nobody traded, by what they take (give): this is what each
   would be charged without a market, and what is left of its position is its *own room* in the connection.
   The rooms add up to no more than the limit.
2. **Agreed**, by what members would have beyond their own rooms. So who keeps to its plan alone is charged no
   more than alone, whatever the others agree on. What is left of the agreed position is *free of charge*.
3. **Metered**, by what members have beyond that: who makes the connection carry more than agreed pays for it,
   and who keeps to what was agreed pays no more than was foreseen.

Since free energies add up to no more than the limit, what members go beyond them adds up to X at least;
nobody is charged for more than it goes beyond.
"""

from __future__ import annotations

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array


def excess_parts_kwh(net_kwh: Array, free_kwh: Array, tariff: CommunityTariff) -> Array:
    """Each member's part of the energy above the limit, shape (members, slots) [kWh].

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
        free_kwh: what is free of charge, likewise.
        tariff: the community's tariff.
    """
    boundary = net_kwh.sum(axis=0)
    excess, way = tariff.excess_kwh(boundary), np.sign(boundary)
    beyond = np.maximum(way * (net_kwh - free_kwh), 0.0)
    whole = beyond.sum(axis=0)
    first = beyond * np.divide(np.minimum(excess, whole), whole, out=np.zeros_like(whole), where=whole > 0)
    rest, side = np.maximum(excess - whole, 0.0), np.maximum(way * net_kwh, 0.0)
    width = side.sum(axis=0)
    return np.asarray(first + side * np.divide(rest, width, out=np.zeros_like(width), where=width > 0))


def free_of_charge_kwh(alone_kwh: Array, agreed_kwh: Array, tariff: CommunityTariff) -> Array | None:
    """What each member may have free of charge once positions are agreed, shape (members, slots), import > 0.

    Args:
        alone_kwh: positions alone, shape (members, slots), import > 0 [kWh].
        agreed_kwh: positions agreed, likewise.
        tariff: the community's tariff.

    Returns:
        None where there is no limit, or exceeding it costs nothing.
    """
    limits = np.concatenate([tariff.import_limit_kwh, tariff.export_limit_kwh])
    if not tariff.excess_price_eur_per_kwh or not np.isfinite(limits).any():
        return None
    way = np.sign(alone_kwh.sum(axis=0))
    opposite = np.where(way > 0, np.minimum(alone_kwh, 0.0), np.maximum(alone_kwh, 0.0))
    own_room = alone_kwh - way * excess_parts_kwh(alone_kwh, opposite, tariff)
    charged = excess_parts_kwh(agreed_kwh, own_room, tariff)
    return np.asarray(agreed_kwh - np.sign(agreed_kwh.sum(axis=0)) * charged)

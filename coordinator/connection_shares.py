"""Each member's share of what the community's connection carries, for markets in which nobody sees the total.

Shares follow what members would take (give) alone: where that is more than the limit, all of them are cut in
proportion; where it is less, each has what it would take, and what is left over is shared in proportion to
the members' means over the session. Shares add up to the limit, so that a community whose members keep to
theirs keeps to it. They count for energy with the grid; what neighbours exchange does not burden the
connection.
"""

from __future__ import annotations

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array, ConnectionShare


def connection_shares(alone_kwh: Array, tariff: CommunityTariff) -> tuple[ConnectionShare, ...]:
    """The members' shares, one each; none where the connection has no limit or exceeding it costs nothing.

    Args:
        alone_kwh: positions alone, shape (members, slots), import > 0 [kWh].
        tariff: the community's tariff; its limits are there in all slots, or in none.
    """
    limits_kwh = (tariff.import_limit_kwh, tariff.export_limit_kwh)
    limited = [bool(np.isfinite(limit).all()) for limit in limits_kwh]
    if not any(limited) or not tariff.excess_price_eur_per_kwh:
        return ()
    imports, exports = (
        _shares_kwh(np.maximum(sign * alone_kwh, 0.0), limit_kwh) if there else [None] * len(alone_kwh)
        for sign, limit_kwh, there in zip((1.0, -1.0), limits_kwh, limited, strict=True)
    )
    return tuple(ConnectionShare(*pair) for pair in zip(imports, exports, strict=True))


def _shares_kwh(wanted_kwh: Array, limit_kwh: Array) -> Array:
    """Shares of a limit by what members want, shape (members, slots)."""
    whole = wanted_kwh.sum(axis=0)
    cut = np.divide(np.minimum(limit_kwh, whole), whole, out=np.zeros_like(whole), where=whole > 0)
    mean = wanted_kwh.mean(axis=1, keepdims=True)
    weight = mean / mean.sum() if mean.sum() > 0 else np.full_like(mean, 1 / len(mean))
    return np.asarray(wanted_kwh * cut + weight * np.maximum(limit_kwh - whole, 0.0))

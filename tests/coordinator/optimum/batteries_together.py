"""The optimum of communities that have batteries and nothing else to be steered, as many tests need it."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from coordinator.costs import CommunityTariff
from coordinator.optimum import Optimum, battery_store, optimise
from runtime.devices import Battery


def coordinated_optimum(
    residual_load_kwh: ArrayLike,
    batteries: Sequence[Battery | None],
    tariff: CommunityTariff,
    *,
    time_limit_s: float = 60.0,
    relative_gap: float | None = None,
) -> Optimum:
    """``optimise`` for one battery a member, or none."""
    stores = [[] if b is None else [battery_store(b, tariff.slot_hours)] for b in batteries]
    gap = {} if relative_gap is None else {"relative_gap": relative_gap}
    return optimise(residual_load_kwh, stores, tariff, time_limit_s=time_limit_s, **gap)

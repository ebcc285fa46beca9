"""What energy is worth to a member in each slot: the limit prices of its orders.

A kWh less taken from neighbours would be taken from the grid, or the battery would give one more, or store
one less, and it would be missed later: what is taken is worth the cheaper of the two. A kWh not given to
neighbours would be fed in, or stored: what is given is worth the dearer of the two.
"""

from __future__ import annotations

import numpy as np

from agents.planning.explain.reasons import Side, reasons
from agents.planning.problem import Plan, PlanningProblem
from agents.planning.tariff import FloatArray


def limit_prices_eur_per_kwh(
    problem: PlanningProblem,
    plan: Plan,
    grid_import_price_eur_per_kwh: FloatArray,
    grid_export_price_eur_per_kwh: FloatArray,
) -> FloatArray:
    """The most a member would pay for what it takes in a slot, and the least for what it gives.

    Args:
        problem: the problem, at the prices that the member expects to trade at.
        plan: the member's plan.
        grid_import_price_eur_per_kwh: what the grid asks, shape (T,).
        grid_export_price_eur_per_kwh: what the grid pays, shape (T,).

    Returns:
        Limit price of each slot [EUR/kWh], shape (T,), between the grid's two; where nothing is exchanged,
        the price of a first kWh taken.
    """
    limits = np.where(plan.net_kwh < 0, grid_export_price_eur_per_kwh, grid_import_price_eur_per_kwh)
    for reason in reasons(problem, plan):
        giving = reason.net_kwh < 0
        later = _worth(reason.more if giving else reason.less)
        if later is not None:
            limits[reason.slot] = (max if giving else min)(limits[reason.slot], later)
    low = np.minimum(grid_import_price_eur_per_kwh, grid_export_price_eur_per_kwh)
    high = np.maximum(grid_import_price_eur_per_kwh, grid_export_price_eur_per_kwh)
    clipped: FloatArray = np.clip(limits, low, high)
    return clipped


def _worth(side: Side | None) -> float | None:
    """What stored energy is worth later on this side; None where the battery cannot take up the change."""
    return None if side is None or side.limits else side.later_eur_per_kwh

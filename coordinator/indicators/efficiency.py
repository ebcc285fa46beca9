"""How much of what was possible a market achieved: pure functions on three costs.

``alone`` is what members pay each by itself at the grid, ``optimum`` the cost of the coordinated optimum
(``coordinator.optimum``), and the cost is what was paid.
"""

from __future__ import annotations

from coordinator.indicators.measures import NO_MONEY_EUR


def score(alone_cost_eur: float, cost_eur: float, optimum_cost_eur: float) -> float | None:
    """Share of the achievable saving: (alone − cost)/(alone − optimum).

    Args:
        alone_cost_eur: each member alone.
        cost_eur: what was paid.
        optimum_cost_eur: of the coordinated optimum.

    Returns:
        1 at the optimum, 0 where nothing was saved, below 0 where it became dearer; ``None`` where there was
        nothing to be saved.
    """
    achievable_eur = alone_cost_eur - optimum_cost_eur
    if achievable_eur <= NO_MONEY_EUR:
        return None
    return (alone_cost_eur - cost_eur) / achievable_eur


def price_of_decentralisation(cost_eur: float, optimum_cost_eur: float) -> float | None:
    """What is paid above the optimum, over the size of the optimum: (cost − optimum)/|optimum|.

    Args:
        cost_eur: what was paid.
        optimum_cost_eur: of the coordinated optimum; negative where the community earns.

    Returns:
        0 at the optimum; ``None`` where the optimum costs nothing, or less than what is paid above it: where
        bill and revenue nearly cancel, a share of what is left says nothing.
    """
    gap_eur = cost_eur - optimum_cost_eur
    if abs(optimum_cost_eur) < max(NO_MONEY_EUR, abs(gap_eur)):
        return None
    return gap_eur / abs(optimum_cost_eur)

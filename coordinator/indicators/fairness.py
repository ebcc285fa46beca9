"""How equally savings are shared: pure functions on one value a member.

Sources: C. Gini, *Variabilità e mutabilità* (1912); R. Jain, D. Chiu, W. Hawe, *A quantitative measure of
fairness*, DEC-TR-301 (1984).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from coordinator.indicators.measures import NO_MONEY_EUR, Array


def gini(values: ArrayLike) -> float | None:
    """Gini coefficient Σᵢ Σⱼ |xᵢ − xⱼ|/(2 n² x̄): 0 if all have the same, (n−1)/n if one has all.

    Args:
        values: shares, shape (n,).

    Returns:
        The coefficient in [0, 1), or ``None`` where it is not defined: no values, a negative one, or
        nothing to share.
    """
    shares = _shares(values)
    if shares is None:
        return None
    ranked = np.sort(shares)
    count = ranked.size
    rank = np.arange(1, count + 1)
    # the double sum over pairs, by ranks: O(n log n)
    return max(float(np.sum((2 * rank - count - 1) * ranked) / (count * np.sum(ranked))), 0.0)


def jain(values: ArrayLike) -> float | None:
    """Jain's fairness index (Σ x)²/(n Σ x²): 1 if all have the same, 1/n if one has all.

    Args:
        values: shares, shape (n,).

    Returns:
        The index in [1/n, 1], or ``None`` where ``gini`` is not defined either.
    """
    shares = _shares(values)
    if shares is None:
        return None
    # scaled to its largest share, so that squares of tiny or huge amounts neither vanish nor overflow
    scaled = shares / shares.max()
    return min(float(np.sum(scaled) ** 2 / (scaled.size * np.sum(scaled**2))), 1.0)


def min_over_max(values: ArrayLike) -> float | None:
    """Smallest share over the largest: 1 if all have the same, 0 if one has nothing.

    Args:
        values: shares, shape (n,).

    Returns:
        The ratio in [0, 1], or ``None`` where ``gini`` is not defined either.
    """
    shares = _shares(values)
    return None if shares is None else float(shares.min() / shares.max())


def members_worse_off(savings_eur: ArrayLike) -> int:
    """Number of members that pay more than alone (by more than rounding).

    Args:
        savings_eur: saving of each member, shape (members,).
    """
    return int(np.sum(np.asarray(savings_eur, dtype=np.float64) < -NO_MONEY_EUR))


def _shares(values: ArrayLike) -> Array | None:
    shares = np.asarray(values, dtype=np.float64)
    if not shares.size or float(shares.min()) < -NO_MONEY_EUR or float(shares.max()) <= NO_MONEY_EUR:
        return None
    return np.maximum(shares, 0.0)

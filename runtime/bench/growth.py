"""How figures grow with the number of members."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median


def exponent_of(members: Sequence[int], figures: Sequence[float]) -> float | None:
    """The power of the number of members that a figure grows with: the slope of a line through logarithms.

    Args:
        members: numbers of members, positive.
        figures: what was found at each, positive.

    Returns:
        1 for what doubles when members double, 0 for what stays; None with fewer than two numbers of members.
    """
    if len(set(members)) < 2:
        return None
    return slope_of([math.log(count) for count in members], [math.log(figure) for figure in figures])


def slope_of(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of the line of least squares; 0 where all ``x`` are the same."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    across = sum((each - mean_x) ** 2 for each in x)
    both = sum((each - mean_x) * (value - mean_y) for each, value in zip(x, y, strict=True))
    return both / across if across else 0.0


def steady_slope_of(x: Sequence[float], y: Sequence[float]) -> float:
    """The median of the slopes between any two points, of which a single step is no part.

    Source: P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, J. Am. Stat. Assoc. 63
    (1968).

    Args:
        x: rising, at least two.
        y: as many.
    """
    points = [*zip(x, y, strict=True)]
    return median((b - a) / (until - since) for (since, a), (until, b) in combinations(points, 2))


def without_greatest_step(y: Sequence[float]) -> list[float]:
    """A series without the one step up that lasted and was the greatest.

    A step lasts if all that follows is above all that was before, by as much as it is high: one busier day
    needs more memory, which its process keeps and does not need again.

    Args:
        y: at least two values.
    """
    steps = [min(y[place:]) - max(y[:place]) for place in range(1, len(y))]
    height = max(steps)
    if height <= 0.0:
        return [*y]
    since = steps.index(height) + 1
    return [value - height if place >= since else value for place, value in enumerate(y)]

"""A slot's optimal stored change against the value of stored energy, where its objective is convex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.planning.tariff import FloatArray


@dataclass(frozen=True, eq=False)
class Curve:
    """Optimal stored change of one slot against the value of stored energy: a staircase, both ascending.

    Attributes:
        value_eur_per_kwh: value of a stored kWh, shape (K,).
        change_kwh: stored change that is optimal at that value, shape (K,).
    """

    value_eur_per_kwh: FloatArray
    change_kwh: FloatArray


def staircases(
    points_kwh: FloatArray, start_eur_per_kwh: FloatArray, end_eur_per_kwh: FloatArray
) -> list[Curve]:
    """Curves of objectives that are convex between the first and the last of their points.

    Args:
        points_kwh: ends of each slot's segments [kWh stored change], shape (T, S + 1), ascending.
        start_eur_per_kwh: slope of the objective just after each segment's start, shape (T, S).
        end_eur_per_kwh: slope just before each segment's end, shape (T, S).

    Returns:
        One curve per slot.
    """
    # A segment without length takes the slope of the one before it, or else of the first with any.
    empty = points_kwh[:, 1:] <= points_kwh[:, :-1]
    ends = [np.where(empty, -np.inf, start_eur_per_kwh), np.where(empty, -np.inf, end_eur_per_kwh)]
    value = np.maximum.accumulate(np.stack(ends, axis=2).reshape(len(points_kwh), -1), axis=1)
    first = np.where(np.isfinite(value), value, np.inf).min(axis=1, keepdims=True)
    value = np.where(np.isfinite(value), value, np.where(np.isfinite(first), first, 0.0))
    change = np.repeat(points_kwh, 2, axis=1)[:, 1:-1]
    return [Curve(*pair) for pair in zip(value, change, strict=True)]


def hull_slopes(points_kwh: FloatArray, objective_eur: FloatArray) -> FloatArray:
    """Slopes of the lower convex hulls of points: ``max over a ≤ i of min over b > i of slope(a, b)``.

    That is isotonic regression of the segments' slopes, weighted by their lengths, by its min–max formula
    (R. E. Barlow et al., *Statistical Inference under Order Restrictions*, 1972).

    Args:
        points_kwh: stored changes [kWh], shape (T, S + 1), ascending.
        objective_eur: the objective there [EUR], shape (T, S + 1).

    Returns:
        Slope of the hull in each segment [EUR/kWh], shape (T, S); infinite where a segment without length
        has no others after it.
    """
    run = points_kwh[:, None, :] - points_kwh[:, :, None]
    rise = objective_eur[:, None, :] - objective_eur[:, :, None]
    slope = np.where(run > 0, rise / np.where(run > 0, run, 1.0), np.inf)
    after = np.minimum.accumulate(slope[:, :-1, :0:-1], axis=2)[:, :, ::-1]
    # Starts after a segment do not count for it.
    count = after.shape[1]
    before = np.where(np.tri(count, dtype=bool).T, after, -np.inf)
    found: FloatArray = before.max(axis=1)
    return found

"""Rainflow counting of a battery's cycles, and the truncated variation that it integrates to.

Source: ASTM E1049-85 (2017), section 5.4.4, the three-point method on reversals; residual ranges count half.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from agents.planning.tariff import FloatArray


class RainflowCount(NamedTuple):
    """Cycles of a trajectory: one row each.

    Attributes:
        range_kwh: difference between the two reversals [kWh], shape (N,), above 0.
        cycles: 1 for a full cycle, 0.5 for a half cycle, shape (N,).
    """

    range_kwh: FloatArray
    cycles: FloatArray


def reversals(levels_kwh: FloatArray) -> FloatArray:
    """First and last level and every level between where the direction changes; plateaus count once.

    Args:
        levels_kwh: levels in time [kWh], shape (N,).

    Returns:
        The reversals in time [kWh], shape (R,); a single level where nothing moves.
    """
    moved: FloatArray = levels_kwh[np.concatenate([[True], np.diff(levels_kwh) != 0])]
    if moved.size < 3:
        return moved
    rising = np.diff(moved) > 0
    kept: FloatArray = moved[np.concatenate([[True], rising[:-1] != rising[1:], [True]])]
    return kept


def rainflow_cycles(levels_kwh: FloatArray) -> RainflowCount:
    """Count the cycles of a trajectory.

    Args:
        levels_kwh: levels in time, the start included [kWh], shape (N,).

    Returns:
        The cycles, in the order in which they close.
    """
    ranges: list[float] = []
    counts: list[float] = []
    open_points: list[float] = []
    for point in reversals(levels_kwh).tolist():
        open_points.append(point)
        while len(open_points) >= 3:
            latest = abs(open_points[-1] - open_points[-2])
            earlier = abs(open_points[-2] - open_points[-3])
            if latest < earlier:
                break
            ranges.append(earlier)
            if len(open_points) == 3:  # the range holds the starting point: half a cycle
                counts.append(0.5)
                del open_points[0]
            else:
                counts.append(1.0)
                del open_points[-3:-1]
    for before, after in pairwise(open_points):
        ranges.append(abs(after - before))
        counts.append(0.5)
    return RainflowCount(np.array(ranges), np.array(counts))


def taut_string_kwh(levels_kwh: FloatArray, width_kwh: float) -> FloatArray:
    """Path of least total variation that stays within half a width of a trajectory.

    A cycle of range D moves it by D − width up and down, or not at all: its total variation is twice the sum
    over rainflow cycles of count × max(D − width, 0). So any convex cost of a cycle's range is a sum, over
    widths, of weighted total variations. Source: R. M. Łochowski, *On the generalisation of the Hahn-Jordan
    decomposition for real càdlàg functions*, Colloq. Math. 132 (2013): truncated variation.

    Args:
        levels_kwh: levels in time, the start included [kWh], shape (N,).
        width_kwh: width of the tube, at least 0 [kWh].

    Returns:
        The path [kWh], shape (N,).
    """
    half = 0.5 * width_kwh
    path: list[float] = []
    least, greatest = -np.inf, np.inf
    at = None
    for level in levels_kwh.tolist():
        low, high = level - half, level + half
        if at is None:
            # It rests wherever the whole beginning allows, until something forces it to move.
            if max(least, low) <= min(greatest, high):
                least, greatest = max(least, low), min(greatest, high)
                path.append(np.nan)
                continue
            at = greatest if low > greatest else least
            path = [at] * len(path)
        at = min(max(at, low), high)
        path.append(at)
    if at is None:
        path = [0.5 * (least + greatest)] * len(path)
    return np.array(path)

"""Water values where every slot's objective is piecewise linear: two merit orders merged, slot by slot.

The value of stored energy is then a staircase, kept as steps (value, length) in ascending order of value,
from the fullest battery down. A slot's objective is one too: steps of slope and length, from the least stored
change up. Their infimal convolution holds the steps of both, in order of value; the SOC bounds cut steps off
its ends. So a slot costs a few insertions into a sorted list.

Stored energy is divided and its value multiplied by (1−σ)^t throughout, which leaves nothing to do for
self-discharge.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from agents.planning.tariff import FloatArray

LEAST_RETENTION = 1e-3
"""Share of stored energy left at the end of the horizon below which the scaling would cost precision."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What is known at one slot: value of stored energy after it, its own steps, and both merged."""

    after_value: list[float]
    after_length: list[float]
    own_value: list[float]
    own_length: list[float]
    value: list[float]
    length: list[float]
    fullest: float
    least: float


def merged_plan(
    curves: list[tuple[FloatArray, FloatArray]],
    keep: float,
    lower_kwh: FloatArray,
    upper_kwh: float,
    start_kwh: float,
) -> tuple[FloatArray, FloatArray]:
    """Least-cost plan for convex, piecewise-linear slots.

    Args:
        curves: of each slot, the values of stored energy and the optimal changes there [EUR/kWh], [kWh]: two
            points for each segment, its start and its end, or a single point.
        keep: share of stored energy left after a slot of rest.
        lower_kwh: lower envelope [kWh], shape (T,).
        upper_kwh: greatest stored energy [kWh].
        start_kwh: stored energy before slot 0 [kWh].

    Returns:
        Stored energy at the end of each slot [kWh] and its value [EUR/kWh], shapes (T,). Where the slots'
        limits allow no plan within the bounds, the nearest.
    """
    slots = len(curves)
    scale = keep ** np.arange(1.0, slots + 1.0)
    steps = _backward(curves, scale.tolist(), (lower_kwh / scale).tolist(), (upper_kwh / scale).tolist())
    held, worth = start_kwh, 0.0
    slack = 1e-11 * upper_kwh
    stored, value = np.empty(slots), np.empty(slots)
    for slot, step in enumerate(steps):
        held, worth = _choose(step, held, worth, slack)
        stored[slot], value[slot] = held, worth
    return stored * scale, value / scale


def _backward(
    curves: list[tuple[FloatArray, FloatArray]], scale: list[float], lower: list[float], upper: list[float]
) -> list[_Step]:
    value, length = [0.0], [upper[-1] - lower[-1]]
    fullest = upper[-1]
    steps: list[_Step] = []
    for slot in range(len(curves) - 1, -1, -1):
        factor = scale[slot]
        slopes, changes = curves[slot]
        least = float(changes[0]) / factor
        own_value = (slopes[::2] * factor).tolist()
        own_length = ((changes[1::2] - changes[:-1:2]) / factor).tolist()
        all_value, all_length = value.copy(), length.copy()
        for slope, extent in zip(own_value, own_length, strict=False):
            if extent > 0.0:
                place = bisect_left(all_value, slope)
                all_value.insert(place, slope)
                all_length.insert(place, extent)
        steps.append(_Step(value, length, own_value, own_length, all_value, all_length, fullest, least))
        if slot:
            value, length = all_value.copy(), all_length.copy()
            before = fullest - least
            emptiest = before - sum(length)
            fullest = min(before, upper[slot - 1])
            _shorten(value, length, before - fullest, 0)
            _shorten(value, length, lower[slot - 1] - emptiest, -1)
    steps.reverse()
    return steps


def _shorten(value: list[float], length: list[float], excess: float, end: int) -> None:
    """Take an extent off the first or the last steps; the last step left stays, with no length."""
    while excess > 0.0:
        if length[end] > excess:
            length[end] -= excess
            return
        if len(length) == 1:
            length[0] = 0.0
            return
        excess -= length[end]
        del value[end], length[end]


def _choose(step: _Step, held: float, wanted_value: float, slack: float) -> tuple[float, float]:
    """What is held after the slot, and its value: of several values, the one nearest to the wanted."""
    value = step.value
    ends = list(accumulate(step.length, initial=0.0))
    depth = step.fullest - step.least - held
    first, past = bisect_left(ends, depth - slack), bisect_right(ends, depth + slack)
    if 0 < first == past <= len(value):  # within a step
        worth = value[first - 1]
    else:  # between two steps, or beyond an end: any value between those of its neighbours
        worth = wanted_value
        if first > 0:
            worth = max(worth, value[min(first, len(value)) - 1])
        if past <= len(value):
            worth = min(worth, value[max(past - 1, 0)])
    below, upto = bisect_left(step.after_value, worth), bisect_right(step.after_value, worth)
    most = step.fullest - sum(step.after_length[:below])
    fewest = most - sum(step.after_length[below:upto])
    least = step.least
    greatest = least
    for slope, extent in zip(step.own_value, step.own_length, strict=False):
        if slope <= worth:
            greatest += extent
            if slope < worth:
                least += extent
    return max(min(most, held + greatest), fewest, held + least), worth

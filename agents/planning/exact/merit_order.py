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
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from agents.planning.tariff import FloatArray

LEAST_RETENTION = 1e-3
"""Share of stored energy left at the end of the horizon below which the scaling would cost precision."""

Staircase = tuple[FloatArray, FloatArray]
"""Values of stored energy and the optimal changes there [EUR/kWh], [kWh]: two points for each segment, its
start and its end, or a single point."""

_SAME = 1e-12
"""Lengths that differ by less, as a share of the greatest stored energy, differ by rounding alone."""


_Own = tuple[list[tuple[float, float]], float]
"""A slot's own steps, value and length, and its least stored change."""


class _Step(NamedTuple):
    """What is known at one slot: value of stored energy after it, its own steps, and both merged."""

    after_value: list[float]
    after_length: list[float]
    own: _Own
    value: list[float]
    length: list[float]
    fullest: float


class MeritOrder:
    """Least-cost plan for convex, piecewise-linear slots; and for the same with a few slots changed.

    A change is felt between the bounds that the plan runs into before and after it. So
    :meth:`changed` goes back from the last slot changed only until the value of stored energy is what it was,
    and forward from there until what is held is.

    Args:
        curves: of each slot, its staircase.
        keep: share of stored energy left after a slot of rest.
        lower_kwh: lower envelope [kWh], shape (T,).
        upper_kwh: greatest stored energy [kWh].
        start_kwh: stored energy before slot 0 [kWh].
    """

    def __init__(
        self,
        curves: Sequence[Staircase],
        keep: float,
        lower_kwh: FloatArray,
        upper_kwh: float,
        start_kwh: float,
    ) -> None:
        self._scale = keep ** np.arange(1.0, len(curves) + 1.0)
        self._factors = self._scale.tolist()
        self._lower = (lower_kwh / self._scale).tolist()
        self._upper = (upper_kwh / self._scale).tolist()
        self._start = start_kwh
        self._slack = 1e-11 * upper_kwh
        self._same = _SAME * upper_kwh
        self._own = _all_own(curves, self._scale)
        self._steps: list[_Step] = []
        self._steps = self._backward(len(curves) - 1, self._own)
        self._held: list[float] = []
        self._worth: list[float] = []
        self._held, self._worth = self._forward(self._steps, 0, len(curves))

    def plan(self) -> tuple[FloatArray, FloatArray]:
        """The plan.

        Returns:
            Stored energy at the end of each slot [kWh] and its value [EUR/kWh], shapes (T,). Where the slots'
            limits allow no plan within the bounds, the nearest.
        """
        return np.array(self._held) * self._scale, np.array(self._worth) / self._scale

    def changed(self, curves: Mapping[int, Staircase]) -> MeritOrder:
        """The same with other staircases in some slots; this one stays as it is.

        Args:
            curves: slot to staircase.
        """
        if not curves:
            return self
        other = copy(self)
        other._own = self._own.copy()
        for slot, curve in curves.items():
            other._own[slot] = _own(curve, self._factors[slot])
        first, last = min(curves), max(curves)
        redone = self._backward(last, other._own, first)
        begin = last + 1 - len(redone)
        other._steps = self._steps[:begin] + redone + self._steps[last + 1 :]
        other._held, other._worth = self._forward(other._steps, begin, last + 1)
        return other

    def _backward(self, last: int, own: list[_Own], first: int = 0) -> list[_Step]:
        """Steps up to a slot, from the first that differs from what is known on; all up to ``first`` do."""
        known = self._steps
        if known:
            value, length, fullest = known[last].after_value, known[last].after_length, known[last].fullest
        else:
            value, length, fullest = [0.0], [self._upper[last] - self._lower[last]], self._upper[last]
        steps: list[_Step] = []
        for slot in range(last, -1, -1):
            if slot < first and known and self._is_known(known[slot], value, length, fullest):
                break
            own_steps, least = own[slot]
            all_value, all_length = value.copy(), length.copy()
            for slope, extent in own_steps:
                place = bisect_left(all_value, slope)
                all_value.insert(place, slope)
                all_length.insert(place, extent)
            steps.append(_Step(value, length, own[slot], all_value, all_length, fullest))
            if slot:
                before = fullest - least
                fullest = min(before, self._upper[slot - 1])
                below = self._lower[slot - 1] - (before - sum(all_length))
                value, length = _shortened(all_value, all_length, before - fullest, below)
        steps.reverse()
        return steps

    def _is_known(self, step: _Step, value: list[float], length: list[float], fullest: float) -> bool:
        same = self._same
        return (
            value == step.after_value
            and abs(fullest - step.fullest) <= same
            and all(abs(one - other) <= same for one, other in zip(length, step.after_length, strict=True))
        )

    def _forward(self, steps: list[_Step], begin: int, end: int) -> tuple[list[float], list[float]]:
        """What is held and its value: as known before ``begin``, and again after ``end`` once both agree."""
        known_held, known_worth = self._held, self._worth
        held, worth = known_held[:begin], known_worth[:begin]
        now, value = (held[-1], worth[-1]) if begin else (self._start, 0.0)
        for slot in range(begin, len(steps)):
            now, value = _choose(steps[slot], now, value, self._slack)
            held.append(now)
            worth.append(value)
            if slot >= end and abs(now - known_held[slot]) <= self._same and value == known_worth[slot]:
                return held + known_held[slot + 1 :], worth + known_worth[slot + 1 :]
        return held, worth


def _own(curve: Staircase, factor: float) -> _Own:
    value, change = (curve[0][::2] * factor).tolist(), (curve[1] / factor).tolist()
    return _steps(value, change), change[0]


def _all_own(curves: Sequence[Staircase], scale: FloatArray) -> list[_Own]:
    """Own steps of all slots: those whose staircases have equally many points together, which is faster."""
    own: list[_Own] = [([], 0.0)] * len(curves)
    alike: dict[int, list[int]] = {}
    for slot, (_, change) in enumerate(curves):
        alike.setdefault(change.size, []).append(slot)
    for slots in alike.values():
        values = np.array([curves[slot][0] for slot in slots])[:, ::2] * scale[slots, None]
        changes = np.array([curves[slot][1] for slot in slots]) / scale[slots, None]
        for slot, value, change in zip(slots, values.tolist(), changes.tolist(), strict=True):
            own[slot] = _steps(value, change), change[0]
    return own


def _steps(value: list[float], change: list[float]) -> list[tuple[float, float]]:
    """Values and lengths of the steps that have a length, from values and the steps' two ends each."""
    pairs = zip(value, change[:-1:2], change[1::2], strict=False)
    return [(slope, after - before) for slope, before, after in pairs if after > before]


def _shortened(
    value: list[float], length: list[float], above: float, below: float
) -> tuple[list[float], list[float]]:
    """Steps less an extent at either end; the last step left stays, with no length."""
    first, last = 0, len(value) - 1
    while above > 0.0 and first < last and length[first] <= above:
        above -= length[first]
        first += 1
    value, length = value[first:], length[first:]
    if above > 0.0:
        length[0] = max(length[0] - above, 0.0)
    while below > 0.0 and len(length) > 1 and length[-1] <= below:
        below -= length.pop()
        value.pop()
    if below > 0.0:
        length[-1] = max(length[-1] - below, 0.0)
    return value, length


def _choose(step: _Step, held: float, wanted_value: float, slack: float) -> tuple[float, float]:
    """What is held after the slot, and its value: of several values, the one nearest to the wanted."""
    after_value, after_length, (own_steps, least), value, length, fullest = step
    depth = fullest - least - held
    place = bisect_left(value, wanted_value)
    above = sum(length[:place])
    if not (place < len(value) and above + slack < depth < above + length[place] - slack):
        worth = _worth_at(step, depth, wanted_value, slack)
    else:  # within a step, of the wanted value or the next
        worth = value[place]
    below, upto = bisect_left(after_value, worth), bisect_right(after_value, worth)
    most = fullest - sum(after_length[:below])
    fewest = most - sum(after_length[below:upto])
    greatest = least
    for slope, extent in own_steps:
        if slope <= worth:
            greatest += extent
            if slope < worth:
                least += extent
    return max(min(most, held + greatest), fewest, held + least), worth


def _worth_at(step: _Step, depth: float, wanted_value: float, slack: float) -> float:
    """Value of stored energy at a depth from the fullest down; of several, the one nearest to the wanted."""
    value, ends = step.value, list(accumulate(step.length, initial=0.0))
    first, past = bisect_left(ends, depth - slack), bisect_right(ends, depth + slack)
    if 0 < first == past <= len(value):  # within a step
        return value[first - 1]
    # Between two steps, or beyond an end: any value between those of its neighbours.
    worth = wanted_value
    if first > 0:
        worth = max(worth, value[min(first, len(value)) - 1])
    if past <= len(value):
        worth = min(worth, value[max(past - 1, 0)])
    return worth

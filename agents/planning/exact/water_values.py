"""Water values: exact plans where every slot's objective is convex, and a lower bound where it is not.

The value of stored energy at the end of a slot (the "water value" of hydro scheduling) is a falling
piecewise-linear function of what is stored. A backward pass carries it from the end of the horizon to the
start: in each slot it adds, for every value, what the battery would still hold and what it would draw (the
infimal convolution of two convex functions adds their inverse marginals), and cuts it at the SOC bounds. A
forward pass reads the plan off. No grid on the stored energy, hence no discretisation error. A convex cost
of standing at a charge (wear) lowers the value of stored energy by its slope.

The values at the plan are multipliers of W_t = (1−σ) W_{t−1} + y_t; the Lagrangian dual function gives a
lower bound for any multipliers, convex or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np

from agents.devices.battery import clip_trajectories, retention
from agents.planning.exact.curves import Curve
from agents.planning.exact.merit_order import LEAST_RETENTION, MeritOrder
from agents.planning.exact.stages import Stages
from agents.planning.tariff import FloatArray


@dataclass(frozen=True, eq=False)
class WaterValuePlan:
    """Result of the two passes.

    Attributes:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,).
        value_eur_per_kwh: value of stored energy at the end of each slot [EUR/kWh], shape (T,).
    """

    stored_energy_kwh: FloatArray
    value_eur_per_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class _Passage:
    """One slot's choice against what the battery holds before it draws: ``left`` falls, ``value`` rises."""

    left_kwh: FloatArray
    after_kwh: FloatArray
    value_eur_per_kwh: FloatArray


def water_value_plan(curves: list[Curve], stages: Stages, lower_kwh: FloatArray) -> WaterValuePlan:
    """Least-cost plan for convex slots.

    Args:
        curves: each slot's optimal change against value, from :meth:`Stages.curves` or
            :meth:`Stages.hull_curves`.
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).

    Returns:
        A feasible plan and the water values. It is optimal where the curves are those of the whole objective.
    """
    return WaterValues(curves, stages, lower_kwh).plan()


class WaterValues:
    """Plans of convex slots, and of the same with a few slots changed, which takes less work.

    Args:
        curves: each slot's optimal change against value.
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).
    """

    def __init__(self, curves: list[Curve], stages: Stages, lower_kwh: FloatArray) -> None:
        battery = stages.battery
        keep = retention(battery)
        bent = stages.standing_marginals()[0].size > 0 or stages.problem.weight_eur_per_kwh2.any()
        self._curves, self._stages, self._lower_kwh = curves, stages, lower_kwh
        self._order: MeritOrder | None = None
        if not bent and keep ** len(curves) >= LEAST_RETENTION:
            steps = [(curve.value_eur_per_kwh, curve.change_kwh) for curve in curves]
            upper, start = battery.stored_max_kwh, battery.stored_start_kwh
            self._order = MeritOrder(steps, keep, lower_kwh, upper, start)

    def plan(self) -> WaterValuePlan:
        """Least-cost plan of the slots as they are."""
        if self._order is None:
            return self._by_passages(self._curves)
        return self._clipped(*self._order.plan())

    def changed(self, curves: Mapping[int, Curve]) -> WaterValues:
        """The same with other curves in some slots; this one stays as it is.

        Args:
            curves: slot to curve.
        """
        other = copy(self)
        other._curves = [curves.get(slot, curve) for slot, curve in enumerate(self._curves)]
        if self._order is not None:
            steps = {slot: (curve.value_eur_per_kwh, curve.change_kwh) for slot, curve in curves.items()}
            other._order = self._order.changed(steps)
        return other

    def _by_passages(self, curves: list[Curve]) -> WaterValuePlan:
        battery = self._stages.battery
        keep, upper = retention(battery), battery.stored_max_kwh
        kinks, slopes = self._stages.standing_marginals()
        passages = _backward(curves, keep, self._lower_kwh, upper, (kinks, slopes))
        stored = np.empty(len(curves))
        value = np.empty(len(curves))
        held, worth = battery.stored_start_kwh, 0.0
        slack = 1e-11 * upper
        for slot, passage in enumerate(passages):
            held, worth = _choose(passage, keep * held, worth / keep, slack)
            stored[slot], value[slot] = held, worth
            if kinks.size:  # what stands until the next slot is worth more there by what standing costs
                worth += float(slopes[np.searchsorted(kinks, held - slack)])
        return self._clipped(stored, value)

    def _clipped(self, stored_kwh: FloatArray, value_eur_per_kwh: FloatArray) -> WaterValuePlan:
        slot_hours = self._stages.problem.slot_hours
        stored = clip_trajectories(stored_kwh, self._stages.battery, slot_hours, self._lower_kwh)
        return WaterValuePlan(stored, value_eur_per_kwh)


def lower_bound_eur(
    stages: Stages,
    lower_kwh: FloatArray,
    value_eur_per_kwh: FloatArray,
    net_price_eur_per_kwh: FloatArray | None = None,
    limits_kwh: tuple[FloatArray, FloatArray] | None = None,
) -> float:
    """Lagrangian lower bound on every plan's objective (:class:`Stages`' parts and standing wear).

    Args:
        stages: the slots' objectives, convex or not.
        lower_kwh: lower envelope [kWh], shape (T,).
        value_eur_per_kwh: multipliers: value of stored energy at the end of each slot, shape (T,). Any finite
            numbers give a valid bound; the water values of an optimal convex plan give its objective.
        net_price_eur_per_kwh: a price on net energy to be added to the objective, shape (T,).
        limits_kwh: least and greatest stored change of the plans it is about [kWh], shapes (T,); None takes
            the battery's.

    Returns:
        The bound [EUR].
    """
    battery = stages.battery
    keep = retention(battery)
    later = np.append(keep * value_eur_per_kwh[1:], 0.0)
    worth = value_eur_per_kwh - later
    # W_t itself is bounded and, with wear, priced: the least lies at a bound or at a kink.
    kinks, _ = stages.standing_marginals()
    levels = np.stack([lower_kwh, np.full_like(lower_kwh, battery.stored_max_kwh)], axis=1)
    if kinks.size:
        inner = np.broadcast_to(kinks, (lower_kwh.size, kinks.size))
        levels = np.concatenate([levels, np.clip(inner, levels[:, :1], levels[:, 1:])], axis=1)
    held = (worth[:, None] * levels + stages.standing_eur(levels)).min(axis=1)
    start = keep * value_eur_per_kwh[0] * battery.stored_start_kwh
    least_kwh, greatest_kwh = limits_kwh or (stages.least_kwh, stages.greatest_kwh)
    least = stages.least_lagrangian_eur(value_eur_per_kwh, least_kwh, greatest_kwh, net_price_eur_per_kwh)
    return float(least.sum() + held.sum() - start)


def _backward(
    curves: list[Curve],
    keep: float,
    lower_kwh: FloatArray,
    upper_kwh: float,
    standing: tuple[FloatArray, FloatArray],
) -> list[_Passage]:
    passages: list[_Passage] = []
    value, after = np.zeros(2), np.array([upper_kwh, lower_kwh[-1]])
    for slot in range(len(curves) - 1, -1, -1):
        if standing[0].size:
            value, after = _less_standing(value, after, *standing)
        passage = _join(value, after, curves[slot])
        passages.append(passage)
        if slot:
            value, after = _cut(
                keep * passage.value_eur_per_kwh,
                passage.left_kwh / keep,
                float(lower_kwh[slot - 1]),
                upper_kwh,
            )
    passages.reverse()
    return passages


def _join(value: FloatArray, after: FloatArray, curve: Curve) -> _Passage:
    """Staircases of what is held after the slot and of the slot's change, on their common values."""
    own, change = curve.value_eur_per_kwh, curve.change_kwh
    below = np.searchsorted(own, value, side="left")
    upto = np.searchsorted(value, own, side="right")
    change_there = _between(own, change, below, value)
    after_there = _between(value, after, upto, own)
    size = value.size + own.size
    at_value = np.arange(value.size) + below
    at_own = np.arange(own.size) + upto
    merged_value, merged_after, left = np.empty(size), np.empty(size), np.empty(size)
    merged_value[at_value], merged_value[at_own] = value, own
    merged_after[at_value], merged_after[at_own] = after, after_there
    left[at_value], left[at_own] = after - change_there, after_there - change
    return _Passage(left, merged_after, merged_value)


def _between(x: FloatArray, y: FloatArray, right: np.ndarray, at: FloatArray) -> FloatArray:
    """``y`` at ``at`` on the staircase (x, y), where ``right`` is the index of the point after it."""
    hi = np.minimum(right, x.size - 1)
    lo = np.maximum(right - 1, 0)
    width = x[hi] - x[lo]
    share = (at - x[lo]) / np.where(width > 0, width, 1.0)
    # Outside the points, and on a step, lo or hi alone counts.
    share = np.where(width > 0, np.minimum(np.maximum(share, 0.0), 1.0), 0.0)
    found: FloatArray = y[lo] + share * (y[hi] - y[lo])
    return found


def _cut(
    value: FloatArray, held: FloatArray, lower_kwh: float, upper_kwh: float
) -> tuple[FloatArray, FloatArray]:
    """The part of a staircase (held falls) between two bounds on what is held."""
    first = int(np.searchsorted(-held, -upper_kwh, side="left"))
    last = int(np.searchsorted(-held, -lower_kwh, side="right"))
    first, last = min(first, held.size - 1), max(last, 1)
    values, helds = [value[first:last]], [held[first:last]]
    if first > 0 and held[first] < upper_kwh:
        values.insert(0, np.array([_cross(value, held, first, upper_kwh)]))
        helds.insert(0, np.array([upper_kwh]))
    if last < held.size and held[last - 1] > lower_kwh:
        values.append(np.array([_cross(value, held, last, lower_kwh)]))
        helds.append(np.array([lower_kwh]))
    return np.concatenate(values), np.clip(np.concatenate(helds), lower_kwh, upper_kwh)


def _less_standing(
    value: FloatArray, held: FloatArray, kinks_kwh: FloatArray, slopes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A staircase (held falls) less the slope of the standing cost, which steps at the kinks."""
    for kink, lower, upper in zip(kinks_kwh.tolist(), slopes[:-1].tolist(), slopes[1:].tolist(), strict=True):
        first = int(np.searchsorted(-held, -kink, side="left"))
        past = int(np.searchsorted(-held, -kink, side="right"))
        step = upper - lower
        if past == 0:  # all that can be held lies below the kink
            continue
        if first == held.size:
            value = value - step
            continue
        at_first = value[first] if past > first else _cross(value, held, first, kink)
        at_last = value[past - 1] if past > first else at_first
        value = np.concatenate([value[:past] - step, [at_last], value[past:]])
        held = np.concatenate([held[:past], [kink], held[past:]])
        if past == first:
            value = np.insert(value, first, at_first - step)
            held = np.insert(held, first, kink)
    return value - slopes[0], held


def _cross(value: FloatArray, held: FloatArray, right: int, at: float) -> float:
    drop = held[right - 1] - held[right]
    share = (held[right - 1] - at) / drop if drop > 0 else 0.0
    return float(value[right - 1] + share * (value[right] - value[right - 1]))


def _choose(passage: _Passage, left: float, wanted_value: float, slack: float) -> tuple[float, float]:
    """What is held after the slot, and its value: of several, the one nearest to the wanted."""
    falling = -passage.left_kwh
    first = int(np.searchsorted(falling, -left - slack, side="left"))
    past = int(np.searchsorted(falling, -left + slack, side="right"))
    value, after = passage.value_eur_per_kwh, passage.after_kwh
    size = falling.size
    if past > first:
        least = -np.inf if first == 0 else value[first]
        greatest = np.inf if past == size else value[past - 1]
        return float(after[first]), float(min(max(wanted_value, least), greatest))
    if first == 0:
        return float(after[0]), float(min(wanted_value, value[0]))
    if first == size:
        return float(after[-1]), float(max(wanted_value, value[-1]))
    share = (passage.left_kwh[first - 1] - left) / (passage.left_kwh[first - 1] - passage.left_kwh[first])
    return (
        float(after[first - 1] + share * (after[first] - after[first - 1])),
        float(value[first - 1] + share * (value[first] - value[first - 1])),
    )

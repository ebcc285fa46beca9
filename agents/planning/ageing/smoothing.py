"""Slots without kinks: staircases of objectives averaged over a width.

Planning a part of a trajectory at a time (:mod:`agents.planning.ageing.depth_bands`) gets stuck where the
objective has kinks that the parts share: none gains alone by leaving it. Where what they share is smooth,
each part's optimum in turn leads to the optimum of all (P. Tseng, *Convergence of a block coordinate descent
method for nondifferentiable minimization*, J. Optim. Theory Appl. 109 (2001)). So plan with wide averages
first, and with ever narrower ones.
"""

from __future__ import annotations

import numpy as np

from agents.planning.exact.curves import Curve

_STEPS = 6
"""Steps that stand for each averaged kink."""


def smoothed(curve: Curve, width_kwh: float, beyond_eur_per_kwh: float) -> Curve:
    """The staircase of an objective whose slope is its average over a width.

    Args:
        curve: a staircase of two points for each segment, or a single point, which stays as it is.
        width_kwh: half the width of the average, above 0 [kWh].
        beyond_eur_per_kwh: by how much the slope rises at either limit of the stored change, so that the
            limits are felt before they are reached [EUR/kWh].

    Returns:
        A staircase between the same limits, in steps.
    """
    change, value = curve.change_kwh, curve.value_eur_per_kwh
    least, greatest = change[0], change[-1]
    if change.size == 1 or greatest <= least:
        return curve
    kinks = np.append(change[::2], greatest)
    slopes = np.concatenate([[value[0] - beyond_eur_per_kwh], value[::2], [value[-1] + beyond_eur_per_kwh]])
    room = 2.0 * width_kwh + 1.0
    at = np.concatenate([[least - room], kinks, [greatest + room]])
    objective = np.concatenate([[0.0], np.cumsum(slopes * np.diff(at))])
    ends = kinks[:, None] + width_kwh * np.linspace(-1.0, 1.0, _STEPS + 1)
    points = np.unique(np.clip(ends, least, greatest))
    middle = 0.5 * (points[1:] + points[:-1])
    rise = np.interp(middle + width_kwh, at, objective) - np.interp(middle - width_kwh, at, objective)
    return Curve(np.repeat(rise / (2.0 * width_kwh), 2), np.repeat(points, 2)[1:-1])

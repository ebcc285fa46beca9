"""Trajectories that the search starts from: simple strategies and a coarse dynamic programme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.devices.battery import (
    clip_trajectories,
    idle_trajectory,
    retention,
    rule_trajectory,
    stored_change_limits_kwh,
)
from agents.planning.exact.stages import Stages
from agents.planning.problem import PlanningProblem
from agents.planning.search.recombination import Recombination
from agents.planning.tariff import FloatArray

if TYPE_CHECKING:
    from runtime.devices import Battery

_QUANTILES = ((0.1, 0.9), (0.2, 0.8), (0.3, 0.7), (0.4, 0.6), (0.5, 0.5), (0.05, 0.6), (0.2, 0.5), (0.4, 0.9))
_WINDOWS = (6, 12, 24, 48)
_LATTICE_LEVELS = 18


def threshold_trajectories(problem: PlanningProblem, battery: Battery, lower_kwh: FloatArray) -> FloatArray:
    """Charge at full power where importing is cheap, discharge where it is dear.

    "Cheap" and "dear" are quantiles of the import price, or its distance from a moving average.

    Args:
        problem: the problem.
        battery: its battery.
        lower_kwh: lower envelope [kWh], shape (T,).

    Returns:
        Feasible trajectories [kWh], shape (T, 12).
    """
    price = problem.import_price_eur_per_kwh
    least, greatest = stored_change_limits_kwh(battery, problem.slot_hours)
    changes = []
    for low, high in np.quantile(price, _QUANTILES):
        changes.append(np.where(price <= low, greatest, np.where(price >= high, least, 0.0)))
    to_load = np.maximum(least, -np.maximum(problem.residual_load_kwh, 0.0) / battery.discharge_efficiency)
    for window in _WINDOWS:
        padded = np.concatenate([[0.0], np.cumsum(np.pad(price, window, mode="edge"))])
        width = 2 * window + 1
        average = (padded[width:] - padded[:-width]) / width
        band = 0.02 * np.abs(average)
        changes.append(
            np.where(price < average - band, greatest, np.where(price > average + band, to_load, 0.0))
        )
    return _follow_changes(np.stack(changes, axis=1), battery, lower_kwh)


def lattice_levels_kwh(stages: Stages, lower_kwh: FloatArray) -> FloatArray:
    """Evenly spaced levels that decay with self-discharge and whose step divides a slot's full power.

    Args:
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).

    Returns:
        Levels [kWh], shape (T, K), within the bounds.
    """
    battery, slots = stages.battery, lower_kwh.size
    span = battery.stored_max_kwh - battery.stored_min_kwh
    least, greatest = float(stages.least_kwh[0]), float(stages.greatest_kwh[0])
    power_step = min(greatest, -least) if least < 0 else greatest
    step = power_step / max(1, int(_LATTICE_LEVELS * power_step / span))
    count = min(int(span / step) + 2, 2 * _LATTICE_LEVELS)
    # Rest from the start is a level, wrapped into the bounds so that the levels never run out of them.
    rest = battery.stored_start_kwh * retention(battery) ** np.arange(1, slots + 1)
    lowest = battery.stored_min_kwh + np.mod(rest - battery.stored_min_kwh, step)
    levels = np.concatenate(
        [
            lowest[:, None] + step * np.arange(count),
            lower_kwh[:, None],
            np.full((slots, 1), battery.stored_max_kwh),
        ],
        axis=1,
    )
    within: FloatArray = np.clip(levels, lower_kwh[:, None], battery.stored_max_kwh)
    return within


def seed_trajectories(problem: PlanningProblem, stages: Stages, lower_kwh: FloatArray) -> FloatArray:
    """All simple starts: rule, idle, thresholds, coarse dynamic programme.

    Args:
        problem: the problem.
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).

    Returns:
        Feasible trajectories [kWh], shape (T, P); the first is the rule's, the second the idle battery's.
    """
    battery = stages.battery
    coarse = Recombination().best(stages, lattice_levels_kwh(stages, lower_kwh))
    rows = [
        rule_trajectory(problem.residual_load_kwh, battery, problem.slot_hours),
        idle_trajectory(battery, problem.slots, problem.slot_hours),
        clip_trajectories(coarse, battery, problem.slot_hours, lower_kwh),
    ]
    thresholds = threshold_trajectories(problem, battery, lower_kwh)
    return np.concatenate([np.stack(rows, axis=1), thresholds], axis=1)


def _follow_changes(changes_kwh: FloatArray, battery: Battery, lower_kwh: FloatArray) -> FloatArray:
    """Trajectories of changes within the power limits, cut where they leave the bounds, shape (T, N).

    Cutting a change keeps it within the limits: the envelope rises no faster than the battery can charge, and
    resting keeps it below the greatest stored energy.
    """
    keep, greatest = retention(battery), battery.stored_max_kwh
    stored = np.empty_like(changes_kwh)
    held = np.full(changes_kwh.shape[1], battery.stored_start_kwh)
    for now, change, lower in zip(stored, changes_kwh, lower_kwh.tolist(), strict=True):
        np.multiply(held, keep, out=now)
        now += change
        np.maximum(now, lower, out=now)
        np.minimum(now, greatest, out=now)
        held = now
    return stored

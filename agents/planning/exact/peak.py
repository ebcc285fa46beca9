"""Demand charge: exact planning by a search in one number, the greatest import power.

With a cap P on the import power, a charge c on the horizon's peak becomes ``c (P − reached)`` plus a price
``c / hours`` on every slot's import above P. That is a sum over slots, at least the true objective, and equal
to it where P is the plan's own peak. So the least over P of ::

    F(P) = c (P − reached) + min over plans of [ Σ_t stage_t + c / hours Σ_t (net_t − P hours)₊ ]

is the optimum. F is convex where all slots are. Multipliers μ_t in [0, c / hours] of net_t <= P hours give
its slope ``c − hours Σ_t μ_t`` and, for any values of stored energy, a line below F:

    D + (c − hours Σ_t μ_t) P,   D = lower bound with μ_t added to all prices of slot t, − c reached

because ``c / hours (x)₊ = max over μ of μ x``. The least over P of two such lines, one falling and one
rising, is a lower bound on every plan's objective (Kelley's cutting planes in one dimension).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.devices.battery import building_side_kwh, stored_change_kwh
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import lower_bound_eur, water_value_plan
from agents.planning.problem import PlanningProblem, objectives_eur
from agents.planning.tariff import FloatArray, Hinge

if TYPE_CHECKING:
    from runtime.devices import Battery

_GAP_SHARE = 1e-10
_STEP = 0.02


@dataclass(frozen=True, eq=False)
class PeakPlan:
    """Best plan found by the search over caps.

    Attributes:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,).
        value_eur_per_kwh: value of stored energy at the end of each slot [EUR/kWh], shape (T,).
        multiplier_eur_per_kwh: what the demand charge adds to the price of each slot [EUR/kWh], shape (T,).
        bound_eur: lower bound on the objective of every plan within the limits [EUR].
        trajectories_kwh: all plans of the search [kWh], shape (T, N).
    """

    stored_energy_kwh: FloatArray
    value_eur_per_kwh: FloatArray
    multiplier_eur_per_kwh: FloatArray
    bound_eur: float
    trajectories_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class _Line:
    """A line below F, ``at_zero_eur + slope_eur_per_kw * P``, and the multipliers that make it."""

    at_zero_eur: float
    slope_eur_per_kw: float
    value_eur_per_kwh: FloatArray
    multiplier_eur_per_kwh: FloatArray

    def at(self, cap_kw: float) -> float:
        return self.at_zero_eur + self.slope_eur_per_kw * cap_kw


def peak_kw(stored_energy_kwh: FloatArray, problem: PlanningProblem, battery: Battery) -> float:
    """Greatest import power that a trajectory is charged for [kW], at least what was reached before."""
    delivered = building_side_kwh(stored_change_kwh(stored_energy_kwh, battery), battery)
    greatest = float((problem.residual_load_kwh - delivered).max()) / problem.slot_hours
    return max(greatest, problem.peak_reached_kw)


def capped_stages(problem: PlanningProblem, battery: Battery, cap_kw: float) -> Stages:
    """The slots' objectives with every slot's import above a cap priced like the peak."""
    slots = problem.slots
    price = problem.peak_charge_eur_per_kw / problem.slot_hours
    hinge = Hinge(np.full(slots, cap_kw * problem.slot_hours), np.full(slots, price), np.zeros(slots))
    return Stages(problem, battery, (hinge,))


def peak_plan(
    stages: Stages,
    lower_kwh: FloatArray,
    start_kw: float | None = None,
    limits_kwh: tuple[FloatArray, FloatArray] | None = None,
    most_solves: int = 40,
) -> PeakPlan:
    """Plan with a demand charge: the optimum where every slot is convex, else that of the convex hulls.

    Args:
        stages: the slots' objectives without the demand charge.
        lower_kwh: lower envelope [kWh], shape (T,).
        start_kw: a cap near the best one, for instance an earlier plan's peak [kW].
        limits_kwh: least and greatest stored change between which every slot is convex [kWh], shapes (T,);
            None takes the battery's limits and, where a slot is not convex between them, its hull.
        most_solves: caps tried at most.

    Returns:
        The best plan found and a lower bound.
    """
    problem, battery = stages.problem, stages.battery
    reached = problem.peak_reached_kw
    rows: list[FloatArray] = []
    best, best_eur = np.empty(0), np.inf
    falling: _Line | None = None
    rising: _Line | None = None
    low_kw, high_kw, bound = reached, np.inf, -np.inf
    cap = np.inf if start_kw is None else max(start_kw, reached)
    step = _STEP
    for _ in range(most_solves):
        capped = stages if np.isinf(cap) else capped_stages(problem, battery, cap)
        curves = capped.hull_curves() if limits_kwh is None else capped.curves(*limits_kwh)
        solved = water_value_plan(curves, capped, lower_kwh)
        rows.append(solved.stored_energy_kwh)
        objective = float(objectives_eur(solved.stored_energy_kwh[:, None], problem)[0])
        if objective < best_eur:
            best, best_eur = solved.stored_energy_kwh, objective
        line = _line(stages, lower_kwh, solved.value_eur_per_kwh, cap, limits_kwh)
        if np.isinf(cap):
            cap = peak_kw(solved.stored_energy_kwh, problem, battery)
        if line.slope_eur_per_kw >= 0:
            rising, high_kw = line, min(cap, high_kw)
        else:
            falling, low_kw = line, max(cap, low_kw)
        bound = max(bound, _least(falling, rising, reached))
        if best_eur - bound <= _GAP_SHARE * max(1.0, abs(best_eur)) or high_kw <= reached:
            break
        cap = _next_cap(falling, rising, low_kw, high_kw, step)
        step *= 4.0
        if (cap == low_kw and falling is not None) or cap == high_kw:
            break
    value, multiplier = _mixed(falling, rising)
    return PeakPlan(best, value, multiplier, bound, np.stack(rows, axis=1))


def _line(
    stages: Stages,
    lower_kwh: FloatArray,
    value_eur_per_kwh: FloatArray,
    cap_kw: float,
    limits_kwh: tuple[FloatArray, FloatArray] | None,
) -> _Line:
    problem = stages.problem
    multiplier = np.zeros(problem.slots)
    if np.isfinite(cap_kw):
        multiplier = _multipliers(stages, value_eur_per_kwh, cap_kw)
    at_zero = lower_bound_eur(stages, lower_kwh, value_eur_per_kwh, multiplier, limits_kwh)
    charge = problem.peak_charge_eur_per_kw
    return _Line(
        at_zero - charge * problem.peak_reached_kw,
        charge - problem.slot_hours * float(multiplier.sum()),
        value_eur_per_kwh,
        multiplier,
    )


def _mixed(falling: _Line | None, rising: _Line | None) -> tuple[FloatArray, FloatArray]:
    """Values and multipliers whose line is level: the optimum's, where the two lines meet there."""
    only = rising or falling
    assert only is not None, "at least one cap was tried"
    if falling is None or rising is None:
        return only.value_eur_per_kwh, only.multiplier_eur_per_kwh
    share = rising.slope_eur_per_kw / (rising.slope_eur_per_kw - falling.slope_eur_per_kw)
    return (
        share * falling.value_eur_per_kwh + (1 - share) * rising.value_eur_per_kwh,
        share * falling.multiplier_eur_per_kwh + (1 - share) * rising.multiplier_eur_per_kwh,
    )


def _multipliers(stages: Stages, value_eur_per_kwh: FloatArray, cap_kw: float) -> FloatArray:
    """What stored energy is worth at the cap beyond the price there, as far as the charge goes [EUR/kWh]."""
    problem, battery = stages.problem, stages.battery
    at_cap = stages.change_kwh(np.full(problem.slots, cap_kw * problem.slot_hours))
    change = np.clip(at_cap, stages.least_kwh, stages.greatest_kwh)
    # The slope just above the cap, or just below the greatest change where the cap is out of reach.
    width = 1e-9 * (battery.stored_max_kwh - battery.stored_min_kwh)
    above = np.minimum(change + width, stages.greatest_kwh)
    points = np.stack([np.minimum(change, above - width), above], axis=1)
    slope, _ = stages.marginals_eur_per_kwh(points)
    per_change = np.where(
        points.sum(axis=1) > 0, 1.0 / battery.charge_efficiency, battery.discharge_efficiency
    )
    wanted = (value_eur_per_kwh - slope[:, 0]) / per_change
    limit = problem.peak_charge_eur_per_kw / problem.slot_hours
    found: FloatArray = np.where(
        at_cap >= stages.greatest_kwh,
        0.0,
        np.where(at_cap < stages.least_kwh, limit, np.clip(wanted, 0.0, limit)),
    )
    return found


def _least(falling: _Line | None, rising: _Line | None, reached_kw: float) -> float:
    """Least over the caps from what was reached of the greater of two lines [EUR]."""
    if rising is None:
        return -np.inf
    if falling is None:
        return rising.at(reached_kw)
    crossing = _crossing(falling, rising)
    return rising.at(max(crossing, reached_kw))


def _crossing(falling: _Line, rising: _Line) -> float:
    return (falling.at_zero_eur - rising.at_zero_eur) / (rising.slope_eur_per_kw - falling.slope_eur_per_kw)


def _next_cap(
    falling: _Line | None, rising: _Line | None, low_kw: float, high_kw: float, step: float
) -> float:
    if rising is None:
        return low_kw + step * max(low_kw, 1e-3)
    if falling is None:
        # From a given start go down in growing steps; from the stages plan straight to the least.
        down = high_kw - step * max(high_kw, 1e-3)
        return max(down, low_kw)
    return min(max(_crossing(falling, rising), low_kw), high_kw)

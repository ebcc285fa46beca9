"""Battery and vehicles beside set appliances under a demand charge: a search in one number, the cap.

As in :mod:`agents.planning.exact.peak`: with a cap P the charge c is ``c (P − reached)`` and a price of c /
hours on every slot's net energy above P. The least of that is convex in P where the cost of net energy is;
multipliers μ of the cap give a line below it, two lines the next cap to try and in the end prices whose line
is level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.planning.flexible.devices import Devices, Schedule
from agents.planning.flexible.price_bound import price_bound
from agents.planning.flexible.vehicle_values import JointPlan, VehicleValues
from agents.planning.tariff import FloatArray, Hinge

_MOST_CAPS = 14
_NEAR_CAPS = 6
_STEP, _NEAR_STEP = 0.05, 0.01
_GAIN_SHARE = 1e-5
_GAP_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class _Line:
    """A line below the least cost beside the appliances, against the cap."""

    at_zero_eur: float
    slope_eur_per_kw: float
    found: JointPlan
    multiplier_eur_per_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class PeakJointPlan:
    """A joint plan and the share of the demand charge by slot, shape (T,); None without one."""

    found: JointPlan
    multiplier_eur_per_kwh: FloatArray | None


def joint_plan(
    values: VehicleValues,
    near: Schedule,
    value_eur_per_kwh: FloatArray | None,
    peak_kw: float | None = None,
) -> PeakJointPlan:
    """Best battery and vehicles beside a schedule's appliances, with the demand charge where there is one.

    Args:
        values: plans them without.
        near: a feasible schedule.
        value_eur_per_kwh: values of a kWh in each vehicle to start from, shape (V,), or None.
        peak_kw: a cap near the best one [kW], for instance that beside other starts; None takes the peak of
            ``near``.

    Returns:
        The plan, and its prices.
    """
    devices = values.devices
    problem = devices.base
    if not problem.peak_charge_eur_per_kw:
        return PeakJointPlan(values.plan(near, values_eur_per_kwh=value_eur_per_kwh), None)
    hours, reached = problem.slot_hours, problem.peak_reached_kw
    cap = max(float(devices.net_kwh(near).max()) / hours if peak_kw is None else peak_kw, reached)
    low, high, step = reached, np.inf, _STEP if peak_kw is None else _NEAR_STEP
    falling: _Line | None = None
    rising: _Line | None = None
    best, best_eur = near, devices.objective_eur(near)
    for _ in range(_MOST_CAPS if peak_kw is None else _NEAR_CAPS):
        found = values.plan(best, (_hinge(devices, cap),), value_eur_per_kwh, _GAIN_SHARE)
        value_eur_per_kwh = found.vehicle_value_eur_per_kwh
        objective = devices.objective_eur(found.schedule)
        if objective < best_eur:
            best, best_eur = found.schedule, objective
        line = _line(devices, found, cap)
        if line.slope_eur_per_kw >= 0:
            rising, high = line, min(cap, high)
        else:
            falling, low = line, max(cap, low)
        if rising is not None and falling is not None:
            bound = _crossing(falling, rising)[1]
            if best_eur - bound <= _GAP_SHARE * (1.0 + abs(best_eur)):
                break
        if high <= reached:
            break
        following = _next_cap(falling, rising, low, high, step)
        step *= 3.0
        if abs(following - cap) <= 1e-9 * (1.0 + cap):
            break
        cap = following
    return _levelled(devices, best, falling, rising)


def _hinge(devices: Devices, cap_kw: float) -> Hinge:
    problem = devices.base
    price = problem.peak_charge_eur_per_kw / problem.slot_hours
    at = np.full(problem.slots, cap_kw * problem.slot_hours)
    return Hinge(at, np.full(problem.slots, price), np.zeros(problem.slots))


def _line(devices: Devices, found: JointPlan, cap_kw: float) -> _Line:
    """The line that a plan's prices support."""
    problem = devices.base
    hours, charge = problem.slot_hours, problem.peak_charge_eur_per_kw
    price = found.price_range_eur_per_kwh.mean(axis=0)
    net = devices.net_kwh(found.schedule)
    same = 1e-7 * (1.0 + np.abs(net).max())
    at_cap = np.abs(net - cap_kw * hours) <= same
    pull = problem.weight_eur_per_kwh2 * (net - problem.reference_kwh)
    own = problem.tariff.marginal_eur_per_kwh(net - same) + pull
    limit = charge / hours
    shared = np.where(at_cap, np.clip(price - own, 0.0, limit), np.where(net > cap_kw * hours, limit, 0.0))
    bound = price_bound(devices, price, found.water_value_eur_per_kwh, shared)
    at_zero = bound.with_starts_eur(found.schedule.starts)
    # The bound itself counts what was reached, as if no more were charged than the multipliers' sum.
    at_zero += problem.peak_reached_kw * hours * float(shared.sum()) - charge * problem.peak_reached_kw
    return _Line(at_zero, charge - hours * float(shared.sum()), found, shared)


def _crossing(falling: _Line, rising: _Line) -> tuple[float, float]:
    """Cap [kW] and cost [EUR] where two lines meet."""
    cap = (falling.at_zero_eur - rising.at_zero_eur) / (rising.slope_eur_per_kw - falling.slope_eur_per_kw)
    return cap, rising.at_zero_eur + rising.slope_eur_per_kw * cap


def _next_cap(falling: _Line | None, rising: _Line | None, low: float, high: float, step: float) -> float:
    if rising is None:
        return low + step * max(low, 1e-3)
    if falling is None:
        return max(high - step * max(high, 1e-3), low)
    return min(max(_crossing(falling, rising)[0], low), high)


def _levelled(devices: Devices, best: Schedule, falling: _Line | None, rising: _Line | None) -> PeakJointPlan:
    """The best schedule with the mixture of two lines' prices at which the cap does not matter."""
    one, other = falling or rising, rising or falling
    assert one is not None, "at least one cap was tried"
    assert other is not None, "at least one cap was tried"
    slope = other.slope_eur_per_kw - one.slope_eur_per_kw
    share = other.slope_eur_per_kw / slope if slope > 0 else 0.0

    def mixed(first: FloatArray, second: FloatArray) -> FloatArray:
        row: FloatArray = share * first + (1 - share) * second
        return row

    price = mixed(
        one.found.price_range_eur_per_kwh.mean(axis=0), other.found.price_range_eur_per_kwh.mean(axis=0)
    )
    found = JointPlan(
        best,
        np.stack([price, price]),
        mixed(one.found.water_value_eur_per_kwh, other.found.water_value_eur_per_kwh),
        mixed(one.found.vehicle_value_eur_per_kwh, other.found.vehicle_value_eur_per_kwh),
        one.found.solves + other.found.solves,
    )
    multiplier = mixed(one.multiplier_eur_per_kwh, other.multiplier_eur_per_kwh)
    # A bound needs multipliers that sum to no more than the charge; one line alone may have more.
    most = devices.base.peak_charge_eur_per_kw / devices.base.slot_hours
    return PeakJointPlan(found, multiplier * min(1.0, most / max(float(multiplier.sum()), 1e-300)))

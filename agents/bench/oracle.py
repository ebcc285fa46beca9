"""Exact optimum of a planning problem by HiGHS: LP, or MILP where the problem is not convex.

Written from the problem's definition, apart from the planner's own physics.

Net energy is filled up from its least, segment by segment between changes of price (the "incremental"
formulation of a piecewise-linear cost); where prices fall on the way up, binaries keep a segment empty until
all before it are full. A proximal term is met from below by tangents, added where the last solution lies
until they touch it (Kelley's cutting planes): HiGHS's own quadratic solver is too inexact for an oracle, and
takes no integers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import highspy
import numpy as np

from agents.bench.linear_model import FloatArray, IndexArray, LinearModel
from agents.planning.problem import PlanningProblem
from runtime.devices import Battery

_NO_BATTERY = Battery(capacity_kwh=1.0)
_TANGENT_SHARE = 3e-8


@dataclass(frozen=True)
class Optimum:
    """What HiGHS found.

    Attributes:
        objective_eur: objective of the best plan found [EUR].
        bound_eur: no plan is below this [EUR].
        seconds: process time of solving, building the model included [s].
        proven: whether the two meet within HiGHS's tolerances.
        integers: whether binaries were needed.
    """

    objective_eur: float
    bound_eur: float
    seconds: float
    proven: bool
    integers: bool


def solve(problem: PlanningProblem, seconds: float = 60.0) -> Optimum:
    """Least objective of a problem with a battery, vehicles or appliances.

    Args:
        problem: the problem.
        seconds: time limit of HiGHS [s].

    Returns:
        Objective and bound [EUR].

    Raises:
        RuntimeError: HiGHS found no plan at all in the time, or says that there is none.
    """
    began = time.process_time()
    battery = problem.battery or _NO_BATTERY
    if problem.battery is None and not problem.vehicles and not problem.appliances:
        raise ValueError("nothing to optimise without a battery, a vehicle or an appliance")
    slots, hours = problem.slots, problem.slot_hours
    keep = 1.0 - battery.self_discharge_per_slot
    eta_c, eta_d = battery.charge_efficiency, battery.discharge_efficiency
    residual, weight = problem.residual_load_kwh, problem.weight_eur_per_kwh2
    span = battery.stored_max_kwh - keep * battery.stored_min_kwh if problem.battery is not None else 0.0
    charge_max = min((battery.charge_limit_kw or np.inf) * hours, span / eta_c)
    discharge_max = min((battery.discharge_limit_kw or np.inf) * hours, span * eta_d)

    model = LinearModel()
    charge = model.variables(slots, 0.0, charge_max)
    discharge = model.variables(slots, 0.0, discharge_max)
    floor = np.full(slots, battery.stored_min_kwh)
    floor[-1] = max(floor[-1], (battery.soc_end_min or 0.0) * battery.capacity_kwh)
    stored = model.variables(slots, floor, battery.stored_max_kwh)
    flexible, flexible_max = _flexible_loads(model, problem)
    least, greatest = residual - discharge_max, residual + charge_max + flexible_max
    net = model.variables(slots, least, greatest)
    tangent = model.variables(slots, 0.0, np.where(weight > 0, np.inf, 0.0), 1.0)
    model.constrain([(net, 1.0), (charge, -1.0), (discharge, 1.0), *flexible], residual, residual)
    start = np.zeros(slots)
    start[0] = keep * battery.stored_start_kwh
    before = np.append(-1, stored[:-1])
    model.constrain(
        [(stored, 1.0), (before, -keep), (charge, -eta_c), (discharge, 1.0 / eta_d)], start, start
    )
    constant, lowest_price = _price_net(model, problem, net, least, greatest)
    # One direction at a time, where doing both at once would pay.
    both = np.flatnonzero(((lowest_price < 0) | (weight > 0)) & (eta_c * eta_d < 1.0))
    if both.size:
        charging = model.variables(both.size, 0.0, 1.0, integer=True)
        model.constrain([(charge[both], 1.0), (charging, -charge_max)], -np.inf, 0.0)
        model.constrain([(discharge[both], 1.0), (charging, discharge_max)], -np.inf, discharge_max)
    if problem.peak_charge_eur_per_kw:
        peak = model.variables(1, problem.peak_reached_kw, np.inf, problem.peak_charge_eur_per_kw)
        model.constrain([(net, 1.0 / hours), (np.repeat(peak, slots), -1.0)], -np.inf, 0.0)
        constant -= problem.peak_charge_eur_per_kw * problem.peak_reached_kw
    _price_wear(model, problem, discharge, stored)
    return _run(model, problem, net, tangent, constant, seconds, began)


def optimum_eur(problem: PlanningProblem, seconds: float = 60.0) -> float:
    """Least objective [EUR].

    Raises:
        RuntimeError: not proven in the time.
    """
    found = solve(problem, seconds)
    if not found.proven:
        raise RuntimeError(f"HiGHS left a gap of {found.objective_eur - found.bound_eur} EUR")
    return found.objective_eur


def _flexible_loads(
    model: LinearModel, problem: PlanningProblem
) -> tuple[list[tuple[IndexArray, FloatArray]], FloatArray]:
    """Vehicles and appliances: their terms in the balance of each slot, and the most they draw [kWh]."""
    slots, hours = problem.slots, problem.slot_hours
    terms: list[tuple[IndexArray, FloatArray]] = []
    most = np.zeros(slots)
    for vehicle in problem.vehicles:
        limit = np.zeros(slots)
        limit[vehicle.arrival_slot : vehicle.departure_slot] = vehicle.charge_limit_kw * hours
        drawn = model.variables(slots, 0.0, limit)
        needed = vehicle.energy_kwh / vehicle.charge_efficiency
        room = vehicle.energy_kwh if vehicle.room_kwh is None else vehicle.room_kwh
        one = np.array([model.rows])
        model.row_lower.append(np.array([needed]))
        model.row_upper.append(np.array([room / vehicle.charge_efficiency]))
        model.entries.append((np.repeat(one, slots), drawn, np.ones(slots)))
        model.rows += 1
        terms.append((drawn, np.full(slots, -1.0)))
        most += limit
    for appliance in problem.appliances:
        started = []
        upper = np.zeros(slots)
        for start in range(appliance.earliest_start_slot, appliance.latest_start_slot + 1):
            run = np.zeros(slots)
            run[start : start + len(appliance.energy_kwh)] = appliance.energy_kwh
            here = model.variables(1, 0.0, 1.0, integer=True)
            started.append((here, 1.0))
            terms.append((np.repeat(here, slots), -run))
            upper = np.maximum(upper, run)
        model.constrain(started, 1.0, 1.0)
        most += upper
    return terms, most


def _price_net(
    model: LinearModel, problem: PlanningProblem, net: IndexArray, least: FloatArray, greatest: FloatArray
) -> tuple[float, FloatArray]:
    """Cost of net energy; returns what it costs at its least, and each slot's lowest price."""
    constant = 0.0
    lowest = np.empty(problem.slots)
    terms_row: list[list[int]] = []
    for slot in range(problem.slots):
        ends, prices = _segments(problem, slot, float(least[slot]), float(greatest[slot]))
        lowest[slot] = min(prices)
        constant += _cost_between_zero_and(problem, slot, ends[0])
        lengths = np.diff(ends)
        columns = model.variables(len(prices), 0.0, lengths, prices)
        terms_row.append(columns.tolist())
        falls = any(after < price for price, after in pairwise(prices))
        for k in range(len(prices) - 1 if falls else 0):
            full = model.variables(1, 0.0, 1.0, integer=True)
            model.constrain([(columns[k : k + 1], 1.0), (full, -lengths[k])], 0.0, np.inf)
            model.constrain([(columns[k + 1 : k + 2], 1.0), (full, -lengths[k + 1])], -np.inf, 0.0)
    widest = max(len(row) for row in terms_row)
    padded = np.array([row + [-1] * (widest - len(row)) for row in terms_row])
    segments = [(padded[:, k], -1.0) for k in range(widest)]
    model.constrain([(net, 1.0), *segments], least, least)
    return constant, lowest


def _price_at(problem: PlanningProblem, slot: int, net_kwh: float) -> float:
    block = problem.block
    above = block is not None and net_kwh > block.threshold_kwh[slot]
    pair = block if block is not None and above else problem
    row = pair.import_price_eur_per_kwh if net_kwh > 0 else pair.export_price_eur_per_kwh
    return float(row[slot])


def _segments(
    problem: PlanningProblem, slot: int, least: float, greatest: float
) -> tuple[list[float], list[float]]:
    kinks = {0.0} if problem.block is None else {0.0, float(problem.block.threshold_kwh[slot])}
    ends = sorted({least, greatest, *(kink for kink in kinks if least < kink < greatest)})
    if len(ends) == 1:
        ends = [least, greatest]
    prices = [_price_at(problem, slot, 0.5 * (a + b)) for a, b in pairwise(ends)]
    return ends, prices


def _cost_between_zero_and(problem: PlanningProblem, slot: int, net_kwh: float) -> float:
    low, high = min(0.0, net_kwh), max(0.0, net_kwh)
    ends, prices = _segments(problem, slot, low, high)
    total = sum(price * (b - a) for price, (a, b) in zip(prices, pairwise(ends), strict=True))
    return total if net_kwh > 0 else -total


def _price_wear(
    model: LinearModel, problem: PlanningProblem, discharge: IndexArray, stored: IndexArray
) -> None:
    wear, battery = problem.wear, problem.battery
    if wear is None or battery is None:
        return
    slots, hours = problem.slots, problem.slot_hours
    if wear.discharge_price_eur_per_kwh:
        ends = [0.0, *(rate * battery.capacity_kwh * hours for rate in wear.discharge_rate_per_h), np.inf]
        parts = [
            model.variables(slots, 0.0, ends[k + 1] - ends[k], price)
            for k, price in enumerate(wear.discharge_price_eur_per_kwh)
        ]
        used = 1.0 / battery.discharge_efficiency
        model.constrain([(discharge, used), *((part, -1.0) for part in parts)], 0.0, 0.0)
    for price in wear.standing:
        at_kwh = price.soc * battery.capacity_kwh
        below = model.variables(slots, 0.0, np.inf, hours * price.below_eur_per_kwh_h)
        above = model.variables(slots, 0.0, np.inf, hours * price.above_eur_per_kwh_h)
        model.constrain([(stored, 1.0), (below, 1.0), (above, -1.0)], at_kwh, at_kwh)


def _run(
    model: LinearModel,
    problem: PlanningProblem,
    net: IndexArray,
    tangent: IndexArray,
    constant: float,
    seconds: float,
    began: float,
) -> Optimum:
    solver = model.solver(seconds)
    weight, reference = problem.weight_eur_per_kwh2, problem.reference_kwh
    integers = any(model.integer)
    for _ in range(200):
        solver.run()
        status = solver.getModelStatus()
        info = solver.getInfo()
        finished = status == highspy.HighsModelStatus.kOptimal
        if not finished and (
            status != highspy.HighsModelStatus.kTimeLimit or info.primal_solution_status != 2
        ):
            raise RuntimeError(f"HiGHS: {solver.modelStatusToString(status)}")
        found = float(info.objective_function_value)
        solution = np.array(solver.getSolution().col_value)
        term = 0.5 * weight * (solution[net] - reference) ** 2
        missing = term - solution[tangent]
        bound = float(info.mip_dual_bound) if integers else (found if finished else -np.inf)
        touching = missing.sum() <= _TANGENT_SHARE * max(1.0, abs(found + constant))
        if touching or not finished:
            objective = found + constant + max(float(missing.sum()), 0.0) * (not touching)
            spent = time.process_time() - began
            return Optimum(objective, bound + constant, spent, finished and touching, integers)
        for slot in np.flatnonzero(missing > 1e-10).tolist():
            slope = weight[slot] * (solution[net[slot]] - reference[slot])
            columns = np.array([net[slot], tangent[slot]], dtype=np.int32)
            cut = term[slot] - slope * solution[net[slot]]
            solver.addRow(float(cut), np.inf, 2, columns, np.array([-slope, 1.0]))
    raise RuntimeError("HiGHS: the tangents do not close in on the proximal term")

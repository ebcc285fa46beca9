"""Exact optimum of a planning problem by HiGHS: LP, or MILP where the problem is not convex.

A proximal term is met from below by tangents, added where the last solution lies until they touch it
(Kelley's cutting planes): HiGHS's own quadratic solver is too inexact for an oracle, and takes no integers.
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from agents.planning.problem import PlanningProblem


def optimum_eur(problem: PlanningProblem, seconds: float = 60.0) -> float:
    """Least objective [EUR], found independently of the planner's own physics."""
    battery, slots = problem.battery, problem.slots
    keep = 1.0 - battery.self_discharge_per_slot
    eta_c, eta_d = battery.charge_efficiency, battery.discharge_efficiency
    residual = problem.residual_load_kwh
    price_in, price_out = problem.import_price_eur_per_kwh, problem.export_price_eur_per_kwh
    weight = problem.weight_eur_per_kwh2
    span = battery.stored_max_kwh - keep * battery.stored_min_kwh
    charge_max = min((battery.charge_limit_kw or np.inf) * problem.slot_hours, span / eta_c)
    discharge_max = min((battery.discharge_limit_kw or np.inf) * problem.slot_hours, span * eta_d)
    import_max = np.maximum(residual + charge_max, 0.0)
    export_max = np.maximum(discharge_max - residual, 0.0)
    lossy = eta_c * eta_d < 1.0
    # One direction at a time, where doing both at once would pay.
    one_grid = (price_out > price_in) & (import_max > 0) & (export_max > 0)
    one_battery = np.full(slots, lossy) & ((np.minimum(price_in, price_out) < 0) | (weight > 0))
    i_imp, i_exp, i_chg, i_dis, i_sto, i_zg, i_zb, i_tan = (np.arange(slots) + k * slots for k in range(8))
    t = np.arange(slots)
    rows, cols, vals, low, high = [], [], [], [], []
    base = 0

    def block(entries, lower, upper):
        nonlocal base
        for row, col, val in entries:
            rows.append(base + row)
            cols.append(col)
            vals.append(np.broadcast_to(val, np.shape(col)))
        base += len(lower)
        low.append(lower)
        high.append(upper)

    block([(t, i_imp, 1.0), (t, i_exp, -1.0), (t, i_chg, -1.0), (t, i_dis, 1.0)], residual, residual)
    start = np.zeros(slots)
    start[0] = keep * battery.stored_start_kwh
    block(
        [(t, i_sto, 1.0), (t[1:], i_sto[:-1], -keep), (t, i_chg, -eta_c), (t, i_dis, 1.0 / eta_d)],
        start,
        start,
    )
    less = np.full(slots, -np.inf)
    if one_grid.any():
        block([(t, i_imp, 1.0), (t, i_zg, -import_max)], less, np.where(one_grid, 0.0, np.inf))
        block([(t, i_exp, 1.0), (t, i_zg, export_max)], less, np.where(one_grid, export_max, np.inf))
    if one_battery.any():
        block([(t, i_chg, 1.0), (t, i_zb, -charge_max)], less, np.where(one_battery, 0.0, np.inf))
        limit = np.where(one_battery, discharge_max, np.inf)
        block([(t, i_dis, 1.0), (t, i_zb, discharge_max)], less, limit)
    matrix = sparse.csc_matrix(
        (np.concatenate(vals), (np.concatenate(rows), np.concatenate(cols))), shape=(base, 8 * slots)
    )
    reference = problem.reference_kwh
    lower_sto = np.full(slots, battery.stored_min_kwh)
    lower_sto[-1] = max(lower_sto[-1], (battery.soc_end_min or 0.0) * battery.capacity_kwh)

    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 8 * slots, base
    lp.col_cost_ = np.concatenate([price_in, -price_out, np.zeros(5 * slots), np.ones(slots)])
    lp.col_lower_ = np.concatenate([np.zeros(4 * slots), lower_sto, np.zeros(3 * slots)])
    lp.col_upper_ = np.concatenate(
        [
            import_max,
            export_max,
            np.full(slots, charge_max),
            np.full(slots, discharge_max),
            np.full(slots, battery.stored_max_kwh),
            one_grid.astype(float),
            one_battery.astype(float),
            np.where(weight > 0, np.inf, 0.0),
        ]
    )
    lp.row_lower_, lp.row_upper_ = np.concatenate(low), np.concatenate(high)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    if one_grid.any() or one_battery.any():
        kinds = [highspy.HighsVarType.kContinuous] * (5 * slots)
        kinds += [highspy.HighsVarType.kInteger] * (2 * slots) + [highspy.HighsVarType.kContinuous] * slots
        lp.integrality_ = kinds
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", seconds)
    solver.setOptionValue("mip_rel_gap", 1e-9)
    solver.setOptionValue("mip_abs_gap", 1e-10)
    solver.setOptionValue("dual_feasibility_tolerance", 1e-9)
    solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
    solver.setOptionValue("primal_feasibility_tolerance", 1e-9)
    solver.passModel(lp)
    for _ in range(100):
        solver.run()
        assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal, solver.getModelStatus()
        solution = np.array(solver.getSolution().col_value)
        net = solution[i_imp] - solution[i_exp]
        term = 0.5 * weight * (net - reference) ** 2
        missing = term - solution[i_tan]
        found = solver.getInfo().objective_function_value
        if missing.sum() <= 3e-8 * max(1.0, abs(found)):
            return float(found)
        for slot in np.flatnonzero(missing > 1e-10).tolist():
            slope = weight[slot] * (net[slot] - reference[slot])
            columns = np.array([i_imp[slot], i_exp[slot], i_tan[slot]], dtype=np.int32)
            cut = term[slot] - slope * net[slot]
            solver.addRow(float(cut), np.inf, 3, columns, np.array([-slope, slope, 1.0]))
    raise AssertionError(f"the tangents still miss {missing.sum()} EUR")

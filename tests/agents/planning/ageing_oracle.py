"""Plans with throughput prices or rainflow wear by HiGHS.

A convex cost of a cycle's range is a weighted sum of truncated variations, each of which is the least total
variation of a path in a tube around the trajectory. With a few widths that is a linear programme, whose wear
is the chord of the power law: never below the true wear.
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from agents.planning.ageing import cycle_wear_eur
from agents.planning.problem import PlanningProblem
from runtime.preferences import BatteryAgeing


class BatteryProgramme:
    """The battery's programme, to which costs, limits and wear are added; binaries only where they count."""

    def __init__(self, problem: PlanningProblem) -> None:
        self.problem = problem
        battery, slots = problem.battery, problem.slots
        self.slots, self.columns, self.rows = slots, 0, 0
        self.entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.cost, self.low, self.high, self.row_low, self.row_high = [], [], [], [], []
        keep = 1.0 - battery.self_discharge_per_slot
        eta_c, eta_d = battery.charge_efficiency, battery.discharge_efficiency
        span = battery.stored_max_kwh - keep * battery.stored_min_kwh
        hours, residual = problem.slot_hours, problem.residual_load_kwh
        charge = min((battery.charge_limit_kw or np.inf) * hours, span / eta_c)
        discharge = min((battery.discharge_limit_kw or np.inf) * hours, span * eta_d)
        imports, exports = np.maximum(residual + charge, 0.0), np.maximum(discharge - residual, 0.0)
        nothing = np.zeros(slots)
        stored_low = np.full(slots, battery.stored_min_kwh)
        stored_low[-1] = max(stored_low[-1], (battery.soc_end_min or 0.0) * battery.capacity_kwh)
        self.imported = self.add(problem.import_price_eur_per_kwh, nothing, imports)
        self.exported = self.add(-problem.export_price_eur_per_kwh, nothing, exports)
        self.charged = self.add(nothing, nothing, np.full(slots, charge))
        self.discharged = self.add(nothing, nothing, np.full(slots, discharge))
        self.stored = self.add(nothing, stored_low, np.full(slots, battery.stored_max_kwh))
        either = problem.export_price_eur_per_kwh > problem.import_price_eur_per_kwh
        self.side = self.add(nothing, nothing, either.astype(float))
        self.has_binaries = bool(either.any())
        self.require(
            [(self.imported, 1), (self.exported, -1), (self.charged, -1), (self.discharged, 1)],
            residual,
            residual,
        )
        start = np.zeros(slots)
        start[0] = keep * battery.stored_start_kwh
        base = self.rows
        self.require([(self.stored, 1), (self.charged, -eta_c), (self.discharged, 1 / eta_d)], start, start)
        self.entries.append((base + np.arange(1, slots), self.stored[:-1], np.full(slots - 1, -keep)))
        free = np.full(slots, np.inf)
        self.require([(self.imported, 1), (self.side, -imports)], -free, np.where(either, 0.0, free))
        self.require([(self.exported, 1), (self.side, exports)], -free, np.where(either, exports, free))

    def add(self, cost, low, high) -> np.ndarray:
        index = self.columns + np.arange(len(cost))
        self.columns += len(cost)
        self.cost.append(np.array(cost, dtype=float))
        self.low.append(np.array(low, dtype=float))
        self.high.append(np.array(high, dtype=float))
        return index

    def require(self, terms, low, high) -> None:
        for columns, factor in terms:
            row = self.rows + np.arange(len(columns))
            self.entries.append((row, columns, np.broadcast_to(np.asarray(factor, float), len(columns))))
        self.rows += len(low)
        self.row_low.append(low)
        self.row_high.append(high)

    def price_throughput(self, eur_per_kwh: float) -> None:
        """Price each kWh in or out of the cells, half on each way."""
        battery = self.problem.battery
        self.cost[2] = np.full(self.slots, 0.5 * eur_per_kwh * battery.charge_efficiency)
        self.cost[3] = np.full(self.slots, 0.5 * eur_per_kwh / battery.discharge_efficiency)

    def price_wear(self, ageing: BatteryAgeing, widths: int) -> None:
        battery, slots = self.problem.battery, self.slots
        depth = np.linspace(0.0, battery.soc_max - battery.soc_min, widths + 1)
        slope = np.diff(cycle_wear_eur(depth, ageing, battery)) / np.diff(depth * battery.capacity_kwh)
        for width, rise in zip(depth * battery.capacity_kwh, np.diff(slope, prepend=0.0), strict=False):
            low, high = np.full(slots + 1, -np.inf), np.full(slots + 1, np.inf)
            low[0] = battery.stored_start_kwh - width / 2
            high[0] = battery.stored_start_kwh + width / 2
            path = self.add(np.zeros(slots + 1), low, high)
            up = self.add(np.full(slots, rise / 2), np.zeros(slots), np.full(slots, np.inf))
            down = self.add(np.full(slots, rise / 2), np.zeros(slots), np.full(slots, np.inf))
            none, half = np.zeros(slots), np.full(slots, width / 2)
            self.require([(path[1:], 1), (path[:-1], -1), (up, -1), (down, 1)], none, none)
            self.require([(path[1:], 1), (self.stored, -1)], -half, half)

    def solve(self, seconds: float = 60.0) -> tuple[np.ndarray, float] | None:
        """Stored energy [kWh], shape (T,), and objective [EUR]; None where nothing is feasible."""
        row, column, value = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        matrix = sparse.csc_matrix((value, (row, column)), shape=(self.rows, self.columns))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_ = np.concatenate(self.cost)
        lp.col_lower_, lp.col_upper_ = np.concatenate(self.low), np.concatenate(self.high)
        lp.row_lower_, lp.row_upper_ = np.concatenate(self.row_low), np.concatenate(self.row_high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
        lp.a_matrix_.value_ = matrix.data
        if self.has_binaries:
            kinds = np.full(self.columns, highspy.HighsVarType.kContinuous, dtype=object)
            kinds[self.side] = highspy.HighsVarType.kInteger
            lp.integrality_ = kinds.tolist()
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", seconds)
        solver.setOptionValue("mip_rel_gap", 1e-7)
        solver.passModel(lp)
        solver.run()
        if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return None
        assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal, solver.getModelStatus()
        solution = np.array(solver.getSolution().col_value)
        return solution[self.stored], float(solver.getInfo().objective_function_value)

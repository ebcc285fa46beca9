"""Plans at prices on throughput, with caps, or with rainflow wear inside, by HiGHS: what others would do.

A convex cost of a cycle's range is a weighted sum of truncated variations, each of which is the least total
variation of a path in a tube around the trajectory (:func:`agents.planning.ageing.rainflow.taut_string_kwh`).
With a few widths that is a linear programme, whose wear is the chord of the power law: never below the true
wear.
"""

from __future__ import annotations

import highspy
import numpy as np

from agents.bench.linear_model import FloatArray, LinearModel
from agents.planning.ageing.cost import cycle_wear_eur
from agents.planning.problem import PlanningProblem
from runtime.preferences import BatteryAgeing


class BatteryProgramme:
    """The linear programme of a battery at two prices; binaries only where export pays more than import.

    Args:
        problem: a problem with a battery, at two prices; anything else that it counts is left out.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        battery, slots = problem.battery, problem.slots
        if battery is None:
            raise ValueError("a battery's programme needs a battery")
        self.problem, self.battery = problem, battery
        keep = 1.0 - battery.self_discharge_per_slot
        eta_c, eta_d = battery.charge_efficiency, battery.discharge_efficiency
        span = battery.stored_max_kwh - keep * battery.stored_min_kwh
        hours, residual = problem.slot_hours, problem.residual_load_kwh
        charge = min((battery.charge_limit_kw or np.inf) * hours, span / eta_c)
        discharge = min((battery.discharge_limit_kw or np.inf) * hours, span * eta_d)
        imports, exports = np.maximum(residual + charge, 0.0), np.maximum(discharge - residual, 0.0)
        floor = np.full(slots, battery.stored_min_kwh)
        floor[-1] = max(floor[-1], (battery.soc_end_min or 0.0) * battery.capacity_kwh)
        self._model = model = LinearModel()
        self._imported = model.variables(slots, 0.0, imports, problem.import_price_eur_per_kwh)
        self._exported = model.variables(slots, 0.0, exports, -problem.export_price_eur_per_kwh)
        self._charged = model.variables(slots, 0.0, charge)
        self._discharged = model.variables(slots, 0.0, discharge)
        self._stored = model.variables(slots, floor, battery.stored_max_kwh)
        model.constrain(
            [
                (self._imported, 1.0),
                (self._exported, -1.0),
                (self._charged, -1.0),
                (self._discharged, 1.0),
            ],
            residual,
            residual,
        )
        start = np.zeros(slots)
        start[0] = keep * battery.stored_start_kwh
        before = np.append(-1, self._stored[:-1])
        change = [(self._charged, -eta_c), (self._discharged, 1.0 / eta_d)]
        model.constrain([(self._stored, 1.0), (before, -keep), *change], start, start)
        either = np.flatnonzero(problem.export_price_eur_per_kwh > problem.import_price_eur_per_kwh)
        if either.size:
            side = model.variables(either.size, 0.0, 1.0, integer=True)
            model.constrain([(self._imported[either], 1.0), (side, -imports[either])], -np.inf, 0.0)
            model.constrain(
                [(self._exported[either], 1.0), (side, exports[either])], -np.inf, exports[either]
            )

    def price_imports(self, premium_eur_per_kwh: float) -> None:
        """Add a premium to the import price."""
        self._model.costs[0] = self.problem.import_price_eur_per_kwh + premium_eur_per_kwh

    def cap_imports(self, cap_kw: float) -> None:
        """Limit the import power."""
        self._model.upper[0] = np.minimum(self._model.upper[0], cap_kw * self.problem.slot_hours)

    def price_throughput(self, price_eur_per_kwh: float) -> None:
        """Price each kWh in or out of the cells, half on each way."""
        slots, battery = self.problem.slots, self.battery
        self._model.costs[2] = np.full(slots, 0.5 * price_eur_per_kwh * battery.charge_efficiency)
        self._model.costs[3] = np.full(slots, 0.5 * price_eur_per_kwh / battery.discharge_efficiency)

    def price_wear(self, ageing: BatteryAgeing, widths: int) -> None:
        """Count rainflow wear.

        Args:
            ageing: what cycles cost.
            widths: number of chords of the power law.
        """
        battery, slots, model = self.battery, self.problem.slots, self._model
        depth = np.linspace(0.0, battery.soc_max - battery.soc_min, widths + 1)
        slope = np.diff(cycle_wear_eur(depth, ageing, battery)) / np.diff(depth * battery.capacity_kwh)
        rises = np.diff(slope, prepend=0.0)
        for width, rise in zip((depth * battery.capacity_kwh).tolist(), rises.tolist(), strict=False):
            low, high = np.full(slots + 1, -np.inf), np.full(slots + 1, np.inf)
            low[0] = battery.stored_start_kwh - width / 2
            high[0] = battery.stored_start_kwh + width / 2
            path = model.variables(slots + 1, low, high)
            up = model.variables(slots, 0.0, np.inf, rise / 2)
            down = model.variables(slots, 0.0, np.inf, rise / 2)
            model.constrain([(path[1:], 1.0), (path[:-1], -1.0), (up, -1.0), (down, 1.0)], 0.0, 0.0)
            model.constrain([(path[1:], 1.0), (self._stored, -1.0)], -width / 2, width / 2)

    def solve(self, seconds: float = 60.0) -> tuple[FloatArray, float] | None:
        """Solve it.

        Args:
            seconds: time limit of HiGHS [s].

        Returns:
            Stored energy at the end of each slot [kWh], shape (T,), and the objective [EUR]; None where
            nothing is feasible.

        Raises:
            RuntimeError: HiGHS did not come to an end in the time.
        """
        solver = self._model.solver(seconds)
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return None
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS: {solver.modelStatusToString(status)}")
        solution = np.array(solver.getSolution().col_value)
        return solution[self._stored], float(solver.getInfo().objective_function_value)

"""A linear model for HiGHS, gathered block by block.

HiGHS is a development dependency (``pip install peerwatt[dev]``).
"""

from __future__ import annotations

from collections.abc import Sequence

import highspy
import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


class LinearModel:
    """Columns and rows, gathered block by block.

    Attributes:
        costs: cost of each column, by block.
        lower: least value of each column, by block.
        upper: greatest value of each column, by block.
    """

    def __init__(self) -> None:
        self.costs: list[FloatArray] = []
        self.lower: list[FloatArray] = []
        self.upper: list[FloatArray] = []
        self.integer: list[bool] = []
        self.row_lower: list[FloatArray] = []
        self.row_upper: list[FloatArray] = []
        self.entries: list[tuple[IndexArray, IndexArray, FloatArray]] = []
        self.columns = 0
        self.rows = 0

    def variables(
        self, count: int, lower: ArrayLike, upper: ArrayLike, cost: ArrayLike = 0.0, integer: bool = False
    ) -> IndexArray:
        """Add a block of columns.

        Args:
            count: number of columns.
            lower: least values, one number or shape (count,).
            upper: greatest values, likewise.
            cost: costs, likewise.
            integer: whether they are whole numbers.

        Returns:
            Their indices, shape (count,).
        """
        self.lower.append(np.broadcast_to(np.asarray(lower, dtype=float), count))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=float), count))
        self.costs.append(np.broadcast_to(np.asarray(cost, dtype=float), count))
        self.integer += [integer] * count
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def constrain(
        self, terms: Sequence[tuple[IndexArray, ArrayLike]], lower: ArrayLike, upper: ArrayLike
    ) -> None:
        """One row for each index of the terms' columns: lower <= Σ coefficient · column <= upper.

        A negative index adds nothing to its row.
        """
        count = terms[0][0].size
        rows = np.arange(self.rows, self.rows + count)
        for columns, coefficient in terms:
            value = np.broadcast_to(np.asarray(coefficient, dtype=float), count)
            keep = columns >= 0
            self.entries.append((rows[keep], columns[keep], value[keep]))
        self.row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), count))
        self.row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), count))
        self.rows += count

    def solver(self, seconds: float) -> highspy.Highs:
        """A solver that holds the model: one thread, no output, tight tolerances, a time limit [s]."""
        row, column, value = (np.concatenate(parts) for parts in zip(*self.entries, strict=True))
        order = np.lexsort((row, column))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_ = np.concatenate(self.costs)
        lp.col_lower_, lp.col_upper_ = np.concatenate(self.lower), np.concatenate(self.upper)
        lp.row_lower_, lp.row_upper_ = np.concatenate(self.row_lower), np.concatenate(self.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.searchsorted(column[order], np.arange(self.columns + 1))
        lp.a_matrix_.index_, lp.a_matrix_.value_ = row[order], value[order]
        if any(self.integer):
            kinds = highspy.HighsVarType
            lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in self.integer]
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, setting in (
            ("output_flag", False),
            ("threads", 1),
            ("time_limit", seconds),
            ("mip_rel_gap", 1e-9),
            ("mip_abs_gap", 1e-10),
            ("mip_feasibility_tolerance", 1e-9),
            ("primal_feasibility_tolerance", 1e-9),
            ("dual_feasibility_tolerance", 1e-9),
        ):
            solver.setOptionValue(option, setting)
        solver.passModel(lp)
        return solver

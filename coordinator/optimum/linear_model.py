"""A linear model with some binary columns, gathered block by block and solved by HiGHS through SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

Array = NDArray[np.float64]
Columns = NDArray[np.intp]

_TIME_LIMIT, _INFEASIBLE = 1, 2
_LP_TOLERANCE = 1e-9


class InfeasibleError(Exception):
    """The rows contradict each other."""


@dataclass(frozen=True)
class Solved:
    """What HiGHS found.

    Attributes:
        values: value of each column.
        objective: their cost.
        bound: nothing feasible costs less; −inf if none is known.
        equality_marginals: change of the objective per unit of each equality row's right-hand side, in the
            order the rows were added; None where binaries were searched.
    """

    values: Array
    objective: float
    bound: float
    equality_marginals: Array | None = None


class LinearModel:
    """Columns with bounds and cost; rows that are equalities or upper bounds."""

    def __init__(self) -> None:
        """Begin without columns and rows."""
        self._cost: list[Array] = []
        self._lower: list[Array] = []
        self._upper: list[Array] = []
        self._whole: list[NDArray[np.bool_]] = []
        self._rows = {kind: _Rows() for kind in ("equal", "at-most")}
        self.columns = 0

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which columns are binaries."""
        return np.concatenate([np.zeros(0, dtype=bool), *self._whole])

    def add_columns(
        self, lower: ArrayLike, upper: ArrayLike, cost: ArrayLike = 0.0, *, binary: bool = False
    ) -> Columns:
        """Add columns; as many as the longest of the arguments has values.

        Returns:
            Their numbers.
        """
        parts = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(p, dtype=float)) for p in (lower, upper, cost))
        )
        for kept, part in zip((self._lower, self._upper, self._cost), parts, strict=True):
            kept.append(part)
        count = parts[0].size
        self._whole.append(np.full(count, binary))
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add_equal(self, terms: Sequence[tuple[Columns, ArrayLike]], right: ArrayLike) -> Columns:
        """Add rows Σ coefficient · column = right, one for each column of a term; returns their numbers."""
        return self._rows["equal"].add(terms, right)

    def add_at_most(self, terms: Sequence[tuple[Columns, ArrayLike]], right: ArrayLike) -> Columns:
        """Add rows Σ coefficient · column <= right, likewise."""
        return self._rows["at-most"].add(terms, right)

    def add_to_equal(self, rows: Columns, columns: Columns, coefficient: ArrayLike) -> None:
        """Put more columns into equality rows: one entry for each pair of row and column."""
        self._rows["equal"].put(rows, columns, coefficient)

    def solve_relaxed(self, seconds: float, fixed: tuple[Columns, Array] | None = None) -> Solved | None:
        """Solve without asking binaries to be whole.

        Args:
            seconds: time limit [s].
            fixed: columns to hold at values.

        Returns:
            The optimum with its marginals, or None if the time was up first.

        Raises:
            InfeasibleError: there is none.
        """
        lower, upper = self._bounds()
        if fixed is not None:
            columns, values = fixed
            lower[columns] = upper[columns] = values
        equal, at_most = (rows.matrix(self.columns) for rows in self._rows.values())
        found = linprog(
            np.concatenate(self._cost),
            A_ub=at_most,
            b_ub=self._rows["at-most"].right_hand_side(),
            A_eq=equal,
            b_eq=self._rows["equal"].right_hand_side(),
            bounds=np.column_stack([lower, upper]),
            method="highs",
            options={
                "time_limit": max(seconds, 0.01),
                "primal_feasibility_tolerance": _LP_TOLERANCE,
                "dual_feasibility_tolerance": _LP_TOLERANCE,
            },
        )
        if found.status == _INFEASIBLE:
            raise InfeasibleError(found.message)
        if found.status == _TIME_LIMIT:
            return None
        if found.status != 0:
            raise RuntimeError(f"HiGHS: {found.message}")
        value = float(found.fun)
        return Solved(np.asarray(found.x), value, value, np.asarray(found.eqlin.marginals))

    def solve_whole(self, seconds: float, relative_gap: float) -> Solved | None:
        """Solve with binaries.

        Args:
            seconds: time limit [s].
            relative_gap: stop once the best found is this near to the bound, as a share of its size.

        Returns:
            The best found with its bound, or None if the time was up before anything feasible was found.

        Raises:
            InfeasibleError: there is none.
        """
        lower, upper = self._bounds()
        constraints = []
        for rows, least in zip(self._rows.values(), (None, -np.inf), strict=True):
            right = rows.right_hand_side()
            if right.size:
                low = right if least is None else np.full(right.shape, least)
                constraints.append(LinearConstraint(rows.matrix(self.columns), low, right))
        found = milp(
            np.concatenate(self._cost),
            integrality=self.whole.astype(int),
            bounds=Bounds(lower, upper),
            constraints=constraints,
            options={"time_limit": max(seconds, 0.01), "mip_rel_gap": relative_gap},
        )
        if found.status == _INFEASIBLE:
            raise InfeasibleError(found.message)
        if found.x is None:
            return None
        bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound)
        return Solved(np.asarray(found.x), float(found.fun), bound)

    def _bounds(self) -> tuple[Array, Array]:
        return np.concatenate(self._lower), np.concatenate(self._upper)


class _Rows:
    def __init__(self) -> None:
        self.count = 0
        self._right: list[Array] = []
        self._entries: list[tuple[Columns, Columns, Array]] = []

    def add(self, terms: Sequence[tuple[Columns, ArrayLike]], right: ArrayLike) -> Columns:
        count = terms[0][0].size if terms else np.size(right)
        rows = np.arange(self.count, self.count + count)
        self.count += count
        self._right.append(np.broadcast_to(np.asarray(right, dtype=float), count))
        for columns, coefficient in terms:
            self.put(rows, columns, coefficient)
        return rows

    def put(self, rows: Columns, columns: Columns, coefficient: ArrayLike) -> None:
        self._entries.append(
            (rows, columns, np.broadcast_to(np.asarray(coefficient, dtype=float), rows.size))
        )

    def right_hand_side(self) -> Array:
        return np.concatenate([np.zeros(0), *self._right])

    def matrix(self, columns: int) -> csr_array:
        shape = (self.count, columns)
        if not self._entries:
            return csr_array(shape)
        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return coo_array((value, (row, column)), shape=shape).tocsr()

"""When to start appliances: a search over starts that prices guide and bound.

Any prices of energy give a lower bound on every schedule that is a sum over appliances and tight, in a convex
problem, at the starts it was found for (:mod:`agents.planning.flexible.price_bound`). So the greatest of all
bounds found so far is a model of the objective from below (J. E. Kelley, *The Cutting-Plane Method*, 1960);
the starts of its least are tried next, and once its least is no better than the best schedule known, that one
is optimal.

Where starts are too many to list, a genetic algorithm (pymoo) searches the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.infill import InfillCriterion
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from agents.planning.flexible.price_bound import PriceBound
from agents.planning.tariff import FloatArray

MOST_LISTED = 40_000


class StartModel:
    """The bounds known so far on schedules by their starts.

    Args:
        counts: number of possible starts of each appliance.
        seed: seed of the genetic algorithm, where it is needed.
    """

    def __init__(self, counts: tuple[int, ...], seed: int) -> None:
        self.counts = counts
        self._seed = seed
        self._listed = float(np.prod([float(count) for count in counts])) <= MOST_LISTED
        self._model = np.full(counts if self._listed else (0,), -np.inf)
        self._bounds: list[PriceBound] = []
        self._tried: set[tuple[int, ...]] = set()

    def add(self, bound: PriceBound) -> None:
        """Take up a bound."""
        self._bounds.append(bound)
        if self._listed:
            total = np.array(bound.constant_eur)
            for costs in bound.run_eur:
                total = total[..., None] + costs
            np.maximum(self._model, total, out=self._model)

    @property
    def lower_bound_eur(self) -> float:
        """Lower bound on every schedule [EUR]."""
        if self._listed:
            return float(self._model.min())
        return max(bound.bound_eur for bound in self._bounds)

    def was_tried(self, starts: tuple[int, ...]) -> bool:
        """Whether :meth:`next_starts` was told of these starts."""
        return starts in self._tried

    def next_starts(self, starts: tuple[int, ...]) -> tuple[tuple[int, ...] | None, float]:
        """Starts that promise most among those not yet asked for, and their bound [EUR].

        Args:
            starts: those just tried, which are not to come again.
        """
        self._tried.add(starts)
        if self._listed:
            model = self._model.copy()
            for tried in self._tried:
                model[tried] = np.inf
            best = np.unravel_index(int(model.argmin()), self.counts) if model.size else ()
            found = tuple(int(start) for start in best)
            return (None, np.inf) if found in self._tried else (found, float(model[found]))
        return self._searched()

    def values_eur(self, starts: np.ndarray[Any, Any]) -> FloatArray:
        """The model at rows of starts, shape (P, A): shape (P,); infinite where they were tried."""
        total = np.full(len(starts), -np.inf)
        for bound in self._bounds:
            costs = sum(costs[starts[:, number]] for number, costs in enumerate(bound.run_eur))
            np.maximum(total, bound.constant_eur + costs, out=total)
        for row, one in enumerate(map(tuple, starts.tolist())):
            if one in self._tried:
                total[row] = np.inf
        return total

    def _searched(self) -> tuple[tuple[int, ...] | None, float]:
        rng = np.random.default_rng([self._seed, len(self._bounds)])
        rows = [[int(costs.argmin()) for costs in bound.run_eur] for bound in self._bounds[-20:]]
        rows += [list(tried) for tried in sorted(self._tried)[-20:]]
        rows += rng.integers(0, self.counts, (24, len(self.counts))).tolist()
        algorithm = GA(
            pop_size=32,
            n_offsprings=32,
            sampling=np.array(rows, dtype=float),
            mating=_StartMating(self.counts),
            eliminate_duplicates=False,
            advance_after_initial_infill=True,
        )
        algorithm.setup(_StartProblem(self), seed=int(rng.integers(2**31)), termination=NoTermination())
        for _ in range(25):
            algorithm.next()
        best = algorithm.pop[0]
        found = tuple(int(start) for start in best.X)
        return (None, np.inf) if found in self._tried else (found, float(best.F[0]))


class _StartProblem(Problem):  # type: ignore[misc]
    """The model as pymoo sees it."""

    def __init__(self, model: StartModel) -> None:
        self.model = model
        upper = np.array(model.counts, dtype=float) - 1.0
        super().__init__(n_var=upper.size, n_obj=1, xl=np.zeros(upper.size), xu=upper)

    def _evaluate(self, x: FloatArray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        # Tried starts stay in the population as parents: a large number, not an infinite one.
        out["F"] = np.nan_to_num(self.model.values_eur(x.astype(int)), posinf=1e12)[:, None]


class _StartMating(InfillCriterion):  # type: ignore[misc]
    """Uniform crossover of the better parents; one start is moved a little or anywhere."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        super().__init__()
        self.counts = np.array(counts)

    def do(
        self,
        problem: Problem,
        pop: Population,
        n_offsprings: int,
        random_state: np.random.Generator | None = None,
        n_max_iterations: int | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Population:
        """Children of a population, shape (n_offsprings, A) in pymoo's terms."""
        if random_state is None:
            raise ValueError("the mating needs the algorithm's random state")
        rng, rows = random_state, pop.get("X")
        picked = rng.integers(0, len(rows), (2, 2, n_offsprings)).min(axis=0)
        swap = rng.random((n_offsprings, self.counts.size)) < 0.5
        children = np.where(swap, rows[picked[0]], rows[picked[1]])
        moved = rng.integers(0, self.counts.size, n_offsprings)
        every = np.arange(n_offsprings)
        near = children[every, moved] + rng.integers(-3, 4, n_offsprings)
        anywhere = rng.integers(0, self.counts[moved])
        target = np.where(rng.random(n_offsprings) < 0.5, near, anywhere)
        children[every, moved] = np.clip(target, 0, self.counts[moved] - 1)
        return Population.new(X=children)

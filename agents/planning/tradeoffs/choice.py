"""Which plan of a front a person wants: by weights, or at the knee."""

from __future__ import annotations

import numpy as np

from agents.planning.preferred import plane_normal
from agents.planning.tariff import FloatArray
from agents.planning.tradeoffs.front import Front
from runtime.errors import InputError
from runtime.preferences import Preference


def choose(front: Front, preference: Preference) -> int:
    """Pick one plan of a front.

    Objectives are compared as shares of their range on the front (0 best, 1 worst). Weights pick the least
    weighted sum, and of equal ones the first by the unweighted sum. The knee is the plan farthest below the
    hyperplane through the plans that are best in one objective each (I. Das, *On characterizing the "knee" of
    the Pareto curve based on Normal-Boundary Intersection*, Structural Optimization 18, 1999).

    Args:
        front: the front.
        preference: what the person wants.

    Returns:
        Index of the plan.

    Raises:
        InputError: a weight of an objective that the front does not have.
    """
    shares = normalised(front.values)
    if preference.knee:
        return int(np.argmax(knee_depths(shares)))
    strange = [name for name in preference.weights if name not in front.objectives]
    if strange:
        raise InputError(
            f"weights: found {', '.join(strange)}, expected some of {', '.join(front.objectives)}, "
            "which the front trades off"
        )
    weights = np.array([preference.weights.get(name, 0.0) for name in front.objectives])
    return int(np.lexsort((shares.sum(axis=1), shares @ weights))[0])


def normalised(values: FloatArray) -> FloatArray:
    """Objectives as shares of their range, shape (N, M); 0 where an objective does not vary."""
    least, spread = values.min(axis=0), np.ptp(values, axis=0)
    shares: FloatArray = (values - least) / np.where(spread > 0, spread, 1.0)
    return shares


def knee_depths(shares: FloatArray) -> FloatArray:
    """How far each plan lies below the hyperplane through the best in each objective.

    Args:
        shares: normalised objectives, shape (N, M).

    Returns:
        Distances, shape (N,); above 0 towards the ideal plan.
    """
    corners = shares[[int(np.lexsort((shares.sum(axis=1), column))[0]) for column in shares.T]]
    normal = plane_normal(corners)
    depths: FloatArray = (1.0 - shares @ normal) / np.linalg.norm(normal)
    return depths

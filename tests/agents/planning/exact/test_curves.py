"""Convex hulls of slots' objectives, by their definition."""

import numpy as np
import pytest

from agents.planning.exact.curves import hull_slopes, staircases


@pytest.mark.parametrize("seed", range(5))
def test_slopes_of_the_hull_are_those_of_the_greatest_convex_function_below(seed):
    rng = np.random.default_rng(seed)
    points = np.sort(rng.uniform(-1, 1, (30, 5)), axis=1)
    points[::3, 2] = points[::3, 1]
    objective = rng.normal(size=(30, 5))
    objective[::3, 2] = objective[::3, 1]
    slope = hull_slopes(points, objective)
    for row, x, y in zip(slope, points, objective, strict=True):
        # At each point the hull is the least of all chords over it.
        chords = [
            min(
                y[a] + (y[b] - y[a]) * (at - x[a]) / (x[b] - x[a])
                for a in range(5)
                for b in range(5)
                if x[a] <= at <= x[b] and x[a] < x[b]
            )
            for at in x
        ]
        length = np.diff(x)
        np.testing.assert_allclose((row * length)[length > 0], np.diff(chords)[length > 0], atol=1e-12)


def test_segments_without_length_never_spoil_the_order_of_values():
    points = np.array([[0.0, 0.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    objective = np.array([[0.0, 0.0, 3.0, 4.0, 4.0], [5.0] * 5])
    slope = hull_slopes(points, objective)
    joined, still = staircases(points, slope, slope)
    np.testing.assert_allclose(joined.value_eur_per_kwh, 2.0)
    np.testing.assert_allclose(joined.change_kwh, [0, 0, 0, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(still.value_eur_per_kwh, 0.0)
    start, end = np.array([[9.0, 1.0, 2.0, -9.0]]), np.array([[9.0, 2.0, 3.0, -9.0]])
    (bent,) = staircases(points[:1], start, end)
    np.testing.assert_allclose(bent.value_eur_per_kwh, [1, 1, 1, 2, 2, 3, 3, 3])

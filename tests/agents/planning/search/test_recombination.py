"""Optimal recombination and the price-blind envelope of its seeds, by brute force."""

from itertools import product

import numpy as np
import pytest
from planning_cases import random_problem

from agents.devices.battery import clip_trajectories, lower_envelope_kwh
from agents.planning.exact.stages import Stages
from agents.planning.problem import objectives_eur
from agents.planning.search.recombination import Recombination


@pytest.mark.parametrize("kind", ["convex", "negative", "feed-in", "proximal"])
@pytest.mark.parametrize("seed", range(3))
def test_the_child_is_the_best_of_all_combinations(kind, seed):
    problem = random_problem(seed, kind, 5)
    battery = problem.battery
    lower = lower_envelope_kwh(battery, 5, problem.slot_hours)
    rng = np.random.default_rng(seed)
    legal = clip_trajectories(
        rng.uniform(0, 1, (5, 3)) * battery.capacity_kwh, battery, problem.slot_hours, lower
    )
    every = np.array([[legal[t, k] for t, k in enumerate(pick)] for pick in product(range(3), repeat=5)]).T
    repaired = clip_trajectories(every, battery, problem.slot_hours, lower)
    kept = np.abs(repaired - every).max(axis=0) <= 1e-10 * battery.capacity_kwh
    best = objectives_eur(every[:, kept], problem).min()
    child = Recombination().best(Stages(problem, battery), legal)
    assert objectives_eur(child[:, None], problem)[0] == pytest.approx(best, rel=1e-12, abs=1e-12)

"""What a search starts from, and what searches share."""

import numpy as np
import pytest
from planning_cases import random_problem

from agents.devices.battery import clip_trajectories, lower_envelope_kwh
from agents.planning.exact.stages import Stages
from agents.planning.search.pieces import PieceSearch
from agents.planning.search.seeds import seed_trajectories


@pytest.mark.parametrize("kind", ["convex", "feed-in"])
@pytest.mark.parametrize("seed", range(6))
def test_every_seed_is_feasible_as_it_is(kind, seed):
    problem = random_problem(seed, kind, 48)
    lower = lower_envelope_kwh(problem.battery, 48, problem.slot_hours)
    seeds = seed_trajectories(problem, Stages(problem, problem.battery), lower)
    repaired = clip_trajectories(seeds, problem.battery, problem.slot_hours, lower)
    np.testing.assert_allclose(seeds, repaired, atol=1e-12 * problem.battery.capacity_kwh)


def test_what_was_tried_from_a_plan_is_not_tried_again():
    problem = random_problem(3, "feed-in", 48)
    stages = Stages(problem, problem.battery)
    lower = lower_envelope_kwh(problem.battery, 48, problem.slot_hours)
    pieces = PieceSearch(stages, lower)
    start = seed_trajectories(problem, stages, lower)[:, 2]
    rng = np.random.default_rng(1)
    elite = pieces.within(start, rng)
    promising = pieces.untried(elite, rng)
    assert promising > 2
    first = pieces.neighbour(elite, rng)
    assert pieces.untried(elite, rng) == promising - 1
    # From another plan there are others; back at the first, one is still tried.
    assert pieces.untried(first, rng) > 0
    assert pieces.untried(elite.copy(), rng) == promising - 1
    np.testing.assert_array_equal(pieces.within(start, rng), elite)

"""Slots as slopes and bends, and plans of which a few slots are changed."""

import numpy as np
import pytest
from planning_cases import priced_problem, random_problem

from agents.devices.battery import lower_envelope_kwh
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import WaterValues

KINDS = ("feed-in", "feed-in+wear", "block", "falling", "pairs")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_slope_and_bends_are_the_objective_up_to_a_constant(kind, seed):
    problem = priced_problem(seed, kind, 24)
    stages = Stages(problem, problem.battery)
    bends = stages.bends()
    rng = np.random.default_rng(seed)
    change = rng.uniform(-1, 1, (24, 50)) * (problem.battery.stored_max_kwh + 0.01)
    value = bends.slope_eur_per_kwh[:, None] * change
    for at_kwh, rise in zip(bends.at_kwh, bends.rise_eur_per_kwh, strict=True):
        value += rise[:, None] * np.maximum(change - at_kwh[:, None], 0)
    apart = value - stages.objective_eur(change)
    scale = 1 + np.abs(stages.objective_eur(change)).max()
    np.testing.assert_allclose(apart - apart[:, :1], 0, atol=1e-9 * scale)


@pytest.mark.parametrize("kind", ["feed-in", "negative", "proximal"])
@pytest.mark.parametrize("seed", range(4))
def test_a_plan_with_changed_slots_is_the_plan_made_anew(kind, seed):
    problem = random_problem(seed, kind, 96)
    stages = Stages(problem, problem.battery)
    lower = lower_envelope_kwh(problem.battery, 96, problem.slot_hours)
    curves = stages.hull_curves()
    other = Stages(random_problem(seed + 10, kind, 96), problem.battery).hull_curves()
    passes = WaterValues(curves, stages, lower)
    before = passes.plan()
    rng = np.random.default_rng(seed)
    for count in (0, 1, 1, 1, 4, 96):
        slots = rng.choice(96, count, replace=False).tolist()
        changed = passes.changed({slot: other[slot] for slot in slots})
        mixed = [other[slot] if slot in slots else curves[slot] for slot in range(96)]
        anew = WaterValues(mixed, stages, lower).plan()
        slack = 1e-9 * problem.battery.capacity_kwh
        np.testing.assert_allclose(changed.plan().stored_energy_kwh, anew.stored_energy_kwh, atol=slack)
        np.testing.assert_allclose(changed.plan().value_eur_per_kwh, anew.value_eur_per_kwh, atol=1e-9)
        # Changed once more, and back: what is kept is never stale.
        back = changed.changed({slot: curves[slot] for slot in slots}).plan()
        np.testing.assert_allclose(back.stored_energy_kwh, before.stored_energy_kwh, atol=slack)
    np.testing.assert_array_equal(passes.plan().stored_energy_kwh, before.stored_energy_kwh)

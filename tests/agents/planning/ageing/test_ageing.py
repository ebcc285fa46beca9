from dataclasses import replace

import numpy as np
import pytest
from planning_cases import lorient_problem, lossy, random_problem
from pydantic import ValidationError

from agents.bench.battery_programme import BatteryProgramme
from agents.bench.suites import intraday_instances
from agents.devices.battery import clip_trajectories, lower_envelope_kwh
from agents.planning.ageing.cost import wear_eur
from agents.planning.ageing.depth_bands import DepthBands
from agents.planning.ageing.planner import AgeingBudget, AgeingPlanner
from agents.planning.ageing.smoothing import smoothed
from agents.planning.exact.curves import Curve
from agents.planning.exact.stages import Stages
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner
from agents.planning.problem import objectives_eur
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.preferences import BatteryAgeing

AGEING = BatteryAgeing()
QUICK = AgeingBudget(max_generations=8)


def repaired(problem, stored_kwh):
    lower = lower_envelope_kwh(problem.battery, problem.slots, problem.slot_hours)
    return clip_trajectories(stored_kwh, problem.battery, problem.slot_hours, lower)


def objective_eur(problem, stored_kwh, ageing=AGEING):
    column = stored_kwh[:, None]
    return float(objectives_eur(column, problem)[0] + wear_eur(column, ageing, problem.battery)[0])


def best_throughput_priced_eur(problem, prices):
    """Least true objective of plans at prices on throughput."""
    reached = []
    for price in prices:
        programme = BatteryProgramme(problem)
        programme.price_throughput(price)
        reached.append(objective_eur(problem, repaired(problem, programme.solve()[0])))
    return min(reached)


def test_wear_of_a_cycle_by_hand():
    battery = Battery(capacity_kwh=10, soc_min=0, soc_max=1, soc_start=0.5)
    ageing = BatteryAgeing(replacement_eur_per_kwh=200, cycle_life=4000, depth_exponent=2)
    # Down by 5 kWh and up again: two half cycles of depth 0.5, at 2000 EUR / 4000 cycles.
    down_and_up = np.array([[2.0], [0.0], [5.0]])
    assert wear_eur(down_and_up, ageing, battery) == pytest.approx([0.5 * 0.5**2])
    assert wear_eur(np.full((3, 2), 5.0), ageing, battery).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth_exponent": 0.9},
        {"cycle_life": 0},
        {"replacement_eur_per_kwh": float("inf")},
        {"replacement": 3},
    ],
)
def test_ageing_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        BatteryAgeing(**wrong)


@pytest.mark.parametrize("building", [2, 3])
def test_five_percent_more_battery_value_than_throughput_prices(lorient_folder, building):
    problem = lorient_problem(lorient_folder, building, **lossy(building))
    plan = AgeingPlanner(AGEING, seed=1).plan(problem)
    best_eur = best_throughput_priced_eur(problem, np.linspace(0, 0.08, 41))
    without_eur = float(Stages(problem, problem.battery).objective_eur(np.zeros(144)).sum())
    value_eur = without_eur - best_eur
    assert best_eur - plan.objective_eur >= 0.06 * value_eur
    # The first sweeps over all depths give most of it, evolution the rest.
    swept = AgeingPlanner(AGEING, seed=1, budget=AgeingBudget(max_generations=0)).plan(problem)
    assert best_eur - swept.objective_eur >= 0.055 * value_eur
    assert swept.objective_eur - plan.objective_eur >= 0.0005 * value_eur
    # The programme with rainflow wear inside says how much more there is: a percent of the value.
    programme = BatteryProgramme(problem)
    programme.price_wear(AGEING, widths=12)
    optimal_eur = objective_eur(problem, repaired(problem, programme.solve()[0]))
    assert plan.objective_eur - optimal_eur <= 0.012 * (without_eur - optimal_eur)


def test_averaged_kinks_free_the_parts_of_a_plan_from_each_other():
    problem = list(intraday_instances(3))[2].problem
    value_eur = objective_eur(
        problem, IdlePlanner().plan(problem).stored_energy_kwh
    ) - best_throughput_priced_eur(problem, np.linspace(0, 0.08, 41))
    averaged, sharp = (
        AgeingPlanner(AGEING, seed=1, budget=AgeingBudget(max_generations=0, **changes)).plan(problem)
        for changes in ({}, {"first_sweeps": ((0.0, 20),)})
    )
    assert sharp.objective_eur - averaged.objective_eur >= 0.03 * value_eur


def test_a_smoothed_slot_has_the_average_slope_within_its_limits():
    curve = Curve(np.array([0.1, 0.1, 0.3, 0.3]), np.array([-2.0, 0.0, 0.0, 2.0]))
    found = smoothed(curve, 0.5, beyond_eur_per_kwh=1.0)
    change, value = found.change_kwh, found.value_eur_per_kwh
    assert (change[0], change[-1]) == (-2.0, 2.0)
    assert np.all(np.diff(value) >= -1e-12)
    at = np.interp([-1.0, 1.0], 0.5 * (change[::2] + change[1::2]), value[::2])
    assert at == pytest.approx([0.1, 0.3])  # away from kinks and limits nothing is averaged
    middle = 0.5 * (change[::2] + change[1::2])
    near = np.abs(middle) < 0.5
    np.testing.assert_allclose(value[::2][near], 0.2 + 0.2 * middle[near], atol=1e-12)
    assert value[0] < 0.1 - 0.3
    assert value[-1] > 0.3 + 0.3


@pytest.mark.parametrize("seed", range(4))
def test_plans_are_feasible_deterministic_and_no_worse_than_others(seed):
    problem = random_problem(seed, ["convex", "negative", "feed-in", "convex"][seed], 48)
    plan = AgeingPlanner(AGEING, seed, QUICK).plan(problem)
    again = AgeingPlanner(AGEING, seed, QUICK).plan(problem)
    assert plan.stored_energy_kwh.tobytes() == again.stored_energy_kwh.tobytes()
    assert np.allclose(plan.stored_energy_kwh, repaired(problem, plan.stored_energy_kwh), atol=1e-9)
    assert np.allclose(plan.net_kwh + plan.battery_kwh, problem.residual_load_kwh)
    assert plan.objective_eur == pytest.approx(objective_eur(problem, plan.stored_energy_kwh))
    assert plan.objective_eur == pytest.approx(plan.cost_eur + plan.wear_eur)
    for other in (IdlePlanner().plan(problem), EvolutionaryPlanner(seed).plan(problem)):
        assert plan.objective_eur <= objective_eur(problem, other.stored_energy_kwh) + 1e-9
    assert plan.lower_bound_eur is None


def test_wear_that_is_proportional_to_throughput_is_planned_to_the_optimum():
    ageing = BatteryAgeing(depth_exponent=1)
    problem = random_problem(5, "convex", 96)
    programme = BatteryProgramme(problem)
    programme.price_wear(ageing, widths=1)
    optimum_eur = programme.solve()[1]
    idle_eur = objective_eur(problem, IdlePlanner().plan(problem).stored_energy_kwh, ageing)
    plan = AgeingPlanner(ageing, 0).plan(problem)
    assert -1e-6 <= plan.objective_eur - optimum_eur <= 1e-3 * (idle_eur - optimum_eur)


def test_dearer_cycles_are_shallower():
    problem = random_problem(0, "convex", 48)
    wear = []
    for price in (1.0, 100.0, 10_000.0):
        ageing = BatteryAgeing(replacement_eur_per_kwh=price)
        plan = AgeingPlanner(ageing, 0, QUICK).plan(problem)
        wear.append(plan.wear_eur / price)
    assert wear[0] > wear[1] > wear[2]


def test_a_band_as_deep_as_the_battery_is_planned_at_its_throughput_price():
    """Where all cycles are one band, planning it is planning the battery."""
    ageing = BatteryAgeing(depth_exponent=1)
    problem = random_problem(5, "convex", 96)
    lower = lower_envelope_kwh(problem.battery, problem.slots, problem.slot_hours)
    bands = DepthBands(Stages(problem, problem.battery), lower, ageing)
    start = EvolutionaryPlanner(0).plan(problem).stored_energy_kwh
    child = bands.replanned(start, 0.0, bands.span_kwh)
    programme = BatteryProgramme(problem)
    programme.price_wear(ageing, widths=1)
    assert objective_eur(problem, child, ageing) < objective_eur(problem, start, ageing)
    assert objective_eur(problem, child, ageing) == pytest.approx(programme.solve()[1], rel=1e-4)


def test_an_earlier_plan_is_taken_up():
    problem = random_problem(1, "convex", 48)
    planner = AgeingPlanner(AGEING, 0, QUICK)
    first = planner.plan(problem)
    assert planner.plan(problem, first).objective_eur <= first.objective_eur + 1e-12
    with pytest.raises(InputError, match="expected 48 slots, found 96"):
        planner.plan(problem, AgeingPlanner(AGEING, 0, QUICK).plan(random_problem(1, "convex", 96)))


def test_a_member_without_a_battery_wears_nothing():
    problem = replace(random_problem(1, "convex", 48), battery=None)
    assert AgeingPlanner(AGEING, 0).plan(problem).wear_eur == 0.0

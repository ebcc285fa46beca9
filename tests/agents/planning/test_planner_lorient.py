"""The paper's four buildings, against HiGHS."""

import numpy as np
import pytest
from planning_cases import lorient_problem, lossy

from agents.bench.oracle import optimum_eur
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner, RulePlanner

# HiGHS; ideal battery, feed-in tariff 0.035 EUR/kWh.
FREE_END_EUR = (13.904456, 119.063769, 30.137926, 11.997317)
END_SOC_HALF_EUR = (13.945741, 119.094603, 30.442128, 12.192151)


def loss(problem, plan, optimum):
    without = IdlePlanner().plan(problem).objective_eur
    return (plan.objective_eur - optimum) / (without - optimum)


@pytest.mark.parametrize("building", range(4))
@pytest.mark.parametrize(("end", "optima"), [(None, FREE_END_EUR), (0.5, END_SOC_HALF_EUR)])
def test_reference_costs(lorient_folder, building, end, optima):
    problem = lorient_problem(lorient_folder, building, soc_end_min=end)
    plan = EvolutionaryPlanner(seed=1).plan(problem)
    assert plan.cost_eur == pytest.approx(optima[building], abs=2e-6)
    assert plan.lower_bound_eur <= optima[building] + 1e-6


def test_rule_and_idle_battery_cost_what_the_corrected_scenarios_cost(lorient_folder):
    problems = [lorient_problem(lorient_folder, building) for building in range(4)]
    assert sum(RulePlanner().plan(p).cost_eur for p in problems) == pytest.approx(188.259736, abs=1e-6)
    assert sum(IdlePlanner().plan(p).cost_eur for p in problems) == pytest.approx(189.457816, abs=1e-6)


@pytest.mark.parametrize("building", range(4))
@pytest.mark.parametrize("pv_times", [1.0, 6.0])
@pytest.mark.parametrize("feed_in", [0.035, "capped"])
def test_losses_limits_and_surplus(lorient_folder, building, pv_times, feed_in):
    problem = lorient_problem(lorient_folder, building, feed_in, pv_times, **lossy(building))
    plan = EvolutionaryPlanner(seed=1).plan(problem)
    optimum = optimum_eur(problem)
    assert -1e-6 < loss(problem, plan, optimum) < 1e-3
    if feed_in == "capped":
        assert plan.objective_eur == pytest.approx(optimum, abs=1e-7)
        assert plan.gap_eur < 1e-9 * plan.objective_eur


@pytest.mark.parametrize("building", range(4))
def test_evolution_alone_finds_it_too(lorient_folder, building):
    problem = lorient_problem(lorient_folder, building, **lossy(building))
    plan = EvolutionaryPlanner(seed=1, water_values=False).plan(problem)
    assert plan.lower_bound_eur is None
    assert loss(problem, plan, optimum_eur(problem)) < 1e-3


def test_a_warm_start_is_no_worse_and_the_first_plan_stays_what_it_is(lorient_folder):
    problem = lorient_problem(lorient_folder, 2)
    planner = EvolutionaryPlanner(seed=1)
    cold = planner.plan(problem)
    before = cold.stored_energy_kwh.copy()
    warm = planner.plan(problem, cold)
    assert warm.objective_eur <= cold.objective_eur
    np.testing.assert_array_equal(cold.stored_energy_kwh, before)

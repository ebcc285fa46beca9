"""Block tariffs, demand charges and wear: evaluated as defined, planned as well as HiGHS, certified."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import assert_sound, priced_problem, random_problem

from agents.bench.oracle import optimum_eur
from agents.planning.exact.stages import Stages
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner, RulePlanner
from agents.planning.problem import PlanningProblem, energy_cost_eur, objectives_eur, plan_of
from agents.planning.tariff import BlockTariff
from agents.planning.wear import StandingPrice, WearCost
from runtime.devices import Battery
from runtime.errors import InputError

CONVEX = (
    "block",
    "pairs",
    "peak",
    "peak+reached",
    "wear",
    "standing",
    "block+wear",
    "block+peak+reached+standing",
    "pairs+peak+wear",
)
NON_CONVEX = (
    "falling",
    "feed-in+wear",
    "feed-in+peak",
    "falling+standing+peak",
    "feed-in+pairs+reached+peak",
)
PROXIMAL = ("block+proximal", "peak+proximal", "standing+proximal")


def test_a_block_tariff_costs_what_the_member_changes_in_the_communitys_bill():
    rng = np.random.default_rng(1)
    others, net = rng.normal(size=(2, 50)) * 3
    dear, cheap = np.full(50, 0.3), np.full(50, 0.05)

    def grid_bill(total):
        return dear * np.maximum(total, 0) - cheap * np.maximum(-total, 0)

    problem = PlanningProblem(np.zeros(50), None, 1.0, cheap, cheap, block=BlockTariff(-others, dear, dear))
    np.testing.assert_allclose(
        energy_cost_eur(net, problem), grid_bill(others + net) - grid_bill(others), atol=1e-12
    )


def test_four_prices_are_an_integral_of_the_price():
    rng = np.random.default_rng(2)
    low_in, low_out, high_in, high_out = rng.uniform(-0.1, 0.4, (4, 40))
    threshold, net = rng.normal(size=(2, 40))
    problem = PlanningProblem(
        np.zeros(40), None, 1.0, low_in, low_out, block=BlockTariff(threshold, high_in, high_out)
    )
    steps = 20_000
    middle = net * (np.arange(steps)[:, None] + 0.5) / steps
    above = middle > threshold
    price = np.where(middle > 0, np.where(above, high_in, low_in), np.where(above, high_out, low_out))
    np.testing.assert_allclose(energy_cost_eur(net, problem), price.mean(axis=0) * net, atol=1e-4)


def test_demand_charge_and_wear_are_counted_apart():
    problem = PlanningProblem(
        [1.0, 2.0, 4.0],
        Battery(capacity_kwh=10, discharge_efficiency=0.5),
        0.5,
        [0.2, 0.3, 0.4],
        [0.05, 0.06, 0.07],
        peak_charge_eur_per_kw=3.0,
        peak_reached_kw=1.0,
        wear=WearCost((0.1, 0.3), (0.2,), (StandingPrice(0.45, 0.02, 0.04),)),
    )
    plan = plan_of(problem, np.array([5.0, 5.0, 3.0]))
    np.testing.assert_allclose(plan.net_kwh, [1.0, 2.0, 3.0])
    assert plan.cost_eur == pytest.approx(0.2 + 0.6 + 1.2)
    assert plan.peak_charge_eur == pytest.approx(3.0 * (3.0 / 0.5 - 1.0))
    # 2 kWh in half an hour: 1 kWh up to 0.2 of the capacity per hour, 1 kWh above; then 0.5 kWh above
    # 4.5 kWh twice, 1.5 kWh below once.
    assert plan.wear_eur == pytest.approx(0.1 + 0.3 + 0.5 * (0.04 * (0.5 + 0.5) + 0.02 * 1.5))
    assert plan.objective_eur == pytest.approx(plan.cost_eur + plan.peak_charge_eur + plan.wear_eur)
    assert objectives_eur(plan.stored_energy_kwh[:, None], problem)[0] == pytest.approx(plan.objective_eur)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONVEX), st.sampled_from([1, 5, 24, 60]))
def test_convex_costs_are_planned_to_the_optimum_and_certified(seed, kind, slots):
    problem = priced_problem(seed, kind, slots)
    assert Stages(problem, problem.battery).convex
    plan = EvolutionaryPlanner(seed).plan(problem)
    assert_sound(problem, plan)
    scale = max(1.0, abs(plan.objective_eur), problem.battery.capacity_kwh)
    assert plan.objective_eur == pytest.approx(optimum_eur(problem), abs=1e-7 * scale)
    assert plan.gap_eur <= 1e-9 * scale


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(PROXIMAL), st.sampled_from([1, 12, 24]))
def test_proximal_costs_match_the_quadratic_optimum(seed, kind, slots):
    problem = priced_problem(seed, kind, slots)
    plan = EvolutionaryPlanner(seed).plan(problem)
    optimum = optimum_eur(problem)
    scale = max(1.0, abs(optimum), problem.battery.capacity_kwh)
    assert plan.lower_bound_eur <= optimum + 1e-7 * scale
    if Stages(problem, problem.battery).convex:
        assert plan.objective_eur == pytest.approx(optimum, abs=1e-7 * scale)
        assert plan.gap_eur <= 1e-8 * scale


# A share of the loss is no invariant: the same members every time.
@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(NON_CONVEX), st.sampled_from([3, 12, 24]))
def test_non_convex_costs_lose_little_and_the_bound_holds(seed, kind, slots):
    problem = priced_problem(seed, kind, slots)
    plan = EvolutionaryPlanner(seed).plan(problem)
    assert_sound(problem, plan)
    optimum = optimum_eur(problem)
    slack = 1e-7 * max(1.0, abs(optimum), problem.battery.capacity_kwh)
    assert plan.objective_eur - optimum <= 0.02 * (plan.idle_objective_eur - optimum) + slack
    assert plan.lower_bound_eur <= optimum + slack
    true_loss = (plan.objective_eur - optimum) / max(plan.idle_objective_eur - optimum, slack)
    assert plan.certified_loss >= true_loss - 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONVEX + NON_CONVEX + PROXIMAL), st.sampled_from([1, 2, 24]))
def test_never_worse_than_rule_or_idle_cold_or_warm(seed, kind, slots):
    problem = priced_problem(seed, kind, slots)
    others = [p.plan(problem).objective_eur for p in (IdlePlanner(), RulePlanner())]
    plan = EvolutionaryPlanner(seed).plan(problem)
    dearer = replace(problem, import_price_eur_per_kwh=problem.import_price_eur_per_kwh * 1.1)
    warm = EvolutionaryPlanner(seed).plan(problem, EvolutionaryPlanner(seed).plan(dearer))
    for found in (plan, warm):
        assert_sound(problem, found)
        assert found.objective_eur <= min(others) + 1e-9 * max(1.0, abs(found.objective_eur))


@pytest.mark.parametrize("kind", ["block+peak", "falling+peak", "standing"])
def test_same_seed_same_plan(kind):
    problem = priced_problem(3, kind, 48)
    first, second = (EvolutionaryPlanner(7).plan(problem) for _ in range(2))
    np.testing.assert_array_equal(first.stored_energy_kwh, second.stored_energy_kwh)


def test_a_demand_charge_shaves_the_peak_and_one_reached_before_is_free():
    problem = replace(random_problem(1, "convex", 48), peak_charge_eur_per_kw=50.0)
    free = EvolutionaryPlanner(1).plan(replace(problem, peak_charge_eur_per_kw=0.0))
    shaved = EvolutionaryPlanner(1).plan(problem)
    assert shaved.net_kwh.max() < 0.9 * free.net_kwh.max()
    reached_kw = float(free.net_kwh.max()) / problem.slot_hours
    again = EvolutionaryPlanner(1).plan(replace(problem, peak_reached_kw=reached_kw))
    assert again.peak_charge_eur == pytest.approx(0.0, abs=1e-9)
    assert again.objective_eur == pytest.approx(free.objective_eur, abs=1e-9)


def test_certificates_say_what_is_proven():
    convex = EvolutionaryPlanner(1).plan(priced_problem(1, "block+peak", 24))
    assert convex.certificate == "optimal"
    assert convex.certified_loss <= 1e-9
    loose = EvolutionaryPlanner(1).plan(priced_problem(1, "falling", 24))
    assert loose.certificate == "bounded"
    assert loose.certified_loss == pytest.approx(
        loose.gap_eur / (loose.idle_objective_eur - loose.lower_bound_eur)
    )
    unknown = EvolutionaryPlanner(1, water_values=False).plan(priced_problem(1, "block", 24))
    assert unknown.certificate == "none"
    assert unknown.certified_loss is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockTariff([1.0, np.inf], [0, 0], [0, 0]), "block.threshold_kwh, slot 1"),
        (lambda: BlockTariff([1.0, 2.0], [0], [0, 0]), "block.import_price_eur_per_kwh: expected 2 values"),
        (lambda: WearCost((0.1,), (0.5,)), "discharge_rate_per_h: expected one fewer than the 1 prices"),
        (lambda: WearCost((0.2, 0.1), (0.5,)), "discharge_price_eur_per_kwh: expected rising"),
        (lambda: WearCost((-0.2,)), "at least 0"),
        (lambda: StandingPrice(1.2), "wear.standing.soc"),
        (lambda: StandingPrice(0.2, above_eur_per_kwh_h=float("nan")), "above_eur_per_kwh_h"),
    ],
)
def test_bad_costs_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peak_charge_eur_per_kw": -1.0}, "peak_charge_eur_per_kw"),
        ({"peak_reached_kw": float("nan")}, "peak_reached_kw"),
        ({"block": BlockTariff([1.0], [0.0], [0.0])}, "block: expected 24 values"),
    ],
)
def test_bad_problems_are_named(change, message):
    with pytest.raises(InputError, match=message):
        replace(random_problem(1, "convex", 24), **change)


@pytest.mark.parametrize("self_discharge", [0.0, 0.01, 0.1])
def test_however_fast_the_battery_loses_what_it_holds(self_discharge):
    problem = random_problem(2, "convex", 96)
    battery = problem.battery.model_copy(
        update={"self_discharge_per_slot": self_discharge, "charge_limit_kw": None, "soc_min": 0.0}
    )
    problem = replace(problem, battery=battery)
    plan = EvolutionaryPlanner(1).plan(problem)
    assert_sound(problem, plan)
    assert plan.objective_eur == pytest.approx(optimum_eur(problem), abs=1e-8)
    assert plan.certificate == "optimal"

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moocore import hypervolume
from planning_cases import lorient_problem, lossy, random_problem

from agents.bench.battery_programme import BatteryProgramme
from agents.devices.battery import clip_trajectories, lower_envelope_kwh
from agents.planning.planner import EvolutionaryPlanner
from agents.planning.problem import plan_of
from agents.planning.tradeoffs.choice import choose
from agents.planning.tradeoffs.front import Front, FrontBudget, nondominated, plan_front
from runtime.errors import InputError
from runtime.preferences import BatteryAgeing, Preference

AGEING = BatteryAgeing()
QUICK = FrontBudget(generations=6)
ALL = ("cost", "import", "peak", "wear")


def repaired(problem, stored_kwh):
    lower = lower_envelope_kwh(problem.battery, problem.slots, problem.slot_hours)
    return clip_trajectories(stored_kwh, problem.battery, problem.slot_hours, lower)


def by_hand(problem, stored_kwh):
    """Cost, import and peak, from the plan."""
    plan = plan_of(problem, stored_kwh)
    imported = np.maximum(plan.net_kwh, 0)
    return [plan.cost_eur, imported.sum(), imported.max() / problem.slot_hours]


def linear_sweep(problem, caps_kw, premiums):
    """Objectives of least-cost plans under caps on import power and premiums on imports, by HiGHS."""
    found = []
    for cap_kw in caps_kw:
        for premium in premiums:
            programme = BatteryProgramme(problem)
            programme.price_imports(premium)
            programme.cap_imports(cap_kw)
            solved = programme.solve()
            if solved is not None:
                found.append(by_hand(problem, repaired(problem, solved[0])))
    return np.array(found)


def test_hypervolume_of_a_fine_linear_sweep_on_a_building_with_surplus(lorient_folder):
    problem = lorient_problem(lorient_folder, 0, feed_in="capped", pv_times=6.0, **lossy(0))
    assert problem.residual_load_kwh.min() < 0
    front = plan_front(problem, ("cost", "import", "peak"), AGEING, seed=1)
    caps_kw = np.linspace(front.values[:, 2].min(), front.values[:, 2].max(), 20)
    sweep = linear_sweep(problem, caps_kw, np.append(0, np.logspace(-3, 0.5, 9)))
    ideal, spread = sweep.min(axis=0), np.ptp(sweep, axis=0)
    # The sweep has the extremes: least cost, and nearly the least import and peak.
    assert np.allclose(front.values.min(axis=0), ideal, atol=2e-2 * spread)
    ours, theirs = (
        hypervolume((values - ideal) / (1.1 * spread), ref=np.ones(3)) for values in (front.values, sweep)
    )
    assert ours >= 0.95 * theirs


@pytest.mark.parametrize(
    ("seed", "kind", "objectives"),
    [
        (0, "convex", ("cost", "peak")),
        (1, "feed-in", ("cost", "import", "peak")),
        (2, "negative", ALL),
        (3, "convex", ("import", "wear")),
    ],
)
def test_fronts_are_feasible_undominated_and_deterministic(seed, kind, objectives):
    problem = random_problem(seed, kind, 48)
    front = plan_front(problem, objectives, AGEING, seed, QUICK)
    again = plan_front(problem, objectives, AGEING, seed, QUICK)
    assert front.values.tobytes() == again.values.tobytes()
    assert front.stored_energy_kwh.tobytes() == again.stored_energy_kwh.tobytes()
    better = np.all(front.values[:, None] <= front.values[None], axis=2)
    assert better.sum() == len(front.values)  # each is as good as itself alone
    assert np.allclose(front.stored_energy_kwh, repaired(problem, front.stored_energy_kwh.T).T, atol=1e-9)
    for index, values in enumerate(front.values):
        plan = front.plan(index)
        known = dict(zip(ALL, [*by_hand(problem, plan.stored_energy_kwh), plan.wear_eur], strict=True))
        assert values == pytest.approx([known[name] for name in objectives])


@pytest.mark.parametrize("other", ["peak", "wear"])
def test_the_front_holds_the_plan_of_least_cost(other):
    problem = random_problem(0, "feed-in", 48)
    front = plan_front(problem, ("cost", other), AGEING, 0, QUICK)
    least_eur = EvolutionaryPlanner(0).plan(problem).cost_eur
    assert front.values[0, 0] == pytest.approx(least_eur, abs=1e-6)


def test_a_member_without_a_battery_has_one_plan():
    problem = replace(random_problem(1, "convex", 48), battery=None)
    front = plan_front(problem, ALL, AGEING, 0)
    assert front.values.shape == (1, 4)
    assert front.values[0] == pytest.approx([*by_hand(problem, None), 0.0])
    assert front.plan(0).net_kwh.tolist() == problem.residual_load_kwh.tolist()


@pytest.mark.parametrize("objectives", [("cost",), (), ("cost", "cost")])
def test_a_front_needs_different_objectives(objectives):
    with pytest.raises(InputError, match="two or more different ones"):
        plan_front(random_problem(1, "convex", 48), objectives, AGEING, 0)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30))
def test_nondominated_rows_are_those_of_the_definition(rows):
    values = np.array(rows, dtype=float)
    kept = {rows[index] for index in nondominated(values)}
    best = {
        row
        for row in rows
        if not any(other != row and all(a <= b for a, b in zip(other, row, strict=True)) for other in rows)
    }
    assert kept == best
    assert len(kept) == len(nondominated(values))


def made_front(values, objectives=("cost", "peak")):
    problem = random_problem(1, "convex", 48)
    rows = np.zeros((len(values), problem.slots))
    return Front(objectives, np.array(values, dtype=float), rows, problem, AGEING)


def test_choosing():
    front = made_front([[10, 500], [11, 200], [15, 150], [30, 100]])
    assert choose(front, Preference(knee=True)) == 1
    assert choose(front, Preference(weights={"cost": 1})) == 0
    assert choose(front, Preference(weights={"peak": 2})) == 3
    assert choose(front, Preference(weights={"cost": 1, "peak": 1})) == 1
    with pytest.raises(InputError, match="found wear, expected some of cost, peak"):
        choose(front, Preference(weights={"wear": 1}))


def test_the_knee_does_not_depend_on_units():
    values = np.array([[10, 500, 3], [11, 200, 2], [15, 150, 1.5], [30, 100, 1]], dtype=float)
    scaled = values * [100, 0.001, 7] + [5, -3, 0]
    objectives = ("cost", "peak", "wear")
    knees = {choose(made_front(each, objectives), Preference(knee=True)) for each in (values, scaled)}
    assert knees == {1}


def test_a_front_of_one_plan_has_its_knee_there():
    assert choose(made_front([[10, 500]]), Preference(knee=True)) == 0
    assert choose(made_front([[10, 500]]), Preference(weights={"cost": 1})) == 0


@pytest.mark.parametrize(
    "wrong", [{}, {"knee": True, "weights": {"cost": 1}}, {"weights": {"cost": -1}}, {"weights": {"cost": 0}}]
)
def test_preferences_that_say_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected|at least"):
        Preference(**wrong)

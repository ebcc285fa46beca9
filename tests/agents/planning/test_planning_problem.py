import numpy as np
import pytest

from agents.planning.planner import EvolutionaryPlanner, planner_for
from agents.planning.problem import PlanningProblem, energy_cost_eur, objectives_eur, plan_of
from runtime.devices import Battery
from runtime.errors import InputError

GOOD = {
    "residual_load_kwh": [1.0, -2.0, 3.0],
    "battery": Battery(capacity_kwh=10),
    "slot_hours": 1.0,
    "import_price_eur_per_kwh": [0.2, 0.3, 0.4],
    "export_price_eur_per_kwh": [0.05, 0.06, 0.07],
}


def test_cost_is_equation_1():
    problem = PlanningProblem(**GOOD)
    np.testing.assert_allclose(energy_cost_eur(np.array([1.0, -2.0, 3.0]), problem), [0.2, -0.12, 1.2])


def test_a_plan_balances_and_counts_the_proximal_term_apart():
    problem = PlanningProblem(**GOOD, proximal_weight_eur_per_kwh2=0.5, reference_net_kwh=[0.0, 0.0, 1.0])
    plan = plan_of(problem, np.array([5.0, 7.0, 4.0]))
    np.testing.assert_allclose(plan.battery_kwh, [0.0, -2.0, 3.0])
    np.testing.assert_allclose(plan.net_kwh, [1.0, 0.0, 0.0])
    assert plan.cost_eur == pytest.approx(0.2)
    assert plan.objective_eur == pytest.approx(0.2 + 0.25 * (1 + 0 + 1))
    assert objectives_eur(plan.stored_energy_kwh[:, None], problem)[0] == pytest.approx(plan.objective_eur)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"import_price_eur_per_kwh": [0.1, 0.2]}, "import_price_eur_per_kwh: expected 3 values"),
        ({"residual_load_kwh": []}, "residual_load_kwh: expected one value per slot"),
        ({"residual_load_kwh": [1.0, np.nan, 0.0]}, "residual_load_kwh, slot 1: .*nan"),
        ({"slot_hours": 0.0}, "slot_hours"),
        ({"proximal_weight_eur_per_kwh2": 1.0}, "reference_net_kwh"),
        ({"proximal_weight_eur_per_kwh2": -1.0, "reference_net_kwh": [0, 0, 0]}, "found -1.0"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(InputError, match=message):
        PlanningProblem(**(GOOD | change))


@pytest.mark.parametrize("strategy", ["idle", "rule", "optimised"])
def test_a_member_without_a_battery_has_one_plan_and_it_is_exact(strategy):
    plan = planner_for(strategy, seed=1).plan(PlanningProblem(**(GOOD | {"battery": None})))
    np.testing.assert_array_equal(plan.net_kwh, [1.0, -2.0, 3.0])
    assert plan.cost_eur == pytest.approx(0.2 - 0.12 + 1.2)
    assert plan.gap_eur == 0.0
    assert not plan.stored_energy_kwh.any()
    assert not plan.battery_kwh.any()


def test_unknown_strategy_is_named():
    with pytest.raises(InputError, match="'best'"):
        planner_for("best", seed=1)


def test_a_warm_plan_of_another_horizon_is_refused():
    short = PlanningProblem([1.0], Battery(capacity_kwh=1), 1.0, [0.1], [0.0])
    with pytest.raises(InputError, match="warm plan: expected 3 slots, found 1"):
        EvolutionaryPlanner(1).plan(PlanningProblem(**GOOD), EvolutionaryPlanner(1).plan(short))

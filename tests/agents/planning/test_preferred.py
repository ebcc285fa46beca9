"""A preference as prices: the plan it leads to against the whole front, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from agents.planning.ageing.planner import AgeingPlanner
from agents.planning.planner import EvolutionaryPlanner
from agents.planning.preferred import Terms, objectives_of, plane_normal, terms_of, with_terms
from agents.planning.problem import PlanningProblem
from agents.planning.tradeoffs.front import FrontBudget, plan_front
from runtime.devices import Battery
from runtime.preferences import BatteryAgeing, Preference


def sunny_house(seed: int = 3, slots: int = 96) -> PlanningProblem:
    rng = np.random.default_rng(seed)
    hour = np.arange(slots) * 24 / slots
    load = 0.15 + 0.1 * rng.random(slots) + 0.35 * np.exp(-((hour - 19.5) ** 2) / 3)
    pv = 0.9 * np.maximum(0, np.sin((hour - 7) / 11 * np.pi)) * (hour > 7) * (hour < 18)
    price = np.where((hour > 7) & (hour < 22), 0.27, 0.2)
    battery = Battery(capacity_kwh=8, soc_end_min=0.5, charge_efficiency=0.96, discharge_efficiency=0.96)
    return PlanningProblem(load - pv, battery, 24 / slots, price, np.full(slots, 0.12))


def values(net_kwh: np.ndarray, problem: PlanningProblem) -> np.ndarray:
    imported = np.maximum(net_kwh, 0)
    cost = np.where(
        net_kwh > 0, net_kwh * problem.import_price_eur_per_kwh, net_kwh * problem.export_price_eur_per_kwh
    ).sum()
    return np.array([cost, imported.sum(), imported.max() / problem.slot_hours])


@pytest.mark.parametrize(
    "weights",
    [{"cost": 1.0, "import": 1.0}, {"cost": 1.0, "peak": 0.5}, {"cost": 0.3, "import": 0.5, "peak": 1.0}],
)
def test_no_plan_of_the_front_has_a_lower_weighted_sum(weights: dict[str, float]) -> None:
    problem, preference = sunny_house(), Preference(weights=weights)
    front = plan_front(problem, ("cost", "import", "peak"), BatteryAgeing(), 1, FrontBudget(generations=15))
    terms = terms_of(problem, preference, None, 1)
    plan = EvolutionaryPlanner(1).plan(with_terms(problem, terms))
    in_euros = np.array([1.0, terms.import_premium_eur_per_kwh, terms.peak_charge_eur_per_kw])
    assert values(plan.net_kwh, problem) @ in_euros <= (front.values @ in_euros).min() + 1e-6
    assert in_euros[1:].any()


def test_the_knee_is_as_deep_as_any_plan_of_the_front() -> None:
    problem = sunny_house()
    front = plan_front(problem, ("cost", "import", "peak"), BatteryAgeing(), 1, FrontBudget(generations=15))
    terms = terms_of(problem, Preference(knee=True), None, 1)
    plan = EvolutionaryPlanner(1).plan(with_terms(problem, terms))
    in_euros = np.array([1.0, terms.import_premium_eur_per_kwh, terms.peak_charge_eur_per_kw])
    reached = values(plan.net_kwh, problem) @ in_euros
    assert reached <= (front.values @ in_euros).min() + 1e-6


def test_cost_alone_changes_nothing() -> None:
    problem = sunny_house()
    assert terms_of(problem, Preference(weights={"cost": 2.0}), None, 1) == Terms()
    assert with_terms(problem, Terms()) is problem


def test_without_a_cost_the_other_objective_is_nearly_all_that_counts() -> None:
    problem = sunny_house()
    plan = EvolutionaryPlanner(1).plan(
        with_terms(problem, terms_of(problem, Preference(weights={"peak": 1.0}), None, 1))
    )
    least = plan_front(problem, ("peak", "cost"), BatteryAgeing(), 1, FrontBudget(generations=5))
    assert values(plan.net_kwh, problem)[2] <= least.values[0, 0] * 1.02 + 1e-3


def test_the_more_wear_weighs_the_less_the_battery_is_used() -> None:
    problem, ageing = sunny_house(), BatteryAgeing(replacement_eur_per_kwh=300)
    used = []
    for weight in (0.1, 1.0, 5.0):
        terms = terms_of(problem, Preference(weights={"cost": 1.0, "wear": weight}), ageing, 1)
        worn = ageing.model_copy(
            update={"replacement_eur_per_kwh": ageing.replacement_eur_per_kwh * terms.wear_factor}
        )
        plan = AgeingPlanner(worn, 1).plan(with_terms(problem, terms))
        used.append(float(np.abs(plan.battery_kwh).sum()))
    assert used[0] > used[1] > used[2]


def test_a_member_without_a_battery_has_no_say() -> None:
    problem = PlanningProblem(np.ones(4), None, 1.0, np.full(4, 0.3), np.full(4, 0.1))
    assert terms_of(problem, Preference(knee=True), None, 1) == Terms()


def test_objectives_of_a_preference() -> None:
    assert objectives_of(Preference(knee=True), ages=True) == ("cost", "import", "peak", "wear")
    assert objectives_of(Preference(weights={"peak": 1.0, "import": 0.0}), ages=False) == ("cost", "peak")


def test_corners_that_span_no_plane_count_the_same() -> None:
    assert plane_normal(np.array([[0.0, 0.0], [0.0, 0.0]])).tolist() == [1.0, 1.0]
    assert plane_normal(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx([1.0, 1.0])

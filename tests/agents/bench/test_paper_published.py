"""The paper's formulation as its program has it: its start, bounds, constraints and slips."""

from __future__ import annotations

import numpy as np
import pytest

from agents.bench import paper
from agents.bench.paper import PublishedInputs, paper_plan
from agents.planning.problem import PlanningProblem
from runtime.devices import Battery

BATTERY = Battery(capacity_kwh=10.0)
INPUTS = PublishedInputs(load_kwh=np.array([1.0, 2.0, 3.0]), pv_kwh=np.array([0.0, 4.0, 1.0]))
PROBLEM = PlanningProblem(
    residual_load_kwh=INPUTS.load_kwh - INPUTS.pv_kwh,
    battery=BATTERY,
    slot_hours=1.0,
    import_price_eur_per_kwh=np.array([0.1, 0.2, 0.3]),
    export_price_eur_per_kwh=np.full(3, 0.05),
)


@pytest.fixture
def posed() -> paper._PublishedProblem:
    return paper._PublishedProblem(PROBLEM, INPUTS)


def test_exchange_is_bounded_by_production_and_load_and_storage_by_soc(
    posed: paper._PublishedProblem,
) -> None:
    assert posed.xl.tolist() == [-4.0] * 3 + [2.0] * 3
    assert posed.xu.tolist() == [3.0] * 3 + [8.0] * 3


def test_every_individual_starts_as_load_plus_production_and_an_empty_battery(
    posed: paper._PublishedProblem,
) -> None:
    start = posed.start(np.random.default_rng(1))
    assert start.shape == (600, 6)
    assert np.unique(start, axis=0).tolist() == [[1.0, 6.0, 4.0, 5.0, 0.0, 0.0]]


def test_each_slot_has_its_balance_and_slot_0_counts_as_the_start(posed: paper._PublishedProblem) -> None:
    # 5 kWh at the start, whatever slot 0 says; 2 kWh are charged in slot 1 and 1 kWh given in slot 2
    x = np.array([[1.0, 0.0, 1.0, 8.0, 7.0, 6.0], [1.5, 0.0, 1.0, 2.0, 7.0, 6.0]])
    assert posed.imbalance_kwh(x).tolist() == [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
    assert posed.excess_kwh2(x).shape == (2, 3)
    assert (posed.excess_kwh2(x) <= 0).all(axis=1).tolist() == [True, False]
    assert x[0, 3] == 8.0  # the variables are left as they are


def test_generations_bound_the_search_and_give_the_same_every_time() -> None:
    told: list[int] = []
    first = paper_plan(PROBLEM, generations=5, published=INPUTS, say=told.append)
    second = paper_plan(PROBLEM, generations=5, published=INPUTS)
    assert told == [1, 2, 3, 4, 5]
    assert first.generations == 5
    assert np.array_equal(first.stored_energy_kwh, second.stored_energy_kwh)
    assert ((first.stored_energy_kwh >= 2.0) & (first.stored_energy_kwh <= 8.0)).all()


def test_more_generations_balance_better() -> None:
    short = paper_plan(PROBLEM, generations=3, published=INPUTS)
    long = paper_plan(PROBLEM, generations=60, published=INPUTS)
    assert long.worst_balance_kwh < short.worst_balance_kwh


def test_without_any_bound_there_is_no_search() -> None:
    with pytest.raises(ValueError, match="bounded"):
        paper_plan(PROBLEM)

"""``peerwatt bench plan``: instances, figures, and what is said without HiGHS."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from agents.bench import plan as bench
from agents.bench.paper import paper_plan
from agents.bench.suites import SHAPES, Instance, intraday_instances, random_instances
from agents.bench.trade_offs import hypervolume_share, measure_ageing, measure_fronts
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner
from agents.planning.problem import PlanningProblem
from runtime.cli import app
from runtime.devices import Battery


def small(price_in, price_out, name="small") -> Instance:
    problem = PlanningProblem([0.5, -1.0, 1.5, 2.0], Battery(capacity_kwh=4), 1.0, price_in, price_out)
    return Instance(name, "suite", problem)


CONVEX = small([0.1, 0.2, 0.3, 0.4], [0.05] * 4)
NOT_CONVEX = small([0.1, 0.2, 0.3, 0.4], [0.25] * 4)


def test_random_instances_are_a_fixed_sequence_of_all_kinds():
    first, again = list(random_instances(60)), list(random_instances(90))
    for one, two in zip(first, again, strict=False):
        np.testing.assert_array_equal(one.problem.residual_load_kwh, two.problem.residual_load_kwh)
        np.testing.assert_array_equal(
            one.problem.import_price_eur_per_kwh, two.problem.import_price_eur_per_kwh
        )
    assert {i.problem.slots for i in first} == {96, 144, 288}
    assert {i.name.split(",")[0] for i in first} == set(SHAPES)
    assert all(2 <= i.problem.battery.capacity_kwh <= 30 for i in first)
    negative = [i.problem.import_price_eur_per_kwh.min() for i in first if i.name.startswith("negative")]
    assert min(negative) < 0
    for one in first:
        over = one.problem.export_price_eur_per_kwh > one.problem.import_price_eur_per_kwh
        assert over.any() == (one.suite == "feed-in above import")


def test_figures_of_a_convex_and_a_non_convex_instance():
    figures = bench.measure([CONVEX, NOT_CONVEX], 5.0, 0.2)
    assert [one.convex for one in figures] == [True, False]
    for one in figures:
        assert one.oracle_proven
        assert abs(one.loss) < 1e-6
        assert 0 <= one.certified_loss <= 1
        assert one.rule_loss > 0.1
        assert one.paper_loss > 0.1
        assert min(one.cold_s, one.warm_s, one.rule_s, one.oracle_s, one.rounds_s, one.paper_s) > 0
    groups = bench.summary(figures)
    assert [group["convex"] for group in groups] == [False, True]
    assert groups[0]["rule_loss"]["max"] == figures[1].rule_loss
    json.dumps(groups)


def test_aims_are_judged_by_what_was_found():
    (figures,) = bench.measure([CONVEX], 5.0, 0.0)
    met = {aim["what"]: aim["met"] for aim in bench.aims([figures], 0.4, 40.0)}
    assert met["convex: loss, worst"]
    assert not met["import [s]"]
    assert met["import, peak memory [MB]"]
    assert not any(what.startswith("not convex") for what in met)


def test_ageing_and_fronts_are_held_against_sweeps():
    instance = Instance("small", "suite", random_instance(1))
    (aged,) = measure_ageing([instance])
    assert aged.value_eur > 0
    assert aged.gain <= aged.possible_gain + 1e-9
    assert aged.possible_gain > -1e-6
    (front,) = measure_fronts([instance])
    assert front.plans > 1
    assert front.hypervolume_share > 0.9
    assert min(aged.plan_s, aged.sweep_s, aged.programme_s, front.plan_s, front.sweep_s) > 0
    met = {aim["what"]: aim for aim in bench.aims([], 0.3, 40.0, [aged], [front])}
    assert met["front: share of the sweep's hypervolume, least"]["at_least"]
    poor = replace(aged, possible_gain=0.09, gain=0.03)
    rich = replace(aged, possible_gain=0.01, gain=0.01)
    judged = {aim["what"]: aim["met"] for aim in bench.aims([], 0.3, 40.0, [poor, rich])}
    assert [value for what, value in judged.items() if what.startswith("ageing")] == [False]


def test_a_front_shares_the_hypervolume_that_it_dominates():
    sweep = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert hypervolume_share(sweep, sweep) == pytest.approx(1.0)
    assert hypervolume_share(np.array([[0.0, 0.0]]), sweep) > 1.0
    assert hypervolume_share(sweep[:1], sweep) < 1.0


def random_instance(number: int) -> PlanningProblem:
    """A member with surplus and an hour-long slot at intraday prices."""
    problem = next(intraday_instances(number)).problem
    hourly = {
        name: getattr(problem, name).reshape(24, 6)
        for name in ("residual_load_kwh", "import_price_eur_per_kwh", "export_price_eur_per_kwh")
    }
    return PlanningProblem(
        hourly["residual_load_kwh"].sum(axis=1),
        problem.battery,
        1.0,
        hourly["import_price_eur_per_kwh"].mean(axis=1),
        hourly["export_price_eur_per_kwh"].mean(axis=1),
    )


def test_without_highs_only_a_certificate_tells(monkeypatch):
    monkeypatch.setattr(bench, "has_oracle", lambda: False)
    convex, other = bench.measure([CONVEX, NOT_CONVEX], 5.0, 0.0)
    assert convex.loss is None
    assert convex.rule_loss > 0.1
    assert other.rule_loss is None
    assert other.oracle_s is None


def test_the_papers_formulation_gains_little():
    problem = CONVEX.problem
    found = paper_plan(problem, 0.3)
    idle = IdlePlanner().plan(problem).objective_eur
    best = EvolutionaryPlanner(1).plan(problem).objective_eur
    assert found.generations >= 1
    assert best < found.objective_eur
    assert found.feasible == (found.worst_balance_kwh <= 1e-3)
    assert found.objective_eur <= idle + 1e-6 or not found.feasible


def test_the_command_prints_figures(tmp_path):
    result = CliRunner().invoke(
        app,
        [
            *("bench", "plan", "--instances", "2", "--paper-seconds", "0", "--oracle-seconds", "1"),
            *("--no-trade-offs", "--json"),
        ],
    )
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert len(figures["instances"]) == 2
    assert 0 < figures["import_s"] < 60
    assert 10 < figures["import_mb"] < 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--data", "/nowhere"], "--data"), (["--instances", "0"], "--instances")],
)
def test_bad_arguments_are_named(arguments, message):
    result = CliRunner().invoke(app, ["bench", "plan", *arguments])
    assert message in str(result.exception)

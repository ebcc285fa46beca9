"""Plans by round: whom prices do not move proposes the same again; its costs are worked out when needed."""

from datetime import UTC, datetime

import numpy as np
import pytest

from agents.planning.planner import planner_for
from agents.planning.problem import PlanningProblem
from agents.planning.signals import hinges_of
from agents.session.own_session import OwnSession
from runtime.configuration import ClockConfig, MemberConfig, MemberSession, Timing
from runtime.devices import Battery
from runtime.horizon import Horizon
from runtime.protocol.bodies import PriceSignal, PriceStep

HORIZON = Horizon(start=datetime(2024, 1, 1, 11, tzinfo=UTC), zone="Europe/Paris", slot_minutes=60, slots=4)
BATTERY = Battery(capacity_kwh=4, charge_limit_kw=2, discharge_limit_kw=2)
LOAD_KWH = [1.0, 0.5, 2.0, 0.0]


class Counting:
    """A planner that counts what it was asked for."""

    def __init__(self, strategy):
        self.planner, self.asked = planner_for(strategy, 1), 0

    def plan(self, problem, warm=None):
        self.asked += 1
        return self.planner.plan(problem, warm)


def session_of(strategy, battery):
    config = MemberConfig(
        name="house",
        kind="house",
        coordinator="coordinator",
        strategy=strategy,
        trades=True,
        battery=battery,
        pv=None,
        seed=1,
        timing=Timing(),
        clock=ClockConfig(),
        sessions=[MemberSession(horizon=HORIZON, load_kwh=LOAD_KWH)],
        roles=["load"],
    )
    return OwnSession(config, 0, HORIZON, [])


def signal(number, *, wants_limits=False):
    rng = np.random.default_rng(number)
    return PriceSignal(
        session=0,
        round=number,
        import_price_eur_per_kwh=rng.uniform(0.1, 0.3, 4).tolist(),
        export_price_eur_per_kwh=rng.uniform(0.0, 0.1, 4).tolist(),
        proximal_weight_eur_per_kwh2=0.02,
        step_limit_kwh=0.4,
        steps=(PriceStep(threshold_kwh=[0.7] * 4, above_eur_per_kwh=[0.1] * 4, below_eur_per_kwh=[0.0] * 4),),
        demand_charge_eur_per_kw=0.3,
        wants_limits=wants_limits,
    )


def bargained(planning, planner, rounds, **wishes):
    for number in range(rounds):
        planning.keep(number, planning.plan_at(signal(number, **wishes), planning.last, planner))


@pytest.mark.parametrize(
    ("strategy", "battery"), [("optimised", None), ("rule", BATTERY), ("idle", BATTERY), ("rule", None)]
)
def test_whom_prices_do_not_move_plans_once_and_costs_are_as_if_planned_anew(strategy, battery):
    planner = Counting(strategy)
    planning = session_of(strategy, battery).planning
    bargained(planning, planner, 4)
    assert planner.asked == 1
    planning.choose(3)
    assert planner.asked == 2
    told = signal(3)
    last_net_kwh = planning.rounds[2].net_kwh
    problem = PlanningProblem(
        np.array(LOAD_KWH),
        battery,
        1.0,
        np.array(told.import_price_eur_per_kwh),
        np.array(told.export_price_eur_per_kwh),
        told.proximal_weight_eur_per_kwh2,
        last_net_kwh,
        hinges=hinges_of(told, last_net_kwh),
        peak_charge_eur_per_kw=told.demand_charge_eur_per_kw,
    )
    anew = planner_for(strategy, 1).plan(problem)
    kept = planning.agreed()
    assert planning.rounds[3].net_kwh.tolist() == anew.net_kwh.tolist() == planning.chosen.net_kwh.tolist()
    assert (kept.round, kept.cost_eur, kept.objective_eur) == (3, anew.cost_eur, anew.objective_eur)
    assert kept.import_price_eur_per_kwh == told.import_price_eur_per_kwh
    assert kept.reference_net_kwh == last_net_kwh.tolist()
    assert len(kept.steps) == 3


def test_whom_prices_move_plans_in_every_round():
    planner = Counting("optimised")
    planning = session_of("optimised", BATTERY).planning
    bargained(planning, planner, 3)
    assert planner.asked == 3
    assert planning.rounds[0].net_kwh.tolist() != planning.rounds[2].net_kwh.tolist()


def test_limit_prices_are_those_of_the_grid_whatever_is_put_off():
    planning = session_of("optimised", None).planning
    bargained(planning, Counting("optimised"), 2, wants_limits=True)
    assert planning.rounds[1].limit_price_eur_per_kwh.tolist() == signal(0).import_price_eur_per_kwh


def test_signals_after_slots_began_without_a_plan_are_answered_by_the_members_own_strategy():
    session = session_of("rule", BATTERY)
    planning = session.planning
    planning.choose(None)
    assert planning.agreed() is None
    planning.keep(1, planning.plan_at(signal(1), planning.last, planner_for("rule", 1)))
    first = planning.rounds[1].net_kwh.tolist()
    assert first == planning.rounds[1].plan.net_kwh.tolist() != planning.rounds[0].net_kwh.tolist()

"""A community whose members forecast: they plan on their history, and are settled on what is metered."""

from __future__ import annotations

import numpy as np
import pytest

from agents.explaining import restored
from agents.planning.planner import planner_for
from runtime.configuration import MemberHistory, MemberSession
from tests.machines.communities import Community

PAST_KWH = {"load": 1.25, "pv": 0.5}


def forecasting(seed: int) -> Community:
    """Members with ten days of history in which every slot was the same."""
    community = Community(seed, members=4, slots=6, sessions=2)
    past = {role: [energy] * (10 * 48) for role, energy in PAST_KWH.items()}
    community.member_configs = [
        config.model_copy(
            update={
                "forecast": "similar-day",
                "sessions": [
                    MemberSession(
                        horizon=horizon,
                        history=MemberHistory(
                            load_kwh=past["load"] if "load" in config.roles else None,
                            pv_production_kwh=past["pv"] if "pv" in config.roles else None,
                        ),
                    )
                    for horizon in community.horizons
                ],
            }
        )
        for config in community.member_configs
    ]
    return community


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_members_plan_on_their_forecast_and_settle_what_was_metered(seed: int) -> None:
    community = forecasting(seed)
    record, members = community.run()
    assert len(record.sessions) == 2
    for config in community.member_configs:
        for number, own in enumerate(members[config.name].sessions):
            foreseen = np.zeros(6)
            for role, sign in (("load", 1), ("pv", -1)):
                series = getattr(own.forecast, f"{role}_series")
                assert (series is not None) == (role in config.roles)
                if series is not None:
                    assert series.energy_kwh == pytest.approx([PAST_KWH[role]] * 6)
                    assert series.past.mae_kwh == pytest.approx(0)
                    foreseen += sign * PAST_KWH[role]
            assert own.plan.residual_load_kwh == pytest.approx(foreseen)
            metered = community.metered_kwh[config.name][number]
            assert own.load_kwh == metered.get("load", [0.0] * 6)
            deliveries = [each for each in record.sessions[number].deliveries if each.member == config.name]
            assert [float(each.net_kwh) for each in deliveries] == pytest.approx(own.net_kwh)
            if config.strategy != "rule":  # whose battery makes up for what was not foreseen
                assert own.net_kwh != pytest.approx(own.planned_net_kwh)


def test_the_record_keeps_the_plan_and_the_problem_it_answers() -> None:
    community = forecasting(3)
    record, members = community.run()
    for config in community.member_configs:
        for number, own in enumerate(members[config.name].sessions):
            session = record.sessions[number]
            kept = own.plan
            told = next(each for each in session.rounds if each.number == kept.round)
            assert kept.import_price_eur_per_kwh == pytest.approx(told.import_price_eur_per_kwh)
            assert kept.export_price_eur_per_kwh == pytest.approx(told.export_price_eur_per_kwh)
            problem, plan = restored(kept, config.battery, session.horizon.slot_hours)
            assert plan.net_kwh == pytest.approx(np.array(own.planned_net_kwh))
            if config.battery is not None and config.strategy == "optimised":
                best = planner_for("optimised", config.seed).plan(problem)
                assert plan.objective_eur == pytest.approx(best.objective_eur, abs=1e-6)
                assert kept.certificate == "optimal"
                assert kept.certified_loss == pytest.approx(best.certified_loss, abs=1e-9)
                assert kept.lower_bound_eur == pytest.approx(kept.objective_eur, abs=1e-6)
            assert kept.objective_eur == pytest.approx(plan.objective_eur)
            assert kept.cost_eur == pytest.approx(plan.cost_eur)

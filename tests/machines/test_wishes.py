"""What members want beside low cost, in whole communities: plans heed it, and records can tell why."""

from __future__ import annotations

import numpy as np
import pytest

from agents.explaining import restored
from runtime.preferences import BatteryAgeing, PlanningWishes, Preference
from tests.machines.communities import Community


def community(wishes: PlanningWishes, seed: int = 6) -> Community:
    made = Community(seed, members=4, slots=12, deviation=0.0)
    made.member_configs = [
        member.model_copy(update={"strategy": "optimised", "planning": wishes})
        for member in made.member_configs
    ]
    return made


def with_battery(made: Community) -> list[str]:
    return [member.name for member in made.member_configs if member.battery is not None]


def test_a_member_that_counts_wear_uses_its_battery_less() -> None:
    _, plain = community(PlanningWishes()).run()
    dear = PlanningWishes(ageing=BatteryAgeing(replacement_eur_per_kwh=3000))
    made = community(dear)
    _, sparing = made.run()
    used = {
        name: [np.sum(records[name].sessions[0].battery_discharge_kwh) for records in (plain, sparing)]
        for name in with_battery(made)
    }
    assert used
    assert all(less <= more + 1e-9 for more, less in used.values())
    assert any(less < more - 0.1 for more, less in used.values())


def test_a_preference_holds_in_every_round_and_its_reasons_can_be_told() -> None:
    wishes = PlanningWishes(preference=Preference(weights={"cost": 1.0, "import": 3.0, "peak": 1.0}))
    made = community(wishes)
    _, plain = community(PlanningWishes()).run()
    _, members = made.run()
    frugal = 0
    for name in with_battery(made):
        own = members[name].sessions[0]
        assert own.plan is not None
        if not own.plan.steps:  # nothing that its battery could trade off
            continue
        battery = next(each.battery for each in made.member_configs if each.name == name)
        problem, plan = restored(own.plan, battery, made.horizons[0].slot_hours)
        assert plan.objective_eur == pytest.approx(own.plan.objective_eur)
        assert len(problem.hinges) == len(own.plan.steps)
        imported = [np.maximum(r[name].sessions[0].planned_net_kwh, 0).sum() for r in (plain, members)]
        frugal += imported[1] < imported[0] - 1e-6
    assert frugal


def test_a_rule_heeds_no_wish() -> None:
    made = community(PlanningWishes(preference=Preference(knee=True), ageing=BatteryAgeing()))
    ruled = [member.model_copy(update={"strategy": "rule"}) for member in made.member_configs]
    made.member_configs = ruled
    bare = community(PlanningWishes())
    bare.member_configs = [m.model_copy(update={"planning": PlanningWishes()}) for m in ruled]
    assert made.run()[0] == bare.run()[0]

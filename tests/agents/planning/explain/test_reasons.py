"""Reasons: right where the optimum is known, there for every slot, and true of the plan they are about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.devices.battery import clip_trajectories, lower_envelope_kwh, retention
from agents.planning.explain.reasons import SlotReason, reasons
from agents.planning.planner import planner_for
from agents.planning.problem import PlanningProblem, objectives_eur, plan_of
from agents.planning.tariff import BlockTariff
from agents.planning.wear import WearCost
from runtime.devices import Battery
from tests.agents.planning.planning_cases import random_problem


def problem(residual, price, battery=None, export=0.05, **more) -> PlanningProblem:
    """Hourly slots; a battery of 10 kWh between 0 and 10, half full, 2 kW, unless said otherwise."""
    given = {
        "capacity_kwh": 10,
        "soc_min": 0,
        "soc_max": 1,
        "charge_limit_kw": 2,
        "discharge_limit_kw": 2,
    }
    return PlanningProblem(
        residual_load_kwh=np.array(residual, dtype=float),
        battery=Battery(**(given | (battery or {}))),
        slot_hours=1.0,
        import_price_eur_per_kwh=np.array(price, dtype=float),
        export_price_eur_per_kwh=np.full(len(price), export),
        **more,
    )


def explained(case: PlanningProblem, strategy="optimised") -> list[SlotReason]:
    return reasons(case, planner_for(strategy, 1).plan(case))


def test_dear_slots_discharge_at_the_power_limit_and_cheap_ones_charge() -> None:
    """5 kWh at the start and at the end; 2 kW; the cheap slots 0 and 2 each feed the dear one after."""
    found = explained(problem([3, 3, 3, 3], [0.2, 0.4, 0.1, 0.3], {"soc_end_min": 0.5}))
    assert [(reason.action, reason.binding) for reason in found] == [
        ("charge", "power-limit"),
        ("discharge", "power-limit"),
        ("charge", "power-limit"),
        ("discharge", "end-soc"),
    ]
    assert [reason.energy_kwh for reason in found] == pytest.approx([2, 2, 2, 2])
    assert [reason.price_eur_per_kwh for reason in found] == pytest.approx([0.2, 0.4, 0.1, 0.3])
    dear, cheap = found[1], found[2]
    # keeping a kWh: imported now for 0.4, charged less in slot 2 for 0.1
    assert (dear.more.own_eur_per_kwh, dear.more.later_eur_per_kwh) == pytest.approx((0.4, 0.1))
    assert dear.more.later_slot == 2
    # a kWh less charged: saves 0.1 now, is missed in slot 3 for 0.3
    assert (cheap.less.own_eur_per_kwh, cheap.less.later_eur_per_kwh) == pytest.approx((0.1, 0.3))
    assert cheap.less.later_slot == 3


def test_energy_is_reserved_for_a_dearer_slot() -> None:
    """1 kWh is there, a further one would cost 0.5 / 0.5 = 1.0 EUR: it is kept for slot 1."""
    found = explained(problem([3, 3], [0.5, 0.9], {"soc_start": 0.1, "charge_efficiency": 0.5}))
    assert (found[0].action, found[0].binding, found[0].later_slot) == ("rest", "reserve", 1)
    assert (found[0].less.own_eur_per_kwh, found[0].less.later_eur_per_kwh) == pytest.approx((0.5, 0.9))
    assert (found[0].more.own_eur_per_kwh, found[0].more.later_eur_per_kwh) == pytest.approx((0.5, 0.45))
    assert (found[1].action, found[1].binding) == ("discharge", "soc-min")
    assert (found[1].more.later_slot, found[1].more.later_eur_per_kwh) == (None, 0)


def test_a_battery_rests_where_no_later_slot_pays_for_its_losses() -> None:
    """Full price everywhere, half the energy lost: not worth a charge; nothing stored to discharge."""
    found = explained(problem([3, 3], [0.3, 0.3], {"soc_start": 0, "charge_efficiency": 0.5}))
    assert [(reason.action, reason.binding) for reason in found] == [("rest", "soc-min")] * 2
    # a surplus in slot 0 would be missed at 0.05 now and saves 0.3 x 0.5 later: charged; at 0.2: not
    found = explained(problem([-1, 3], [0.3, 0.3], {"soc_start": 0, "charge_efficiency": 0.5}, export=0.2))
    assert (found[0].action, found[0].binding, found[0].later_slot) == ("rest", "price", 1)
    assert (found[0].more.own_eur_per_kwh, found[0].more.later_eur_per_kwh) == pytest.approx((0.2, 0.15))


def test_a_surplus_is_charged_until_it_ends_or_the_battery_is_full() -> None:
    """8 kWh at the start, 2 kWh of surplus, 10 kWh wanted later at 2 kW."""
    found = explained(problem([-1, -1, 3, 3, 3, 3, 3], [0.3] * 7, {"soc_start": 0.8}))
    assert (found[0].action, found[0].binding) == ("charge", "zero-net")
    assert found[0].more.own_eur_per_kwh == pytest.approx(0.3)  # more would be imported
    assert (found[0].less.own_eur_per_kwh, found[0].less.later_eur_per_kwh) == pytest.approx((0.05, 0.3))
    assert (found[1].action, found[1].binding, found[1].stored_kwh) == (
        "charge",
        "soc-max",
        pytest.approx(10),
    )
    assert [reason.action for reason in found[2:]] == ["discharge"] * 5


def test_the_load_is_covered_and_no_more() -> None:
    (only,) = explained(problem([1], [0.3], export=0.0))
    assert (only.action, only.energy_kwh) == ("discharge", pytest.approx(1))
    assert only.binding == "equal-price"  # exporting for nothing is worth as much as keeping
    (only,) = explained(problem([1], [0.3], export=-0.1))
    assert (only.action, only.binding, only.energy_kwh) == ("discharge", "zero-net", pytest.approx(1))
    assert only.less.own_eur_per_kwh == pytest.approx(-0.1)


def test_a_charge_that_the_end_soc_or_self_discharge_demands() -> None:
    found = explained(problem([1, 1], [0.3, 0.3], {"soc_start": 0.2, "soc_end_min": 0.6}))
    assert [(reason.action, reason.binding) for reason in found] == [("charge", "end-soc")] * 2
    found = explained(
        problem([1, 1], [0.3, 0.3], {"soc_min": 0.5, "soc_start": 0.5, "self_discharge_per_slot": 0.1})
    )
    assert [(reason.action, reason.binding) for reason in found] == [("charge", "self-discharge")] * 2
    assert found[0].energy_kwh == pytest.approx(0.5)


def test_the_proximal_term_holds_a_position() -> None:
    """1 kWh is spread until 0.3 + (net - reference) is the same in both slots."""
    case = problem(
        [3, 3],
        [0.3, 0.3],
        {"soc_start": 0.1},
        proximal_weight_eur_per_kwh2=1.0,
        reference_net_kwh=np.array([2.8, 2.8]),
    )
    first, second = explained(case)
    assert (first.binding, first.later_slot) == ("proximal", 1)
    assert (first.energy_kwh, second.energy_kwh) == pytest.approx((0.5, 0.5))
    assert first.pull_eur_per_kwh == pytest.approx(-0.3)
    assert second.binding == "soc-min"


def test_block_threshold_peak_and_wear_stop_a_slot() -> None:
    block = BlockTariff(np.array([2.0]), np.array([0.4]), np.array([0.4]))
    (only,) = explained(problem([3], [-0.1], export=-0.1, block=block))
    assert (only.action, only.binding) == ("discharge", "block-threshold")
    assert only.net_kwh == pytest.approx(2)
    case = problem(
        [1, 3, 1], [0.1, 0.1, 0.1], {"soc_start": 0, "charge_limit_kw": 9, "discharge_limit_kw": 9}
    )
    first, second, _ = explained(replace(case, peak_charge_eur_per_kw=5.0))
    assert (first.action, first.binding, first.energy_kwh) == ("charge", "peak", pytest.approx(1))
    assert (second.action, second.net_kwh) == ("discharge", pytest.approx(2))
    wear = WearCost(discharge_price_eur_per_kwh=(0.05, 0.5), discharge_rate_per_h=(0.1,))
    (only,) = explained(problem([3], [0.3], wear=wear))
    assert (only.action, only.binding, only.energy_kwh) == ("discharge", "wear", pytest.approx(1))


def test_members_without_battery_and_plans_that_do_not_look_at_prices() -> None:
    alone = replace(problem([1, -1], [0.3, 0.3]), battery=None)
    found = explained(alone)
    assert [(reason.binding, reason.price_eur_per_kwh) for reason in found] == [
        ("no-battery", 0.3),
        ("no-battery", 0.05),
    ]
    first, _ = explained(problem([1, 3], [0.1, 0.9], {"soc_start": 0.1}), "rule")
    assert (first.action, first.binding, first.later_slot) == ("discharge", "forgone", 1)
    assert (first.more.own_eur_per_kwh, first.more.later_eur_per_kwh) == pytest.approx((0.1, 0.9))


def change_at(case: PlanningProblem, stored_kwh: np.ndarray, reason: SlotReason, upward: bool) -> float:
    """Objective per kWh at the building's side of storing a little more or less until the later slot."""
    side, battery = (reason.more if upward else reason.less), case.battery
    last = case.slots if side.later_slot is None else side.later_slot
    step = 3e-6 * (battery.stored_max_kwh - battery.stored_min_kwh)
    decay = retention(battery) ** np.arange(last - reason.slot)
    moved = stored_kwh.copy()
    moved[reason.slot : last] += (step if upward else -step) * decay
    lower = lower_envelope_kwh(battery, case.slots, case.slot_hours)
    feasible = clip_trajectories(moved, battery, case.slot_hours, lower)
    if not np.allclose(feasible, moved, atol=1e-3 * step, rtol=0):
        return np.nan
    before, after = objectives_eur(np.stack([stored_kwh, moved], axis=1), case)
    charging = reason.action == "charge" or (reason.action == "rest" and upward)
    per_kwh = battery.charge_efficiency if charging else 1 / battery.discharge_efficiency
    return float(after - before) / step * per_kwh


@pytest.mark.parametrize("kind", ["convex", "negative", "feed-in", "proximal"])
@pytest.mark.parametrize("strategy", ["optimised", "rule"])
def test_what_reasons_say_a_change_would_cost_is_what_it_costs(kind: str, strategy: str) -> None:
    checked = 0
    for seed in range(8):
        case = random_problem(seed, kind, 48)
        plan = planner_for(strategy, 1).plan(case)
        found = reasons(case, plan)
        assert [reason.slot for reason in found] == list(range(48))
        for reason in found:
            assert reason.stored_kwh == plan.stored_energy_kwh[reason.slot]
            assert reason.energy_kwh == abs(plan.battery_kwh[reason.slot])
            for upward, side in ((True, reason.more), (False, reason.less)):
                if side.limits or side.later_eur_per_kwh is None:
                    continue
                cost = change_at(case, plan.stored_energy_kwh, reason, upward)
                if np.isnan(cost):
                    continue  # a limit is nearer than the step
                said = side.own_eur_per_kwh - side.later_eur_per_kwh
                # one tolerance for each slot the value was carried over, and the proximal term's bend
                bend = case.weight_eur_per_kwh2.max() * 1e-5 * case.battery.capacity_kwh
                assert cost == pytest.approx(said if upward else -said, abs=1e-3 + bend)
                checked += 1
    assert checked > 150


@pytest.mark.parametrize("kind", ["convex", "proximal"])
def test_an_optimal_plan_forgoes_nothing_and_a_worse_one_does(kind: str) -> None:
    for seed in range(12):
        case = random_problem(seed, kind, 96)
        plan = planner_for("optimised", 1).plan(case)
        if plan.certificate == "optimal":
            assert "forgone" not in {reason.binding for reason in reasons(case, plan)}
        idle = planner_for("idle", 1).plan(case)
        if idle.objective_eur > plan.objective_eur + 1e-3 * abs(plan.objective_eur):
            assert "forgone" in {
                reason.binding for reason in reasons(case, plan_of(case, idle.stored_energy_kwh))
            }

"""Battery, vehicles and appliances planned together, against the optimum that HiGHS proves."""

from dataclasses import replace

import numpy as np
import pytest

from agents.bench.flexible_suite import flexible_instances
from agents.bench.oracle import optimum_eur
from agents.devices.appliance import run_kwh
from agents.devices.battery import (
    battery_energy_kwh,
    idle_trajectory,
    lower_envelope_kwh,
    stored_change_kwh,
    stored_change_limits_kwh,
)
from agents.devices.vehicle import charge_at_once_kwh
from agents.planning.flexible.devices import Devices
from agents.planning.flexible.replies import replied
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner, RulePlanner
from agents.planning.problem import PlanningProblem
from agents.planning.tariff import BlockTariff
from agents.planning.wear import StandingPrice, WearCost
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.errors import InputError


def problems(count, vehicles, appliances, suite="below import"):
    found = [i for i in flexible_instances(3 * count, vehicles, appliances, 96) if i.suite.endswith(suite)]
    return [pytest.param(i.problem, id=i.name) for i in found[:count]]


def assert_feasible(plan, problem):
    slots, hours = problem.slots, problem.slot_hours
    flexible = np.zeros(slots)
    assert plan.vehicle_kwh.shape == (len(problem.vehicles), slots)
    for drawn, vehicle in zip(plan.vehicle_kwh, problem.vehicles, strict=True):
        inside = slice(vehicle.arrival_slot, vehicle.departure_slot)
        assert drawn.min() >= 0
        assert drawn.max() <= vehicle.charge_limit_kw * hours + 1e-9
        assert drawn.sum() == pytest.approx(drawn[inside].sum(), abs=1e-12)
        stored = drawn.sum() * vehicle.charge_efficiency
        assert stored >= vehicle.energy_kwh - 1e-9
        assert stored <= (vehicle.room_kwh or vehicle.energy_kwh) + 1e-9
        flexible += drawn
    for start, appliance in zip(plan.appliance_start_slot, problem.appliances, strict=True):
        flexible += run_kwh(appliance, start, slots)
    battery, delivered = problem.battery, np.zeros(slots)
    if battery is not None:
        lower = lower_envelope_kwh(battery, slots, hours)
        assert np.all(plan.stored_energy_kwh >= lower - 1e-9)
        assert np.all(plan.stored_energy_kwh <= battery.stored_max_kwh + 1e-9)
        change = stored_change_kwh(plan.stored_energy_kwh, battery)
        least, greatest = stored_change_limits_kwh(battery, hours)
        assert np.all((change >= least - 1e-9) & (change <= greatest + 1e-9))
        delivered = battery_energy_kwh(plan.stored_energy_kwh, battery)
    np.testing.assert_allclose(plan.net_kwh, problem.residual_load_kwh + flexible - delivered, atol=1e-9)


def loss(plan, problem):
    optimum = optimum_eur(problem, 30.0)
    return (plan.objective_eur - optimum) / (plan.idle_objective_eur - optimum)


@pytest.mark.parametrize("problem", problems(8, 1, 2))
def test_a_battery_a_vehicle_and_two_appliances_are_planned_at_the_optimum(problem):
    plan = EvolutionaryPlanner(1).plan(problem)
    assert_feasible(plan, problem)
    found = loss(plan, problem)
    assert -1e-6 <= found <= 1e-3
    # What the plan says of itself is true.
    assert found <= plan.certified_loss + 1e-7


@pytest.mark.parametrize("problem", problems(4, 3, 0))
def test_battery_and_vehicles_alone_are_exact_and_certified(problem):
    plan = EvolutionaryPlanner(1).plan(problem)
    assert_feasible(plan, problem)
    if plan.certified_loss > 1e-5:  # negative prices and losses: not convex
        assert loss(plan, problem) <= 0.01
    else:
        assert loss(plan, problem) == pytest.approx(0.0, abs=1e-5)


def test_most_plans_of_battery_and_vehicles_are_certified():
    certified = [
        EvolutionaryPlanner(1).plan(parameter.values[0]).certified_loss for parameter in problems(8, 2, 0)
    ]
    assert np.median(certified) < 1e-5


@pytest.mark.parametrize("problem", problems(2, 1, 5))
def test_more_starts_than_can_be_listed_are_searched(problem):
    plan = EvolutionaryPlanner(1).plan(problem)
    assert np.prod([a.latest_start_slot - a.earliest_start_slot + 1.0 for a in problem.appliances]) > 40_000
    assert_feasible(plan, problem)
    assert loss(plan, problem) <= 0.01


@pytest.mark.parametrize("problem", problems(3, 1, 1, "above import"))
def test_a_feed_in_tariff_above_the_import_price_loses_little(problem):
    plan = EvolutionaryPlanner(1).plan(problem)
    assert_feasible(plan, problem)
    assert -1e-6 <= loss(plan, problem) <= 0.01
    assert plan.lower_bound_eur <= optimum_eur(problem, 30.0) + 1e-6


def with_block(problem):
    threshold = np.random.default_rng(3).normal(0, 1, problem.slots) * problem.slot_hours
    low = np.minimum(problem.export_price_eur_per_kwh, 0.05)
    high = np.maximum(problem.import_price_eur_per_kwh, 0.05)
    return replace(
        problem,
        import_price_eur_per_kwh=low,
        export_price_eur_per_kwh=low,
        block=BlockTariff(threshold, high, high),
    )


VARIANTS = {
    "demand charge": lambda p: replace(p, peak_charge_eur_per_kw=0.6, peak_reached_kw=1.0),
    "demand charge without battery": lambda p: replace(p, peak_charge_eur_per_kw=0.6, battery=None),
    "block tariff": with_block,
    "wear": lambda p: replace(p, wear=WearCost((0.02, 0.05), (0.3,), (StandingPrice(0.3, 0.001),))),
    "without battery": lambda p: replace(p, battery=None),
    "proximal": lambda p: replace(
        p, proximal_weight_eur_per_kwh2=0.02, reference_net_kwh=p.residual_load_kwh
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_part_of_the_objective_is_planned_with(variant):
    problem = VARIANTS[variant](problems(3, 1, 1)[2].values[0])
    plan = EvolutionaryPlanner(1).plan(problem)
    assert_feasible(plan, problem)
    found = loss(plan, problem)
    assert -1e-6 <= found <= 1e-4
    assert found <= plan.certified_loss + 1e-6


def test_the_same_seed_gives_the_same_plan():
    problem = problems(1, 2, 5)[0].values[0]
    one, other = EvolutionaryPlanner(4).plan(problem), EvolutionaryPlanner(4).plan(problem)
    np.testing.assert_array_equal(one.net_kwh, other.net_kwh)
    assert one.appliance_start_slot == other.appliance_start_slot


def test_a_warm_start_answers_changed_prices():
    problem = problems(3, 1, 2)[2].values[0]
    earlier = EvolutionaryPlanner(1).plan(problem)
    noise = 1 + 0.05 * np.random.default_rng(1).normal(size=problem.slots)
    price = problem.import_price_eur_per_kwh * noise
    changed = replace(
        problem,
        import_price_eur_per_kwh=price,
        export_price_eur_per_kwh=np.minimum(price, problem.export_price_eur_per_kwh),
    )
    plan = EvolutionaryPlanner(1).plan(changed, earlier)
    assert_feasible(plan, changed)
    assert loss(plan, changed) <= 1e-3


def test_a_warm_plan_of_other_slots_or_vehicles_is_refused():
    problem = problems(1, 1, 0)[0].values[0]
    plan = EvolutionaryPlanner(1).plan(problem)
    with pytest.raises(InputError, match="expected 2 vehicles, found 1"):
        EvolutionaryPlanner(1).plan(replace(problem, vehicles=problem.vehicles * 2), plan)


def test_battery_and_vehicle_do_not_wait_for_each_other_at_a_kink():
    """Taking turns ends at 1.00 EUR here: battery and car each stand on a kink that the other made."""
    car = ElectricVehicle(name="car", arrival_slot=0, departure_slot=4, energy_kwh=1.0, charge_limit_kw=1.0)
    problem = PlanningProblem(
        residual_load_kwh=np.array([0.0, 2.0, 2.0, -1.0]),
        battery=Battery(
            capacity_kwh=2.0, soc_min=0, soc_max=1, soc_end_min=0.5, charge_limit_kw=1, discharge_limit_kw=1
        ),
        slot_hours=1.0,
        import_price_eur_per_kwh=np.array([0.1, 0.3, 0.3, 0.4]),
        export_price_eur_per_kwh=np.full(4, 0.05),
        vehicles=(car,),
    )
    devices = Devices(problem)
    turns = replied(devices, devices.at_once)
    for _ in range(5):
        alone = EvolutionaryPlanner(1).plan(devices.beside(devices.flexible_kwh(turns)))
        turns = replied(devices, replace(turns, stored_energy_kwh=alone.stored_energy_kwh))
    assert devices.objective_eur(turns) == pytest.approx(1.0)
    plan = EvolutionaryPlanner(1).plan(problem)
    assert plan.objective_eur == pytest.approx(0.8)
    assert optimum_eur(problem) == pytest.approx(0.8)
    assert plan.certificate == "optimal"


@pytest.mark.parametrize("planner", [IdlePlanner(), RulePlanner()])
def test_without_optimisation_loads_run_at_once(planner):
    problem = problems(2, 1, 2)[1].values[0]
    plan = planner.plan(problem)
    assert_feasible(plan, problem)
    at_once = charge_at_once_kwh(problem.vehicles[0], problem.slots, problem.slot_hours)
    np.testing.assert_array_equal(plan.vehicle_kwh[0], at_once)
    assert plan.appliance_start_slot == tuple(a.earliest_start_slot for a in problem.appliances)
    idle = idle_trajectory(problem.battery, problem.slots, problem.slot_hours)
    assert np.array_equal(plan.stored_energy_kwh, idle) == isinstance(planner, IdlePlanner)


def test_a_vehicle_is_paid_to_take_what_it_has_room_for():
    prices = np.array([0.2, -0.1, -0.1, 0.2])
    car = ElectricVehicle(
        name="car", arrival_slot=0, departure_slot=4, energy_kwh=1.0, charge_limit_kw=3.0, room_kwh=5.0
    )
    problem = PlanningProblem(np.ones(4), None, 1.0, prices, np.minimum(prices, 0.05), vehicles=(car,))
    plan = EvolutionaryPlanner(1).plan(problem)
    assert plan.vehicle_kwh[0].sum() == pytest.approx(5.0)
    assert plan.vehicle_kwh[0, [0, 3]] == pytest.approx([0.0, 0.0])


def test_what_the_horizon_has_no_room_for_is_refused():
    flat = np.full(4, 0.2)
    late = ElectricVehicle(name="car", arrival_slot=2, departure_slot=5, energy_kwh=1.0, charge_limit_kw=3.0)
    with pytest.raises(InputError, match="departure_slot: found 5, expected at most 4"):
        EvolutionaryPlanner(1).plan(PlanningProblem(flat, None, 1.0, flat, flat, vehicles=(late,)))
    hungry = late.model_copy(update={"departure_slot": 4, "energy_kwh": 6.1})
    with pytest.raises(InputError, match=r"energy_kwh: found 6.1, expected at most 6.0"):
        EvolutionaryPlanner(1).plan(PlanningProblem(flat, None, 1.0, flat, flat, vehicles=(hungry,)))
    washer = Appliance(name="washer", energy_kwh=(1.0, 1.0), earliest_start_slot=1, latest_start_slot=3)
    with pytest.raises(InputError, match="found slot 3, expected at most 2"):
        EvolutionaryPlanner(1).plan(PlanningProblem(flat, None, 1.0, flat, flat, appliances=(washer,)))

"""The coordinated optimum: worked cases, the paper's buildings, another solver, any feasible plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.bench.oracle import solve
from agents.devices.battery import battery_energy_kwh, clip_trajectories, lower_envelope_kwh
from coordinator.costs import CommunityTariff
from coordinator.optimum import (
    Optimum,
    OptimumTimeoutError,
    Store,
    battery_store,
    optimise,
    vehicle_store,
)
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.errors import InputError
from tests.agents.planning.planning_cases import lorient_problem, priced_problem, random_problem
from tests.coordinator.optimum.batteries_together import coordinated_optimum

IDEAL = Battery(capacity_kwh=10, soc_min=0, soc_max=1, soc_start=0)
LOSSY = Battery(capacity_kwh=10, charge_efficiency=0.95, discharge_efficiency=0.95, charge_limit_kw=5)


Case = tuple[np.ndarray, list[Battery | None], CommunityTariff]

# -- the paper's four buildings ----------------------------------------------------------------------------


def lorient(folder: Path, feed_in: float | str = 0.035) -> Case:
    problems = [lorient_problem(folder, building, feed_in) for building in range(4)]
    one = problems[0]
    tariff = CommunityTariff.of(one.import_price_eur_per_kwh, one.export_price_eur_per_kwh, one.slot_hours)
    return np.array([p.residual_load_kwh for p in problems]), [p.battery for p in problems], tariff


def test_lorient_without_netting_where_feed_in_exceeds_the_price(lorient_folder: Path) -> None:
    found = coordinated_optimum(*lorient(lorient_folder))
    assert found.objective_eur == pytest.approx(170.774030, abs=1e-5)
    assert found.lower_bound_eur == pytest.approx(170.774030, abs=1e-5)
    assert found.proven


def test_lorient_with_feed_in_clipped_to_the_price(lorient_folder: Path) -> None:
    found = coordinated_optimum(*lorient(lorient_folder, "capped"))
    assert found.objective_eur == pytest.approx(170.806291, abs=1e-5)
    assert found.binaries == 0


def alone_eur(residual: np.ndarray, batteries: list[Battery | None], tariff: CommunityTariff) -> list[float]:
    """What each member's optimum comes to without the others."""
    return [
        coordinated_optimum(own[None, :], [battery], tariff).objective_eur
        for own, battery in zip(residual, batteries, strict=True)
    ]


def test_lorient_each_alone(lorient_folder: Path) -> None:
    costs = alone_eur(*lorient(lorient_folder))
    assert costs == pytest.approx([13.904456, 119.063769, 30.137926, 11.997317], abs=1e-5)


# -- worked by hand ----------------------------------------------------------------------------------------


def test_a_neighbours_battery_carries_the_surplus_into_the_evening() -> None:
    # the roof's 4 kWh of noon, kept by the neighbour, save 0.3 instead of earning 0.1; 2 more are exported
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    found = coordinated_optimum([[-6.0, 0.0], [0.0, 4.0]], [None, IDEAL], tariff)
    assert found.objective_eur == pytest.approx(-0.2)
    assert found.net_kwh == pytest.approx(np.array([[-6.0, 0.0], [4.0, 0.0]]))
    assert found.stored_kwh[0] == ()
    assert found.stored_kwh[1][0] == pytest.approx([4.0, 0.0])
    # with 2 kWh to spare, one more kWh at noon or (through the battery) in the evening is one less exported
    assert found.price_eur_per_kwh == pytest.approx([0.1, 0.1])


def test_a_fee_above_the_gain_of_a_trade_stops_it() -> None:
    # as above: a kWh traded and kept gains 0.2 less the fee
    residual = [[-4.0, 0.0], [0.0, 4.0]]
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0, local_fee_eur_per_kwh=0.15)
    assert coordinated_optimum(residual, [None, IDEAL], tariff).objective_eur == pytest.approx(4 * 0.15)
    dear = replace(tariff, local_fee_eur_per_kwh=0.25)
    assert coordinated_optimum(residual, [None, IDEAL], dear).objective_eur == pytest.approx(4 * 0.2)


def test_a_connection_limit_is_kept_as_far_as_storage_goes() -> None:
    # 6 kWh of surplus through a connection of 2 kW: 3 fit into the battery, 1 is too much. It may charge in
    # slot 0 only; what it holds has no use later
    battery = IDEAL.model_copy(update={"capacity_kwh": 3.0})
    tariff = CommunityTariff.of([0.3], [0.1], 1.0, export_limit_kw=2.0, excess_price_eur_per_kwh=0.5)
    found = coordinated_optimum([[-6.0], [0.0]], [None, battery], tariff)
    assert found.net_kwh.sum() == pytest.approx(-3.0)
    assert found.objective_eur == pytest.approx(-0.3 + 0.5)
    assert found.price_eur_per_kwh == pytest.approx([0.1 - 0.5])


def test_a_demand_charge_flattens_each_members_import() -> None:
    # 4 kWh in the second of two half-hours: half of it charged before makes 4 kW of 8 kW
    tariff = CommunityTariff.of([0.2, 0.2], [0.1, 0.1], 0.5, demand_charge_eur_per_kw=3.0)
    found = coordinated_optimum([[0.0, 4.0], [0.0, 0.0]], [IDEAL, None], tariff)
    assert found.net_kwh[0] == pytest.approx([2.0, 2.0])
    assert found.objective_eur == pytest.approx(4 * 0.2 + 4 * 3.0)


def test_at_a_negative_price_a_store_may_waste_but_not_charge_and_discharge_at_once() -> None:
    # 5 kWh of room take in 10 kWh at an efficiency of one half; discharging at the same time would take more
    battery = Battery(capacity_kwh=10, soc_min=0, soc_max=1, soc_start=0.5, charge_efficiency=0.5)
    found = coordinated_optimum([[0.0]], [battery], CommunityTariff.of([-0.2], [-0.3], 1.0))
    assert found.objective_eur == pytest.approx(-0.2 * 10)
    assert found.lower_bound_eur == pytest.approx(-2.0, abs=1e-6)
    assert found.binaries == 1


def test_where_feed_in_exceeds_the_price_a_meter_does_not_import_and_export_at_once() -> None:
    # the battery's 5 kWh are exported at 0.3; importing to export more would earn 0.2 a kWh without end
    battery = Battery(capacity_kwh=10, soc_min=0, soc_max=1, soc_start=0.5, discharge_limit_kw=3)
    tariff = CommunityTariff.of([0.1], [0.3], 1.0)
    found = coordinated_optimum([[1.0], [2.0]], [battery, None], tariff)
    assert found.objective_eur == pytest.approx(-2 * 0.3 + 2 * 0.1), "not netted with the neighbour either"
    assert np.isnan(found.price_eur_per_kwh).all(), "without trade there is no common price"


def test_without_batteries_positions_are_what_they_are() -> None:
    residual = np.array([[1.0, -3.0], [2.0, 1.0]])
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    found = coordinated_optimum(residual, [None, None], tariff)
    assert found.objective_eur == pytest.approx(0.9 - 0.2)
    assert np.array_equal(found.net_kwh, residual)
    assert found.price_eur_per_kwh == pytest.approx([0.3, 0.1])
    suspended = CommunityTariff.of([0.1, 0.1], [0.3, 0.3], 1.0)
    assert coordinated_optimum(residual, [None, None], suspended).objective_eur == pytest.approx(0.4 - 0.9)


def test_a_store_with_bounds_of_its_own_leaves_and_comes_back() -> None:
    # a vehicle: charges in slot 0 or 2, is away in slot 1 and uses 3 kWh there, must end with 4
    vehicle = Store(
        start_kwh=4.0,
        stored_min_kwh=np.array([0.0, 0.0, 4.0]),
        stored_max_kwh=np.full(3, 8.0),
        charge_max_kwh=np.array([5.0, 0.0, 5.0]),
        discharge_max_kwh=np.zeros(3),
        used_kwh=np.array([0.0, 3.0, 0.0]),
        charge_efficiency=0.9,
    )
    tariff = CommunityTariff.of([0.2, 0.1, 0.3], [0.05, 0.05, 0.05], 1.0)
    found = optimise(np.zeros((1, 3)), [[vehicle]], tariff)
    assert found.objective_eur == pytest.approx(3.0 / 0.9 * 0.2)
    assert found.stored_kwh[0][0] == pytest.approx([7.0, 4.0, 4.0])


def test_an_appliance_runs_once_where_a_neighbours_surplus_is() -> None:
    # two slots of 1 and 2 kWh: started in slot 1 it takes all of the surplus of 1 and 2 kWh
    washing = Appliance(name="washing", energy_kwh=(1.0, 2.0), earliest_start_slot=0, latest_start_slot=2)
    tariff = CommunityTariff.of([0.3] * 4, [0.1] * 4, 1.0)
    residual = np.array([[0.0, -1.0, -2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = optimise(residual, [[], []], tariff, appliances=[[], [washing]])
    assert found.start_slots == ((), (1,))
    assert found.objective_eur == pytest.approx(0.0)
    assert found.net_kwh[1].tolist() == [0.0, 1.0, 2.0, 0.0]
    assert found.proven


def test_what_does_not_end_within_the_session_is_refused() -> None:
    late = Appliance(name="washing", energy_kwh=(1.0, 2.0), earliest_start_slot=0, latest_start_slot=1)
    tariff = CommunityTariff.of([0.3] * 2, [0.1] * 2, 1.0)
    with pytest.raises(InputError, match="member 0: found 'washing' starting in slot 1 for 2 slots"):
        optimise(np.zeros((1, 2)), [[]], tariff, appliances=[[late]])
    car = ElectricVehicle(name="car", arrival_slot=0, departure_slot=3, energy_kwh=1, charge_limit_kw=3)
    with pytest.raises(InputError, match="car: found departure_slot 3, expected at most 2"):
        vehicle_store(car, tariff.slot_hours)


# -- another solver, and any plan --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["convex", "negative", "feed-in", "peak"])
@pytest.mark.parametrize("seed", range(8))
def test_of_one_member_it_is_its_own_optimum(kind: str, seed: int) -> None:
    make = priced_problem if kind == "peak" else random_problem
    problem = make(seed, kind, 24)
    tariff = CommunityTariff.of(
        problem.import_price_eur_per_kwh,
        problem.export_price_eur_per_kwh,
        problem.slot_hours,
        demand_charge_eur_per_kw=problem.peak_charge_eur_per_kw,
    )
    found = coordinated_optimum(problem.residual_load_kwh[None, :], [problem.battery], tariff)
    oracle = solve(problem)
    scale = max(1.0, abs(oracle.objective_eur))
    assert oracle.proven
    assert found.objective_eur == pytest.approx(oracle.objective_eur, abs=2e-6 * scale)
    assert found.lower_bound_eur == pytest.approx(oracle.objective_eur, abs=2e-6 * scale)


@pytest.mark.parametrize("seed", range(6))
def test_of_one_member_with_flexible_loads_it_is_its_own_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, "feed-in" if seed % 2 else "convex", 24)
    hours = problem.slot_hours
    cars = tuple(
        ElectricVehicle(
            name=f"car {number}",
            arrival_slot=int(rng.integers(0, 8)),
            departure_slot=int(rng.integers(12, 25)),
            energy_kwh=3 * hours * float(rng.uniform(0.2, 1)),
            charge_limit_kw=3.0,
            charge_efficiency=0.9,
            room_kwh=5 * hours,
        )
        for number in range(2)
    )
    machine = Appliance(
        name="machine", energy_kwh=(0.5, 1.0, 0.2), earliest_start_slot=2, latest_start_slot=20
    )
    problem = replace(problem, vehicles=cars, appliances=(machine,))
    tariff = CommunityTariff.of(problem.import_price_eur_per_kwh, problem.export_price_eur_per_kwh, hours)
    assert problem.battery is not None
    stores = [battery_store(problem.battery, tariff.slot_hours)]
    stores += [vehicle_store(car, tariff.slot_hours) for car in cars]
    found = optimise(problem.residual_load_kwh[None, :], [stores], tariff, appliances=[[machine]])
    oracle = solve(problem)
    scale = max(1.0, abs(oracle.objective_eur))
    assert oracle.proven
    assert found.objective_eur == pytest.approx(oracle.objective_eur, abs=2e-6 * scale)
    assert found.lower_bound_eur == pytest.approx(oracle.objective_eur, abs=2e-6 * scale)


def random_community(seed: int) -> Case:
    """Two to five members, up to ten slots, and every kind of price."""
    rng = np.random.default_rng(seed)
    members, slots = int(rng.integers(2, 6)), int(rng.integers(1, 11))
    problems = [random_problem(1000 * seed + m, "convex", slots) for m in range(members)]
    buy = rng.uniform(0.05, 0.35, slots) - (0.15 if seed % 3 == 0 else 0.0)
    sell = rng.uniform(-0.1, 0.3, slots) if seed % 2 else np.minimum(buy, 0.08)
    tariff = CommunityTariff.of(
        buy,
        sell,
        problems[0].slot_hours,
        local_fee_eur_per_kwh=float(rng.choice([0.0, 0.02, 0.1])),
        import_limit_kw=float(rng.uniform(0, 5)) if rng.random() < 0.5 else None,
        export_limit_kw=float(rng.uniform(0, 5)) if rng.random() < 0.5 else None,
        excess_price_eur_per_kwh=float(rng.choice([0.0, 0.3])),
        demand_charge_eur_per_kw=float(rng.choice([0.0, 0.5])),
    )
    # batteries of the size of the loads, whose end they can reach
    sizes_kwh = rng.uniform(1, 8, members)
    batteries = [
        p.battery and p.battery.model_copy(update={"capacity_kwh": float(size), "charge_limit_kw": None})
        for p, size in zip(problems, sizes_kwh, strict=True)
    ]
    owned = [battery if rng.random() < 0.7 else None for battery in batteries]
    return np.array([p.residual_load_kwh for p in problems]), owned, tariff


def assert_run_by_real_batteries(
    found: Optimum, residual: np.ndarray, batteries: list[Battery | None], tariff: CommunityTariff
) -> None:
    hours = float(tariff.slot_hours[0])
    for member, battery in enumerate(batteries):
        net = residual[member]
        if battery is not None:
            (stored,) = found.stored_kwh[member]
            lower = lower_envelope_kwh(battery, tariff.slots, hours)
            assert clip_trajectories(stored, battery, hours, lower) == pytest.approx(stored, abs=1e-6)
            net = net - battery_energy_kwh(stored, battery)
        assert found.net_kwh[member] == pytest.approx(net, abs=1e-9)
    assert found.objective_eur == pytest.approx(tariff.cost_eur(found.net_kwh), abs=1e-12)


@pytest.mark.parametrize("seed", range(24))
def test_no_feasible_plan_is_cheaper(seed: int) -> None:
    residual, batteries, tariff = random_community(seed)
    found = coordinated_optimum(residual, batteries, tariff, time_limit_s=20)
    assert found.proven
    assert_run_by_real_batteries(found, residual, batteries, tariff)
    rng = np.random.default_rng(seed)
    hours = float(tariff.slot_hours[0])
    for spread in np.geomspace(1e-3, 10, 60):
        net = residual.copy()
        for member, battery in enumerate(batteries):
            if battery is None:
                continue
            lower = lower_envelope_kwh(battery, tariff.slots, hours)
            # near the optimum and far from it
            wanted = found.stored_kwh[member][0] + spread * rng.normal(size=tariff.slots)
            net[member] -= battery_energy_kwh(clip_trajectories(wanted, battery, hours, lower), battery)
        assert found.lower_bound_eur <= tariff.cost_eur(net) + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_members_does_not_matter(seed: int) -> None:
    residual, batteries, tariff = random_community(seed)
    order = np.random.default_rng(seed).permutation(len(batteries))
    one = coordinated_optimum(residual, batteries, tariff)
    other = coordinated_optimum(residual[order], [batteries[i] for i in order], tariff)
    assert other.objective_eur == pytest.approx(one.objective_eur, abs=1e-6 * max(1, abs(one.objective_eur)))


@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_together_never_costs_more_than_alone(seed: int) -> None:
    residual, batteries, tariff = random_community(seed)
    free = replace(tariff, excess_price_eur_per_kwh=0.0)
    together = coordinated_optimum(residual, batteries, free)
    assert together.lower_bound_eur <= sum(alone_eur(residual, batteries, free)) + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_the_price_is_what_one_more_kilowatt_hour_at_the_boundary_costs(seed: int) -> None:
    residual, batteries, tariff = random_community(4 * seed + 2)
    tariff = replace(
        tariff,
        import_price_eur_per_kwh=np.abs(tariff.import_price_eur_per_kwh) + 0.1,
        export_price_eur_per_kwh=np.abs(tariff.import_price_eur_per_kwh) / 2,
        export_limit_kwh=np.full(tariff.slots, np.inf),
    )
    # a load whose peak is in slot 0, which is left out, feels the boundary and half the fee at its meter
    residual = np.vstack([residual, np.linspace(3.0, 1.0, tariff.slots)])
    found = coordinated_optimum(residual, [*batteries, None], tariff)
    assert found.binaries == 0
    step = 1e-3
    for slot in range(1, tariff.slots):
        costs = []
        for change in (-step, 0.0, step):
            changed = residual.copy()
            changed[-1, slot] += change
            costs.append(coordinated_optimum(changed, [*batteries, None], tariff).objective_eur)
        left, right = np.diff(costs) / step - tariff.meter_fee_eur_per_kwh[slot]
        assert left - 1e-6 <= found.price_eur_per_kwh[slot] <= right + 1e-6


# -- what cannot be solved ---------------------------------------------------------------------------------


def test_an_end_that_cannot_be_reached_names_the_member() -> None:
    battery = Battery(capacity_kwh=10, soc_start=0.2, soc_end_min=0.8, charge_limit_kw=1)
    with pytest.raises(
        InputError, match="member 1: found 2 kWh stored at the start, expected at least 6 kWh"
    ):
        coordinated_optimum(
            [[0.0, 0.0], [0.0, 0.0]], [None, battery], CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
        )


def test_arrays_that_do_not_fit_are_refused() -> None:
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    with pytest.raises(InputError, match=r"residual_load_kwh: found shape \(1, 3\), expected .* \(1, 2\)"):
        coordinated_optimum([[0.0, 0.0, 0.0]], [None], tariff)
    with pytest.raises(InputError, match="expected finite numbers"):
        coordinated_optimum([[0.0, np.nan]], [None], tariff)


def test_without_time_there_is_no_plan() -> None:
    # large enough that presolving alone does not settle it
    rng = np.random.default_rng(1)
    tariff = CommunityTariff.of(rng.uniform(0.2, 0.3, 96), np.full(96, 0.1), 0.25, demand_charge_eur_per_kw=1)
    residual = rng.normal(0.2, 1.0, (60, 96))
    with pytest.raises(OptimumTimeoutError, match=r"no plan for the community within 0 s"):
        coordinated_optimum(residual, [IDEAL] * 60, tariff, time_limit_s=0.0)


def test_when_time_is_up_the_plan_has_a_bound() -> None:
    # feed-in above the price nearly everywhere: many binaries
    rng = np.random.default_rng(2)
    tariff = CommunityTariff.of(rng.uniform(0.0, 0.3, 96), rng.uniform(0.1, 0.4, 96), 0.25)
    residual = rng.normal(0.0, 2.0, (30, 96))
    batteries: list[Battery | None] = [LOSSY] * 30
    without_binaries = coordinated_optimum(residual, batteries, tariff, relative_gap=1e9)
    limit_s = 2.0 + 3.0 * without_binaries.seconds  # there is a plan by then, on a busy machine too
    found = coordinated_optimum(residual, batteries, tariff, time_limit_s=limit_s)
    assert found.seconds < 3.0 * limit_s
    assert not found.proven
    assert 0 < found.gap_eur < 0.2 * abs(found.objective_eur)
    assert_run_by_real_batteries(found, residual, batteries, tariff)


def test_a_batteries_store_keeps_room_and_limits() -> None:
    battery = Battery(
        capacity_kwh=10,
        soc_min=0.1,
        soc_max=0.9,
        soc_end_min=0.5,
        charge_efficiency=0.8,
        discharge_efficiency=0.5,
        discharge_limit_kw=3,
    )
    store = battery_store(battery, [0.5, 1.0])
    assert store.stored_min_kwh.tolist() == [1.0, 5.0]
    assert store.charge_max_kwh == pytest.approx([10.0, 10.0]), "8 kWh of room at an efficiency of 0.8"
    assert store.discharge_max_kwh == pytest.approx([1.5, 3.0]), "3 kW; the room would give 4 kWh"

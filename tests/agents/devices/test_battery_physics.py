import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.devices.battery import (
    battery_energy_kwh,
    battery_slot_kwh,
    charge_limit_kwh,
    clip_trajectories,
    discharge_limit_kwh,
    follow_step,
    idle_trajectory,
    lower_envelope_kwh,
    rule_step,
    rule_trajectory,
    stored_change_kwh,
    stored_change_limits_kwh,
)
from runtime.devices import Battery
from runtime.errors import InputError

LOSSY = Battery(
    capacity_kwh=10,
    self_discharge_per_slot=0.01,
    charge_efficiency=0.9,
    discharge_efficiency=0.8,
    charge_limit_kw=2,
    discharge_limit_kw=1.5,
)


@st.composite
def batteries(draw, slots):
    soc_min = draw(st.floats(0, 0.5))
    soc_max = draw(st.floats(soc_min + 0.05, 1))
    share = st.floats(0, 1)
    capacity = 10 ** draw(st.floats(-3, 4))
    limit = st.none() | st.floats(0.05, 3).map(lambda c_rate: c_rate * capacity)
    battery = Battery(
        capacity_kwh=capacity,
        soc_min=soc_min,
        soc_max=soc_max,
        soc_start=min(soc_min + draw(share) * (soc_max - soc_min), soc_max),
        self_discharge_per_slot=draw(st.sampled_from([0.0, 1e-4, 0.01])),
        charge_efficiency=draw(st.floats(0.5, 1)),
        discharge_efficiency=draw(st.floats(0.5, 1)),
        charge_limit_kw=draw(limit),
        discharge_limit_kw=draw(limit),
        soc_end_min=draw(st.none() | share.map(lambda s: min(soc_min + s * (soc_max - soc_min), soc_max))),
    )
    try:
        lower_envelope_kwh(battery, slots, 0.5)
    except InputError:
        battery = battery.model_copy(update={"charge_limit_kw": None})
    return battery


def assert_feasible(stored_kwh, battery, slot_hours):
    slack = 1e-9 * max(battery.capacity_kwh, 1.0)
    assert stored_kwh.min() >= battery.stored_min_kwh - slack
    assert stored_kwh.max() <= battery.stored_max_kwh + slack
    delivered = battery_energy_kwh(stored_kwh, battery)
    assert delivered.max() <= discharge_limit_kwh(battery, slot_hours) + slack
    assert delivered.min() >= -charge_limit_kwh(battery, slot_hours) - slack
    if battery.soc_end_min is not None:
        assert np.min(stored_kwh[-1]) >= battery.soc_end_min * battery.capacity_kwh - slack


def test_equations_8_to_10_by_hand():
    # Starts at 5 kWh. Slot 0: 5·0.99 = 4.95 left, 4 held: 0.95 used, 0.95·0.8 = 0.76 delivered.
    # Slot 1: 4·0.99 = 3.96 left, 4.5 held: 0.54 stored, 0.54/0.9 = 0.6 drawn.
    np.testing.assert_allclose(battery_energy_kwh([4.0, 4.5], LOSSY), [0.76, -0.6], rtol=1e-12)
    assert battery_slot_kwh(4.0, 4.5, LOSSY) == pytest.approx(-0.6, rel=1e-12)
    np.testing.assert_allclose(stored_change_kwh([4.0, 4.5], LOSSY), [-0.95, 0.54], rtol=1e-12)


def test_power_limits_hold_at_the_buildings_side():
    least, greatest = stored_change_limits_kwh(LOSSY, 0.5)
    assert greatest == pytest.approx(2 * 0.5 * 0.9)
    assert least == pytest.approx(-1.5 * 0.5 / 0.8)


def test_without_power_limits_a_slot_can_use_the_whole_range():
    free = Battery(capacity_kwh=10, self_discharge_per_slot=0.1)
    least, greatest = stored_change_limits_kwh(free, 0.5)
    assert greatest == pytest.approx(8 - 0.9 * 2)
    assert least == pytest.approx(-(0.9 * 8 - 2))
    np.testing.assert_allclose(
        clip_trajectories([8.0, 2.0, 8.0], free, 0.5, lower_envelope_kwh(free, 3, 0.5)), [8.0, 2.0, 8.0]
    )


def test_lower_envelope_is_what_full_charging_still_lifts_to_the_end_soc():
    battery = Battery(capacity_kwh=10, soc_end_min=0.5, charge_limit_kw=2, charge_efficiency=0.5)
    # 1 kWh drawn in half an hour, 0.5 stored.
    np.testing.assert_allclose(lower_envelope_kwh(battery, 8, 0.5), [2, 2, 2.5, 3, 3.5, 4, 4.5, 5])


@pytest.mark.parametrize(
    "battery",
    [
        Battery(capacity_kwh=10, soc_end_min=0.8, charge_limit_kw=1),
        Battery(capacity_kwh=10, self_discharge_per_slot=0.3, charge_limit_kw=0.1),
    ],
)
def test_unreachable_end_is_refused(battery):
    with pytest.raises(InputError, match="soc_end_min"):
        lower_envelope_kwh(battery, 4, 0.5)


def test_rule_charges_surplus_first_and_never_imports_to_charge():
    residual = np.array([-1.0, -9.0, -9.0, 2.0, 9.0, 9.0, 9.0, 0.0])
    battery = Battery(capacity_kwh=10, charge_limit_kw=4, discharge_limit_kw=4)
    stored = rule_trajectory(residual, battery, 0.5)
    np.testing.assert_allclose(stored, [6, 8, 8, 6, 4, 2, 2, 2])
    net = residual - battery_energy_kwh(stored, battery)
    assert np.all(net[residual <= 0] <= 1e-12)


def test_rule_keeps_enough_for_the_end_soc():
    battery = Battery(capacity_kwh=10, charge_limit_kw=2, soc_end_min=0.5)
    stored = rule_trajectory(np.full(10, 5.0), battery, 0.5)
    assert stored.min() == pytest.approx(2.0)
    assert stored[-1] == pytest.approx(5.0)


def test_idle_battery_only_loses_what_self_discharge_takes():
    battery = Battery(capacity_kwh=10, self_discharge_per_slot=0.3)
    np.testing.assert_allclose(idle_trajectory(battery, 4, 1.0), [3.5, 2.45, 2.0, 2.0])


@given(st.data())
def test_repaired_trajectories_are_feasible_and_feasible_ones_are_left_alone(data):
    slots = data.draw(st.integers(1, 30))
    battery = data.draw(batteries(slots))
    envelope = lower_envelope_kwh(battery, slots, 0.5)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    wanted = rng.uniform(-0.5, 1.5, (slots, 3)) * battery.capacity_kwh
    stored = clip_trajectories(wanted, battery, 0.5, envelope)
    assert_feasible(stored, battery, 0.5)
    scale = 1e-12 * battery.capacity_kwh
    np.testing.assert_allclose(clip_trajectories(stored, battery, 0.5, envelope), stored, atol=scale)
    for column in range(3):
        one = clip_trajectories(wanted[:, column], battery, 0.5, envelope)
        np.testing.assert_allclose(one, stored[:, column], atol=scale)


@given(st.data())
def test_rule_and_idle_are_feasible_and_rule_is_its_own_steps(data):
    slots = data.draw(st.integers(1, 30))
    battery = data.draw(batteries(slots))
    envelope = lower_envelope_kwh(battery, slots, 0.5)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    residual = rng.normal(0, 0.3, slots) * battery.capacity_kwh
    assert_feasible(idle_trajectory(battery, slots, 0.5), battery, 0.5)
    trajectory = rule_trajectory(residual, battery, 0.5)
    assert_feasible(trajectory, battery, 0.5)
    stored = battery.stored_start_kwh
    for slot in range(slots):
        stored = rule_step(stored, float(residual[slot]), battery, 0.5, float(envelope[slot]))
        assert stored == trajectory[slot]


@given(st.data())
def test_following_a_feasible_plan_gives_the_plan(data):
    slots = data.draw(st.integers(1, 20))
    battery = data.draw(batteries(slots))
    envelope = lower_envelope_kwh(battery, slots, 0.5)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    plan = clip_trajectories(rng.uniform(0, 1, slots) * battery.capacity_kwh, battery, 0.5, envelope)
    stored = battery.stored_start_kwh
    for slot in range(slots):
        stored = follow_step(stored, float(plan[slot]), battery, 0.5, float(envelope[slot]))
        assert stored == pytest.approx(plan[slot], abs=1e-12 * battery.capacity_kwh)


def test_following_from_below_the_plan_catches_up_at_full_power():
    assert follow_step(3.0, 7.0, LOSSY, 0.5, 2.0) == pytest.approx(0.99 * 3 + 0.9)
    assert follow_step(7.0, 3.0, LOSSY, 0.5, 2.0) == pytest.approx(0.99 * 7 - 0.75 / 0.8)

"""Simulated and real time behind one interface."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import RealTimeClock, SimulatedClock, clock_for
from runtime.configuration import ClockConfig
from runtime.horizon import Horizon

HORIZON = Horizon(start=datetime(2025, 1, 1, tzinfo=UTC), zone="Europe/Paris", slot_minutes=15, slots=96)


def test_simulated_time_never_waits():
    assert SimulatedClock().seconds_until_slot_end(HORIZON, 0, 95) == 0


@given(speed=st.floats(1, 10_000), slots_passed=st.integers(0, 90), within=st.floats(0, 0.99))
def test_real_time_waits_for_the_end_of_the_slot(speed, slots_passed, within):
    now_s = [1000.0]
    clock = RealTimeClock(speed, lambda: now_s[0])
    slot_s = 900 / speed
    assert clock.seconds_until_slot_end(HORIZON, 0, 0) == pytest.approx(slot_s)
    now_s[0] += (slots_passed + within) * slot_s
    assert clock.seconds_until_slot_end(HORIZON, 0, slots_passed) == pytest.approx((1 - within) * slot_s)
    assert clock.seconds_until_slot_end(HORIZON, 0, slots_passed + 2) == pytest.approx((3 - within) * slot_s)


def test_a_slot_that_has_passed_is_not_waited_for():
    now_s = [0.0]
    clock = RealTimeClock(900, lambda: now_s[0])
    clock.seconds_until_slot_end(HORIZON, 0, 0)
    now_s[0] = 10.0
    assert clock.seconds_until_slot_end(HORIZON, 0, 3) == 0


def test_each_session_starts_when_it_is_first_asked_about_even_in_the_middle():
    now_s = [0.0]
    clock = RealTimeClock(900, lambda: now_s[0])
    clock.seconds_until_slot_end(HORIZON, 0, 0)
    now_s[0] = 500.0
    assert clock.seconds_until_slot_end(HORIZON, 1, 0) == pytest.approx(1)
    assert clock.seconds_until_slot_end(HORIZON, 2, 40) == pytest.approx(1)


def test_the_configuration_names_the_clock():
    assert isinstance(clock_for(ClockConfig()), SimulatedClock)
    real = clock_for(ClockConfig(kind="real-time", speed=450))
    assert real.seconds_until_slot_end(HORIZON, 0, 0) == pytest.approx(2, abs=0.1)

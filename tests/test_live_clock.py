"""Live: slots are at their own instants, whatever the machine, the fleet or its clock went through."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runtime.clock import LiveClock, clock_for
from runtime.configuration import ClockConfig
from runtime.horizon import Horizon

START = datetime(2025, 6, 1, 10, 30, tzinfo=UTC)
HORIZON = Horizon(start=START, zone="Europe/Paris", slot_minutes=15, slots=8)


def at(minutes: float) -> LiveClock:
    """The live clock so long after the horizon's start."""
    return LiveClock(lambda: START.timestamp() + 60 * minutes)


def test_a_slot_ends_when_the_wall_clock_says_so_in_any_session() -> None:
    assert at(-10).seconds_until_slot_end(HORIZON, 0, 0) == pytest.approx(25 * 60)
    assert at(7).seconds_until_slot_end(HORIZON, 3, 0) == pytest.approx(8 * 60)
    assert at(7).seconds_until_slot_end(HORIZON, 3, 7) == pytest.approx(113 * 60)


def test_slots_that_have_passed_are_not_waited_for_and_are_late() -> None:
    assert at(100).seconds_until_slot_end(HORIZON, 0, 5) == 0
    assert at(100).seconds_late(HORIZON, 5) == pytest.approx(10 * 60)
    assert at(100).seconds_late(HORIZON, 6) == 0


def test_live_is_configured_and_cannot_be_hastened() -> None:
    assert isinstance(clock_for(ClockConfig(kind="live")), LiveClock)
    assert not ClockConfig(kind="live").simulated
    with pytest.raises(ValueError, match='speed: found 60 beside kind = "live"'):
        ClockConfig(kind="live", speed=60)

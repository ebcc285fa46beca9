"""Two clocks behind one interface: simulated time as fast as the machine allows, and real time at a speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from runtime.configuration import ClockConfig
from runtime.horizon import Horizon


class Clock(Protocol):
    """Tells the coordinator when a slot has passed; nobody else needs to know which clock it is."""

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        """Wall-clock seconds from now until ``slot`` of ``session`` has passed; 0 if it has."""


class SimulatedClock:
    """A slot has passed as soon as somebody asks."""

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        """Zero, always."""
        return 0.0


class RealTimeClock:
    """Slots follow the wall clock, ``speed`` times faster.

    A session starts when it is first asked about: the slot asked for begins at that moment, whatever date the
    horizon has, so that past days can be played and a restarted coordinator goes on where it was.
    """

    def __init__(self, speed: float = 1.0, now_s: Callable[[], float] = time.monotonic) -> None:
        """Run ``speed`` times faster than the wall clock ``now_s``."""
        self._speed = speed
        self._now_s = now_s
        self._began_s: dict[int, float] = {}

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        """Wall-clock seconds until the slot's end."""
        slot_s = horizon.slot_minutes * 60.0 / self._speed
        now_s = self._now_s()
        began_s = self._began_s.setdefault(session, now_s - slot * slot_s)
        return max(0.0, began_s + (slot + 1) * slot_s - now_s)


def clock_for(config: ClockConfig) -> Clock:
    """Clock that a run's configuration asks for."""
    return SimulatedClock() if config.kind == "simulated" else RealTimeClock(config.speed)

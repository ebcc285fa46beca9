"""Clocks behind one interface: simulated time as fast as the machine allows, real time at a speed, live."""

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

    def seconds_late(self, horizon: Horizon, slot: int) -> float:
        """Seconds since ``slot`` ended by its own time; 0 if it has not, or has no time of its own."""


class SimulatedClock:
    """A slot has passed as soon as somebody asks."""

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        """Zero, always."""
        return 0.0

    def seconds_late(self, horizon: Horizon, slot: int) -> float:
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

    def seconds_late(self, horizon: Horizon, slot: int) -> float:
        """Zero: a session's slots are when it is ready for them."""
        return 0.0


class LiveClock:
    """Slots are at their own instants: those that passed while a fleet was down have passed at once."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        """Follow the wall clock ``now_s`` [s since 1970, UTC]."""
        self._now_s = now_s

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        """Wall-clock seconds until the slot's end."""
        return max(0.0, horizon.slot_end(slot).timestamp() - self._now_s())

    def seconds_late(self, horizon: Horizon, slot: int) -> float:
        """Seconds since the slot ended."""
        return max(0.0, self._now_s() - horizon.slot_end(slot).timestamp())


def clock_for(config: ClockConfig) -> Clock:
    """Clock that a run's configuration asks for."""
    match config.kind:
        case "simulated":
            return SimulatedClock()
        case "real-time":
            return RealTimeClock(config.speed)
        case "live":
            return LiveClock()

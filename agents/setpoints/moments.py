"""How long it is until a slot begins and ends, seen from a controller: no time passes in simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from runtime.configuration import ClockConfig
from runtime.protocol.setpoint_bodies import Setpoint


@dataclass(frozen=True, slots=True)
class Moment:
    """Where now is beside a slot.

    Attributes:
        begins_s: wall-clock seconds until it begins; 0 if it has.
        ends_s: until it ends; 0 or less if it has.
    """

    begins_s: float
    ends_s: float


def moment_of(setpoint: Setpoint, clock: ClockConfig, now_s: Callable[[], float] = time.time) -> Moment:
    """Where now is beside the slot of a set-point that has just been told.

    Live slots are at their own instants. Else a slot begins when its set-point comes, and takes its length at
    the clock's speed; in simulated time its length is nominal.

    Args:
        setpoint: the set-point.
        clock: the community's clock.
        now_s: the wall clock [s since 1970, UTC].
    """
    start_s, end_s = setpoint.slot_start.timestamp(), setpoint.slot_end.timestamp()
    if clock.kind != "live":
        return Moment(0.0, (end_s - start_s) / clock.speed)
    now = now_s()
    return Moment(max(0.0, start_s - now), end_s - now)

"""A live clock that is set, a machine that sleeps: slots end when the wall clock says so, in counted time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.clock import LiveClock
from runtime.horizon import Horizon
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import CLOCK_CHECK_S, CLOCK_GRAIN_S, MachineCarrier
from runtime.protocol.bodies import AnyBody
from runtime.protocol.envelope import Envelope
from runtime.protocol.machine import AwaitSlotEnd, Finish, Machine

MIDNIGHT = datetime(2024, 3, 30, 23, tzinfo=UTC)
HORIZON = Horizon(start=MIDNIGHT, zone="Europe/Paris", slot_minutes=15, slots=24)
"""A night from Saturday to Sunday in Paris, on which the clock goes forward at 01:00 UTC."""


class CountedLoop(asyncio.SelectorEventLoop):
    """Time passes as soon as there is nothing else to do; ``on_wait`` hears how much it is to be [s]."""

    def __init__(self, on_wait: Callable[[float], None]) -> None:
        self.now_s = 0.0

        class Waiting(selectors.SelectSelector):
            def select(waiting, timeout: float | None = None) -> Any:  # noqa: N805
                if timeout:
                    on_wait(timeout)
                    self.now_s += timeout
                return super().select(0)

        super().__init__(Waiting())

    def time(self) -> float:
        return self.now_s


class Watchman(Machine):
    """Waits for one slot after the other."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        super().__init__("watchman@village.test")
        self.slot = 0
        self.ended = ended

    def on_start(self) -> None:
        self.do(AwaitSlotEnd("slot-end", HORIZON, 0, self.slot))

    def on_timer(self, name: str) -> None:
        self.ended(self.slot)
        self.slot += 1
        self.do(AwaitSlotEnd("slot-end", HORIZON, 0, self.slot) if self.slot < HORIZON.slots else Finish())

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        raise AssertionError("nobody talks to it")


class Carrier(MachineCarrier):
    local_part = "watchman"
    last_ending = ""
    connected = True

    def transmit(self, envelope: Envelope) -> bool:
        raise AssertionError("it says nothing")


@dataclass
class Night:
    """A night as a live fleet's coordinator spends it.

    Attributes:
        steps: what the wall clock is set by [s], once so many seconds of the process's own time have passed.
        ended_s: by slot, how long after its end by the wall clock it was found to have passed [s].
        own_s: by slot, the process's own time then [s].
    """

    steps: dict[float, float] = field(default_factory=dict)
    ended_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    set_by_s: float = 0.0

    def spend(self, folder: Path) -> None:
        due = sorted(self.steps.items())

        def on_wait(seconds: float) -> None:
            while due and loop.now_s + seconds > due[0][0]:
                self.set_by_s += due.pop(0)[1]

        loop = CountedLoop(on_wait)

        def wall_s() -> float:
            return MIDNIGHT.timestamp() + loop.now_s + self.set_by_s

        def ended(slot: int) -> None:
            self.ended_s.append(wall_s() - HORIZON.slot_end(slot).timestamp())
            self.own_s.append(loop.now_s)

        async def night() -> None:
            carrier = Carrier()
            with MessageLog.open(folder / "watchman.jsonl", "watchman") as log:
                carrier.carry(Watchman(ended), log, LiveClock(wall_s), lambda *_: None)
                carrier.on_connected()
                await carrier.finished
                carrier.leave_off()
                carrier.let_go()

        try:
            loop.run_until_complete(night())
        finally:
            loop.close()
        assert len(self.ended_s) == HORIZON.slots


def test_the_night_on_which_the_clocks_go_forward_has_slots_as_any_other(tmp_path: Path) -> None:
    night = Night()
    night.spend(tmp_path)
    assert night.own_s == pytest.approx([900.0 * (slot + 1) for slot in range(24)])
    assert HORIZON.local(7).strftime("%H:%M") == "01:45"
    assert HORIZON.local(8).strftime("%H:%M") == "03:00"
    assert HORIZON.local(8) - HORIZON.local(7) == timedelta(hours=1, minutes=15)  # by the clock on the wall


def test_a_clock_set_forward_is_seen_within_half_a_minute(tmp_path: Path) -> None:
    night = Night({1000.0: 90.0})  # amid slot 1
    night.spend(tmp_path)
    assert max(night.ended_s) <= CLOCK_CHECK_S
    assert night.own_s[1] == pytest.approx(1800.0 - 90.0, abs=CLOCK_CHECK_S)
    assert night.own_s[-1] == pytest.approx(24 * 900.0 - 90.0)


@pytest.mark.parametrize("when_s", [1000.0, 1790.0])
def test_no_slot_ends_before_its_time_when_the_clock_is_set_back(tmp_path: Path, when_s: float) -> None:
    night = Night({when_s: -120.0})  # amid slot 1, and ten seconds before its end
    night.spend(tmp_path)
    assert min(night.ended_s) >= -CLOCK_GRAIN_S
    assert night.own_s[1] == pytest.approx(1800.0 + 120.0)


def test_after_an_hours_sleep_the_slots_that_passed_end_at_once_and_in_order(tmp_path: Path) -> None:
    night = Night({1000.0: 3600.0})  # the process's own time stands still in a machine that sleeps
    night.spend(tmp_path)
    woke_s = night.own_s[1]
    assert woke_s <= 1000.0 + CLOCK_CHECK_S
    assert night.own_s[1:5] == [woke_s] * 4  # slots 1 to 4 passed; the 5th is waited for
    assert night.own_s[5] == pytest.approx(6 * 900.0 - 3600.0)
    assert night.ended_s[5:] == pytest.approx([0.0] * 19, abs=1e-3)

"""A fleet on the live clock: it waits for slots, and settles at once and in order those it was down for."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.clock import LiveClock
from runtime.horizon import Horizon
from runtime.messagelog.reader import read_log
from runtime.protocol.bodies import BillLine, parse_body
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import Community
from tests.machines.restarting import Power, run_with_power_cuts
from tests.machines.rolling import rolling


class OutageClock(LiveClock):
    """The wall clock stands still, and the power fails as soon as a slot would have to be waited for."""

    def __init__(self, power: Power, now_s: float) -> None:
        super().__init__(lambda: now_s)
        self.power = power

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        left_s = super().seconds_until_slot_end(horizon, session, slot)
        if left_s > 0:
            self.power.cut.set()
        return left_s


def community() -> Community:
    return rolling(4, members=3, mechanism="mid-market-rate")


def settled(path: Path) -> list[tuple[int, int]]:
    """Session and slot of the bill lines that the coordinator sent, each once, in order."""
    found = []
    for record in read_log(RunDirectory(path).log(COORDINATOR)):
        if record.envelope is not None and record.kind == "out" and record.note is None:
            body = parse_body(record.envelope.body)
            if isinstance(body, BillLine) and (body.session, body.slot) not in found:
                found.append((body.session, body.slot))
    return found


def lateness(path: Path) -> list[tuple[int, float]]:
    """Sessions that were ready too late, and by how much."""
    return [
        (record.data["session"], record.data["seconds"])
        for record in read_log(RunDirectory(path).log(COORDINATOR))
        if record.name == "late" and record.data is not None
    ]


def test_slots_that_passed_in_outages_are_settled_in_order_at_once(tmp_path: Path) -> None:
    start_s = community().horizons[0].slot_start(0).timestamp()
    slot_s = 1800.0
    # The first life sees two slots pass, the second wakes in the middle of slot 7, the third after the end.
    moments = iter([start_s + 2.5 * slot_s, start_s + 7.5 * slot_s, start_s + 100 * slot_s])
    seen: list[list[tuple[int, int]]] = []
    record, _, _ = run_with_power_cuts(
        community(),
        tmp_path / "live",
        0,
        [10**9, 10**9],
        between_lives=lambda directory: seen.append(settled(directory.path)),
        clock=lambda power: OutageClock(power, next(moments)),
    )
    slots = [(session, slot) for session in range(4) for slot in range(3)]
    assert seen == [slots[:2], slots[:7]]
    assert settled(tmp_path / "live") == slots
    undisturbed, _, _ = run_with_power_cuts(community(), tmp_path / "calm", 0, [])
    assert record == undisturbed


def test_a_session_that_is_ready_after_its_first_slot_says_so(tmp_path: Path) -> None:
    start_s = community().horizons[0].slot_start(0).timestamp()
    run_with_power_cuts(
        community(), tmp_path / "late", 0, [], clock=lambda power: OutageClock(power, start_s + 12 * 1800.0)
    )
    late = lateness(tmp_path / "late")
    assert [session for session, _ in late] == [0, 1, 2, 3]
    assert [seconds for _, seconds in late] == pytest.approx([(11 - 3 * n) * 1800.0 for n in range(4)])
    run_with_power_cuts(community(), tmp_path / "simulated", 0, [])
    assert lateness(tmp_path / "simulated") == []

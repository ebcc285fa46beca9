"""Vehicles and appliances where the horizon rolls on: charged once, run once, at the cost of one plan."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from runtime.devices import Appliance, ElectricVehicle
from runtime.records import MemberRecord
from tests.machines.communities import Community
from tests.machines.rolling import rolling
from tests.machines.test_rolling_community import paid_eur, with_soft_ends

CAR = ElectricVehicle(name="zoe", arrival_slot=1, departure_slot=10, energy_kwh=6.0, charge_limit_kw=3.0)
WASHER = Appliance(name="washer", energy_kwh=(1.0, 0.5, 0.2, 0.1), earliest_start_slot=0, latest_start_slot=8)


def flexible(community: Community, offsets: list[int]) -> Community:
    """Give every member both, in the sessions that begin at these slots."""
    for place, config in enumerate(community.member_configs):
        sessions = []
        for session, first in zip(config.sessions, offsets, strict=True):
            closes = WASHER.latest_start_slot + len(WASHER.energy_kwh) - first
            times = {"arrival_slot": max(CAR.arrival_slot - first, 0), "departure_slot": 10 - first}
            window = {"earliest_start_slot": 0, "latest_start_slot": max(8 - first, 0)}
            loads = {
                "vehicles": [CAR.model_copy(update=times)] if first < 10 else [],
                "appliances": [WASHER.model_copy(update=window)] if closes > 0 else [],
                "appliance_closes": [closes] if closes > 0 else [],
            }
            sessions.append(session.model_copy(update=loads))
        community.member_configs[place] = config.model_copy(update={"sessions": sessions})
    return with_soft_ends(community)


def in_parts(seed: int, mechanism: str) -> Community:
    parts = rolling(seed, to_the_end=True, members=3, deviation=0.0, mechanism=mechanism)
    return flexible(parts, [0, 3, 6, 9])


def drawn(member: MemberRecord, name: str) -> np.ndarray:
    return np.concatenate([own.flexible_kwh.get(name, [0.0] * 3) for own in member.sessions])


@pytest.mark.parametrize("mechanism", ["grid-only", "mid-market-rate", "coordinated"])
@pytest.mark.parametrize("seed", range(3))
def test_each_is_charged_and_runs_once_across_sessions(seed: int, mechanism: str) -> None:
    _, members = in_parts(seed, mechanism).run()
    crossed = 0
    for member in members.values():
        charged = drawn(member, "zoe")
        assert charged.sum() == pytest.approx(6.0, abs=1e-6)
        assert charged[0] == 0.0
        assert not charged[10:].any()
        washed = drawn(member, "washer")
        (running,) = np.nonzero(washed)
        assert washed[running].tolist() == list(WASHER.energy_kwh)
        assert np.all(np.diff(running) == 1)
        crossed += any(running[0] < edge <= running[-1] for edge in (3, 6, 9))
    assert len(members) == 3
    assert crossed, "a run goes on in the next session"


@pytest.mark.parametrize("seed", range(3))
def test_replanning_what_was_known_costs_what_one_plan_costs(seed: int) -> None:
    whole = flexible(Community(seed, members=3, slots=12, deviation=0.0, mechanism="grid-only"), [0])
    one, _ = whole.run()
    many, members = in_parts(seed, "grid-only").run()
    assert float(paid_eur(many)) == pytest.approx(float(paid_eur(one)), rel=1e-4, abs=1e-4)
    for member in members.values():
        for own in member.sessions:
            assert own.alone_net_kwh == pytest.approx(own.net_kwh, abs=1e-9)
        for earlier, later in pairwise(member.sessions):
            assert later.session == earlier.session + 1

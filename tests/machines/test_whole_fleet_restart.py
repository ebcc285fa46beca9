"""All agents of a community die at once, at any byte of any log: what is settled stays the same."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import check_logs
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.restarting import run_with_power_cuts

MECHANISMS = ["mid-market-rate", "admm", "double-auction", "bilateral", "coordinated", "grid-only"]

CUTS_IN_A_ROW = 3


def community(mechanism: str) -> Community:
    return Community(7, members=3, slots=3, sessions=2, mechanism=mechanism)


@cache
def undisturbed(mechanism: str) -> tuple[CoordinatorRecord, dict[str, MemberRecord], int]:
    with TemporaryDirectory() as folder:
        return run_with_power_cuts(community(mechanism), Path(folder), 0, [])


def without_times(members: dict[str, MemberRecord]) -> dict[str, object]:
    timed = {"sessions": {"__all__": {"planning_seconds"}}}
    return {name: record.model_dump(exclude=timed) for name, record in members.items()}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_is_that_of_the_undisturbed_run(mechanism: str, seed: int, tmp_path: Path) -> None:
    expected, expected_members, writes = undisturbed(mechanism)
    rng = random.Random(seed)
    cuts = [rng.randint(1, writes) for _ in range(CUTS_IN_A_ROW)]
    record, members, _ = run_with_power_cuts(community(mechanism), tmp_path, seed, cuts)
    assert record == expected
    assert without_times(members) == without_times(expected_members)
    check = check_logs(log_paths(RunDirectory(tmp_path).logs_dir))
    assert [finding.text for finding in check.findings] == []


@pytest.mark.parametrize("write", range(1, 60, 3))
def test_early_moments_from_joining_on(write: int, tmp_path: Path) -> None:
    expected, _, _ = undisturbed("mid-market-rate")
    record, _, _ = run_with_power_cuts(community("mid-market-rate"), tmp_path, write, [write])
    assert record == expected


@pytest.mark.parametrize("from_the_end", range(20))
def test_last_moments_to_the_end_of_the_last_agent(from_the_end: int, tmp_path: Path) -> None:
    expected, _, writes = undisturbed("mid-market-rate")
    record, members, _ = run_with_power_cuts(
        community("mid-market-rate"), tmp_path, from_the_end, [writes - from_the_end]
    )
    assert record == expected
    assert set(members) == {"m0", "m1", "m2"}
    assert not check_logs(log_paths(RunDirectory(tmp_path).logs_dir)).findings

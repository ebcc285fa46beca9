"""Which members share a process, what is kept of it with the run, and the open files of a large fleet."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from runtime.errors import FleetError, InputError
from runtime.fleet import descriptors
from runtime.fleet.packing import keep_packing, packing_of, workers_of
from runtime.fleet.supervisor import Fleet
from runtime.rundir import RunDirectory
from tests.machines.communities import Community

MEMBERS = ["a", "b", "c", "d", "e"]


def test_a_member_alone_gives_its_process_its_name() -> None:
    assert workers_of(MEMBERS, 1) == {member: [member] for member in MEMBERS}


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (2, {"prosumers-1": ["a", "b"], "prosumers-2": ["c", "d"], "prosumers-3": ["e"]}),
        (5, {"prosumers-1": MEMBERS}),
        (250, {"prosumers-1": MEMBERS}),
    ],
)
def test_members_share_workers_in_their_order(each: int, expected: dict[str, list[str]]) -> None:
    assert workers_of(MEMBERS, each) == expected


def test_the_packing_is_kept_with_the_run(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert packing_of(directory) == 1
    keep_packing(directory, 1)
    assert not directory.packing_config.exists()
    keep_packing(directory, 7)
    assert packing_of(directory) == 7


@pytest.mark.parametrize("number", [0, -1])
def test_fewer_than_one_member_a_process_is_refused(number: int, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    with pytest.raises(InputError, match=f"--members-per-process: found {number}, expected at least 1"):
        keep_packing(directory, number)
    directory.packing_config.parent.mkdir()
    directory.packing_config.write_text(f'{{"members_per_process": {number}}}', "ascii")
    with pytest.raises(InputError, match=r"packing\.json: not a Packing: members_per_process"):
        packing_of(directory)


def test_the_fleet_starts_a_worker_for_so_many_members(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    Community(1, members=3).coordinator_config.save(directory.coordinator_config)
    keep_packing(directory, 2)
    first, second = Fleet(directory, lambda *_: None).prosumers
    assert (first.name, second.name) == ("prosumers-1", "prosumers-2")
    assert first.arguments[-2:] == ["--member=m0", "--member=m1"]
    assert second.arguments[-1:] == ["--member=m2"]
    assert first.errors_path == directory.logs_dir / "prosumers-1.stderr"


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to"),
    [
        (1024, 20000, 256 + 4 * 1000),
        (1024, resource.RLIM_INFINITY, 256 + 4 * 1000),
        (5000, 20000, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_open_files_are_raised_where_they_would_not_do(
    soft: int, hard: int, raised_to: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: changes.append(limits))
    descriptors.allow_open_files(1000)
    assert changes == ([] if raised_to is None else [(raised_to, hard)])


def test_a_hard_limit_of_open_files_that_will_not_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(
        FleetError, match="1000 members need 4256 open files a process, the hard limit here is 4096"
    ):
        descriptors.allow_open_files(1000)

"""A run is not gone on with where an agent's log is lost: it would begin anew and confuse all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.fleet.lost_logs import check_no_log_is_lost
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

AGENTS = ["coordinator", "m0", "m1", "m1.meter"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = leave_behind(Community(3, members=3, slots=2), tmp_path_factory.mktemp("run"))
    files = [directory.coordinator_config, *directory.logs_dir.iterdir()]
    return {str(path.relative_to(directory.path)): path.read_bytes() for path in files}


def run_of(files: dict[str, bytes], folder: Path) -> RunDirectory:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return RunDirectory(folder)


def test_a_run_with_all_its_logs_can_go_on(whole: dict[str, bytes], tmp_path: Path) -> None:
    check_no_log_is_lost(run_of(whole, tmp_path))


@pytest.mark.parametrize("found", ["no file", "an empty file"])
@pytest.mark.parametrize("agent", AGENTS)
def test_a_log_that_is_lost_is_named(whole: dict[str, bytes], tmp_path: Path, agent: str, found: str) -> None:
    directory = run_of(whole, tmp_path)
    if found == "no file":
        directory.log(agent).unlink()
    else:
        directory.log(agent).write_bytes(b"")
    with pytest.raises(
        InputError, match=rf"{agent}\.jsonl: found {found}, expected the log of {agent}, of whom"
    ):
        check_no_log_is_lost(directory)


def test_who_never_began_has_lost_nothing(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Killed as the fleet was started: some have opened their logs, and nobody was heard yet."""
    directory = run_of(whole, tmp_path)
    for path in directory.logs_dir.iterdir():
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    directory.log("m1").unlink()
    check_no_log_is_lost(directory)


def test_a_run_without_logs_was_never_begun(whole: dict[str, bytes], tmp_path: Path) -> None:
    check_no_log_is_lost(run_of({name: text for name, text in whole.items() if "logs" not in name}, tmp_path))

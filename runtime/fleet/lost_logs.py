"""An agent goes on from its own log: a log that is gone is missed by those whom its agent has spoken to."""

from __future__ import annotations

import mmap
from pathlib import Path

from runtime.configuration import CoordinatorConfig, MetersConfig
from runtime.errors import InputError
from runtime.messagelog.reader import log_paths
from runtime.rundir import RunDirectory, controller_account, meter_account


def check_no_log_is_lost(directory: RunDirectory) -> None:
    """See that no agent of a run has lost its log, or all that was in it.

    An agent that never began has none. One that began and were to begin anew would not know what it said:
    others would take what it says now for what they have heard before.

    Args:
        directory: the run.

    Raises:
        InputError: an agent of the run has no log, and another one's shows that it had one.
    """
    config = CoordinatorConfig.load(directory.coordinator_config)
    agents = [*config.coordinators, *config.members, *(meter_account(name) for name in config.members)]
    agents += _built_in_controllers(directory)
    without = [name for name in agents if _is_empty(directory.log(name))]
    if not without or not directory.logs_dir.is_dir():
        return
    for path in log_paths(directory.logs_dir):
        if _is_empty(path):
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for name in without:
                if text.find(f'"kind":"in","from":"{name}@'.encode("ascii")) >= 0:
                    found = f"{directory.log(name)}: found {_found(directory.log(name))}"
                    raise InputError(
                        f"{found}, expected the log of {name}, of whom {path.name} has messages: without it "
                        f"{name} cannot go on where it was"
                    )


def _built_in_controllers(directory: RunDirectory) -> list[str]:
    """Accounts of the battery controllers that are in the run from its start, and come back with it.

    One that was attached by hand is started by hand again, and asks from the slot that runs.
    """
    if not directory.meters_config.is_file():
        return []
    meters = MetersConfig.load(directory.meters_config).meters
    return [controller_account(each.member) for each in meters if each.setpoint is not None]


def _is_empty(path: Path) -> bool:
    return not path.is_file() or path.stat().st_size == 0


def _found(path: Path) -> str:
    return "an empty file" if path.is_file() else "no file"

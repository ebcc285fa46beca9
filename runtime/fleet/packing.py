"""How a fleet's members are spread over processes: one each, or many in one worker; kept with the run."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from runtime.configuration import Configuration
from runtime.errors import InputError
from runtime.rundir import RunDirectory

WORKER_PREFIX = "prosumers-"


class Packing(Configuration):
    """How many members share a process.

    Attributes:
        members_per_process: that one worker process serves, at most.
    """

    members_per_process: int = Field(ge=1)


def check_members_per_process(members_per_process: int) -> None:
    """See that members can be packed so.

    Raises:
        InputError: fewer than one a process.
    """
    if members_per_process < 1:
        raise InputError(f"--members-per-process: found {members_per_process}, expected at least 1")


def keep_packing(directory: RunDirectory, members_per_process: int) -> None:
    """Have a run's fleet, now and when it is resumed, serve so many members in each process.

    Args:
        directory: a run that has not begun. One member a process needs no file.
        members_per_process: at least 1.

    Raises:
        InputError: it is less.
    """
    check_members_per_process(members_per_process)
    if members_per_process > 1:
        Packing(members_per_process=members_per_process).save(directory.packing_config)


def packing_of(directory: RunDirectory) -> int:
    """How many members share a process in a run.

    Raises:
        InputError: the run's file that says so is damaged.
    """
    path = directory.packing_config
    return Packing.load(path).members_per_process if path.is_file() else 1


def workers_of(members: Sequence[str], members_per_process: int) -> dict[str, list[str]]:
    """The processes that serve members, by name, each with its members in their order.

    A member alone in its process gives it its name; workers of several are numbered from 1.
    """
    if members_per_process == 1:
        return {member: [member] for member in members}
    starts = range(0, len(members), members_per_process)
    return {
        f"{WORKER_PREFIX}{number}": list(members[start : start + members_per_process])
        for number, start in enumerate(starts, start=1)
    }

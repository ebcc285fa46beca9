"""Open files: a large fleet needs more of them than most systems allow a process at first."""

from __future__ import annotations

import resource

from runtime.errors import FleetError

FILES_PER_MEMBER, FILES_OF_PROCESS = 4, 256
"""A process of the fleet has at most so many files open: the server a connection of each member, of its meter
and of its controller; a worker a connection and a log of each of its members; the fleet the pipes of each
process."""


def allow_open_files(members: int) -> None:
    """Allow this process, and those that it starts, the open files of a fleet.

    Raises:
        FleetError: the system's hard limit is too low.
    """
    needed = FILES_OF_PROCESS + FILES_PER_MEMBER * members
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FleetError(
            f"{members} members need {needed} open files a process, the hard limit here is {hard}: raise it "
            "(ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

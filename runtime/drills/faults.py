"""All faults, by name."""

from __future__ import annotations

from runtime.drills.base import Fault
from runtime.drills.connections import Cut, Delay
from runtime.drills.disk import DiskFull
from runtime.drills.madness import Mad
from runtime.drills.messages import Drop, DropLast, Duplicate, Sever
from runtime.drills.nodes import KillNode, Netsplit, RestartNodes
from runtime.drills.processes import KillCoordinator, KillFleet, KillMember, KillServer, Silent
from runtime.errors import InputError

_ALL: tuple[type[Fault], ...] = (
    KillMember,
    KillCoordinator,
    KillServer,
    KillFleet,
    Cut,
    Delay,
    Drop,
    DropLast,
    Duplicate,
    Silent,
    Mad,
    Sever,
    DiskFull,
    KillNode,
    Netsplit,
    RestartNodes,
)

FAULTS: dict[str, type[Fault]] = {fault.name: fault for fault in _ALL}

ALL = "all"


def chosen_faults(names: str) -> list[type[Fault]]:
    """Read a choice of faults: names parted by commas, or ``all``; each once, in the order given.

    Raises:
        InputError: a name is not known, or there is none.
    """
    if names.strip() == ALL:
        return list(_ALL)
    wanted = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    unknown = [name for name in wanted if name not in FAULTS]
    if unknown or not wanted:
        found = repr(unknown[0]) if unknown else "none"
        raise InputError(f"--faults: found {found}, expected some of {', '.join(FAULTS)}, or {ALL}")
    return [FAULTS[name] for name in wanted]

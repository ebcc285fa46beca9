"""Memory of the processes of a running fleet."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from runtime.bench.timings import Spread
from runtime.fleet.supervisor import Fleet

MIB = 1 << 20

LOOKED_AT = 40
"""Of more processes of one kind so many are looked at, evenly spread: each look holds its process up."""


@dataclass(frozen=True)
class Memory:
    """Memory of processes of one kind [MiB].

    Attributes:
        uss_mib: what a process has for itself (unique set size): what one more of it costs.
        rss_mib: what it has in memory, shared pages counted in full.
    """

    uss_mib: Spread
    rss_mib: Spread

    @classmethod
    def from_dict(cls, found: dict[str, dict[str, float]]) -> Memory:
        """Read what ``asdict`` made of one."""
        return cls(Spread(**found["uss_mib"]), Spread(**found["rss_mib"]))


def some_of(pids: list[int]) -> list[int]:
    """At most ``LOOKED_AT`` of the processes, evenly spread."""
    return pids[:: -(-len(pids) // LOOKED_AT)] if pids else []


def memory_of(pids: list[int]) -> Memory:
    """Memory of the processes, median and greatest.

    Raises:
        psutil.Error: one of them is gone.
    """
    found = [psutil.Process(pid).memory_full_info() for pid in pids]
    for pid, each in zip(pids, found, strict=True):
        if each.uss == 0:  # it has ended, and its parent has not taken note yet
            raise psutil.ZombieProcess(pid)
    return Memory(
        Spread.of([each.uss / MIB for each in found]), Spread.of([each.rss / MIB for each in found])
    )


def pids_of_fleet(fleet: Fleet) -> dict[str, list[int]]:
    """A fleet's processes by kind: ``prosumer``, ``coordinator``, ``meters``, ``server``."""
    kinds = {
        "prosumer": [child.pid for child in fleet.prosumers],
        "coordinator": [fleet.coordinator.pid],
        "meters": [fleet.meters.pid],
        "server": getattr(fleet.server, "pids", [fleet.server.pid]),
    }
    return {kind: [pid for pid in pids if pid is not None] for kind, pids in kinds.items()}


def memory_of_fleet(fleet: Fleet) -> dict[str, Memory]:
    """Memory of a fleet's processes by kind, of at most ``LOOKED_AT`` each.

    Raises:
        psutil.Error: one of them is gone.
    """
    return {kind: memory_of(some_of(pids)) for kind, pids in pids_of_fleet(fleet).items()}

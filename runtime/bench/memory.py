"""Memory of the processes of a running fleet."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from runtime.bench.timings import Spread
from runtime.fleet.supervisor import Fleet

MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """Memory of processes of one kind [MiB].

    Attributes:
        uss_mib: what a process has for itself (unique set size): what one more of it costs.
        rss_mib: what it has in memory, shared pages counted in full.
    """

    uss_mib: Spread
    rss_mib: Spread


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


def memory_of_fleet(fleet: Fleet) -> dict[str, Memory]:
    """Memory of a fleet's processes by kind: ``prosumer``, ``coordinator``, ``meters``, ``server``."""
    kinds = {
        "prosumer": [child.pid for child in fleet.prosumers],
        "coordinator": [fleet.coordinator.pid],
        "meters": [fleet.meters.pid],
        "server": [fleet.server.pid],
    }
    return {kind: memory_of([pid for pid in pids if pid is not None]) for kind, pids in kinds.items()}

"""A community whose members share worker processes, measured: what one more member costs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from runtime.bench.community import write_community
from runtime.bench.market import MarketRun, run_market
from runtime.bench.memory import Memory
from runtime.bench.timings import Spread
from runtime.bench.worker import News
from runtime.fleet.packing import keep_packing
from runtime.rundir import RunDirectory

SESSIONS = 2
"""Sessions negotiated; positions stand still after two rounds each. The first warms up."""

MEMBERS_ALONE = 2
"""Members of the fleet with one process each that says what a worker takes by itself."""


@dataclass(frozen=True)
class PackedFigures:
    """Figures of a community with many members a process, none with a battery; seconds and MiB.

    Attributes:
        members: prosumers.
        members_per_process: that a worker serves, at most.
        workers: worker processes.
        slots: slots of a session.
        ready_s: until all members are connected.
        round_s: a price round after the first session, in which nobody has anything to solve.
        slot_s: a slot's metering, delivery and settlement.
        slot_messages_per_s: messages of operation, by all agents, per second.
        whole_s: from the start until all processes are gone.
        alone_uss_mib: a process with one member, unique set size, greatest.
        memory: by kind of process; ``prosumer`` are the workers.
        restarts: of processes.
        resent: messages sent more than once.
    """

    members: int
    members_per_process: int
    workers: int
    slots: int
    ready_s: float
    round_s: Spread
    slot_s: Spread
    slot_messages_per_s: float
    whole_s: float
    alone_uss_mib: float
    memory: dict[str, Memory]
    restarts: int
    resent: int

    @property
    def messages_per_s(self) -> float:
        """Messages of a round, per second."""
        return 2 * self.members / self.round_s.median

    @property
    def further_member_uss_mib(self) -> float:
        """What each member but the first adds to the largest worker, unique set size [MiB]."""
        in_largest = min(self.members, self.members_per_process)
        return (self.memory["prosumer"].uss_mib.max - self.alone_uss_mib) / (in_largest - 1)


def measure_packed(members: int, members_per_process: int, slots: int, on_news: News) -> PackedFigures:
    """Measure ``members``, so many a process, over sessions of ``slots``; everything is removed afterwards.

    Args:
        members: at least 2.
        members_per_process: at least 2.
        slots: slots of a session.
        on_news: told where the measurement is.

    Raises:
        FleetError: a fleet failed.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        on_news("bench", "alone", {"members": MEMBERS_ALONE})
        alone = _run(Path(folder, "alone"), MEMBERS_ALONE, 1, slots, on_news)
        on_news("bench", "packed", {"members": members, "members_per_process": members_per_process})
        packed = _run(Path(folder, "packed"), members, members_per_process, slots, on_news)
    timings = packed.timings
    return PackedFigures(
        members=members,
        members_per_process=members_per_process,
        workers=-(-members // members_per_process),
        slots=slots,
        ready_s=packed.ready_s,
        round_s=Spread.of(timings.rounds_s[timings.first_session_rounds :]),
        slot_s=Spread.of(timings.slots_s),
        slot_messages_per_s=timings.slot_messages / sum(timings.slots_s),
        whole_s=packed.whole_s,
        alone_uss_mib=alone.memory["prosumer"].uss_mib.max,
        memory=packed.memory,
        restarts=packed.restarts,
        resent=timings.resent,
    )


def _run(path: Path, members: int, members_per_process: int, slots: int, on_news: News) -> MarketRun:
    directory = RunDirectory(path)
    keep_packing(directory, members_per_process)
    write_community(directory, members, slots, sessions=SESSIONS, at_rest=True)
    return run_market(directory, on_news)

"""One size of community, measured: with members that plan, and in turns with other systems at rest."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runtime.bench.community import write_community
from runtime.bench.market import MarketRun, run_market
from runtime.bench.memory import Memory
from runtime.bench.timings import Spread
from runtime.bench.turns import Compared, System, Turn, compared_in, take_turns
from runtime.bench.worker import News
from runtime.fleet.servers import ServerWanted, keep_server
from runtime.rundir import RunDirectory

TURNS, MANY_MEMBERS = 3, 200
"""Turns of fleet and other systems, up to so many members; beyond that one, as each takes long."""

MEMBERS_ALONE = 2
"""Members of the fleet with one process each that says what a worker of packed members takes by itself."""


@dataclass(frozen=True)
class Planned:
    """A run in which every second member has a battery to plan; seconds.

    Attributes:
        round_s: a price round.
        solving_s: the time a member takes to plan in a round; those without a battery have nothing to solve.
        whole_s: from the start until all processes are gone.
        messages: received by all agents.
    """

    round_s: Spread
    solving_s: Spread
    whole_s: float
    messages: int


@dataclass(frozen=True)
class SizeFigures:
    """Figures of a community of one size; seconds and MiB. First sessions warm up and are left out.

    Attributes:
        members: prosumers.
        members_per_process: that share one.
        slots: slots of a session.
        ready_s: until all processes are connected, all starts.
        round_s: a price round in which nobody has anything to solve, of all turns.
        slot_s: a slot's metering, delivery and settlement, of all turns.
        planned: the run with planning; None where members share processes.
        beside: by system, what it took for the same load.
        memory: by kind of process; with planning where there was planning.
        member_uss_mib: of one member: its process, or what it adds to the process that it shares.
        alone_uss_mib: a process with one member at rest; None where members do not share processes.
        call_bytes: body of a call for proposals, median.
        proposal_bytes: body of a proposal, median.
        restarts: of processes, in all runs.
        resent: messages sent more than once, in all runs.
    """

    members: int
    members_per_process: int
    slots: int
    ready_s: Spread
    round_s: Spread
    slot_s: Spread
    planned: Planned | None
    beside: dict[System, Compared]
    memory: dict[str, Memory]
    member_uss_mib: float
    alone_uss_mib: float | None
    call_bytes: int
    proposal_bytes: int
    restarts: int
    resent: int

    @property
    def processes(self) -> int:
        """That the members are spread over."""
        return -(-self.members // self.members_per_process)

    @property
    def packed(self) -> bool:
        """Whether members share processes."""
        return self.members_per_process > 1

    def messages_per_s(self, system: System | None = None) -> float:
        """Messages of a round without solving per second, of the fleet or another system."""
        return 2 * self.members / (self.beside[system] if system else self).round_s.median

    def slot_messages_per_s(self, system: System | None = None) -> float:
        """Messages of a slot per second: request, question to the meter, reading, delivery and bill line."""
        return 5 * self.members / (self.beside[system] if system else self).slot_s.median

    def other_member_uss_mib(self, system: System) -> float:
        """A member's process in another system, or its share of the process that it shares [MiB]."""
        in_largest = min(self.members, self.members_per_process)
        return self.beside[system].memory.uss_mib.median / in_largest


def measure_size(
    members: int,
    slots: int,
    turns: int | None,
    systems: Sequence[System],
    server: ServerWanted,
    on_news: News,
) -> SizeFigures:
    """Measure a community of ``members``, each in a process of its own; everything is removed afterwards.

    Args:
        members: at least 1.
        slots: slots of a session.
        turns: of fleet and other systems; as many as go with the size if None.
        systems: to compare with.
        server: that the fleet is on.
        on_news: told where the measurement is.

    Raises:
        FleetError: a fleet or another system failed.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        directory = RunDirectory(Path(folder, "planning"))
        keep_server(directory, server)
        write_community(directory, members, slots)
        on_news("bench", "planning", {"members": members})
        planned = run_market(directory, on_news, look_at_memory=True)
    taken = take_turns(members, 1, slots, turns or turns_for(members), systems, server, on_news)
    return figures_of(members, 1, slots, taken, planned=planned)


def measure_packed(
    members: int,
    members_per_process: int,
    slots: int,
    turns: int | None,
    systems: Sequence[System],
    server: ServerWanted,
    on_news: News,
) -> SizeFigures:
    """Measure ``members``, so many a process, none with a battery; everything is removed afterwards.

    Args:
        members: at least 2.
        members_per_process: at least 2.
        slots: slots of a session.
        turns: as for ``measure_size``.
        systems: to compare with.
        server: that the fleet is on.
        on_news: told where the measurement is.

    Raises:
        FleetError: a fleet or another system failed.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        directory = RunDirectory(Path(folder, "alone"))
        keep_server(directory, server)
        write_community(directory, MEMBERS_ALONE, slots, sessions=2, at_rest=True)
        on_news("bench", "alone", {"members": MEMBERS_ALONE})
        alone = run_market(directory, on_news, look_at_memory=True)
    turns = turns or turns_for(members)
    taken = take_turns(members, members_per_process, slots, turns, systems, server, on_news)
    return figures_of(members, members_per_process, slots, taken, alone=alone)


def turns_for(members: int) -> int:
    """Turns of fleet and other systems."""
    return TURNS if members <= MANY_MEMBERS else 1


def figures_of(
    members: int,
    members_per_process: int,
    slots: int,
    turns: Sequence[Turn],
    *,
    planned: MarketRun | None = None,
    alone: MarketRun | None = None,
) -> SizeFigures:
    """Put the runs together: one with planning, or one of members alone in their processes at rest."""
    rested = [turn.fleet for turn in turns]
    runs = [*rested, *([planned] if planned else [])]
    memory = (planned or rested[-1]).memory
    worker_uss_mib = memory["prosumer"].uss_mib
    alone_uss_mib = alone.memory["prosumer"].uss_mib.max if alone else None
    further = min(members, members_per_process) - 1
    return SizeFigures(
        members=members,
        members_per_process=members_per_process,
        slots=slots,
        ready_s=Spread.of([run.ready_s for run in runs]),
        round_s=Spread.of([seconds for turn in turns for seconds in turn.rounds_s]),
        slot_s=Spread.of([seconds for turn in turns for seconds in turn.slots_s]),
        planned=None if planned is None else _planned(planned),
        beside=compared_in(turns),
        memory=memory,
        member_uss_mib=worker_uss_mib.median
        if alone_uss_mib is None
        else (worker_uss_mib.max - alone_uss_mib) / further,
        alone_uss_mib=alone_uss_mib,
        call_bytes=int(median(rested[0].timings.call_bytes)),
        proposal_bytes=int(median(rested[0].timings.proposal_bytes)),
        restarts=sum(run.restarts for run in runs),
        resent=sum(run.timings.resent for run in runs),
    )


def _planned(run: MarketRun) -> Planned:
    timings = run.timings
    return Planned(
        round_s=Spread.of(timings.rounds_s),
        solving_s=Spread.of(timings.solving_s),
        whole_s=run.whole_s,
        messages=timings.messages,
    )

"""Fleet, plain slixmpp and mango carry one load in turns, so that what else the machine does slows all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from runtime.bench.carrying import Carried
from runtime.bench.community import member_names, write_community
from runtime.bench.load import Load
from runtime.bench.mango_fleet import run_mango
from runtime.bench.market import MarketRun, run_market
from runtime.bench.memory import Memory
from runtime.bench.plain import run_plain
from runtime.bench.timings import Spread
from runtime.bench.worker import News
from runtime.fleet.packing import keep_packing
from runtime.fleet.servers import ServerWanted, keep_server, server_of
from runtime.rundir import RunDirectory
from runtime.xmpp.local import CONNECTION_FILE

System = Literal["plain", "mango"]
"""What the fleet is compared with: slixmpp alone on the same server, or mango's agents over TCP."""

SYSTEMS: tuple[System, ...] = ("plain", "mango")

OPERATED_SLOTS = 2
"""Slots that a session at rest operates of those that it negotiates: most is to be known of rounds."""

MOST_SESSIONS, FEWEST_SESSIONS, MEMBER_SESSIONS = 12, 4, 400
"""Sessions at rest: members times sessions, within limits. Positions stand still after two rounds each; the
first session warms up."""


@dataclass(frozen=True)
class Compared:
    """What another system took for the fleet's load; seconds.

    Attributes:
        ready_s: until all could be reached, of all turns.
        round_s: a round, of all turns.
        slot_s: a slot, of all turns.
        memory: of the members' processes.
        processes: that the members were spread over.
        fleet_times_by_turn: how many times as long as this system the fleet took for a round in each turn, by
            medians.
    """

    ready_s: Spread
    round_s: Spread
    slot_s: Spread
    memory: Memory
    processes: int
    fleet_times_by_turn: list[float]

    @property
    def fleet_times(self) -> float:
        """How many times as long as this system the fleet takes for a round: the middle of all turns."""
        return median(self.fleet_times_by_turn)


@dataclass(frozen=True)
class Turn:
    """A fleet in which nobody has anything to solve, and what else carried its load just before or after."""

    fleet: MarketRun
    others: dict[System, Carried]

    @property
    def rounds_s(self) -> list[float]:
        """Rounds of the fleet after its first session [s]."""
        return self.fleet.timings.rounds_s[self.fleet.timings.first_session_rounds :]

    @property
    def slots_s(self) -> list[float]:
        """Its slots after the first session [s]."""
        return self.fleet.timings.slots_s[self.fleet.timings.first_session_slots :]

    def fleet_times(self, system: System) -> float:
        """How many times as long as a system the fleet took for a round."""
        return median(self.rounds_s) / median(self.others[system].rounds_s)


def sessions_at_rest(members: int) -> int:
    """Sessions of a turn, fewer where there are many members."""
    return max(FEWEST_SESSIONS, min(MOST_SESSIONS, MEMBER_SESSIONS // members))


def take_turns(
    members: int,
    members_per_process: int,
    slots: int,
    turns: int,
    systems: Sequence[System],
    server: ServerWanted,
    on_news: News,
) -> list[Turn]:
    """Have a fleet at rest and other systems carry its load, each turn in another order.

    Args:
        members: of the community.
        members_per_process: that share one.
        slots: of a session, of which ``OPERATED_SLOTS`` are operated.
        turns: how many.
        systems: the others.
        server: that the fleet and plain clients are on.
        on_news: told where the measurement is.

    Raises:
        FleetError: a fleet or a system failed.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        first = RunDirectory(Path(folder, "fleet-0"))
        load = Path(folder, "load.json")
        taken = []
        for turn in range(turns):
            fleet: MarketRun | None = None
            others: dict[System, Carried] = {}
            for who in order_of(turn, systems):
                on_news("bench", who, {"members": members, "turn": turn + 1, "turns": turns})
                if who == "fleet":
                    directory = RunDirectory(Path(folder, f"fleet-{turn}"))
                    fleet = _run_at_rest(directory, members, members_per_process, slots, server, on_news)
                    if turn == 0:
                        Load.of(directory).save(load)
                elif who == "plain":
                    others[who] = _plain(first, load, members, members_per_process, turn, on_news)
                elif who == "mango":
                    others[who] = run_mango(load, member_names(members), members_per_process, on_news)
            assert fleet is not None, "the fleet takes part in each turn"
            taken.append(Turn(fleet, others))
        return taken


def order_of(turn: int, systems: Sequence[System]) -> list[Literal["fleet"] | System]:
    """Who goes first, second, … in a turn: each in turn; at first the fleet, whose load the others carry."""
    everybody: list[Literal["fleet"] | System] = ["fleet", *systems]
    first = turn % len(everybody)
    return everybody[first:] + everybody[:first]


def _run_at_rest(
    directory: RunDirectory,
    members: int,
    members_per_process: int,
    slots: int,
    server: ServerWanted,
    on_news: News,
) -> MarketRun:
    keep_packing(directory, members_per_process)
    keep_server(directory, server)
    write_community(
        directory,
        members,
        slots,
        sessions=sessions_at_rest(members),
        at_rest=True,
        operated_slots=min(OPERATED_SLOTS, slots),
    )
    return run_market(directory, on_news, look_at_memory=members_per_process > 1)


def _plain(
    directory: RunDirectory, load: Path, members: int, members_per_process: int, turn: int, on_news: News
) -> Carried:
    """Plain clients on the same server, accounts and certificates as a fleet that has ended."""
    server = server_of(directory, f"plain-{turn}")
    server.start()
    try:
        server.await_ready()
        connection = directory.server_dir / CONNECTION_FILE
        return run_plain(connection, load, member_names(members), members_per_process, on_news)
    finally:
        server.terminate()
        if not server.wait(5.0):
            server.kill()
            server.wait(5.0)


def compared_in(turns: Sequence[Turn]) -> dict[System, Compared]:
    """What the other systems took, over all turns."""
    found: dict[System, Compared] = {}
    for system in turns[0].others:
        carried = [turn.others[system] for turn in turns]
        found[system] = Compared(
            ready_s=Spread.of([each.ready_s for each in carried]),
            round_s=Spread.of([seconds for each in carried for seconds in each.rounds_s]),
            slot_s=Spread.of([seconds for each in carried for seconds in each.slots_s]),
            memory=carried[-1].member,
            processes=carried[-1].processes,
            fleet_times_by_turn=[turn.fleet_times(system) for turn in turns],
        )
    return found

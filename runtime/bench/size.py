"""One size of community, measured: with members that plan, without batteries, and plain clients."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runtime.bench.community import member_names, write_community
from runtime.bench.market import MarketRun, run_market
from runtime.bench.memory import Memory
from runtime.bench.plain import PlainRun, run_plain
from runtime.bench.timings import Spread
from runtime.bench.worker import News
from runtime.fleet.children import ServerChild
from runtime.rundir import RunDirectory

PLAIN_ROUNDS = 20
"""Rounds of plain clients, after theirs to warm up."""

FEWEST_SESSIONS_AT_REST = 3
"""Sessions negotiated without batteries: positions stand still after two rounds each. The first warms up."""

MEMBER_SESSIONS = 240
"""Members times sessions at rest, where that makes no more rounds than plain clients hold: a session of many
takes long."""

TURNS = 3
"""How often fleet and plain clients take turns: what else the machine does then slows both."""


@dataclass(frozen=True)
class SizeFigures:
    """Figures of a community of one size; seconds and MiB.

    Attributes:
        members: prosumers.
        slots: slots of a session.
        ready_s: until all processes are connected, both starts.
        round_s: a price round.
        solving_s: the time a member takes to plan in a round; those without a battery have nothing to solve.
        messaging_round_s: a price round in which nobody has anything to solve, of all turns.
        slot_s: a slot's metering, delivery and settlement.
        whole_s: the run with planning, from the start until all processes are gone.
        plain_round_s: the same messages between plain slixmpp clients on the same server, of all turns.
        times_plain_by_turn: how many times as long as plain clients the market took in each turn, by medians.
        plain_processes: that the plain clients were spread over, beside the caller's.
        messages: received by all agents of the run with planning.
        slot_messages_per_s: messages of operation, by all agents, per second.
        call_bytes: body of a call for proposals, median.
        proposal_bytes: body of a proposal, median.
        memory: by kind of process.
        restarts: of processes, in all runs.
        resent: messages sent more than once, in all runs.
    """

    members: int
    slots: int
    ready_s: Spread
    round_s: Spread
    solving_s: Spread
    messaging_round_s: Spread
    slot_s: Spread
    whole_s: float
    plain_round_s: Spread
    times_plain_by_turn: list[float]
    plain_processes: int
    messages: int
    slot_messages_per_s: float
    call_bytes: int
    proposal_bytes: int
    memory: dict[str, Memory]
    restarts: int
    resent: int

    @property
    def messages_per_s(self) -> float:
        """Messages of a round without solving, per second."""
        return 2 * self.members / self.messaging_round_s.median

    @property
    def plain_messages_per_s(self) -> float:
        """The same between plain clients."""
        return 2 * self.members / self.plain_round_s.median

    @property
    def times_plain(self) -> float:
        """How many times as long as plain clients the market takes for a round without solving."""
        return median(self.times_plain_by_turn)


@dataclass(frozen=True)
class Turn:
    """A fleet in which nobody has anything to solve, and right after it plain clients."""

    rested: MarketRun
    plain: PlainRun

    @property
    def rounds_s(self) -> list[float]:
        """Rounds of the fleet after its first session [s]."""
        return self.rested.timings.rounds_s[self.rested.timings.first_session_rounds :]

    @property
    def times_plain(self) -> float:
        """How many times as long as plain clients the fleet took for a round."""
        return median(self.rounds_s) / median(self.plain.rounds_s)


def sessions_at_rest(members: int) -> int:
    """Sessions for about as many rounds as plain clients hold, fewer where there are many members."""
    as_many_rounds = 1 + PLAIN_ROUNDS // 2
    return max(FEWEST_SESSIONS_AT_REST, min(as_many_rounds, MEMBER_SESSIONS // members))


def measure_size(members: int, slots: int, on_news: News) -> SizeFigures:
    """Measure a community of ``members`` over ``slots``; everything is removed afterwards.

    Raises:
        FleetError: a fleet or the plain clients failed.
    """
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        planning = RunDirectory(Path(folder, "planning"))
        write_community(planning, members, slots)
        on_news("bench", "planning", {"members": members})
        solved = run_market(planning, on_news)
        turns = []
        for turn in range(TURNS):
            at_rest = RunDirectory(Path(folder, f"at-rest-{turn}"))
            write_community(at_rest, members, slots, sessions=sessions_at_rest(members), at_rest=True)
            on_news("bench", "at-rest", {"members": members})
            rested = run_market(at_rest, on_news)
            on_news("bench", "plain", {"members": members})
            turns.append(Turn(rested, _plain(at_rest, members, rested, on_news)))
    return figures_of(members, slots, solved, turns)


def _plain(directory: RunDirectory, members: int, run: MarketRun, on_news: News) -> PlainRun:
    """Plain clients on the same server, accounts and certificates as the fleet that has just ended."""
    server = ServerChild(directory.server_dir, directory.accounts_json, directory.logs_dir / "plain.stderr")
    server.start()
    try:
        server.await_ready()
        return run_plain(
            directory.server_dir / "connection.json",
            member_names(members),
            PLAIN_ROUNDS,
            int(median(run.timings.call_bytes)),
            int(median(run.timings.proposal_bytes)),
            on_news,
        )
    finally:
        server.terminate()
        if not server.wait(5.0):
            server.kill()
            server.wait(5.0)


def figures_of(members: int, slots: int, solved: MarketRun, turns: list[Turn]) -> SizeFigures:
    """Put the runs together."""
    rested = [turn.rested for turn in turns]
    slots_s = [seconds for run in rested for seconds in run.timings.slots_s]
    return SizeFigures(
        members=members,
        slots=slots,
        ready_s=Spread.of([run.ready_s for run in (solved, *rested)]),
        round_s=Spread.of(solved.timings.rounds_s),
        solving_s=Spread.of(solved.timings.solving_s),
        messaging_round_s=Spread.of([seconds for turn in turns for seconds in turn.rounds_s]),
        slot_s=Spread.of(slots_s),
        whole_s=solved.whole_s,
        plain_round_s=Spread.of([seconds for turn in turns for seconds in turn.plain.rounds_s]),
        times_plain_by_turn=[turn.times_plain for turn in turns],
        plain_processes=turns[0].plain.processes,
        messages=solved.timings.messages,
        slot_messages_per_s=sum(run.timings.slot_messages for run in rested) / sum(slots_s),
        call_bytes=int(median(rested[0].timings.call_bytes)),
        proposal_bytes=int(median(rested[0].timings.proposal_bytes)),
        memory=solved.memory,
        restarts=sum(run.restarts for run in (solved, *rested)),
        resent=sum(run.timings.resent for run in (solved, *rested)),
    )

"""The coordinator's part of a load, whatever carries the messages, and what is told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from runtime.bench.load import ANSWERED_WITH, Load, Said, meaning_of
from runtime.bench.memory import Memory, memory_of, some_of

STEP_LIMIT_S = 60.0
"""How long all members may take to answer a step."""


@dataclass(frozen=True)
class Carried:
    """A load carried by something else than the fleet; first sessions warm up and are left out.

    Attributes:
        ready_s: from the start of the first process until all can be reached, its libraries loaded [s].
        rounds_s: by round, from the first call sent to the last proposal received [s].
        slots_s: by slot, from the first request sent to the last bill line sent [s].
        member: memory of the members' processes.
        processes: that the members are spread over.
    """

    ready_s: float
    rounds_s: list[float]
    slots_s: list[float]
    member: Memory
    processes: int

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Carried:
        """Read what ``asdict`` made of one."""
        return cls(**{**found, "member": Memory.from_dict(found["member"])})

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


@dataclass
class Caller:
    """Asks all members, step by step, and waits for their answers.

    Attributes:
        load: what is asked.
        members: how many.
        tell_all: sends a text to every member.
        rounds_s: what rounds took so far, first session aside [s].
        slots_s: what slots took, likewise.
        memory: of the members' processes, half way.
        ready_s: from the start of this process until all could be reached [s].
    """

    load: Load
    members: int
    tell_all: Callable[[str], Awaitable[None]]
    rounds_s: list[float] = field(default_factory=list)
    slots_s: list[float] = field(default_factory=list)
    memory: Memory | None = None
    ready_s: float = 0.0
    _answers: int = 0
    _awaited: Said | None = None
    _complete: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, text: str) -> None:
        """Take an answer of a member."""
        if meaning_of(text) is self._awaited:
            self._answers += 1
            if self._answers == self.members:
                self._complete.set()

    async def ask(self, said: Said, limit_s: float = STEP_LIMIT_S) -> None:
        """Ask all members and wait for all answers.

        Raises:
            TimeoutError: they did not come in time.
        """
        self._answers, self._awaited = 0, ANSWERED_WITH[said]
        self._complete.clear()
        await self.tell_all(self.load.text(said))
        await asyncio.wait_for(self._complete.wait(), limit_s)

    async def go(self, pids: list[int]) -> None:
        """Go through all steps; the memory of processes ``pids`` is looked at half way, between two steps.

        Raises:
            TimeoutError: a member did not answer.
        """
        steps = self.load.steps
        for place, step in enumerate(steps):
            await asyncio.sleep(step.pause_s)
            began_s = time.perf_counter()
            await self.ask(step.ask)
            if step.ask is Said.DELIVERY_REQUEST:
                await self.tell_all(self.load.text(Said.BILL_LINE))
            seconds = time.perf_counter() - began_s
            if step.session > 0 and step.ask is Said.CALL:
                self.rounds_s.append(seconds)
            if step.session > 0 and step.ask is Said.DELIVERY_REQUEST:
                self.slots_s.append(seconds)
            if place == len(steps) // 2:
                self.memory = memory_of(some_of(pids))

    def ready(self) -> None:
        """All can be reached now."""
        self.ready_s = time.time() - psutil.Process().create_time()

    def carried(self, processes: int) -> Carried:
        """What came of it, with members in so many processes."""
        assert self.memory is not None, "the load was carried"
        return Carried(self.ready_s, self.rounds_s, self.slots_s, self.memory, processes)

"""Whole communities of real hosts in time that is only counted: any delay, loss, crash and absence.

Hosts carry machines as they do in a fleet, with logs on disk; what is played is the connection, the server
that keeps messages for who is away, the supervisor that starts again what died, and time.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from runtime.clock import Clock, SimulatedClock
from runtime.horizon import Horizon
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import MachineCarrier
from runtime.protocol.envelope import Envelope
from runtime.protocol.machine import Machine

T = TypeVar("T")

BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)

WRITTEN_AT_ONCE_S = 1e-6


class KilledError(Exception):
    """An agent's process was killed in the middle of what it did."""


class CountedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as there is nothing left to do."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now_s

    def wall_clock(self) -> str:
        return (BEGINNING + timedelta(seconds=self.now_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: CountedTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nobody waits for anything any more"
            self._loop.now_s += max(0.0, timeout)
        return ready


@dataclass(frozen=True)
class Weather:
    """What a community has to live through.

    Attributes:
        latency_s: mean time of a message on its way [s], drawn for each.
        overtaking: whether messages of one agent to another may overtake each other.
        loss: share of messages that get lost.
        doubling: share that arrives twice, the second time up to ``stale_s`` later.
        stale_s: how old a doubled message may be [s].
        planning_s: mean time of a computation [s].
        forgetting: share of messages that the server loses of those it keeps for who is away.
        kills: by agent, at which write to its log each of its lives ends; 0 is before the first.
        hangs: agent, when [s], and how long [s] its process stands still.
        cuts: agent, when [s], and how long [s] it has no connection.
        down_s: how long an agent is away that was killed, at most [s].
        slot_s: how long a slot takes [s].
    """

    latency_s: float = 0.02
    overtaking: bool = False
    loss: float = 0.0
    doubling: float = 0.0
    stale_s: float = 1.0
    planning_s: float = 0.1
    forgetting: float = 0.0
    kills: Mapping[str, Sequence[int]] = field(default_factory=dict)
    hangs: Sequence[tuple[str, float, float]] = ()
    cuts: Sequence[tuple[str, float, float]] = ()
    down_s: float = 3.0
    slot_s: float = 0.0


class _MortalLog(MessageLog):
    """A log whose agent may be killed while it writes, so that any part of what it wrote is there."""

    killed_at: int | None = None
    writes = 0
    rng: random.Random
    dead = False

    def _write(self, lines: bytes, digest: str, records: int = 1) -> int:
        if self.dead:
            raise KilledError
        self.writes += 1
        if self.writes == self.killed_at:
            self.dead = True
            os.write(self._descriptor, lines[: self.rng.randint(0, len(lines))])
            raise KilledError
        return super()._write(lines, digest, records)


class _PlannedLater(Executor):
    """Does work at once, and hands its result over after a drawn time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, draw_s: Callable[[], float]) -> None:
        self._loop, self._draw_s = loop, draw_s

    def submit(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        done: Future[T] = Future()
        result = work(*arguments, **options)
        self._loop.call_later(self._draw_s(), _hand_over, done, result)
        return done


def _hand_over(done: Future[T], result: T) -> None:
    if not done.cancelled():
        done.set_result(result)


class PacedClock:
    """Every slot takes so long after it is first asked for."""

    def __init__(self, slot_s: float, now_s: Callable[[], float]) -> None:
        self._slot_s, self._now_s = slot_s, now_s
        self._asked_s: dict[tuple[int, int], float] = {}

    def seconds_until_slot_end(self, horizon: Horizon, session: int, slot: int) -> float:
        asked_s = self._asked_s.setdefault((session, slot), self._now_s())
        return max(0.0, asked_s + self._slot_s - self._now_s())

    def seconds_late(self, horizon: Horizon, slot: int) -> float:
        return 0.0


class Host(MachineCarrier):
    """One life of an agent."""

    def __init__(self, world: World, name: str, machine: Machine, log: MessageLog, clock: Clock) -> None:
        self.local_part = name
        self.last_ending = "cut"
        self.online = False
        self.stands_still = False
        self._world = world
        self._held: list[tuple[Callable[..., None], tuple[Any, ...], asyncio.TimerHandle | None]] = []
        planning = _PlannedLater(world.loop, lambda: world.drawn_s(world.weather.planning_s))
        self.carry(machine, log, clock, lambda *_: None, planning=planning)  # type: ignore[arg-type]

    @property
    def connected(self) -> bool:
        return self.online

    def transmit(self, envelope: Envelope) -> bool:
        if self.online:
            self._world.loop.call_later(WRITTEN_AT_ONCE_S, self._world.carry, self, envelope)
        return self.online

    def be_gone(self) -> None:
        """Leave as one that has finished, or as a process that was killed, which does no more."""
        ended = self.finished
        if ended.done() and not ended.cancelled() and ended.exception() is None:
            try:
                self.let_go()
            except KilledError:  # as it said that it leaves
                self._log.close()
        else:
            for job in list(self._jobs):
                job.cancel()
            self._log.close()

    def stand_still(self) -> None:
        self.stands_still = True

    def go_on(self) -> None:
        self.stands_still = False
        held, self._held = self._held, []
        for act, arguments, timer in held:
            # What came before may have stopped it, as it can on a loop that finds both at once.
            if timer is None or timer is self._timer_of(act, arguments):
                self._guarded(act, *arguments)

    def _guarded(self, act: Callable[..., None], *arguments: Any) -> None:
        if self.stands_still:
            self._held.append((act, arguments, self._timer_of(act, arguments)))
        else:
            super()._guarded(act, *arguments)

    def _timer_of(self, act: Callable[..., None], arguments: tuple[Any, ...]) -> asyncio.TimerHandle | None:
        """The timer that does this as it runs out, as long as it is not stopped."""
        if act == self._timer_ran_out:
            return self._timers.get(arguments[0])
        return self._timers.get(arguments[0].name) if act == self._await_slot_end else None


class World:
    """Agents by account, what is under way between them, and the weather."""

    def __init__(
        self,
        makers: Mapping[str, Callable[[], Machine]],
        logs: Path,
        weather: Weather,
        seed: int,
        waited_for: Sequence[str],
    ) -> None:
        """Prepare.

        Args:
            makers: each account's machine, new for each life.
            logs: folder of the logs.
            weather: what happens to them.
            seed: draws it.
            waited_for: accounts whose end is the end of all.
        """
        self.weather = weather
        self.hosts: dict[str, Host] = {}
        self.killed: list[str] = []
        self.loop = CountedTime()
        self._rng = random.Random(seed)
        self._makers, self._logs = makers, logs
        self._waited_for = [*waited_for]
        self._lives: dict[str, list[int]] = {name: [*kills] for name, kills in weather.kills.items()}
        self._kept: dict[str, list[Envelope]] = defaultdict(list)
        self._arrived_s: dict[tuple[str, str], float] = defaultdict(float)
        self._finished: set[str] = set()
        self._clock: Clock = (
            PacedClock(weather.slot_s, self.loop.time) if weather.slot_s else SimulatedClock()
        )

    def drawn_s(self, mean_s: float) -> float:
        return self._rng.expovariate(1.0 / mean_s) if mean_s else 0.0

    def run(self, limit_s: float) -> float:
        """Run to the end of those that are waited for, within ``limit_s``; how long that took [s]."""
        asyncio.set_event_loop(self.loop)
        try:
            return self.loop.run_until_complete(self._run(limit_s))
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _run(self, limit_s: float) -> float:
        living = {name: asyncio.create_task(self._live_and_die(name)) for name in self._makers}
        weather = [
            *(asyncio.create_task(self._hang(*hang)) for hang in self.weather.hangs),
            *(asyncio.create_task(self._cut(*cut)) for cut in self.weather.cuts),
        ]
        ends = [living[name] for name in self._waited_for]
        done, late = await asyncio.wait(ends, timeout=limit_s, return_when=asyncio.FIRST_EXCEPTION)
        took_s = self.loop.time()
        waiting = [name for name in self._waited_for if living[name] in late]
        everything = [*living.values(), *weather]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        for task in [*done, *(each for each in weather if not each.cancelled())]:
            task.result()
        assert not late, f"not at their end after {took_s:g} s: {', '.join(waiting)}"
        return took_s

    async def _live_and_die(self, name: str) -> None:
        while True:
            host = self._born(name)
            self.hosts[name] = host
            try:
                host.begin()
                await self._log_in_after(host, self.drawn_s(0.1))
                await host.finished
                await asyncio.sleep(WRITTEN_AT_ONCE_S * 2)  # who leaves says its last words
                self._finished.add(name)
                return
            except KilledError:
                self.killed.append(name)
            finally:
                host.online = False
                host.leave_off()
                host.be_gone()
            await asyncio.sleep(self._rng.uniform(0.0, self.weather.down_s))

    def _born(self, name: str) -> Host:
        log = _MortalLog.open(self._logs / f"{name}.jsonl", name, now=self.loop.wall_clock)
        assert isinstance(log, _MortalLog)
        lives = self._lives.get(name)
        log.rng, log.writes = self._rng, 0
        log.killed_at = lives.pop(0) if lives else None
        host = Host(self, name, self._makers[name](), log, self._clock)
        if log.killed_at == 0:
            log.dead = True
            host.finished.set_exception(KilledError())
        return host

    async def _log_in_after(self, host: Host, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if host.finished.done():
            return
        host.online = True
        host.on_connected()
        for envelope in self._kept.pop(host.local_part, []):
            self._arrive(envelope)

    async def _hang(self, name: str, at_s: float, seconds: float) -> None:
        await asyncio.sleep(at_s)
        host = self.hosts[name]
        host.stand_still()
        await asyncio.sleep(seconds)
        if self.hosts[name] is host and not host.finished.done():
            host.go_on()

    async def _cut(self, name: str, at_s: float, seconds: float) -> None:
        await asyncio.sleep(at_s)
        host = self.hosts[name]
        host.online = False
        await asyncio.sleep(seconds)
        if self.hosts[name] is host and not host.finished.done():
            await self._log_in_after(host, 0.0)

    def carry(self, host: Host, envelope: Envelope) -> None:
        """Take a message to its recipient, if it left at all and is not lost."""
        if not host.online or self._rng.random() < self.weather.loss:
            return
        self._send(envelope, self.drawn_s(self.weather.latency_s))
        if self._rng.random() < self.weather.doubling:
            self._send(envelope, self._rng.uniform(0.0, self.weather.stale_s), overtaking=True)

    def _send(self, envelope: Envelope, seconds: float, *, overtaking: bool = False) -> None:
        at_s = self.loop.time() + seconds
        if not (self.weather.overtaking or overtaking):
            pair = envelope.sender, envelope.recipient
            at_s = self._arrived_s[pair] = max(at_s, self._arrived_s[pair] + WRITTEN_AT_ONCE_S)
        self.loop.call_at(at_s, self._arrive, envelope)

    def _arrive(self, envelope: Envelope) -> None:
        name = envelope.recipient.partition("@")[0]
        host = self.hosts.get(name)
        if name in self._finished:
            return
        if host is not None and host.online and not host.finished.done():
            host.on_envelope(envelope)
        elif self._rng.random() >= self.weather.forgetting:
            self._kept[name].append(envelope)

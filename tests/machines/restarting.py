"""Whole communities of real hosts in one process, whose power fails at any byte of any log."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from coordinator.session import MarketMachine
from runtime.clock import Clock, SimulatedClock
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.protocol.envelope import Envelope
from runtime.protocol.machine import Machine
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import COORDINATOR, RunDirectory, meter_account
from tests.machines.communities import DOMAIN, Community, PlayedMeter


class PowerCutError(Exception):
    """The machine that all agents run on has lost its power."""


@dataclass
class Power:
    """Counts what is written to logs, and fails in the middle of a write."""

    rng: random.Random
    fails_at_write: int | None = None
    writes: int = 0
    cut: asyncio.Event = field(default_factory=asyncio.Event)

    def fails_now(self) -> bool:
        self.writes += 1
        return self.writes == self.fails_at_write


class FragileLog(MessageLog):
    """A log whose last write may have reached the disk in part."""

    power: Power

    def _write(self, lines: bytes, digest: str, records: int = 1) -> int:
        power = getattr(self, "power", None)
        if power is None:  # while it is being opened
            return super()._write(lines, digest, records)
        if power.cut.is_set():
            raise PowerCutError
        if power.fails_now():
            power.cut.set()
            os.write(self._descriptor, lines[: power.rng.randint(0, len(lines))])
            raise PowerCutError
        return super()._write(lines, digest, records)


class Host(MachineAgent):
    """A host whose messages go round in this process."""

    hall: Hall

    @property
    def connected(self) -> bool:
        return not self.hall.power.cut.is_set()

    def transmit(self, envelope: Envelope) -> bool:
        self.hall.carry(envelope)
        return True

    def leave(self) -> None:
        """Be gone, as a process is that was killed."""
        for timer in self._timers.values():
            timer.cancel()
        if self._resending is not None:
            self._resending.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._log.close()
        if self.finished.done():
            self.finished.exception()  # of a power cut: nobody else asks


@dataclass
class Hall:
    """One life of a whole community."""

    community: Community
    directory: RunDirectory
    power: Power
    clock: Clock = field(default_factory=SimulatedClock)
    hosts: dict[str, Host] = field(default_factory=dict)

    def carry(self, envelope: Envelope) -> None:
        if not self.power.cut.is_set():
            asyncio.get_running_loop().call_soon(self._hand_over, envelope)

    def _hand_over(self, envelope: Envelope) -> None:
        host = self.hosts[envelope.recipient.partition("@")[0]]
        if not self.power.cut.is_set() and not host.finished.done():
            host.on_envelope(envelope)

    def _host(self, name: str, machine: Machine) -> None:
        connection = Connection.model_construct(
            domain=DOMAIN, host="h", port=1, ca_file=Path("ca"), secrets_dir=Path("s")
        )
        log = FragileLog.open(self.directory.log(name), name)
        log.power = self.power  # type: ignore[attr-defined]
        host = Host(connection, name, machine, log, self.clock, lambda *_: None)
        host.hall = self
        self.hosts[name] = host

    async def live(self) -> bool:
        """Begin, or go on from the logs; whether all came to an end before the power failed."""
        community, directory = self.community, self.directory
        path = directory.coordinator_record
        self._host(COORDINATOR, MarketMachine(community.coordinator_config, f"{COORDINATOR}@{DOMAIN}", path))
        for config in community.member_configs:
            path = directory.member_record(config.name)
            self._host(config.name, ProsumerMachine(config, f"{config.name}@{DOMAIN}", path))
            meter = PlayedMeter(config.name, community.metered_kwh[config.name])
            self._host(meter_account(config.name), meter)
        for host in self.hosts.values():
            await host.setup()
        for host in self.hosts.values():
            host.on_connected()
        waited_for = [host.finished for name, host in self.hosts.items() if not name.endswith(".meter")]
        cut = asyncio.create_task(self.power.cut.wait())
        ended = asyncio.gather(*waited_for, return_exceptions=True)
        await asyncio.wait((cut, ended), timeout=30.0, return_when=asyncio.FIRST_COMPLETED)
        failed = self.power.cut.is_set()
        assert failed or ended.done(), "the community did not come to an end"
        cut.cancel()
        await asyncio.sleep(0)
        for host in self.hosts.values():
            host.leave()
        if not failed:
            for finished in waited_for:
                finished.result()
        return not failed


def run_with_power_cuts(
    community: Community,
    path: Path,
    seed: int,
    cuts_at: list[int],
    between_lives: Callable[[RunDirectory], Any] = lambda _: None,
    clock: Callable[[Power], Clock] = lambda _: SimulatedClock(),
) -> tuple[CoordinatorRecord, dict[str, MemberRecord], int]:
    """Run a community whose power fails at these writes, each counted from the life's first.

    Returns:
        The coordinator's record, the members', and how many writes to logs the last life took.
    """
    directory, rng = RunDirectory(path), random.Random(seed)

    async def lives() -> int:
        for at in [*cuts_at, None]:
            power = Power(rng, at)
            if await Hall(community, directory, power, clock(power)).live():
                return power.writes
            between_lives(directory)
        raise AssertionError("the last life has all the power it needs")

    writes = asyncio.run(lives())
    members = {
        config.name: MemberRecord.load(directory.member_record(config.name))
        for config in community.member_configs
    }
    return CoordinatorRecord.load(directory.coordinator_record), members, writes

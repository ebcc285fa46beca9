"""``python -m runtime.bench.asking``: the prosumers of many meters, which ask for readings and count them.

Each has its own account, connection (over aioxmpp) and message log, and repeats what is not answered, as
prosumers do; a process holds many. Prints ``{"ready": n}`` when all have been attached to, waits for a line
on standard input, asks for as long as it is told, then prints ``{"result": …}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.clock import SimulatedClock
from runtime.horizon import MAX_SLOTS, Horizon
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.lean_host import LeanMachineAgent
from runtime.messaging.lean_link import Account, tls_context
from runtime.protocol.bodies import AnyBody, MeterAttach, MeterAttached, Reading, ReadingRequest, Reason
from runtime.protocol.envelope import METERING, Envelope, Performative
from runtime.protocol.machine import Effect, Machine, StartTimer, StopTimer

HORIZON = Horizon(start=datetime(2024, 6, 18, tzinfo=UTC), zone="UTC", slot_minutes=1, slots=MAX_SLOTS)
"""Slots that are asked for; only their numbers matter."""

AT_ONCE = 10
"""Logins of one process under way at a time."""

READY_LIMIT_S, DRAIN_LIMIT_S = 300.0, 20.0
"""For all to be connected and attached; for answers that are still under way at the end."""


@dataclass
class Tally:
    """What the prosumers of a process saw.

    Attributes:
        asked: readings asked for, each counted once.
        answered: of them, those that came.
        wrong: readings that were not what the meter measured.
        failed: requests answered with a reason instead.
        resent: requests that were repeated.
        latencies_s: from a request, first sent, to its reading.
    """

    asked: int = 0
    answered: int = 0
    wrong: int = 0
    failed: int = 0
    resent: int = 0
    latencies_s: list[float] = field(default_factory=list)


def energy_of(slot: int) -> float:
    """What every meter of the measurement reads in a slot [kWh]."""
    return slot / 1000.0


class AskingMachine(Machine):
    """A prosumer that only asks its meter, in a steady beat."""

    def __init__(self, jid: str, tally: Tally, interval_s: float) -> None:
        """Ask every ``interval_s`` once told to begin; what comes of it goes into ``tally``."""
        super().__init__(jid)
        self.meter = ""
        self._tally = tally
        self._interval_s = interval_s
        self._asked_at_s: dict[str, float] = {}
        self._slot = 0

    def begin(self, after_s: float) -> list[Effect]:
        """Ask for the first reading after some seconds."""
        self.do(StartTimer("ask", after_s))
        return self._take()

    def end(self) -> list[Effect]:
        """Ask for no more."""
        self.do(StopTimer("ask"))
        return self._take()

    def on_start(self) -> None:
        """A prosumer waits for its meter."""

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        """Take a message of the meter."""
        match body:
            case MeterAttach():
                self.meter = envelope.sender
                self.reply(envelope, Performative.AGREE, MeterAttached(session=0, slot=0))
            case Reading():
                asked_at_s = self._asked_at_s.pop(envelope.in_reply_to or "")
                self._tally.latencies_s.append(time.perf_counter() - asked_at_s)
                self._tally.answered += 1
                self._tally.wrong += body.e[0].v != energy_of(body.slot)
            case Reason():
                self._tally.failed += 1

    def on_timer(self, name: str) -> None:
        """Ask for the next slot."""
        slot = self._slot % HORIZON.slots
        self._slot += 1
        request = ReadingRequest(
            session=0,
            slot=slot,
            slot_start=HORIZON.slot_start(slot),
            slot_end=HORIZON.slot_start(slot + 1),
            roles=["load"],
        )
        message_id = self.send(
            self.meter,
            Performative.REQUEST,
            request,
            protocol=METERING,
            conversation=METERING,
            expects_reply=True,
        )
        self._asked_at_s[message_id] = time.perf_counter()
        self._tally.asked += 1
        self.do(StartTimer("ask", self._interval_s))

    @property
    def waiting(self) -> bool:
        """Whether a reading is still to come."""
        return bool(self._asked_at_s)


class Asking(LeanMachineAgent):
    """The agent around it; counts what is sent again."""

    def __init__(self, account: Account, machine: AskingMachine, log: MessageLog, tally: Tally) -> None:
        """Prepare; the event loop runs."""
        super().__init__(account, machine, log, SimulatedClock(), lambda *_: None, replay=False)
        self.asking = machine
        self._tally = tally

    def begin_asking(self, after_s: float) -> None:
        """Ask for the first reading after some seconds."""
        self._perform(self.asking.begin(after_s))

    def end_asking(self) -> None:
        """Ask for no more."""
        self._perform(self.asking.end())

    def _repeat(self, envelope: Envelope) -> None:
        self._tally.resent += 1
        super()._repeat(envelope)


def accounts_for(connection: Connection, names: list[str]) -> list[Account]:
    """Accounts on one server; they share what its certificate is checked with."""
    context = tls_context(connection.ca_file.read_text(encoding="ascii"))
    passwords = {name: connection.password_for(name) for name in names}
    return [
        Account(name, connection.domain, connection.host, connection.port, passwords[name].__str__, context)
        for name in names
    ]


async def start_all(agents: list[Any]) -> None:
    """Connect all, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def start(agent: Any) -> None:  # noqa: ANN401 - anything that starts
        async with gate:
            await agent.start()

    await asyncio.gather(*(start(agent) for agent in agents))


async def ask(
    connection: Connection, names: list[str], interval_s: float, seconds: float, logs: Path
) -> Tally:
    """Be the prosumers ``names``: wait for their meters, ask, and count."""
    tally, chance = Tally(), random.Random(names[0])
    agents = []
    for account in accounts_for(connection, names):
        machine = AskingMachine(account.bare_jid, tally, interval_s)
        log = MessageLog.open(logs / f"{account.local_part}.jsonl", account.local_part)
        agents.append(Asking(account, machine, log, tally))
    await start_all(agents)
    print(json.dumps({"connected": len(agents)}), flush=True)
    async with asyncio.timeout(READY_LIMIT_S):
        while not all(agent.asking.meter for agent in agents):
            await asyncio.sleep(0.1)
    print(json.dumps({"ready": len(agents)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for agent in agents:
        agent.begin_asking(chance.uniform(0.0, interval_s))
    await asyncio.sleep(seconds)
    for agent in agents:
        agent.end_asking()
    until_s = time.monotonic() + DRAIN_LIMIT_S
    while any(agent.asking.waiting for agent in agents) and time.monotonic() < until_s:
        await asyncio.sleep(0.1)
    return tally


def main() -> int:
    """Run as a process of the measurement."""
    parser = argparse.ArgumentParser(prog="python -m runtime.bench.asking", description=__doc__)
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--interval-s", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    connection = Connection.load(given.connection)
    tally = asyncio.run(ask(connection, given.names, given.interval_s, given.seconds, given.logs))
    print(json.dumps({"result": asdict(tally)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

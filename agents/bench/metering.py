"""``python -m agents.bench.metering``: many meters as devices have them, each with its connection and log.

A process holds many. Prints ``{"begun": n}`` and waits for a line on standard input, then ``{"ready": n}``
when all are attached; leaves when its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from agents.meters.device.client import DeviceMeter
from agents.meters.machine import AttachedMeterMachine
from runtime.bench.asking import HORIZON, accounts_for, energy_of, start_all
from runtime.configuration import MeterRole
from runtime.horizon import Horizon
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.rundir import attached_meter_account


class KnownSource:
    """Reads what the prosumers of the measurement expect."""

    roles: frozenset[MeterRole] = frozenset({"load"})
    immediate = True

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float:
        """Energy of a slot [kWh]."""
        return energy_of(slot)


async def meter(connection: Connection, members: list[str], logs: Path) -> None:
    """Be the meters of ``members`` until standard input ends."""
    attached: set[str] = set()
    meters = []
    for member, account in zip(
        members, accounts_for(connection, [attached_meter_account(member) for member in members]), strict=True
    ):
        machine = AttachedMeterMachine(
            account.bare_jid,
            connection.jid(member),
            KnownSource(),
            "known:",
            ["load"],
            [HORIZON],
            id_prefix=f"{secrets.token_hex(4)}-",
        )

        def tell(phase: str, detail: dict[str, Any], member: str = member) -> None:
            if phase == "attached":
                attached.add(member)

        log = MessageLog.open(logs / f"{account.local_part}.jsonl", account.local_part)
        meters.append(DeviceMeter(account, machine, log, tell))
    await start_all(meters)
    while len(attached) < len(meters):
        for each in meters:
            if each.finished.done():
                each.finished.result()
        await asyncio.sleep(0.1)
    print(json.dumps({"ready": len(meters)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> int:
    """Run as a process of the measurement."""
    parser = argparse.ArgumentParser(prog="python -m agents.bench.metering", description=__doc__)
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("members", nargs="+")
    given = parser.parse_args()
    print(json.dumps({"begun": len(given.members)}), flush=True)
    sys.stdin.readline()
    asyncio.run(meter(Connection.load(given.connection), given.members, given.logs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A prosumer's process: its agent, made from the run directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from agents.prosumer import ProsumerMachine
from runtime.clock import SimulatedClock
from runtime.configuration import MemberConfig
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import RunDirectory


def run_prosumer(run_path: Path, member: str, watcher: Watcher, handout: Path | None = None) -> int:
    """Run one member's agent; returns the exit code."""

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path, handout)
        config = MemberConfig.load(directory.member_config(member))
        connection = Connection.load(directory.connection_json)
        machine = ProsumerMachine(config, connection.jid(member), directory.member_record(member))
        log = MessageLog.open(directory.log(member), member, fsync=not config.clock.simulated)
        return [
            MachineAgent(connection, member, machine, log, SimulatedClock(), partial(watcher.tell, member))
        ]

    return serve(agents, watcher)

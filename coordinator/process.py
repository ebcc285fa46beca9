"""The coordinator's process: its agent, made from the run directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from coordinator.session import MarketMachine
from runtime.clock import clock_for
from runtime.configuration import CoordinatorConfig
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import COORDINATOR, RunDirectory


def run(run_path: Path, watcher: Watcher) -> int:
    """Run the market sessions of a run directory; returns the exit code."""

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path)
        config = CoordinatorConfig.load(directory.coordinator_config)
        connection = Connection.load(directory.connection_json)
        machine = MarketMachine(config, connection.jid(COORDINATOR), directory.coordinator_record)
        log = MessageLog.open(directory.log(COORDINATOR), COORDINATOR, fsync=config.clock.kind == "real-time")
        tell = partial(watcher.tell, COORDINATOR)
        return [MachineAgent(connection, COORDINATOR, machine, log, clock_for(config.clock), tell)]

    return serve(agents, watcher)

"""The coordinator's process: its agent, made from the run directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from coordinator.session import MarketMachine
from runtime.clock import clock_for
from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import COORDINATOR, RunDirectory


def run(run_path: Path, watcher: Watcher, handout: Path | None = None, account: str = COORDINATOR) -> int:
    """Run the market sessions of a run directory, or of one of its two communities; returns the exit code."""

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path, handout)
        config = CoordinatorConfig.load(directory.coordinator_config)
        connection = Connection.load(directory.connection_json)
        if account not in config.coordinators:
            known = ", ".join(config.coordinators)
            raise InputError(f"--account: found {account!r}, expected one of this run's: {known}")
        record = directory.community_record(account) if config.communities else directory.coordinator_record
        machine = MarketMachine(config, connection.jid(account), record, directory.begun_record(account))
        log = MessageLog.open(directory.log(account), account, fsync=not config.clock.simulated)
        tell = partial(watcher.tell, account)
        return [MachineAgent(connection, account, machine, log, clock_for(config.clock), tell)]

    return serve(agents, watcher)

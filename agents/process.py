"""A process of prosumers: the agents of one member or of several, made from the run directory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from agents.prosumer import ProsumerMachine
from runtime.clock import SimulatedClock
from runtime.configuration import MemberConfig
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import planning_thread
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import RunDirectory


def run_prosumers(
    run_path: Path, members: Sequence[str], watcher: Watcher, handout: Path | None = None
) -> int:
    """Run the agents of members until all of them have finished; returns the exit code.

    Each has a connection, an account and a log of its own: what members of one process say to each other goes
    through the server like everything else. They share the thread that plans.

    Args:
        run_path: the run's folder.
        members: their names.
        watcher: told how far they are.
        handout: folder with their connection and configuration; the run itself if None.
    """
    planning = planning_thread()  # its thread begins with the first plan

    def agent(directory: RunDirectory, connection: Connection, member: str) -> MachineAgent:
        config = MemberConfig.load(directory.member_config(member))
        machine = ProsumerMachine(config, connection.jid(member), directory.member_record(member))
        log = MessageLog.open(directory.log(member), member, fsync=not config.clock.simulated)
        tell = partial(watcher.tell, member)
        return MachineAgent(connection, member, machine, log, SimulatedClock(), tell, planning=planning)

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path, handout)
        connection = Connection.load(directory.connection_json)
        return [agent(directory, connection, member) for member in members]

    try:
        return serve(agents, watcher)
    finally:
        planning.shutdown(wait=False, cancel_futures=True)

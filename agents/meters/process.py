"""The processes of meters: all built-in meters of a run in one, an attached meter in one of its own.

A built-in meter that is restarted replays its log, as every agent of a fleet: it knows whom it answered, and
whether metering has ended. An attached meter is a new one each time it is attached. Its log goes on, but what
an earlier one did is none of its business: it replays nothing, and its message ids have their own prefix.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agents.meters.attached import TakingLeave
from agents.meters.machine import AttachedMeterMachine, MeterMachine
from agents.meters.several import source_of
from agents.meters.source import BackgroundSource, MeterSource, open_source, roles_to_measure
from agents.setpoints.process import built_in_controllers
from runtime.clock import SimulatedClock
from runtime.configuration import ClockConfig, MeterConfig, MetersConfig
from runtime.errors import InputError
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import RunDirectory, attached_meter_account, meter_account


class AttachedMeterAgent(TakingLeave, MachineAgent):
    """The agent of an attached meter; it takes its leave before it stops, and does not outlive its fleet."""

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        machine: AttachedMeterMachine,
        log: MessageLog,
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """Prepare an agent, as ``MachineAgent``."""
        super().__init__(connection, local_part, machine, log, SimulatedClock(), tell, replay=False)
        self._attached_machine = machine


def run_meters(run_path: Path, watcher: Watcher, handout: Path | None = None) -> int:
    """Run the built-in meters of all members, and batteries' controllers; returns the exit code."""

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path, handout)
        config = MetersConfig.load(directory.meters_config)
        connection = Connection.load(directory.connection_json)
        meters = [
            _built_in_meter(directory, connection, meter, config.clock, watcher)
            for meter in config.meters
            if meter.roles
        ]
        return [*meters, *built_in_controllers(directory, connection, config, watcher)]

    return serve(agents, watcher)


def _built_in_meter(
    directory: RunDirectory, connection: Connection, meter: MeterConfig, clock: ClockConfig, watcher: Watcher
) -> MachineAgent:
    account = meter_account(meter.member)
    source = source_of(meter)
    machine = MeterMachine(
        connection.jid(account),
        connection.jid(meter.member),
        source,
        roles_to_measure(source, meter.source, meter, meter.roles),
        [session.horizon for session in meter.sessions],
    )
    log = _open_log(directory, account, clock)
    agent = MachineAgent(connection, account, machine, log, SimulatedClock(), partial(watcher.tell, account))
    _start(source, clock)
    return agent


def run_attached_meter(
    run_path: Path,
    member: str,
    source_url: str,
    roles: Sequence[str],
    connection_path: Path | None,
    watcher: Watcher,
    number: int = 2,
) -> int:
    """Attach a meter to a member of a running fleet, until it is told to leave.

    Args:
        run_path: the run's folder, of which the meters' configuration is read.
        member: the member's name.
        source_url: where readings come from.
        roles: what it measures; all that the source can if empty.
        connection_path: how to reach the fleet's server; the run's own connection file if None.
        number: which of the member's further meters it is, from 2.
        watcher: told ``attached`` and ``detached`` with session and slot, or ``failed`` with the reason.

    Returns:
        The exit code: 0 detached or the run is over, 1 not attached, 2 bad input.
    """

    def agents() -> list[MachineAgent]:
        directory = RunDirectory(run_path)
        config = MetersConfig.load(directory.meters_config)
        meter = meter_of(config, member, directory.meters_config)
        connection = Connection.load(connection_path or directory.connection_json)
        source = open_source(source_url, meter)
        account = attached_meter_account(member, number)
        machine = AttachedMeterMachine(
            connection.jid(account),
            connection.jid(member),
            source,
            source_url,
            roles_to_measure(source, source_url, meter, roles),
            [session.horizon for session in meter.sessions],
            id_prefix=f"{secrets.token_hex(4)}-",
        )
        log = _open_log(directory, account, config.clock)
        _start(source, config.clock)
        return [AttachedMeterAgent(connection, account, machine, log, partial(watcher.tell, account))]

    return serve(agents, watcher)


def meter_of(config: MetersConfig, member: str, path: Path) -> MeterConfig:
    """Find a member's meter.

    Raises:
        InputError: there is no such member.
    """
    for meter in config.meters:
        if meter.member == member:
            return meter
    names = ", ".join(meter.member for meter in config.meters) or "none"
    raise InputError(f"{path}: found no member {member!r}, expected one of {names}")


def _start(source: MeterSource, clock: ClockConfig) -> None:
    if isinstance(source, BackgroundSource):
        source.start(clock)


def _open_log(directory: RunDirectory, account: str, clock: ClockConfig) -> MessageLog:
    return MessageLog.open(directory.log(account), account, fsync=not clock.simulated)

"""Controllers' agents: those in a run from its start, and one attached to a running fleet.

A built-in controller is served by the process of the meters, and replays its log when that is started
again. An attached one is a new one each time, in a process of its own. Either gives its device control back
before it stops.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agents.meters.attached import DETACH_LIMIT_S, TakingLeave
from agents.setpoints.attached_machine import AttachedControllerMachine
from agents.setpoints.machine import LEAVE, RETURNED, ControllerMachine
from agents.setpoints.moments import moment_of
from agents.setpoints.target import open_target
from runtime.clock import clock_for
from runtime.configuration import ClockConfig, MeterConfig, MetersConfig
from runtime.errors import InputError
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.process import Watcher, serve
from runtime.rundir import RunDirectory, controller_account
from runtime.setpoints import SetpointTable


class ControllerAgent(MachineAgent):
    """The agent of a controller that is in the run from its start."""

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        machine: ControllerMachine,
        log: MessageLog,
        clock: ClockConfig,
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """Prepare an agent, as ``MachineAgent``."""
        self._returned = asyncio.Event()
        self._took_leave = False
        self._tell_on = tell
        super().__init__(connection, local_part, machine, log, clock_for(clock), self._tell_and_note)

    def _tell_and_note(self, phase: str, detail: dict[str, Any]) -> None:
        if phase == RETURNED:
            self._returned.set()
        self._tell_on(phase, detail)

    async def stop(self) -> None:
        """Give the device control back, then leave; the log has it, so that a resumed run knows."""
        if not (self._took_leave or self.finished.done() or self.refused.done()):
            self._took_leave = True
            self._guarded(self._timer_ran_out, LEAVE)
            waiting = asyncio.ensure_future(self._returned.wait())
            await asyncio.wait(
                (waiting, self.finished), timeout=DETACH_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
        await super().stop()


class AttachedControllerAgent(TakingLeave, MachineAgent):
    """The agent of an attached controller; it does not outlive its fleet."""

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        machine: AttachedControllerMachine,
        log: MessageLog,
        clock: ClockConfig,
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """Prepare an agent, as ``MachineAgent``."""
        super().__init__(connection, local_part, machine, log, clock_for(clock), tell, replay=False)
        self._attached_machine = machine


def built_in_controllers(
    directory: RunDirectory, connection: Connection, config: MetersConfig, watcher: Watcher
) -> list[MachineAgent]:
    """The controllers that are in the run from its start.

    Raises:
        InputError: a target cannot be what is asked for.
    """
    return [
        _built_in(directory, connection, meter, meter.setpoint, config.clock, watcher)
        for meter in config.meters
        if meter.setpoint is not None
    ]


def _built_in(
    directory: RunDirectory,
    connection: Connection,
    meter: MeterConfig,
    given: SetpointTable,
    clock: ClockConfig,
    watcher: Watcher,
) -> MachineAgent:
    account = controller_account(meter.member)
    machine = ControllerMachine(
        connection.jid(account),
        connection.jid(meter.member),
        open_target(given.target),
        given,
        [session.horizon for session in meter.sessions],
        partial(moment_of, clock=clock),
        live=clock.kind == "live",
        timed=not clock.simulated,
    )
    log = MessageLog.open(directory.log(account), account, fsync=not clock.simulated)
    return ControllerAgent(connection, account, machine, log, clock, partial(watcher.tell, account))


def run_attached_controller(
    run_path: Path,
    member: str,
    given: SetpointTable,
    connection_path: Path | None,
    watcher: Watcher,
) -> int:
    """Steer a battery of a running fleet, until told to leave.

    Args:
        run_path: the run's folder, of which the meters' configuration is read.
        member: the member's name.
        given: the target, limits and habits; both limits are said.
        connection_path: how to reach the fleet's server; the run's own connection file if None.
        watcher: told ``attached`` and ``detached``, or ``failed`` with the reason.

    Returns:
        The exit code: 0 detached or the run is over, 1 not attached, 2 bad input.
    """

    def agents() -> Sequence[MachineAgent]:
        directory = RunDirectory(run_path)
        config = MetersConfig.load(directory.meters_config)
        meter = next((each for each in config.meters if each.member == member), None)
        if meter is None:
            names = ", ".join(each.member for each in config.meters)
            raise InputError(
                f"{directory.meters_config}: found no member {member!r}, expected one of {names}"
            )
        connection = Connection.load(connection_path or directory.connection_json)
        account = controller_account(member)
        machine = AttachedControllerMachine(
            connection.jid(account),
            connection.jid(member),
            open_target(given.target),
            given,
            [session.horizon for session in meter.sessions],
            partial(moment_of, clock=config.clock),
            live=config.clock.kind == "live",
            timed=not config.clock.simulated,
            id_prefix=f"{secrets.token_hex(4)}-",
        )
        log = MessageLog.open(directory.log(account), account, fsync=not config.clock.simulated)
        tell = partial(watcher.tell, account)
        return [AttachedControllerAgent(connection, account, machine, log, config.clock, tell)]

    return serve(agents, watcher)

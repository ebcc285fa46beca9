"""A device as a member's meter: the machine of an attached meter, carried over aioxmpp."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.meters.attached import TakingLeave
from agents.meters.machine import AttachedMeterMachine
from agents.meters.source import BackgroundSource, open_source, roles_to_measure
from runtime.clock import SimulatedClock
from runtime.configuration import MemberSession, MeterConfig
from runtime.joining import Joining
from runtime.messagelog.writer import MessageLog
from runtime.messaging.lean_host import LeanMachineAgent
from runtime.messaging.lean_link import Account, tls_context

LOST_LIMIT_S = 7 * 86400.0
"""How long a device looks for its community's server: it is there to stay."""


class DeviceMeter(TakingLeave, LeanMachineAgent):
    """An attached meter on a device."""

    lost_limit_s = LOST_LIMIT_S

    def __init__(
        self,
        account: Account,
        machine: AttachedMeterMachine,
        log: MessageLog,
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """Prepare a meter; the event loop runs.

        Args:
            account: who logs in where.
            machine: what it decides.
            log: its message log, open.
            tell: called with phase and detail of the machine's progress.
        """
        super().__init__(account, machine, log, SimulatedClock(), tell, replay=False)
        self._attached_machine = machine

    def on_disconnected(self) -> None:
        """Say so, and go on looking."""
        self._tell("disconnected", {"reason": self.last_ending})
        super().on_disconnected()


def device_meter(
    joining: Joining,
    source_url: str,
    roles: Sequence[str],
    log_path: Path,
    tell: Callable[[str, dict[str, Any]], None],
) -> DeviceMeter:
    """Make the meter that a join file is for; the event loop runs.

    Args:
        joining: the join file.
        source_url: where readings come from.
        roles: what it measures; all that the source can if empty.
        log_path: its message log, which goes on from run to run.
        tell: called with phase and detail of its progress.

    Raises:
        InputError: the source will not do, or the certificate is none.
        LogError: the log cannot be written.
    """
    config = MeterConfig(
        member=joining.member,
        roles=joining.roles,
        source=source_url,
        sessions=[MemberSession(horizon=horizon) for horizon in joining.sessions],
    )
    source = open_source(source_url, config)
    account = Account(
        joining.account,
        joining.domain,
        joining.host,
        joining.port,
        lambda: joining.secret,
        tls_context(joining.ca_pem),
    )
    machine = AttachedMeterMachine(
        account.bare_jid,
        joining.prosumer,
        source,
        source_url,
        roles_to_measure(source, source_url, config, roles),
        joining.sessions,
        id_prefix=f"{secrets.token_hex(4)}-",
    )
    log = MessageLog.open(log_path, joining.account, fsync=not joining.clock.simulated)
    if isinstance(source, BackgroundSource):
        source.start(joining.clock)
    return DeviceMeter(account, machine, log, tell)

"""Carries a machine's decisions on a device without SPADE: ``MachineCarrier`` on aioxmpp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.clock import Clock
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import MachineCarrier
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import Account
from runtime.protocol.machine import Machine


class LeanMachineAgent(MachineCarrier, LeanAgent):
    """One account: a connection, a log and a machine; what ``MachineAgent`` is to SPADE."""

    def __init__(
        self,
        account: Account,
        machine: Machine,
        log: MessageLog,
        clock: Clock,
        tell: Callable[[str, dict[str, Any]], None],
        *,
        replay: bool = True,
    ) -> None:
        """Prepare, replaying what the log holds of an earlier life; the event loop runs.

        Args:
            account: who logs in where.
            machine: what decides.
            log: its message log, open.
            clock: the community's clock.
            tell: called with phase and detail of the machine's progress.
            replay: whether it goes on with the life in the log; if not, its messages need ids of their own.
        """
        LeanAgent.__init__(self, account)
        self.carry(machine, log, clock, tell, replay=replay)

    async def setup(self) -> None:
        """Begin looking for overdue replies."""
        self.begin()

    async def stop(self) -> None:
        """Leave: no more timers and repetitions; log out. May be called twice."""
        self.leave_off()
        await super().stop()
        self.let_go()

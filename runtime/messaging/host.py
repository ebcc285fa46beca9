"""A SPADE agent that carries a machine's decisions: ``MachineCarrier`` on a SPADE connection."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runtime.clock import Clock
from runtime.messagelog.writer import MessageLog
from runtime.messaging.agent import ConnectedAgent
from runtime.messaging.carrier import MachineCarrier
from runtime.messaging.connection import Connection
from runtime.protocol.machine import Machine


class MachineAgent(MachineCarrier, ConnectedAgent):
    """One agent: a connection, a log and a machine."""

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        machine: Machine,
        log: MessageLog,
        clock: Clock,
        tell: Callable[[str, dict[str, Any]], None],
        *,
        replay: bool = True,
        planning: ThreadPoolExecutor | None = None,
    ) -> None:
        """Prepare an agent, replaying what its log holds of an earlier life.

        Args:
            connection: the server, and the account's secret.
            local_part: the agent's account.
            machine: what it decides.
            log: its message log, open.
            clock: the community's clock.
            tell: called with phase and detail of the machine's progress.
            replay: whether it goes on with the life in the log; if not, its messages need ids of their own.
            planning: thread of the process for what takes long; a thread of the agent's own if None.
        """
        ConnectedAgent.__init__(self, connection, local_part)
        self.carry(machine, log, clock, tell, replay=replay, planning=planning)

    async def setup(self) -> None:
        """Begin looking for overdue replies."""
        self.begin()

    async def stop(self) -> None:
        """Leave: no more timers and repetitions; log out."""
        self.leave_off()
        await super().stop()
        self.let_go()

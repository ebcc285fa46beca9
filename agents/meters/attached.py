"""An attached meter or controller around its machine: it takes its leave before it stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Protocol

from runtime.errors import AgentRefusedError, FleetError
from runtime.messaging.carrier import MachineCarrier
from runtime.messaging.feed import STARTED
from runtime.process import STOP_LIMIT_S
from runtime.protocol.machine import Effect

DETACH_LIMIT_S = STOP_LIMIT_S - 1.0
"""How long a meter that is told to leave waits for its prosumer's acknowledgement."""

MOST_RETURNS = 8
"""How many times in a row an attached meter comes back whose place another session of its account took, which
takes two minutes or more (``runtime.messaging.taken_place``). Of two that were attached by mistake one then
gives up, and the other stays."""

LOST_LIMIT_S = 600.0
"""How long an attached meter looks for a server it has lost; nobody else ends it when its fleet is gone."""


class Detachable(Protocol):
    """A machine that is attached to a prosumer."""

    def detach(self) -> list[Effect]:
        """Take leave of the prosumer; the machine finishes when that is done."""


if TYPE_CHECKING:

    class _Connected(MachineCarrier):
        """A carrier with its connection, of whichever library."""

        refused: asyncio.Future[AgentRefusedError]

        def on_disconnected(self) -> None: ...

        async def stop(self) -> None: ...
else:
    _Connected = object


class TakingLeave(_Connected):
    """What an attached meter does whatever library connects it; the first of its bases.

    When its connection comes back it attaches again: its prosumer may have given it up, or another that was
    attached for the same account.

    Attributes:
        lost_limit_s: how long it looks for a server it has lost [s].
    """

    most_returns: ClassVar[float] = MOST_RETURNS
    lost_limit_s: float = LOST_LIMIT_S
    _attached_machine: Detachable
    _took_leave = False
    _giving_up: asyncio.TimerHandle | None = None

    def on_connected(self) -> None:
        """Go on; after an outage, attach again."""
        self._keep_looking()
        again = self._reactions.started
        super().on_connected()
        if again and not self._took_leave:
            self._guarded(self._attach_again)

    def on_disconnected(self) -> None:
        """Give up if the server stays away."""
        super().on_disconnected()
        self._keep_looking()
        self._giving_up = asyncio.get_running_loop().call_later(self.lost_limit_s, self._give_up)

    def _keep_looking(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._end(FleetError(f"{self.local_part}: its server has been gone for {self.lost_limit_s:g} s"))

    async def stop(self) -> None:
        """Detach, if the prosumer may know of this meter, then leave."""
        if self._reactions.started and not (self._took_leave or self.finished.done() or self.refused.done()):
            self._took_leave = True
            self._guarded(self._detach)
            await asyncio.wait(
                (self.finished, self.refused), timeout=DETACH_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not self.finished.done():
                self._tell("detach-unanswered", {})
        await super().stop()
        self._keep_looking()

    def _attach_again(self) -> None:
        self._log.append_event(STARTED, {})
        self._perform(self._reactions.start())

    def _detach(self) -> None:
        self._log.append_event("detach", {})
        self._perform(self._attached_machine.detach())

"""An account that stays connected over aioxmpp: redials with jitter, hands envelopes in and out.

What ``ConnectedAgent`` is to SPADE, for a device that carries no SPADE.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from typing import ClassVar

from runtime import operations_log
from runtime.errors import AgentRefusedError, PeerwattError, ProtocolError
from runtime.messaging.dialling import Hosts
from runtime.messaging.lean_link import Account, Link, LinkError
from runtime.messaging.taken_place import TakenPlace
from runtime.protocol.envelope import Envelope

ATTEMPT_LIMIT_S = 15.0
"""How long one attempt to connect and log in may take."""

FIRST_BACKOFF_S, BACKOFF_LIMIT_S = 0.2, 30.0
"""Pause after a failed attempt: doubles from the first to the limit, times a random 0.5 to 1, so that a
thousand meters do not fall upon a server that has just come back."""

LASTING_S = 10.0
"""A connection that held this long makes the next pause the first again."""


class LeanAgent:
    """Base of what speaks for an account without SPADE; its hooks are those of ``ConnectedAgent``.

    Attributes:
        most_returns: how many times in a row it comes back after another session of its account took its
            place (``TakenPlace``).
        account: who logs in where.
        local_part: the account's name.
        bare_jid: its JID.
        refused: resolves with the error when the server will not have this account; it then stops dialling.
        last_ending: why the latest connection ended or failed, empty before.
    """

    most_returns: ClassVar[float] = math.inf

    def __init__(self, account: Account) -> None:
        """Prepare; the event loop runs."""
        self.account = account
        self.local_part = account.local_part
        self.bare_jid = account.bare_jid
        self.last_ending = ""
        self.refused: asyncio.Future[AgentRefusedError] = asyncio.get_running_loop().create_future()
        self._hosts = Hosts((account.host, *account.further_hosts), account.local_part)
        self._link: Link | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._first_login = asyncio.Event()

    def on_envelope(self, envelope: Envelope) -> None:
        """Take a message; in the order of arrival, its sender authenticated by the server."""

    def on_malformed(self, sender: str, reason: str) -> None:
        """Take note of a message that is none of the market's."""

    def on_connected(self) -> None:
        """Called after each login, when messages can be sent."""

    def on_disconnected(self) -> None:
        """Called when an established connection is lost."""

    async def setup(self) -> None:
        """Called before the first login."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent just now."""
        return self._link is not None and self._link.usable

    def transmit(self, envelope: Envelope) -> bool:
        """Send a message if connected; False if not, the message is then not kept.

        Raises:
            ProtocolError: no server would carry it, or the sender is not this account.
        """
        if envelope.sender != self.bare_jid:
            raise ProtocolError(f"message {envelope.message_id}: its sender is {envelope.sender}")
        return self._link is not None and self._link.transmit(envelope)

    async def start(self) -> None:
        """Connect and return once logged in, however long the server takes to come up.

        Raises:
            AgentRefusedError: the server refuses the password, or its certificate is not accepted.
        """
        await self.setup()
        self._dialling = asyncio.create_task(self._stay_connected(), name=f"connection of {self.bare_jid}")
        logged_in = asyncio.create_task(self._first_login.wait())
        try:
            await asyncio.wait((logged_in, self.refused), return_when=asyncio.FIRST_COMPLETED)
            if self.refused.done():
                raise self.refused.result()
        except BaseException:
            await self.stop()
            raise
        finally:
            logged_in.cancel()

    async def stop(self) -> None:
        """Log out and dial no more. May be called twice."""
        if self._dialling is not None:
            self._dialling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dialling
            self._dialling = None
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _stay_connected(self) -> None:
        try:
            await self._dial_again_and_again()
        except Exception as error:  # nobody awaits this task: one that no longer dials has to be noticed
            self.refused.set_result(AgentRefusedError(f"{self.bare_jid}: {type(error).__name__}: {error}"))

    async def _dial_again_and_again(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        taken_place = TakenPlace(self.most_returns)
        while True:
            ending, held_s = await self._hold()
            self.last_ending = str(ending)
            first = not self._first_login.is_set()
            pause_s = taken_place.taken(self.local_part, str(ending), held_s) if ending.place_taken else None
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                continue
            if ending.place_taken or (first and (ending.untrusted or ending.password_refused)):
                reason = taken_place.why_over(str(ending)) if ending.place_taken else str(ending)
                self.refused.set_result(AgentRefusedError(f"{self.bare_jid}: {reason}"))
                return
            level = logging.ERROR if ending.untrusted or ending.password_refused else logging.WARNING
            operations_log.say(
                "not-connected", self.local_part, level=level, reason=str(ending), held_s=round(held_s, 3)
            )
            backoff_s = FIRST_BACKOFF_S if held_s > LASTING_S else min(BACKOFF_LIMIT_S, 2 * backoff_s)
            await asyncio.sleep(random.uniform(0.5, 1.0) * backoff_s)

    async def _hold(self) -> tuple[LinkError, float]:
        """Dial, log in and wait for the end of the connection; also how long it held [s]."""
        loop = asyncio.get_running_loop()
        self._link = link = Link(self.account, self._hosts.turn(), self.on_envelope, self.on_malformed)
        try:
            await link.open(ATTEMPT_LIMIT_S)
        except LinkError as error:
            return error, 0.0
        except PeerwattError as error:  # its secret cannot be read
            return LinkError(str(error), password_refused=True), 0.0
        self._hosts.logged_in()
        operations_log.say("connected", self.local_part)
        since_s = loop.time()
        self._first_login.set()
        self.on_connected()
        await self._hosts.stay(link.ended, self.account.port, self.account.domain)
        if link.ended.done():
            ending = link.ended.result()
        else:
            await link.close()
            ending = LinkError(f"left for its own node, {self._hosts.own}")
        self.last_ending = str(ending)
        self.on_disconnected()
        return ending, loop.time() - since_s

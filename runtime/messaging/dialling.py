"""Whom an account dials, and how many accounts of a process dial at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

CONNECTING_AT_ONCE = 16
"""Attempts of a process to log in at a time; each has a time limit, which does not run while it waits.

A server that hundreds dial together serves none."""

OWN_FIRST_S = 20.0
"""How long an account that has not been logged in yet dials its own node alone: nodes of a cluster that
begins take logins one after the other, and the first would have everybody."""

LOOK_FIRST_S, LOOK_LIMIT_S = 30.0, 1800.0
"""When an account that is on another node than its own looks whether that one takes logins again: after the
first, then twice as long each time until the limit, times a random 0.5 to 1."""

LOOK_ANSWER_LIMIT_S = 5.0
"""How long a node may take to answer when it is looked at."""

_LONGEST_ANSWER_BYTES = 1 << 16

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def turn_to_connect() -> asyncio.Semaphore:
    """What an attempt to connect holds from its first byte until it is logged in; the event loop runs."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING_AT_ONCE))


class Hosts:
    """The nodes of a server, as one account dials them: its own first, then round by round the others.

    Which is its own follows from its name, so that the accounts of a community are spread over all nodes. An
    account that is on another goes back to its own when that takes logins (again): a node that was lost, or
    came late, gets its share of them.
    """

    def __init__(
        self, hosts: Sequence[str], local_part: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with the account's own node.

        Args:
            hosts: names or addresses, at least one.
            local_part: the account.
            now: a clock that runs on [s].
        """
        self._hosts = tuple(hosts)
        self._own = self._next = zlib.crc32(local_part.encode()) % len(self._hosts)
        self._dialled = self._own
        self._now = now
        self._own_until_s: float | None = None
        self._look_after_s = LOOK_FIRST_S

    @property
    def own(self) -> str:
        """The account's own node."""
        return self._hosts[self._own]

    def turn(self) -> str:
        """The node to dial now; at the next attempt it is another's turn."""
        if self._own_until_s is None:
            self._own_until_s = self._now() + OWN_FIRST_S
        self._dialled = self._next
        if self._now() >= self._own_until_s:
            self._next = (self._next + 1) % len(self._hosts)
        return self._hosts[self._dialled]

    def logged_in(self) -> None:
        """The node that was dialled last has taken the login; if it is lost, it is the next one's turn."""
        self._own_until_s = self._now()
        self._next = (self._dialled + 1) % len(self._hosts)
        if self._dialled == self._own:
            self._look_after_s = LOOK_FIRST_S

    async def stay(self, ended: asyncio.Future[Any], port: int, domain: str) -> None:
        """Wait until a connection has ended, or is to be left for the account's own node, next to be dialled.

        Args:
            ended: resolves at the connection's end; it is not cancelled with this.
            port: of all nodes.
            domain: of the account.
        """
        if self._dialled == self._own:
            await asyncio.wait((ended,))
            return
        own_is_back = asyncio.create_task(self._own_is_back(port, domain))
        try:
            await asyncio.wait((ended, own_is_back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            own_is_back.cancel()

    async def _own_is_back(self, port: int, domain: str) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.0) * self._look_after_s)
            self._look_after_s = min(LOOK_LIMIT_S, 2 * self._look_after_s)
            if await _takes_logins(self.own, port, domain):
                self._next = self._own
                return


async def _takes_logins(host: str, port: int, domain: str) -> bool:
    """Whether a server answers a client's first words (RFC 6120 section 4.3.2); one that begins does not."""
    header = (
        f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    try:
        async with asyncio.timeout(LOOK_ANSWER_LIMIT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST_ANSWER_BYTES)
            try:
                writer.write(header.encode())
                await reader.readuntil(b"</stream:features>")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return False
    return True

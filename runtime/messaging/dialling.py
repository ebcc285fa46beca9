"""Whom an account dials, and how many accounts of a process dial at once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from weakref import WeakKeyDictionary

CONNECTING_AT_ONCE = 16
"""Attempts of a process to log in at a time; each has a time limit, which does not run while it waits.

A server that hundreds dial together serves none."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def turn_to_connect() -> asyncio.Semaphore:
    """What an attempt to connect holds from its first byte until it is logged in; the event loop runs."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING_AT_ONCE))


class Hosts:
    """The nodes of a server, as one account dials them: its own first, then round by round the others.

    Which is its own follows from its name, so that the accounts of a community are spread over all nodes.
    """

    def __init__(self, hosts: Sequence[str], local_part: str) -> None:
        """Begin with the account's own node.

        Args:
            hosts: names or addresses, at least one.
            local_part: the account.
        """
        self._hosts = tuple(hosts)
        self._at = zlib.crc32(local_part.encode()) % len(self._hosts)

    def turn(self) -> str:
        """The node to dial now; at the next attempt it is another's turn."""
        host = self._hosts[self._at]
        self._at = (self._at + 1) % len(self._hosts)
        return host

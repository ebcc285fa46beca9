"""How many accounts of a process connect at once: a server that hundreds dial together serves none."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

CONNECTING_AT_ONCE = 16
"""Attempts of a process to log in at a time; each has a time limit, which does not run while it waits."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def turn_to_connect() -> asyncio.Semaphore:
    """What an attempt to connect holds from its first byte until it is logged in; the event loop runs."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING_AT_ONCE))

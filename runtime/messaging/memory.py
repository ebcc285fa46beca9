"""Memory that a process gives back to the system when much of what it held is over.

Python and the C library keep what was freed for later use, in pieces between what is still held. The close of
a session is when most of it can go: without this, a process that runs for weeks grows a little at each.
"""

from __future__ import annotations

import asyncio
import gc

DELAY_S = 0.2
"""Agents that share a process close a session one after the other: it is tidied up once, after this time."""

_waiting: set[asyncio.AbstractEventLoop] = set()


def give_back_soon() -> None:
    """Give back memory a moment from now, once for all who ask until then; the event loop runs."""
    loop = asyncio.get_running_loop()
    if loop not in _waiting:
        _waiting.add(loop)
        loop.call_later(DELAY_S, _give_back, loop)


def _give_back(loop: asyncio.AbstractEventLoop) -> None:
    import ctypes  # 0.3 MiB, which a meter on a small board is spared

    _waiting.discard(loop)
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    if trim is not None:
        trim(0)

"""Signs of life of a process, for whoever watches its container: files whose age says whether it goes on.

``PEERWATT_SIGNS_OF_LIFE`` names a folder; without it there are no signs. The process's own event loop touches
``alive`` there every two seconds, and ``connected`` while it has what it works with: all its agents are
logged in, or a dashboard can read its logs. A process that hangs, or is stopped, touches nothing. Planning
does not keep the loop from turning: it has a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from runtime import operations_log

VARIABLE = "PEERWATT_SIGNS_OF_LIFE"

ALIVE, CONNECTED = "alive", "connected"

BEAT_S = 2.0
"""Time between two signs [s]."""


@contextlib.asynccontextmanager
async def signs_of_life(connected: Callable[[], bool], folder: Path | None = None) -> AsyncIterator[None]:
    """Give signs of life as long as the context is entered; those of an earlier life are gone at once.

    A folder that cannot be written to is said once and ends nothing else.

    Args:
        connected: whether the process has what it works with; asked on the event loop at each beat.
        folder: where; that of the environment if None, and without one there are no signs.
    """
    if folder is None and (named := os.environ.get(VARIABLE)):
        folder = Path(named)
    if folder is None:
        yield
        return
    for sign in (ALIVE, CONNECTED):
        with contextlib.suppress(OSError):
            (folder / sign).unlink()
    beating = asyncio.create_task(_beat(folder, connected), name="signs of life")
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


async def _beat(folder: Path, connected: Callable[[], bool]) -> None:
    said = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ALIVE).touch()
            if connected():
                (folder / CONNECTED).touch()
        except OSError as error:
            if not said:
                operations_log.say("no-signs-of-life", level=logging.ERROR, reason=str(error))
            said = True
        await asyncio.sleep(BEAT_S)

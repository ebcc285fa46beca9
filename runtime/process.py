"""What every agent process has in common: how it starts, tells how far it is, and leaves.

A process serves one or more agents. It leaves with 0 when all have finished, with 1 and the reason when one
failed or was refused, and in good order (0) on SIGTERM. Started by a fleet it also leaves when the fleet is
gone, however that went.

In a container an agent that was told to stop is not done: with the exit code that
``PEERWATT_STOPPED_EXIT_CODE`` names, an engine that goes down with its host starts again what it stopped, and
no job is taken for finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runtime import operations_log
from runtime.errors import AgentRefusedError, InputError, PeerwattError
from runtime.files import no_room
from runtime.signs_of_life import signs_of_life

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

GARBAGE_AFTER_OBJECTS = 10_000
"""New objects before cycles among them are looked for. Python's 700 are two searches a message, which find
next to nothing: a twelfth of what a message costs."""

STOPPED_EXIT_CODE_VARIABLE = "PEERWATT_STOPPED_EXIT_CODE"

STOP_LIMIT_S = 5.0
"""How long an agent may take to log out before its process leaves anyway."""


class Served(Protocol):
    """An agent as a process serves it, whatever library connects it.

    Attributes:
        local_part: its account.
        finished: resolves when it has finished, or with the error that ended it.
        refused: resolves with the error when the server will not have it.
    """

    local_part: str
    finished: asyncio.Future[None]
    refused: asyncio.Future[AgentRefusedError]

    @property
    def connected(self) -> bool:
        """Whether messages can be sent just now."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Leave."""


class Watcher(Protocol):
    """Whoever wants to know how far a process is: a fleet at the other end of a pipe, or a terminal."""

    def tell(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        """Take note of an agent's progress."""


class PrintingWatcher:
    """Prints one JSON line for each step: for containers, whose output is collected."""

    def tell(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        """Print the step."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"agent": agent, "phase": phase, **detail}), flush=True)


class PipeWatcher:
    """Sends each step to the fleet that started this process."""

    def __init__(self, pipe: Pipe) -> None:
        """Send into ``pipe``."""
        self._pipe = pipe

    def tell(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        """Send the step; a fleet that is gone needs none."""
        with contextlib.suppress(OSError):
            self._pipe.send((agent, phase, detail))


def serve(make_agents: Callable[[], Sequence[Served]], watcher: Watcher) -> int:
    """Run agents in this process until they have finished.

    Args:
        make_agents: makes the agents; called with the event loop running.
        watcher: told ``made`` when all have taken up what their logs hold, ``ready`` when they are connected,
            then whatever the agents tell, and ``finished`` when all have finished.

    Returns:
        Exit code: 0 finished, or told to stop unless the environment names another, 1 failed, as on a
        full disk (the watcher was told why), 2 bad input.
    """
    try:
        operations_log.configure()
        stopped = _stopped_exit_code()
        gc.set_threshold(GARBAGE_AFTER_OBJECTS)
        finished = asyncio.run(_serve(make_agents, watcher))
    except PeerwattError as error:
        return _failed(watcher, str(error), error.exit_code)
    except Exception as error:
        reason = no_room(error)
        if reason is not None:
            return _failed(watcher, reason, PeerwattError.exit_code)
        operations_log.say("crashed", level=logging.CRITICAL, reason=f"{type(error).__name__}: {error}")
        raise
    return 0 if finished else stopped


def _failed(watcher: Watcher, reason: str, exit_code: int) -> int:
    watcher.tell("", "failed", {"reason": reason})
    operations_log.say("failed", level=logging.ERROR, reason=reason, exit_code=exit_code)
    return exit_code


def _stopped_exit_code() -> int:
    named = os.environ.get(STOPPED_EXIT_CODE_VARIABLE) or "0"
    if not named.isdecimal() or int(named) > 255:
        raise InputError(
            f"{STOPPED_EXIT_CODE_VARIABLE}: expected an exit code from 0 to 255, found {named!r}"
        )
    return int(named)


async def _serve(make_agents: Callable[[], Sequence[Served]], watcher: Watcher) -> bool:
    """Serve; False if told to stop before all had finished."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)
    agents: Sequence[Served] = ()
    async with signs_of_life(lambda: all(agent.connected for agent in agents)):
        agents = make_agents()
        names = [agent.local_part for agent in agents]
        watcher.tell("", "made", {"agents": names})
        operations_log.say("started", agents=names, pid=os.getpid())
        stopping = asyncio.create_task(stopped.wait())
        try:
            if not await _unless(stopping, asyncio.gather(*(agent.start() for agent in agents))):
                return False
            watcher.tell("", "ready", {"agents": names})
            operations_log.say("ready", agents=names)
            if await _unless(stopping, asyncio.gather(*(_finished_or_refused(agent) for agent in agents))):
                watcher.tell("", "finished", {})
                operations_log.say("finished", agents=names)
                return True
            operations_log.say("told-to-stop", agents=names)
            return False
        finally:
            stopping.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    asyncio.gather(*(agent.stop() for agent in agents), return_exceptions=True), STOP_LIMIT_S
                )


async def _unless(stopping: asyncio.Task[Any], work: asyncio.Future[Any]) -> bool:
    """Wait for ``work``; False if told to stop before it was done."""
    await asyncio.wait((stopping, work), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
        return True
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return False


async def _finished_or_refused(agent: Served) -> None:
    await asyncio.wait((agent.finished, agent.refused), return_when=asyncio.FIRST_COMPLETED)
    if agent.finished.done():
        agent.finished.result()
    else:
        raise agent.refused.result()


def leave_with(lifeline: Pipe) -> None:
    """Have this process leave once the other end of ``lifeline`` is closed."""

    def wait_for_the_end() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv_bytes()
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(2 * STOP_LIMIT_S)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, name="lifeline", daemon=True).start()

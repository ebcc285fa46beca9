"""``python -m runtime.bench.mango_fleet``: agents of mango over TCP carrying a fleet's load, to compare with.

Every process has a container, members share theirs as they share processes. Messages are as long as the
market's and go from container to container as JSON: no server, accounts, TLS, log, check or repetition.

Source: https://mango-agents.readthedocs.io
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from runtime.bench.carrying import Caller, Carried
from runtime.bench.load import REACTIONS, Load, Said, To, meaning_of
from runtime.bench.worker import News, ended_at_last, give, run_worker, stop_with_parent
from runtime.errors import InputError
from runtime.fleet.descriptors import allow_open_files
from runtime.fleet.packing import workers_of

HOST = "127.0.0.1"
START_LIMIT_S = 120.0


def check_mango_installed() -> None:
    """See that mango can be compared with.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("mango") is None:
        raise InputError(
            "--beside: found mango, which is not installed here: pip install 'mango-agents>=2.4', or "
            "leave it out (--beside plain)"
        )


def _agent_class() -> type[Any]:
    """Mango's agent, made to answer; imported here, so that this module can be asked without mango."""
    from mango import Agent, AgentAddress, sender_addr

    class Answering(Agent):  # type: ignore[misc]
        """A member or a meter: answers what it hears; or the coordinator, which only hears."""

        def __init__(self, load: Load, meter: Any, heard: Callable[[str], None] | None) -> None:  # noqa: ANN401
            super().__init__()
            self._load = load
            self._meter = meter
            self._heard = heard
            self._coordinator: AgentAddress | None = None

        def handle_message(self, content: str, meta: dict[str, Any]) -> None:
            """Take a message."""
            if self._heard is not None:
                self._heard(content)
                return
            sender, heard = sender_addr(meta), meaning_of(content)
            if heard not in (Said.READING, Said.READING_REQUEST):
                self._coordinator = sender
            if heard in REACTIONS:
                said, to = REACTIONS[heard]
                recipient = {To.COORDINATOR: self._coordinator, To.METER: self._meter, To.MEMBER: sender}[to]
                self.schedule_instant_message(self._load.text(said), recipient)

    return Answering


def _answer_all(load: Load, names: list[str], meters_port: int | None, tells: Pipe) -> None:
    """A process of members, or of all meters where no port of these is given."""
    from mango import AgentAddress, activate, create_tcp_container

    async def answer() -> None:
        container = create_tcp_container(addr=(HOST, 0), auto_port=True)
        for name in names:
            meter = None if meters_port is None else AgentAddress((HOST, meters_port), name)
            container.register(_agent_class()(load, meter, None), suggested_aid=name)
        async with activate(container):
            tells.send(container.addr[1])
            await asyncio.Event().wait()

    asyncio.run(answer())


async def _call(load: Load, addresses: list[tuple[int, str]], pids: list[int]) -> Caller:
    from mango import AgentAddress, activate, create_tcp_container

    recipients = [AgentAddress((HOST, port), name) for port, name in addresses]

    async def tell_all(text: str) -> None:
        for recipient in recipients:
            await coordinator.send_message(text, recipient)

    caller = Caller(load, len(recipients), tell_all)
    container = create_tcp_container(addr=(HOST, 0), auto_port=True)
    coordinator = container.register(_agent_class()(load, None, caller.hear))
    async with activate(container):
        await caller.ask(Said.CALL, START_LIMIT_S)
        caller.ready()
        await caller.go(pids)
    return caller


def main() -> int:
    """Run as a worker."""
    parser = argparse.ArgumentParser(prog="python -m runtime.bench.mango_fleet", description=__doc__)
    parser.add_argument("--load", type=Path, required=True)
    parser.add_argument("--members-per-process", type=int, required=True)
    parser.add_argument("members", nargs="+")
    given = parser.parse_args()
    import mango  # noqa: F401 - once, before the members' processes are forked

    load = Load.load(given.load)
    allow_open_files(len(given.members))
    workers = [*workers_of(given.members, given.members_per_process).values()]
    gc.freeze()
    fork = multiprocessing.get_context("fork")
    processes: list[BaseProcess] = []

    def start(names: list[str], meters_port: int | None) -> Pipe:
        hears, tells = fork.Pipe(duplex=False)
        process = fork.Process(target=_answer_all, args=(load, names, meters_port, tells), daemon=True)
        process.start()
        processes.append(process)
        return hears

    def port_of(hears: Pipe) -> int:
        if not hears.poll(START_LIMIT_S):
            raise TimeoutError
        return int(hears.recv())

    try:
        with ended_at_last(processes):
            meters_port = port_of(start(given.members, None))
            pipes = [start(names, meters_port) for names in workers]
            ports = [port_of(hears) for hears in pipes]
            addresses = [(port, name) for port, names in zip(ports, workers, strict=True) for name in names]
            stop_with_parent()
            pids = [process.pid for process in processes[1:] if process.pid is not None]
            caller = asyncio.run(_call(load, addresses, pids))
            give(caller.carried(len(workers)).as_dict())
    except TimeoutError:
        print("mango's agents did not start or answer in time", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run_mango(load: Path, members: list[str], members_per_process: int, on_news: News) -> Carried:
    """Have agents of mango carry a load.

    Raises:
        FleetError: they did not start or not answer in time.
    """
    arguments = ["--load", str(load), "--members-per-process", str(members_per_process), *members]
    return Carried.from_dict(run_worker("runtime.bench.mango_fleet", arguments, on_news))


if __name__ == "__main__":
    sys.exit(main())

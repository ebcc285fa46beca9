"""``python -m runtime.bench.plain``: slixmpp alone carrying a fleet's load, to compare with.

Messages are as long as the market's, from and to as many connections in as many processes, but there is no
SPADE, no form with fields, no log, no check, no repetition. slixmpp is taken as it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import os
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

from slixmpp import JID, ClientXMPP, Message

from runtime.bench.carrying import Caller, Carried
from runtime.bench.load import REACTIONS, Load, Said, To, meaning_of
from runtime.bench.worker import News, ended_at_last, give, run_worker, stop_with_parent
from runtime.fleet.descriptors import allow_open_files
from runtime.fleet.packing import workers_of
from runtime.messaging.connection import Connection
from runtime.messaging.dialling import CONNECTING_AT_ONCE, Hosts
from runtime.rundir import COORDINATOR, meter_account

CONNECT_LIMIT_S = 180.0


class Client(ClientXMPP):
    """A connection as slixmpp comes, but for the deployment's certificate authority."""

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        context: ssl.SSLContext,
        heard: Callable[[str, JID], None],
    ) -> None:
        jid, password = connection.jid(local_part), connection.password_for(local_part)
        super().__init__(jid, password, ssl_context=context)
        self.enable_direct_tls = False
        self._server = connection
        self.add_event_handler("session_start", self._announce)
        self.add_event_handler("message", lambda message: self._take(message, heard))

    def _announce(self, _: object) -> None:
        self.send_presence()

    @staticmethod
    def _take(message: Message, heard: Callable[[str, JID], None]) -> None:
        heard(message["body"], message["from"])

    def say(self, recipient: JID, text: str) -> None:
        """Send a text."""
        self.send_message(mto=recipient, mbody=text, mtype="chat")

    async def log_in(self) -> None:
        """Connect, and return once logged in."""
        self.connect(host=Hosts(self._server.hosts, self.boundjid.local).turn(), port=self._server.port)
        await self.wait_until("session_start", CONNECT_LIMIT_S)


async def _log_in(clients: list[Client]) -> None:
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(client: Client) -> None:
        async with gate:
            await client.log_in()

    await asyncio.gather(*(one(client) for client in clients))


def _answering(
    connection: Connection, load: Load, account: str, meter: str, context: ssl.SSLContext
) -> Client:
    """A member, or a meter, which answers what it hears."""
    to_coordinator, to_meter = JID(connection.jid(COORDINATOR)), JID(connection.jid(meter))

    def hear(text: str, sender: JID) -> None:
        reaction = REACTIONS.get(meaning_of(text))
        if reaction is not None:
            said, to = reaction
            recipient = {To.COORDINATOR: to_coordinator, To.METER: to_meter, To.MEMBER: sender}[to]
            client.say(recipient, load.text(said))

    client = Client(connection, account, context, hear)
    return client


def _answer_all(connection: Connection, load: Load, accounts: list[tuple[str, str]], ready: int) -> None:
    """A process of members or meters."""

    async def answer() -> None:
        context = ssl.create_default_context(cafile=str(connection.ca_file))
        await _log_in([_answering(connection, load, *each, context) for each in accounts])
        os.write(ready, b"+")
        await asyncio.Event().wait()

    asyncio.run(answer())


async def all_ready(reader: int, number: int, limit_s: float = CONNECT_LIMIT_S) -> None:
    """Wait until so many processes have each written a byte.

    Args:
        reader: descriptor of a pipe's end.
        number: of processes.
        limit_s: how long they may take [s].

    Raises:
        TimeoutError: some have not.
    """
    loop, everybody, written = asyncio.get_running_loop(), asyncio.Event(), 0

    def read() -> None:
        nonlocal written
        written += len(os.read(reader, number))
        if written >= number:
            everybody.set()

    loop.add_reader(reader, read)
    try:
        await asyncio.wait_for(everybody.wait(), limit_s)
    finally:
        loop.remove_reader(reader)


async def _call(
    connection: Connection, load: Load, members: list[str], reader: int, pids: list[int], processes: int
) -> Caller:
    recipients = [JID(connection.jid(member)) for member in members]

    async def tell_all(text: str) -> None:
        for recipient in recipients:
            client.say(recipient, text)

    caller = Caller(load, len(members), tell_all)
    context = ssl.create_default_context(cafile=str(connection.ca_file))
    client = Client(connection, COORDINATOR, context, lambda text, _: caller.hear(text))
    await client.log_in()
    await all_ready(reader, processes)
    caller.ready()
    await caller.ask(Said.CALL, CONNECT_LIMIT_S)
    await caller.go(pids)
    return caller


def main() -> int:
    """Run as a worker."""
    parser = argparse.ArgumentParser(prog="python -m runtime.bench.plain", description=__doc__)
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--load", type=Path, required=True)
    parser.add_argument("--members-per-process", type=int, required=True)
    parser.add_argument("members", nargs="+")
    given = parser.parse_args()
    logging.getLogger("slixmpp").setLevel(logging.ERROR)
    connection, load = Connection.load(given.connection), Load.load(given.load)
    allow_open_files(len(given.members))
    workers = [*workers_of(given.members, given.members_per_process).values()]
    accounts = [[(member, meter_account(member)) for member in worker] for worker in workers]
    meters = [(meter_account(member), member) for member in given.members]
    reader, ready = os.pipe()
    gc.freeze()
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=_answer_all, args=(connection, load, each, ready), daemon=True)
        for each in (meters, *accounts)
    ]

    for process in processes:
        process.start()
    try:
        with ended_at_last(processes):
            stop_with_parent()
            pids = [process.pid for process in processes[1:] if process.pid is not None]
            caller = asyncio.run(_call(connection, load, given.members, reader, pids, len(processes)))
            give(caller.carried(len(workers)).as_dict())
    except TimeoutError:
        print("plain clients did not connect or answer in time", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run_plain(
    connection_json: Path, load: Path, members: list[str], members_per_process: int, on_news: News
) -> Carried:
    """Have plain clients carry a load over a server that runs, with the accounts of a fleet that does not.

    Raises:
        FleetError: they did not connect or not answer in time.
    """
    arguments = ["--connection", str(connection_json), "--load", str(load)]
    arguments += ["--members-per-process", str(members_per_process), *members]
    return Carried.from_dict(run_worker("runtime.bench.plain", arguments, on_news))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m runtime.bench.plain``: slixmpp alone saying what a price round says, to compare with.

One connection sends a message to each of N others, each in a process of its own, and each answers: messages
as long as the market's, but no SPADE, no form with fields, no log, no check, no repetition. slixmpp is taken
as it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from slixmpp import JID, ClientXMPP, Message

from runtime.bench.worker import News, give, run_worker, stop_with_parent
from runtime.messaging.connection import Connection
from runtime.rundir import COORDINATOR

WARM_UP_ROUNDS = 2
CONNECT_LIMIT_S, ROUND_LIMIT_S = 180.0, 60.0


@dataclass(frozen=True)
class PlainRun:
    """Rounds of plain clients.

    Attributes:
        rounds_s: by round, from the first message sent to the last answer [s].
        processes: that the answering connections are spread over.
    """

    rounds_s: list[float]
    processes: int


class Client(ClientXMPP):
    """A connection as slixmpp comes, but for the deployment's certificate authority."""

    def __init__(self, connection: Connection, local_part: str) -> None:
        context = ssl.create_default_context(cafile=str(connection.ca_file))
        jid, password = connection.jid(local_part), connection.password_for(local_part)
        super().__init__(jid, password, ssl_context=context)
        self.enable_direct_tls = False
        self.add_event_handler("session_start", self._announce)
        self.connect(host=connection.host, port=connection.port)

    def _announce(self, _: object) -> None:
        self.send_presence()


class Caller(Client):
    """Sends to all and counts the answers."""

    def __init__(self, connection: Connection, members: list[str]) -> None:
        super().__init__(connection, COORDINATOR)
        self._recipients = [JID(connection.jid(member)) for member in members]
        self._answers = 0
        self._complete = asyncio.Event()
        self.add_event_handler("message", self._count)

    def _count(self, _: Message) -> None:
        self._answers += 1
        if self._answers == len(self._recipients):
            self._complete.set()

    async def round(self, body: str, limit_s: float = ROUND_LIMIT_S) -> float:
        """Send ``body`` to all and wait for all answers; returns seconds."""
        self._answers = 0
        self._complete.clear()
        began_s = time.perf_counter()
        for recipient in self._recipients:
            self.send_message(mto=recipient, mbody=body, mtype="chat")
        await asyncio.wait_for(self._complete.wait(), limit_s)
        return time.perf_counter() - began_s


def text_of(length: int) -> str:
    """A JSON-like text of so many characters, with as many quotes as the market's messages have."""
    head = '{"type":"plain","session":0,"round":0,"import_kwh":[],"export_kwh":['
    sample = head + "0.123456,0.654321,0.0," * (length // 22 + 1)
    return sample[:length]


def _answer_all(connection: Connection, member: str, answer_bytes: int) -> None:
    """One member's process."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    answer = text_of(answer_bytes)
    client = Client(connection, member)

    def reply(message: Message) -> None:
        client.send_message(mto=message["from"], mbody=answer, mtype="chat")

    client.add_event_handler("message", reply)
    asyncio.get_event_loop().run_forever()


async def _call(connection: Connection, members: list[str], rounds: int, call_bytes: int) -> list[float]:
    caller = Caller(connection, members)
    await caller.wait_until("session_start", CONNECT_LIMIT_S)
    body = text_of(call_bytes)
    await caller.round(body, CONNECT_LIMIT_S)  # until the last one is connected
    for _ in range(WARM_UP_ROUNDS):
        await caller.round(body)
    return [await caller.round(body) for _ in range(rounds)]


def main() -> int:
    """Run as a worker."""
    parser = argparse.ArgumentParser(prog="python -m runtime.bench.plain", description=__doc__)
    parser.add_argument("--connection", type=Path, required=True)
    for name in ("rounds", "call-bytes", "answer-bytes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("members", nargs="+")
    given = parser.parse_args()
    logging.getLogger("slixmpp").setLevel(logging.ERROR)
    connection = Connection.load(given.connection)
    gc.freeze()
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=_answer_all, args=(connection, member, given.answer_bytes), daemon=True)
        for member in given.members
    ]
    try:
        for process in processes:
            process.start()
        stop_with_parent()
        rounds_s = asyncio.run(_call(connection, given.members, given.rounds, given.call_bytes))
        give(asdict(PlainRun(rounds_s, len(processes))))
    except TimeoutError:
        print("plain clients did not connect or answer in time", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
    return 0


def run_plain(
    connection_json: Path, members: list[str], rounds: int, call_bytes: int, answer_bytes: int, on_news: News
) -> PlainRun:
    """Run plain clients on a server that runs, with the accounts of a fleet that does not.

    Raises:
        FleetError: they did not connect or not answer in time.
    """
    arguments = ["--connection", str(connection_json), "--rounds", str(rounds)]
    arguments += ["--call-bytes", str(call_bytes), "--answer-bytes", str(answer_bytes), *members]
    return PlainRun(**run_worker("runtime.bench.plain", arguments, on_news))


if __name__ == "__main__":
    sys.exit(main())

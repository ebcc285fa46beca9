"""A TCP proxy between agents and their server: what it carries can be cut and delayed; TLS passes through."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading

from runtime.errors import FleetError

CHUNK_BYTES = 65536

START_LIMIT_S = 10.0

LOOK_EVERY_S = 0.1
"""How often what is held up is looked at again [s]: for how long may be said anew meanwhile."""

_NO_LINGERING = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on the loopback interface, in a thread of its own, and carries bytes to a server and back.

    Attributes:
        connections: how many connections there were so far, those that were turned away not counted.
    """

    def __init__(self, host: str, port: int, seed: int) -> None:
        """Prepare a proxy to a server; ``start`` begins to listen.

        Args:
            host: where the server is.
            port: its TCP port.
            seed: draws how long each chunk is delayed.
        """
        self.connections = 0
        self._host, self._port = host, port
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._closed_until_s = 0.0
        self._delay_s, self._delayed_until_s = 0.0, 0.0
        self._held_until_s = 0.0

    def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Begin to listen; the port.

        Args:
            host: address to listen on.
            port: to listen on; 0 for any that is free.

        Raises:
            FleetError: it cannot.
        """
        threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True).start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop)
        try:
            return listening.result(START_LIMIT_S)
        except (OSError, TimeoutError) as error:
            raise FleetError(f"the drill's proxy cannot listen: {error}") from error

    def cut(self, seconds: float) -> None:
        """Break all connections, by a reset, and let nobody in for so long [s]."""
        self._loop.call_soon_threadsafe(self._cut, seconds)

    def delay(self, delay_s: float, seconds: float) -> None:
        """Hold every chunk up, half to one and a half times so long [s], in order; for a while [s]."""
        self._loop.call_soon_threadsafe(self._begin_delay, delay_s, seconds)

    def hold(self, seconds: float) -> None:
        """Let nothing through for a while [s], in order after that; connections stay, and new ones come.

        What was said before of how long counts no more.
        """
        self._loop.call_soon_threadsafe(self._begin_hold, seconds)

    def _cut(self, seconds: float) -> None:
        self._closed_until_s = self._loop.time() + seconds
        for writer in self._writers:
            _reset(writer)

    def _begin_delay(self, delay_s: float, seconds: float) -> None:
        self._delay_s, self._delayed_until_s = delay_s, self._loop.time() + seconds

    def _begin_hold(self, seconds: float) -> None:
        self._held_until_s = self._loop.time() + seconds

    async def _listen(self, host: str, port: int) -> int:
        listening = await asyncio.start_server(self._carry, host, port)
        return int(listening.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._loop.time() < self._closed_until_s:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        both = {writer, server_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(held, writer))
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                held.put_nowait((self._loop.time() + self._drawn_delay_s(), chunk))
        held.put_nowait((0.0, b""))
        with contextlib.suppress(OSError):
            await delivering
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    async def _deliver(self, held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due_s, chunk = await held.get()
            if not chunk:
                return
            while (left_s := max(due_s, self._held_until_s) - self._loop.time()) > 0.0:
                await asyncio.sleep(min(left_s, LOOK_EVERY_S))
            writer.write(chunk)
            await writer.drain()

    def _drawn_delay_s(self) -> float:
        if self._loop.time() >= self._delayed_until_s:
            return 0.0
        return self._delay_s * self._rng.uniform(0.5, 1.5)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection so that its other end is told of a reset, not of an end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    writer.transport.abort()

"""A live source and what it tells, for tests with devices of their own."""

import asyncio
import contextlib

from meter_setup import meter_config

from agents.meters.source import open_source
from runtime.configuration import ClockConfig


class Listening:
    """A live source that was started, and its events."""

    def __init__(self, source):
        self.source = source
        self.events = []

    def hear(self, event, detail):
        self.events.append((event, detail))

    def of(self, event):
        return [detail for name, detail in self.events if name == event]

    @property
    def raw(self):
        return [detail["raw"] for detail in self.of("sample")]

    async def until(self, event, count=1, limit_s=15.0):
        """Wait until an event has happened so often; its details."""
        async with asyncio.timeout(limit_s):
            while len(self.of(event)) < count:
                await asyncio.sleep(0.01)
        return self.of(event)


@contextlib.asynccontextmanager
async def listening(url, speed=1.0):
    source = open_source(url, meter_config())
    listener = Listening(source)
    source.start(ClockConfig(kind="real-time", speed=speed), listener.hear)
    try:
        yield listener
    finally:
        await source.close()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

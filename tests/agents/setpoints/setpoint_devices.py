"""What tests write set-points to: a topic of a real broker, a SunSpec storage behind a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class Subscriber:
    """Hears what is published on a topic: payloads as JSON, with QoS and retain flag."""

    def __init__(self, port: int, topic: str) -> None:
        self.messages: list[tuple[Any, int, bool]] = []
        self._topic = topic
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)

    def _hear(self, client: Client, userdata: Any, message: Any) -> None:
        self.messages.append((json.loads(message.payload), message.qos, bool(message.retain)))

    @property
    def payloads(self) -> list[Any]:
        return [payload for payload, _, _ in self.messages]

    def await_messages(self, count: int, limit_s: float = 10.0) -> list[Any]:
        deadline_s = time.monotonic() + limit_s
        while len(self.messages) < count:
            assert time.monotonic() < deadline_s, f"heard {self.messages}, expected {count} messages"
            time.sleep(0.01)
        return self.payloads

    def __enter__(self) -> Subscriber:
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def model_124(max_w: int = 5000, **changes: int) -> list[int]:
    """Registers of a storage's basic control, from its id on: 5 kW, rates in hundredths of a percent."""
    words = [124, 24, max_w, 10, 10, 0, 0xFFFF, 0xFFFF, 5000, *[0xFFFF] * 3]
    words += [10000, 10000, 0, 0, 0xFFFF, 0, 0, 0, 0, 0xFFFF, 0xFFFE, 0, 0, 0xFFFE]
    for offset, word in changes.items():
        words[int(offset.removeprefix("at_"))] = word & 0xFFFF
    return words


def sunspec_map(*models: list[int]) -> list[int]:
    """A map from 40000 on: the models one after the other."""
    common = [1, 4, 1, 2, 3, 4]
    return [0x5375, 0x6E53, *common, *(word for model in models for word in model), 0xFFFF, 0]


STORAGE_AT = 40000 + 2 + 6
"""Register of the storage model's id in such a map."""


class Storage:
    """A device with a SunSpec map, on a server in a thread of its own."""

    def __init__(self, registers: list[int], unit: int = 7, readonly: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._registers, self._unit, self._readonly = registers, unit, readonly
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready, self._loop = threading.Event(), None

    async def _serve(self) -> None:
        data = SimData(40000, values=self._registers, datatype=DataType.REGISTERS, readonly=self._readonly)
        server = ModbusTcpServer(SimDevice(self._unit, [data]), address=("127.0.0.1", self.port))
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0.1)
        self._ready.set()
        await self._over.wait()
        await server.shutdown()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    def __enter__(self) -> Storage:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def read(self, offset: int, count: int = 1) -> list[int]:
        """Registers of the storage model as the device has them now."""
        client = ModbusTcpClient("127.0.0.1", port=self.port, timeout=3)
        assert client.connect()
        try:
            answer = client.read_holding_registers(STORAGE_AT + offset, count=count, device_id=self._unit)
            assert not answer.isError(), answer
            return list(answer.registers)
        finally:
            client.close()

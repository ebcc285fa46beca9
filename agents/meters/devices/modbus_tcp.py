"""``modbus-tcp:`` asks inverters and meters again and again: SunSpec models, or a register of your choice.

URL: ``modbus-tcp://host:port/unit?model=auto&kind=register`` finds the first SunSpec model that tells the
energy asked for: of an inverter for pv, of a meter for load; ``model=203`` takes that one. Without SunSpec:
``modbus-tcp://host/1?address=342&table=input&type=float32&unit=kWh&scale=1``.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Literal

from pydantic import Field
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from agents.meters.devices.address import Address, address_of
from agents.meters.devices.sunspec import (
    BASES,
    LAST_MODEL,
    MARK,
    MODELS,
    SunSpecError,
    point_of,
    value_of,
)
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveParameters, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.device_units import ConventionError, power_or_register
from runtime.errors import InputError

_FORMS = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}
Form = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


class ModbusParameters(LiveParameters):
    """Parameters of ``modbus-tcp:``.

    Attributes:
        model: SunSpec model; ``auto`` takes the first that fits, ``sunspec`` is the same.
        kind: register or power.
        direction: energy taken or given; taken for a load, given for a production, unless said.
        address: register to read instead of SunSpec, as on the wire (from 0).
        table: where that register is.
        type: how its value is written.
        words: which of its registers comes first.
        scale: factor on its value.
        unit: of the value then; it says the kind.
        every: how often the device is asked [s].
        timeout: after so many seconds without an answer it is taken for gone.
    """

    model: str = "auto"
    kind: Kind = "register"
    direction: Literal["import", "export"] | None = None
    address: int | None = Field(default=None, ge=0, le=0xFFFF)
    table: Literal["holding", "input"] = "holding"
    type: Form = "float32"
    words: Literal["big", "little"] = "big"
    scale: float = 1.0
    unit: str | None = None
    every: float = Field(default=5.0, ge=0.05, le=3600)
    timeout: float = Field(default=3.0, gt=0, le=60)

    @property
    def given_energy(self) -> bool:
        """Whether energy given is meant."""
        return (self.direction or ("import" if self.role == "load" else "export")) == "export"


@dataclass(frozen=True)
class ModbusFeed:
    """One device on a Modbus."""

    kind: Kind
    where: Address
    unit_id: int
    given: ModbusParameters

    async def run(self, sink: Sink) -> None:
        """Ask until there is no answer."""
        client = AsyncModbusTcpClient(
            self.where.host, port=self.where.port, timeout=self.given.timeout, retries=1, reconnect_delay=0
        )
        loop = asyncio.get_running_loop()
        try:
            if not await client.connect():
                raise FeedError(f"{self.where}: no connection")
            start, model = (0, 0) if self.given.address is not None else await self._find_model(client)
            next_s = loop.time()
            while True:
                await self._ask(client, start, model, sink)
                next_s = max(next_s + self.given.every, loop.time())
                await asyncio.sleep(next_s - loop.time())
        except ModbusException as error:
            raise FeedError(f"{self.where}: {error}") from error
        finally:
            client.close()

    async def _ask(self, client: AsyncModbusTcpClient, start: int, model: int, sink: Sink) -> None:
        given = self.given
        if given.address is not None:
            form = _FORMS[given.type]
            words = await self._read(client, given.address, struct.calcsize(form) // 2, given.table)
            raw = words if given.words == "big" else words[::-1]
            (value,) = struct.unpack(form, struct.pack(f">{len(raw)}H", *raw))
            sink.up()
            sink.take(float(value) * given.scale, str(given.unit))
            return
        point, sign = point_of(model, self.kind, given.given_energy)
        registers = await self._read(client, start, point.last + 1)
        sink.up()
        if registers[0] != model:
            raise FeedError(f"{self.where}: found model {registers[0]} where {model} was")
        try:
            value = value_of(registers, point)
        except SunSpecError as error:
            sink.refuse(str(error))
            return
        sink.take(value * sign, "W" if self.kind == "power" else "Wh")

    async def _find_model(self, client: AsyncModbusTcpClient) -> tuple[int, int]:
        """Register of a model's id, and the model."""
        wanted = self.given.model
        for base in BASES:
            try:
                if tuple(await self._read(client, base, 2)) == MARK:
                    break
            except FeedError:
                continue
        else:
            raise FeedError(f"{self.where}: found no SunSpec map at {', '.join(map(str, BASES))}")
        place, seen = base + 2, []
        while place < 0xFFFE:
            model, length = await self._read(client, place, 2)
            if model == LAST_MODEL:
                break
            seen.append(model)
            if (str(model) == wanted or (wanted == "auto" and self._tells(model))) and model in MODELS:
                return place, model
            place += length + 2
        expected = "one that tells it" if wanted == "auto" else wanted
        raise FeedError(f"{self.where}: found the models {seen}, expected {expected}")

    def _tells(self, model: int) -> bool:
        if model not in MODELS:
            return False
        try:
            point_of(model, self.kind, self.given.given_energy)
        except SunSpecError:
            return False
        return True

    async def _read(
        self, client: AsyncModbusTcpClient, address: int, count: int, table: str = "holding"
    ) -> list[int]:
        read = client.read_input_registers if table == "input" else client.read_holding_registers
        answer = await read(address, count=count, device_id=self.unit_id)
        if answer.isError():
            raise FeedError(f"{self.where}: unit {self.unit_id}: register {address}: {answer}")
        if len(answer.registers) != count:
            raise FeedError(f"{self.where}: found {len(answer.registers)} registers, expected {count}")
        return list(answer.registers)


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``modbus-tcp:``.

    Raises:
        InputError: address, unit, model or a parameter will not do.
    """
    given = parameters_of(url, ModbusParameters)
    where = address_of(url, 502)
    unit = where.path.strip("/") or "1"
    if not (unit.isdecimal() and int(unit) <= 255):
        raise InputError(f"source {url.text!r}: found the unit {unit!r}, expected 0 to 255")
    if given.model == "sunspec":
        given = given.model_copy(update={"model": "auto"})
    kind = given.kind
    try:
        if given.address is not None:
            kind, _ = power_or_register(0.0, given.unit or "")
        elif given.model != "auto":
            if not given.model.isdecimal() or int(given.model) not in MODELS:
                known = ", ".join(map(str, MODELS))
                raise SunSpecError(f"model: found {given.model!r}, expected auto or one of {known}")
            point_of(int(given.model), kind, given.given_energy)
    except (ConventionError, SunSpecError) as error:
        raise InputError(f"source {url.text!r}: {error}") from error
    return LiveSource(url.text, ModbusFeed(kind, where, int(unit), given), given)

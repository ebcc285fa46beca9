"""``modbus-tcp:`` and ``modbus-rtu:`` ask inverters, batteries and meters again and again.

URL: ``modbus-tcp://host:port/unit?model=auto&kind=register``, or ``modbus-rtu:/dev/ttyUSB0?id=1&baud=9600``.
The first SunSpec model that fits the role is taken: an inverter's for pv, a battery's for battery, a meter's
for every role; ``model=203`` takes that one. Without SunSpec:
``modbus-tcp://host/1?address=342&table=input&type=float32&unit=kWh&scale=1``.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from agents.meters.devices.address import address_of
from agents.meters.devices.sunspec import (
    BASES,
    LAST_MODEL,
    MARK,
    MODELS,
    SunSpecError,
    fits,
    point_of,
    value_of,
)
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveParameters, LiveSource, Sink
from agents.meters.source import SIGNED_ROLES, SourceUrl, parameters_of
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
    """Parameters of both.

    Attributes:
        model: SunSpec model; ``auto`` takes the first that fits, ``sunspec`` is the same.
        kind: register or power.
        direction: energy taken or given; taken for a load, given for a production, unless said; both for the
            roles ``net`` and ``battery``.
        address: register to read instead of SunSpec, as on the wire (from 0).
        table: where that register is.
        type: how its value is written.
        words: which of its registers comes first.
        scale: factor on the value; -1 for a power that the device counts the other way around.
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
    def tells_both(self) -> bool:
        """See ``LiveParameters``."""
        return self.role in SIGNED_ROLES and self.kind == "register" and self.address is None

    @property
    def given_energy(self) -> tuple[bool, ...]:
        """Whether energy given is meant; of two registers, first what counts above zero."""
        taken = self.role in ("load", "net") if self.direction is None else self.direction == "import"
        return (not taken, taken) if self.tells_both else (not taken,)


class SerialParameters(ModbusParameters):
    """Parameters of ``modbus-rtu:`` beside them.

    Attributes:
        id: the device's on the line.
        baud: of the line.
        parity: none, even or odd.
        stop_bits: after each byte.
    """

    id: int = Field(default=1, ge=0, le=255)
    baud: int = Field(default=9600, ge=300, le=1_000_000)
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


Client = AsyncModbusTcpClient | AsyncModbusSerialClient


@dataclass(frozen=True)
class ModbusFeed:
    """One device on a Modbus."""

    kind: Kind
    place: str
    new_client: Callable[[], Client]
    unit_id: int
    given: ModbusParameters

    async def run(self, sink: Sink) -> None:
        """Ask until there is no answer."""
        client = self.new_client()
        loop = asyncio.get_running_loop()
        try:
            if not await client.connect():
                raise FeedError(f"{self.place}: no connection")
            start, model = (0, 0) if self.given.address is not None else await self._find_model(client)
            next_s = loop.time()
            while True:
                await self._ask(client, start, model, sink)
                next_s = max(next_s + self.given.every, loop.time())
                await asyncio.sleep(next_s - loop.time())
        except ModbusException as error:
            raise FeedError(f"{self.place}: {error}") from error
        finally:
            client.close()

    async def _ask(self, client: Client, start: int, model: int, sink: Sink) -> None:
        given = self.given
        if given.address is not None:
            form = _FORMS[given.type]
            words = await self._read(client, given.address, struct.calcsize(form) // 2, given.table)
            raw = words if given.words == "big" else words[::-1]
            (value,) = struct.unpack(form, struct.pack(f">{len(raw)}H", *raw))
            sink.up()
            sink.take(float(value) * given.scale, str(given.unit))
            return
        points = [point_of(model, self.kind, each) for each in given.given_energy]
        registers = await self._read(client, start, max(point.last for point, _ in points) + 1)
        sink.up()
        if registers[0] != model:
            raise FeedError(f"{self.place}: found model {registers[0]} where {model} was")
        try:
            values = [value_of(registers, point) * sign * given.scale for point, sign in points]
        except SunSpecError as error:
            sink.refuse(str(error))
            return
        for number, value in enumerate(values):
            sink.take(value, "W" if self.kind == "power" else "Wh", reverse=number == 1)

    async def _find_model(self, client: Client) -> tuple[int, int]:
        """Register of a model's id, and the model."""
        wanted = self.given.model
        for base in BASES:
            try:
                if tuple(await self._read(client, base, 2)) == MARK:
                    break
            except FeedError:
                continue
        else:
            raise FeedError(f"{self.place}: found no SunSpec map at {', '.join(map(str, BASES))}")
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
        raise FeedError(f"{self.place}: found the models {seen}, expected {expected}")

    def _tells(self, model: int) -> bool:
        if not fits(model, self.given.role):
            return False
        try:
            for each in self.given.given_energy:
                point_of(model, self.kind, each)
        except SunSpecError:
            return False
        return True

    async def _read(self, client: Client, address: int, count: int, table: str = "holding") -> list[int]:
        read = client.read_input_registers if table == "input" else client.read_holding_registers
        answer = await read(address, count=count, device_id=self.unit_id)
        if answer.isError():
            raise FeedError(f"{self.place}: unit {self.unit_id}: register {address}: {answer}")
        if len(answer.registers) != count:
            raise FeedError(f"{self.place}: found {len(answer.registers)} registers, expected {count}")
        return list(answer.registers)


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``modbus-tcp:`` or ``modbus-rtu:``.

    Raises:
        InputError: address, unit, model or a parameter will not do.
    """
    return _open_serial(url) if url.scheme == "modbus-rtu" else _open_tcp(url)


def _open_tcp(url: SourceUrl) -> LiveSource:
    given = parameters_of(url, ModbusParameters)
    where = address_of(url, 502)
    unit = where.path.strip("/") or "1"
    if not (unit.isdecimal() and int(unit) <= 255):
        raise InputError(f"source {url.text!r}: found the unit {unit!r}, expected 0 to 255")

    def new_client() -> Client:
        return AsyncModbusTcpClient(
            where.host, port=where.port, timeout=given.timeout, retries=1, reconnect_delay=0
        )

    return _source(url, given, str(where), new_client, int(unit))


def _open_serial(url: SourceUrl) -> LiveSource:
    given = parameters_of(url, SerialParameters)
    line = Path(url.path)
    if not line.is_absolute() or url.path.startswith("//") or (line.exists() and not line.is_char_device()):
        raise InputError(f"source {url.text!r}: found {url.path!r}, expected a serial device: /dev/ttyUSB0")

    def new_client() -> Client:
        return AsyncModbusSerialClient(
            str(line),
            baudrate=given.baud,
            parity=given.parity,
            stopbits=given.stop_bits,
            timeout=given.timeout,
            retries=1,
            reconnect_delay=0,
        )

    return _source(url, given, str(line), new_client, given.id)


def _source(
    url: SourceUrl, given: ModbusParameters, place: str, new_client: Callable[[], Client], unit_id: int
) -> LiveSource:
    if given.model == "sunspec":
        given = given.model_copy(update={"model": "auto"})
    kind = given.kind
    try:
        if given.role in SIGNED_ROLES and given.direction is not None:
            raise SunSpecError(f"direction: role {given.role!r} is of both")
        if given.address is not None:
            kind, _ = power_or_register(0.0, given.unit or "")
        elif given.model != "auto":
            if not given.model.isdecimal() or int(given.model) not in MODELS:
                known = ", ".join(map(str, MODELS))
                raise SunSpecError(f"model: found {given.model!r}, expected auto or one of {known}")
            for each in given.given_energy:
                point_of(int(given.model), kind, each)
    except (ConventionError, SunSpecError) as error:
        raise InputError(f"source {url.text!r}: {error}") from error
    return LiveSource(url.text, ModbusFeed(kind, place, new_client, unit_id, given), given)

"""Telegrams that a meter sends by itself, over TCP or from a serial device.

A decoder turns bytes as they come into values, and into reasons where a telegram is broken; it does no I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import serialx
from pydantic import Field

from agents.meters.devices.address import address_of
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveParameters, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.errors import InputError

CONNECT_LIMIT_S = 10.0

MAX_PENDING_BYTES = 32 * 1024
"""So much without a telegram in it is garbage."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A value of a telegram; ``instant`` None: just now."""

    value: float
    unit: str
    instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a telegram, or bytes between telegrams, say nothing."""

    reason: str


class Decoder(Protocol):
    """Bytes in, values out."""

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """Take the next bytes; what they complete."""


class TelegramParameters(LiveParameters):
    """Parameters of sources of telegrams.

    Attributes:
        direction: energy taken or given; taken for a load, given for a production, unless said.
        baud: of a serial device; the usual one of its kind if not given.
        silence: after so many seconds without a byte the meter is taken for gone.
    """

    direction: Literal["import", "export"] | None = None
    baud: int | None = Field(default=None, ge=300, le=1_000_000)
    silence: float = Field(default=60.0, gt=0)

    @property
    def taken(self) -> bool:
        """Whether energy taken is meant."""
        return (self.direction or ("import" if self.role == "load" else "export")) == "import"


@dataclass(frozen=True, slots=True)
class SerialForm:
    """How bytes look on a meter's serial line."""

    baud: int
    byte_size: int = 8
    even_parity: bool = False


@dataclass(frozen=True)
class TelegramFeed:
    """A meter that sends telegrams by itself."""

    kind: Kind
    place: str
    connect: Callable[[], asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
    decoder: Callable[[], Decoder]
    silence_s: float

    async def run(self, sink: Sink) -> None:
        """Listen until the line is closed or falls silent."""
        try:
            reader, writer = await asyncio.wait_for(self.connect(), CONNECT_LIMIT_S)
        except TimeoutError as error:
            raise FeedError(f"{self.place}: no connection within {CONNECT_LIMIT_S:g} s") from error
        except OSError as error:
            raise FeedError(f"{self.place}: {error}") from error
        decoder = self.decoder()
        sink.up()
        try:
            while True:
                data = await asyncio.wait_for(reader.read(4096), self.silence_s)
                if not data:
                    raise FeedError(f"{self.place}: closed")
                for found in decoder.take(data):
                    if isinstance(found, Heard):
                        sink.take(found.value, found.unit, found.instant)
                    else:
                        sink.refuse(found.reason)
        except TimeoutError as error:
            raise FeedError(f"{self.place}: silent for {self.silence_s:g} s") from error
        except OSError as error:
            raise FeedError(f"{self.place}: {error}") from error
        finally:
            writer.close()


def open_telegrams(
    url: SourceUrl,
    given: TelegramParameters,
    decoder: Callable[[], Decoder],
    form: SerialForm,
    kind: Kind = "register",
) -> LiveSource:
    """A source of telegrams: ``scheme://host:port`` over TCP, ``scheme:/dev/ttyUSB0`` from a serial device.

    Raises:
        InputError: neither.
    """
    if url.path.startswith("//"):
        address = address_of(url, None)
        place = str(address)

        def connect() -> asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            return asyncio.ensure_future(asyncio.open_connection(address.host, address.port))

    elif url.path:
        place = url.path
        if Path(place).exists() and not Path(place).is_char_device():
            raise InputError(f"source {url.text!r}: {place} is no serial device")

        def connect() -> asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            return asyncio.ensure_future(_open_serial(place, given.baud, form))

    else:
        expected = f"{url.scheme}://host:port or {url.scheme}:/dev/ttyUSB0"
        raise InputError(f"source {url.text!r}: expected {expected}")
    return LiveSource(url.text, TelegramFeed(kind, place, connect, decoder, given.silence), given)


async def _open_serial(
    place: str, baud: int | None, form: SerialForm
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parity = serialx.Parity.EVEN if form.even_parity else serialx.Parity.NONE
    return await serialx.open_serial_connection(
        place, baudrate=baud or form.baud, byte_size=form.byte_size, parity=parity
    )


def telegram_parameters(url: SourceUrl) -> TelegramParameters:
    """Parameters of a source that has no others than those of telegrams."""
    return parameters_of(url, TelegramParameters)

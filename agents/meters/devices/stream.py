"""Telegrams that a meter sends by itself, over TCP or from a serial device.

A decoder turns bytes as they come into values, and into reasons where a telegram is broken; it does no I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import serialx
from pydantic import Field

from agents.meters.devices.address import address_of
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveParameters, LiveSource, Sink
from agents.meters.source import SIGNED_ROLES, SourceUrl
from runtime.errors import InputError

CONNECT_LIMIT_S = 10.0

MAX_PENDING_BYTES = 32 * 1024
"""So much without a telegram in it is garbage."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A value of a telegram; ``instant`` None: just now; ``reverse``: of energy the other way."""

    value: float
    unit: str
    instant: datetime | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a telegram, or bytes between telegrams, say nothing."""

    reason: str


class Decoder(Protocol):
    """Bytes in, values out."""

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """Take the next bytes; what they complete."""


class BothWays:
    """Energy taken and energy given, from the same telegrams."""

    def __init__(self, taken: Decoder, given: Decoder) -> None:
        """Ask both decoders; a telegram that is broken is so for both, and said once."""
        self._taken = taken
        self._given = given

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """See ``Decoder``."""
        yield from self._taken.take(data)
        for found in self._given.take(data):
            if isinstance(found, Heard):
                yield replace(found, reverse=True)


class TelegramParameters(LiveParameters):
    """Parameters of sources of telegrams.

    Attributes:
        direction: energy taken or given; taken for a load, given for a production, unless said; both for the
            role ``net``.
        baud: of a serial device; the usual one of its kind if not given.
        silence: after so many seconds without a byte the meter is taken for gone.
    """

    direction: Literal["import", "export"] | None = None
    baud: int | None = Field(default=None, ge=300, le=1_000_000)
    silence: float = Field(default=60.0, gt=0)

    @property
    def tells_both(self) -> bool:
        """See ``LiveParameters``."""
        return self.role in SIGNED_ROLES

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
                        sink.take(found.value, found.unit, found.instant, reverse=found.reverse)
                    else:
                        sink.refuse(found.reason)
        except TimeoutError as error:
            raise FeedError(f"{self.place}: silent for {self.silence_s:g} s") from error
        except OSError as error:
            raise FeedError(f"{self.place}: {error}") from error
        finally:
            writer.close()


AnyTelegrams = TypeVar("AnyTelegrams", bound=TelegramParameters)


def towards(given: AnyTelegrams, way: Literal["import", "export"] | None) -> AnyTelegrams:
    """The parameters of one direction; None leaves them as they are."""
    return given if way is None else given.model_copy(update={"direction": way})


def open_telegrams(
    url: SourceUrl,
    given: TelegramParameters,
    decoder: Callable[[Literal["import", "export"] | None], Decoder],
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

    def decode() -> Decoder:
        return BothWays(decoder("import"), decoder("export")) if given.tells_both else decoder(None)

    if given.tells_both and given.direction is not None:
        raise InputError(f"source {url.text!r}: direction: role {given.role!r} is of both")
    return LiveSource(url.text, TelegramFeed(kind, place, connect, decode, given.silence), given)


async def _open_serial(
    place: str, baud: int | None, form: SerialForm
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parity = serialx.Parity.EVEN if form.even_parity else serialx.Parity.NONE
    return await serialx.open_serial_connection(
        place, baudrate=baud or form.baud, byte_size=form.byte_size, parity=parity
    )

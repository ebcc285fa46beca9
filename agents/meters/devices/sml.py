"""``sml:`` reads German meters (Smart Message Language 1.04), by an optical head or a gateway.

URL: ``sml:/dev/ttyUSB0`` or ``sml://host:port``; ``kind=power`` for the power (OBIS 16.7.0) instead of the
registers (1.8.0 and 2.8.0). The checksum is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sml import SmlBase

from agents.meters.devices.stream import (
    MAX_PENDING_BYTES,
    Broken,
    Heard,
    SerialForm,
    TelegramParameters,
    open_telegrams,
    towards,
)
from agents.meters.energy import Kind
from agents.meters.live import LiveSource
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig

_START, _END = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01", b"\x1b\x1b\x1b\x1b\x1a"
_AFTER_END = 3  # padding and checksum

IMPORT, EXPORT, POWER = "1-0:1.8.0*255", "1-0:2.8.0*255", "1-0:16.7.0*255"


class SmlParameters(TelegramParameters):
    """Parameters of ``sml:``; ``kind`` says whether registers or the power are read."""

    kind: Kind = "register"


class SmlDecoder:
    """Files of one meter, from escape and start to escape, end and checksum."""

    def __init__(self, given: SmlParameters) -> None:
        """Look for what ``given`` says."""
        self._register = IMPORT if given.taken else EXPORT
        self._obis = POWER if given.kind == "power" else self._register
        # One value tells both directions: below zero it is given.
        self._sign = -1.0 if given.kind == "power" and not given.taken else 1.0
        self._pending = b""

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """See ``Decoder``."""
        self._pending += data
        while (frame := self._next_frame()) is not None:
            yield from self._decode(frame)
        if len(self._pending) > MAX_PENDING_BYTES:
            size, self._pending = len(self._pending), b""
            yield Broken(f"found {size} bytes without a telegram in them")

    def _next_frame(self) -> bytes | None:
        start = self._pending.find(_START)
        if start < 0:
            return None
        end = self._pending.find(_END, start + len(_START))
        size = end + len(_END) + _AFTER_END
        if end < 0 or len(self._pending) < size:
            return None
        last_start = self._pending.rfind(_START, start, end)  # what came before it was cut off
        frame, self._pending = self._pending[last_start:size], self._pending[size:]
        return frame

    def _decode(self, frame: bytes) -> Iterator[Heard | Broken]:
        try:
            _, messages = SmlBase.find_frame(frame)
        except Exception as error:  # the parser raises whatever it stumbles over
            yield Broken(f"telegram that cannot be read: {type(error).__name__}: {error}")
            return
        if messages is None:
            yield Broken("telegram with a wrong checksum")
            return
        entries: list[dict[str, Any]] = []
        for message in messages:
            entries += (message.get("messageBody") or {}).get("valList") or []
        for entry in entries:
            value = entry.get("value")
            if entry.get("objName") == self._obis and isinstance(value, int | float):
                yield Heard(self._sign * float(value), str(entry.get("unit")))
                return
        yield Broken(f"telegram without {self._obis}")


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``sml:``.

    Raises:
        InputError: address or a parameter will not do.
    """
    given = parameters_of(url, SmlParameters)
    return open_telegrams(
        url, given, lambda way: SmlDecoder(towards(given, way)), SerialForm(9600), given.kind
    )

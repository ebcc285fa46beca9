"""``p1:`` reads the customer port of Dutch, Belgian, Luxembourgish and Swedish meters (DSMR / eMUCS P1).

URL: ``p1://host:port`` for a gateway, ``p1:/dev/ttyUSB0`` for a cable; ``version=5`` (2, 4, 5, belgium,
luxembourg, sweden), ``kind=power`` for the power instead of the registers, ``stamp=device`` for the meter's
own clock. The checksum is checked; versions before 4 have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from typing import Any, Literal

from dsmr_parser import telegram_specifications
from dsmr_parser.exceptions import InvalidChecksumError, ParseError
from dsmr_parser.parsers import TelegramParser

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

_TELEGRAM = re.compile(rb"/[^/]*?!([0-9A-F]{0,4})\0?\r\n", re.DOTALL)

_SPECIFICATIONS: dict[str, dict[str, Any]] = {
    "2": telegram_specifications.V2_2,
    "4": telegram_specifications.V4,
    "5": telegram_specifications.V5,
    "belgium": telegram_specifications.BELGIUM_FLUVIUS,
    "luxembourg": telegram_specifications.LUXEMBOURG_SMARTY,
    "sweden": telegram_specifications.SWEDEN,
}

_REGISTERS = {
    True: ("ELECTRICITY_IMPORTED_TOTAL", "ELECTRICITY_USED_TARIFF_1", "ELECTRICITY_USED_TARIFF_2"),
    False: ("ELECTRICITY_EXPORTED_TOTAL", "ELECTRICITY_DELIVERED_TARIFF_1", "ELECTRICITY_DELIVERED_TARIFF_2"),
}
_POWER = {True: "CURRENT_ELECTRICITY_USAGE", False: "CURRENT_ELECTRICITY_DELIVERY"}


class P1Parameters(TelegramParameters):
    """Parameters of ``p1:``.

    Attributes:
        version: of the telegrams.
        kind: registers or power.
        stamp: when a value was so: when it came, or when the meter says.
    """

    version: Literal["2", "4", "5", "belgium", "luxembourg", "sweden"] = "5"
    kind: Kind = "register"
    stamp: Literal["arrival", "device"] = "arrival"


class P1Decoder:
    """Telegrams of one meter, from ``/`` to ``!`` and checksum."""

    def __init__(self, given: P1Parameters) -> None:
        """Look for what ``given`` says."""
        self._given = given
        specification = dict(_SPECIFICATIONS[given.version])
        specification.pop("general_global_cipher", None)
        self._checked = bool(specification["checksum_support"])
        self._parser = TelegramParser(specification)
        self._pending = b""

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """See ``Decoder``."""
        self._pending += data
        while (found := _TELEGRAM.search(self._pending)) is not None:
            self._pending = self._pending[found.end() :]
            yield self._decode(found[0], found[1])
        if len(self._pending) > MAX_PENDING_BYTES:
            size, self._pending = len(self._pending), b""
            yield Broken(f"found {size} bytes without a telegram in them")

    def _decode(self, telegram: bytes, checksum: bytes) -> Heard | Broken:
        if self._checked and not checksum:
            return Broken("telegram without checksum, as before version 4")
        try:
            found = self._parser.parse(telegram.decode("ascii"))
        except InvalidChecksumError:
            return Broken("telegram with a wrong checksum")
        except (ParseError, UnicodeDecodeError, ValueError, ArithmeticError) as error:
            return Broken(f"telegram that cannot be read: {error}")
        stamp = getattr(found, "P1_MESSAGE_TIMESTAMP", None) if self._given.stamp == "device" else None
        if self._given.stamp == "device" and stamp is None:
            return Broken("telegram without the meter's time")
        instant = stamp.value.astimezone(UTC) if stamp is not None else None
        total, *tariffs = _REGISTERS[self._given.taken]
        names = [_POWER[self._given.taken]] if self._given.kind == "power" else [total]
        if self._given.kind == "register" and getattr(found, total, None) is None:
            names = tariffs
        parts = [getattr(found, name, None) for name in names]
        missing = [name for name, part in zip(names, parts, strict=True) if part is None]
        if missing:
            return Broken(f"telegram without {' and '.join(missing).lower().replace('_', ' ')}")
        units = {part.unit for part in parts if part is not None}
        if len(units) != 1:
            return Broken(f"telegram with the units {', '.join(sorted(map(str, units)))}, expected one")
        value = float(sum(part.value for part in parts if part is not None))
        return Heard(value, str(units.pop()), instant)


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``p1:``.

    Raises:
        InputError: address or a parameter will not do.
    """
    given = parameters_of(url, P1Parameters)
    old = given.version == "2"
    form = SerialForm(9600, 7, even_parity=True) if old else SerialForm(115200)
    return open_telegrams(url, given, lambda way: P1Decoder(towards(given, way)), form, given.kind)

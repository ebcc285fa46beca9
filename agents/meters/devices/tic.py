"""``tic:`` reads French meters (Enedis TIC: Linky and its predecessors), historic and standard mode.

URL: ``tic:/dev/ttyUSB0`` or ``tic://host:port``; ``mode=standard`` (9600 baud) or ``historic`` (1200 baud,
which tells energy taken only). Registers only: the power that TIC tells is apparent, not active. Each group's
checksum is checked. Source: Enedis-NOI-CPT_54E.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from agents.meters.devices.stream import (
    MAX_PENDING_BYTES,
    Broken,
    Heard,
    SerialForm,
    TelegramParameters,
    open_telegrams,
    towards,
)
from agents.meters.live import LiveSource
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.errors import InputError

Mode = Literal["historic", "standard"]

_FRAME = re.compile(rb"\x02([^\x02\x03]*)\x03", re.DOTALL)
_GROUP = re.compile(rb"\n([^\n\r]*)\r", re.DOTALL)

_HISTORIC_REGISTERS = (
    ("BASE",),
    ("HCHC", "HCHP"),
    ("EJPHN", "EJPHPM"),
    ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
)
"""Registers of each tariff option; a frame has those of one."""


class TicParameters(TelegramParameters):
    """Parameters of ``tic:``."""

    mode: Mode = "standard"


def checksum_of(group: bytes, mode: Mode) -> int:
    """Checksum character of a group without it.

    Args:
        group: from the label to the separator before the checksum, with that separator.
        mode: the separator counts in standard mode only.
    """
    counted = group if mode == "standard" else group[:-1]
    return (sum(counted) & 0x3F) + 0x20


class TicDecoder:
    """Frames of one meter, from STX to ETX."""

    def __init__(self, mode: Mode, taken: bool) -> None:
        """Look for the register of energy ``taken`` or given."""
        self._mode: Mode = mode
        self._taken = taken
        self._pending = b""

    def take(self, data: bytes) -> Iterator[Heard | Broken]:
        """See ``Decoder``."""
        self._pending += bytes(byte & 0x7F for byte in data)  # a gateway may leave the parity bit in place
        while (found := _FRAME.search(self._pending)) is not None:
            self._pending = self._pending[found.end() :]
            yield self._decode(found[1])
        if len(self._pending) > MAX_PENDING_BYTES:
            size, self._pending = len(self._pending), b""
            yield Broken(f"found {size} bytes without a telegram in them")

    def _decode(self, frame: bytes) -> Heard | Broken:
        groups: dict[str, bytes] = {}
        wrong = []
        separator = b"\t" if self._mode == "standard" else b" "
        for group in _GROUP.findall(frame):
            label, *fields = group[:-2].split(separator)
            name = label.decode("ascii")
            if (
                len(group) < 4
                or group[-2:-1] != separator
                or checksum_of(group[:-1], self._mode) != group[-1]
            ):
                wrong.append(name[:12])
            elif fields:
                groups[name] = fields[-1]
        names = self._registers(groups)
        missing = [name for name in names if name not in groups]
        if missing:
            why = f"; wrong checksum of {', '.join(wrong)}" if wrong else ""
            return Broken(f"frame without {' and '.join(missing)}{why}")
        try:
            return Heard(float(sum(int(groups[name]) for name in names)), "Wh")
        except ValueError:
            return Broken(f"frame with {names[0]} {groups[names[0]]!r}, expected a number")

    def _registers(self, groups: dict[str, bytes]) -> tuple[str, ...]:
        if self._mode == "standard":
            return ("EAST",) if self._taken else ("EAIT",)
        for names in _HISTORIC_REGISTERS:
            if any(name in groups for name in names):
                return names
        return ("BASE",)


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``tic:``.

    Raises:
        InputError: address or a parameter will not do, or the historic mode is to tell energy given.
    """
    given = parameters_of(url, TicParameters)
    if given.mode == "historic" and (given.tells_both or not given.taken):
        raise InputError(f"source {url.text!r}: the historic mode tells energy taken only")
    form = SerialForm(9600 if given.mode == "standard" else 1200, 7, even_parity=True)
    return open_telegrams(url, given, lambda way: TicDecoder(given.mode, towards(given, way).taken), form)

"""Where SunSpec devices put power and energy: model discovery and values, without I/O.

Source: SunSpec Alliance, Information Model Reference (models 101–103 and 111–113 inverter, 201–204 and
211–214 meter, 802 battery). A map starts with "SunS", then models one after the other: id, length, points;
id 65535 is the end.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.meters.energy import Kind
from runtime.configuration import MeterRole

BASES = (40000, 50000, 0)
"""Where a map may start."""

MARK = (0x5375, 0x6E53)
"""The registers of "SunS"."""

LAST_MODEL = 0xFFFF

_NO_INT16 = -0x8000
_NO_UINT32 = 0xFFFFFFFF


class SunSpecError(ValueError):
    """A device's map has not what is asked for; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a model.

    Attributes:
        offset: of its first register from the model's id.
        form: how it is written.
        scale_offset: of the register with the power of ten it is to be multiplied with; None for a float.
    """

    offset: int
    form: Literal["int16", "acc32", "float32"]
    scale_offset: int | None = None

    @property
    def last(self) -> int:
        """Offset of the last register needed."""
        own = self.offset + (0 if self.form == "int16" else 1)
        return max(own, self.scale_offset or 0)


_INVERTER = {("power", True): Point(14, "int16", 15), ("register", True): Point(24, "acc32", 26)}
_INVERTER_FLOAT = {("power", True): Point(22, "float32"), ("register", True): Point(32, "float32")}
_METER = {
    ("power", False): Point(18, "int16", 22),
    ("register", True): Point(38, "acc32", 54),
    ("register", False): Point(46, "acc32", 54),
}
_METER_FLOAT = {
    ("power", False): Point(28, "float32"),
    ("register", True): Point(60, "float32"),
    ("register", False): Point(68, "float32"),
}
_BATTERY = {("power", True): Point(47, "int16", 63)}

MODELS: dict[int, dict[tuple[str, bool], Point]] = {
    **dict.fromkeys((101, 102, 103), _INVERTER),
    **dict.fromkeys((111, 112, 113), _INVERTER_FLOAT),
    **dict.fromkeys((201, 202, 203, 204), _METER),
    **dict.fromkeys((211, 212, 213, 214), _METER_FLOAT),
    802: _BATTERY,
}
"""Points of each model, by kind and whether energy given is meant. An inverter gives; a meter's power is
above zero when energy is taken, a battery's when it is discharged, and the same point tells both."""


def fits(model: int, role: MeterRole) -> bool:
    """Whether a model may tell what has this role: an inverter production, a battery itself, a meter all."""
    if model not in MODELS:
        return False
    if model < 200:
        return role == "pv"
    return model < 300 or role == "battery"


def point_of(model: int, kind: Kind, given: bool) -> tuple[Point, float]:
    """Point of a model, and the factor that makes it the asked direction.

    Raises:
        SunSpecError: the model does not tell this.
    """
    points = MODELS[model]
    if (kind, given) in points:
        return points[kind, given], 1.0
    if kind == "power" and (kind, not given) in points and model > 200:
        return points[kind, not given], -1.0
    direction = "given" if given else "taken"
    raise SunSpecError(f"model {model} does not tell the {kind} of energy {direction}")


def value_of(registers: Sequence[int], point: Point) -> float:
    """Value of a point, in W or Wh.

    Args:
        registers: of the model from its id on.
        point: which.

    Raises:
        SunSpecError: the device does not implement the point.
    """
    words = registers[point.offset : point.offset + (1 if point.form == "int16" else 2)]
    raw = struct.pack(f">{len(words)}H", *words)
    match point.form:
        case "int16":
            value = float(struct.unpack(">h", raw)[0])
            there = value != _NO_INT16
        case "acc32":
            value = float(struct.unpack(">I", raw)[0])
            there = value != _NO_UINT32
        case "float32":
            value = float(struct.unpack(">f", raw)[0])
            there = math.isfinite(value)
    if point.scale_offset is not None:
        exponent = struct.unpack(">h", struct.pack(">H", registers[point.scale_offset]))[0]
        there = there and -10 <= exponent <= 10
        # A division keeps the digits that the device gives.
        value = value * 10.0**exponent if exponent >= 0 else value / 10.0**-exponent
    if not there:
        raise SunSpecError(f"the device does not implement the point at {point.offset}")
    return value

"""Units in which devices tell power or energy, turned into kW and kWh; all that a meter needs of that.

It stands on the standard library alone: meters run on small boards.
"""

from __future__ import annotations

from typing import Literal


class ConventionError(ValueError):
    """A value that the convention it is said to follow does not allow; the caller adds file and field."""


_OF_DEVICES: dict[str, tuple[Literal["power", "register"], float, float]] = {
    "W": ("power", 1.0, 1e3),
    "kW": ("power", 1.0, 1.0),
    "MW": ("power", 1e3, 1.0),
    "Ws": ("register", 1.0, 3.6e6),
    "J": ("register", 1.0, 3.6e6),
    "Wmin": ("register", 1.0, 6e4),
    "Wh": ("register", 1.0, 1e3),
    "kWh": ("register", 1.0, 1.0),
    "MWh": ("register", 1e3, 1.0),
}
DEVICE_UNITS = tuple(_OF_DEVICES)
"""Units in which devices tell power or the state of an energy register."""


def power_or_register(value: float, unit: str) -> tuple[Literal["power", "register"], float]:
    """What a device tells: a power [kW], or the state of a register of energy [kWh], as its unit says.

    Args:
        value: in ``unit``.
        unit: one of ``DEVICE_UNITS``.

    Raises:
        ConventionError: another unit.
    """
    if unit not in _OF_DEVICES:
        raise ConventionError(f"found the unit {unit!r}, expected one of {', '.join(DEVICE_UNITS)}")
    kind, factor, divisor = _OF_DEVICES[unit]
    return kind, value * factor / divisor

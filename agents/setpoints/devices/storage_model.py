"""SunSpec model 124, basic storage control: registers of a power, without I/O.

``InWRte`` and ``OutWRte`` bound charging and discharging, in percent of ``WChaMax``, once ``StorCtl_Mod``
says so. A bound below zero makes the other direction the least: charging at exactly p is InWRte = p and
OutWRte = −p, discharging at p the reverse, resting both 0. ``InOutWRte_RvrtTms`` is the device's own
watchdog: after so many seconds without a new one the rates no longer count.

Source: SunSpec Alliance, Information Model Reference, model 124 (24 points after id and length).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from agents.meters.devices.sunspec import SunSpecError

MODEL, LENGTH = 124, 24

W_CHA_MAX, STOR_CTL_MOD, OUT_W_RTE, IN_W_RTE, RVRT_TMS = 2, 5, 12, 13, 15
W_CHA_MAX_SF, IN_OUT_W_RTE_SF = 18, 25
"""Offsets of points from the model's id."""

BOTH_DIRECTIONS, OWN_CONTROL = 0b11, 0
"""``StorCtl_Mod``: the bounds of charging and of discharging count; none does."""

_NO_UINT16, _NO_INT16 = 0xFFFF, 0x8000
LONGEST_REVERT_S = 0xFFFE


@dataclass(frozen=True, slots=True)
class StorageSetting:
    """A power as registers.

    Attributes:
        power_kw: what they come to, discharge > 0 [kW]; not beyond what was asked for.
        out_w_rte: register ``OutWRte``.
        in_w_rte: register ``InWRte``.
    """

    power_kw: float
    out_w_rte: int
    in_w_rte: int


def setting_of(registers: Sequence[int], power_kw: float) -> StorageSetting:
    """Registers that make a storage run at a power.

    Args:
        registers: of the model from its id on, as the device has them, at least 26.
        power_kw: wanted, discharge > 0 [kW]; beyond ``WChaMax`` that counts. Rounded towards zero.

    Raises:
        SunSpecError: no model 124, or one without the points needed.
    """
    if len(registers) < LENGTH + 2 or registers[0] != MODEL:
        raise SunSpecError(f"found model {registers[0] if registers else 'none'}, expected {MODEL}")
    for name, offset, none in (
        ("WChaMax", W_CHA_MAX, _NO_UINT16),
        ("StorCtl_Mod", STOR_CTL_MOD, _NO_UINT16),
        ("OutWRte", OUT_W_RTE, _NO_INT16),
        ("InWRte", IN_W_RTE, _NO_INT16),
    ):
        if registers[offset] == none:
            raise SunSpecError(f"the device does not implement {name} of model {MODEL}")
    max_kw = registers[W_CHA_MAX] * _power_of_ten(registers, W_CHA_MAX_SF, "WChaMax_SF") / 1000.0
    if max_kw <= 0:
        raise SunSpecError("WChaMax: found 0, expected the power that rates are percents of")
    step_percent = _power_of_ten(registers, IN_OUT_W_RTE_SF, "InOutWRte_SF")
    # A hair more, so that a rate that is whole stays so; towards zero, so that no limit is passed.
    steps = math.floor(min(abs(power_kw) / max_kw, 1.0) * 100.0 / step_percent + 1e-9)
    if steps > 0x7FFF:
        raise SunSpecError(f"InOutWRte_SF: found {_signed(registers[IN_OUT_W_RTE_SF])}, rates do not fit")
    signed = steps if power_kw > 0 else -steps
    really_kw = min(steps * step_percent / 100.0 * max_kw, abs(power_kw))
    return StorageSetting(math.copysign(really_kw, power_kw) if steps else 0.0, _word(signed), _word(-signed))


def revert_s(registers: Sequence[int], valid_s: float) -> int | None:
    """Register ``InOutWRte_RvrtTms`` for a set-point that counts ``valid_s``; None where it is not there."""
    if registers[RVRT_TMS] == _NO_UINT16:
        return None
    return min(max(1, math.ceil(valid_s)), LONGEST_REVERT_S)


def _power_of_ten(registers: Sequence[int], offset: int, name: str) -> float:
    exponent = _signed(registers[offset])
    if not -10 <= exponent <= 10:
        raise SunSpecError(f"{name}: found {exponent}, expected -10 to 10")
    return float(10.0**exponent)


def _signed(word: int) -> int:
    (value,) = struct.unpack(">h", struct.pack(">H", word))
    return int(value)


def _word(value: int) -> int:
    return value & 0xFFFF

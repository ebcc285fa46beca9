"""A set-point on its way from a prosumer to a device."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.protocol.bodies import Setpoint
from runtime.protocol.envelope import Envelope
from runtime.setpoints import SetpointTable

POWER_DECIMALS = 6
"""Decimals of a power [kW]: milliwatts."""


@dataclass(eq=False)
class Aim:
    """What a device is to be brought to.

    Attributes:
        body: what was told.
        power_kw: what is aimed at: what was told, within the limits, discharge > 0 [kW].
        asked: the message, as long as it is not answered.
        reached: whether the device has it, with all steps of a ramp.
        told: whether its sender knows what the device did.
        failed: whether its sender was told that the device failed.
    """

    body: Setpoint
    power_kw: float
    asked: Envelope | None
    reached: bool = False
    told: bool = False
    failed: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Session and slot."""
        return self.body.session, self.body.slot


def why_less(aim: Aim, given: SetpointTable, power_kw: float, has_kw: float) -> str:
    """Why a device has not been told what its prosumer wanted; empty if it has.

    Args:
        aim: the set-point.
        given: limits and ramp.
        power_kw: what the device was to be told, discharge > 0 [kW].
        has_kw: what it has been told, likewise.
    """
    reasons = []
    if aim.power_kw != aim.body.power_kw:
        limits = f"{given.max_charge_kw:g} kW charge and {given.max_discharge_kw:g} kW discharge"
        reasons.append(f"wanted {aim.body.power_kw:g} kW, limits are {limits}")
    if not aim.reached:
        reasons.append(f"on its way to {aim.power_kw:g} kW by {given.ramp_kw_per_min:g} kW/min")
    if abs(has_kw - power_kw) > 10.0**-POWER_DECIMALS:
        reasons.append(f"the device does {has_kw:g} of {power_kw:g} kW")
    return "; ".join(reasons)

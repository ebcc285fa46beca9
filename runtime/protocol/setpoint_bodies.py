"""Bodies between a prosumer and the controller of its battery: set-points, and what became of them.

A prosumer tells its battery's controller the mean power that its plan wants in a slot; the controller keeps
it within its limits, gives it to the device, and says what it did.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from runtime.protocol.body_base import Body, Index, check_slot_instants

MAX_POWER_KW = 1e6
"""Above this a power is taken for a unit error."""

Power = Annotated[float, Field(ge=0, le=MAX_POWER_KW)]

Outcome = Literal["written", "dry-run", "scheduled", "failed", "returned"]
"""What became of a set-point: the device has it; it would have been given to the device; it will be given
once its slot begins or the device may be written again; the device did not take it; the device has control
again."""


class _BatteryPower(Body):
    """Mean power of a battery at the building's side as a non-negative pair, at most one above zero."""

    charge_kw: Power
    discharge_kw: Power

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if min(self.charge_kw, self.discharge_kw) > 0:
            raise ValueError("found charge_kw and discharge_kw above zero, expected at most one")
        return self

    @property
    def power_kw(self) -> float:
        """Discharge − charge [kW]."""
        return self.discharge_kw - self.charge_kw


class Setpoint(_BatteryPower):
    """What a prosumer wants of its battery in a slot that begins or has begun.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        slot_start: UTC instant at which it starts, on the community's clock.
        slot_end: UTC instant at which it ends; the set-point counts no longer then.
        charge_kw: mean power drawn from the building.
        discharge_kw: mean power delivered to the building.
        stored_kwh: stored energy that the plan aims at for the slot's end.
    """

    type: Literal["setpoint"] = "setpoint"
    session: Index
    slot: Index
    slot_start: AwareDatetime
    slot_end: AwareDatetime
    stored_kwh: Annotated[float, Field(ge=0, le=MAX_POWER_KW)]

    @model_validator(mode="after")
    def _instants(self) -> Self:
        check_slot_instants(self.slot_start, self.slot_end)
        return self


class SetpointOutcome(_BatteryPower):
    """What a controller did about a slot's set-point; it may say more than once, for example when it failed.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        outcome: what became of it.
        charge_kw: power drawn that the device has been told, or would have been; 0 where control is its own.
        discharge_kw: power delivered, likewise.
        limited: whether that is less than was wanted: a limit, or a ramp that has further steps.
        wrote: what was written to the device, or would have been, in its own terms.
        reason: why it is not as it was wanted; empty if it is.
    """

    type: Literal["setpoint-outcome"] = "setpoint-outcome"
    session: Index
    slot: Index
    outcome: Outcome
    limited: bool = False
    wrote: str = ""
    reason: str = ""


class SetpointSubscribe(Body):
    """A controller asks its prosumer for set-points from now on.

    Attributes:
        target: what it writes to, as a URL.
        dry_run: whether it writes nothing.
    """

    type: Literal["setpoint-subscribe"] = "setpoint-subscribe"
    target: str
    dry_run: bool


class SetpointCancel(Body):
    """A controller takes its leave: no further set-points."""

    type: Literal["setpoint-cancel"] = "setpoint-cancel"


class SetpointsEnded(Body):
    """The last session is closed: no set-point will follow, and the device is its own again."""

    type: Literal["setpoints-ended"] = "setpoints-ended"


def power_pair(power_kw: float) -> dict[str, float]:
    """Power as messages tell it, from discharge − charge [kW]."""
    return {"charge_kw": max(0.0, -power_kw), "discharge_kw": max(0.0, power_kw)}

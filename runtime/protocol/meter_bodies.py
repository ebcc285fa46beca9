"""Bodies between a meter and its prosumer: attaching, and readings in SenML (RFC 8428)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from runtime.configuration import MeterRole
from runtime.protocol.body_base import Body, Energy, Index, check_slot_instants

Role = MeterRole
"""What a meter measures."""

SenmlName = Literal["load", "pv", "grid_import", "grid_export", "battery_charge", "battery_discharge"]
"""Name of a record: of a role that has one direction the role itself, of a signed one either direction."""

NAMES_OF_ROLE: dict[Role, tuple[SenmlName, ...]] = {
    "load": ("load",),
    "pv": ("pv",),
    "net": ("grid_import", "grid_export"),
    "battery": ("battery_discharge", "battery_charge"),
}
"""Records of each role; of a signed role first the direction that counts as positive inside."""

_ROLE_OF_NAME: dict[SenmlName, Role] = {name: role for role, names in NAMES_OF_ROLE.items() for name in names}


class MeterAttach(Body):
    """A meter asks its prosumer to take its readings from now on."""

    type: Literal["meter-attach"] = "meter-attach"
    roles: Annotated[list[Role], Field(min_length=1)]
    source: str


class MeterAttached(Body):
    """From which slot on the prosumer takes this meter's readings."""

    type: Literal["meter-attached"] = "meter-attached"
    session: Index
    slot: Index


class MeterDetach(Body):
    """An attached meter takes its leave; the prosumer reads its own meter again."""

    type: Literal["meter-detach"] = "meter-detach"


class MeteringEnded(Body):
    """The prosumer needs no more readings: the last session is closed."""

    type: Literal["metering-ended"] = "metering-ended"


class ReadingRequest(Body):
    """A slot has passed: the meter is to say what it measured in it.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        slot_start: UTC instant at which it started, on the community's clock.
        slot_end: UTC instant at which it ended.
        roles: what is to be told.
    """

    type: Literal["reading-request"] = "reading-request"
    session: Index
    slot: Index
    slot_start: AwareDatetime
    slot_end: AwareDatetime
    roles: list[Role]

    @model_validator(mode="after")
    def _instants(self) -> Self:
        check_slot_instants(self.slot_start, self.slot_end)
        return self


class SenmlRecord(Body):
    """One SenML record (RFC 8428), in the unit kWh of RFC 8798."""

    n: SenmlName
    u: Literal["kWh"] = "kWh"
    v: Energy


class SlotReading(Body):
    """Metered energy of a slot: one SenML record for a load or a production, two for what is signed.

    Attributes:
        session: market session, from 0.
        slot: slot measured.
        bt: SenML base time: the slot's start, seconds since 1970-01-01T00:00Z.
        quality: whether all of it was metered, or the meter had to bridge a gap.
        e: the energies.
    """

    session: Index
    slot: Index
    bt: float
    quality: Literal["metered", "estimated"] = "metered"
    e: Annotated[list[SenmlRecord], Field(min_length=1, max_length=6)]

    @model_validator(mode="after")
    def _whole_roles(self) -> Self:
        names = [record.n for record in self.e]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"found {name} twice")
            for other in NAMES_OF_ROLE[_ROLE_OF_NAME[name]]:
                if other not in names:
                    raise ValueError(f"found {name} without {other}")
        return self

    @property
    def energies_kwh(self) -> dict[Role, float]:
        """By role: load, production, import − export, discharge − charge."""
        told = {record.n: record.v for record in self.e}
        roles = dict.fromkeys(_ROLE_OF_NAME[record.n] for record in self.e)
        energies: dict[Role, float] = {}
        for role in roles:
            first, *other = NAMES_OF_ROLE[role]
            energies[role] = round(told[first] - told[other[0]], 9) if other else told[first]
        return energies


class Reading(SlotReading):
    """A meter's answer to the request for a slot.

    Attributes:
        without: roles asked for that it has no energy of, and why.
    """

    type: Literal["reading"] = "reading"
    without: dict[Role, str] = Field(default_factory=dict)


class ReadingCorrection(SlotReading):
    """What a meter knows by now of a slot that it had no reading of, or only an estimated one.

    Acknowledged once it is taken, or refused when the slot's session is closed.
    """

    type: Literal["reading-correction"] = "reading-correction"


def records_of(role: Role, energy_kwh: float) -> list[SenmlRecord]:
    """SenML records of a role's energy [kWh]; of a signed role one is zero."""
    first, *other = NAMES_OF_ROLE[role]
    if not other:
        return [SenmlRecord(n=first, v=energy_kwh)]
    return [
        SenmlRecord(n=first, v=max(0.0, energy_kwh)),
        SenmlRecord(n=other[0], v=max(0.0, -energy_kwh)),
    ]

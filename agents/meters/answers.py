"""What a meter answers: readings and corrections made of what its source tells, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from agents.meters.energy import SlotEnergy
from agents.meters.source import SIGNED_ROLES, MeterSource, ReadingError, RevisingSource
from runtime.configuration import MeterRole
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import AnyBody, Reading, ReadingCorrection, ReadingRequest, Reason, parse_body
from runtime.protocol.body_base import MAX_SLOT_ENERGY_KWH
from runtime.protocol.machine import Kept
from runtime.protocol.meter_bodies import SenmlRecord, records_of

READING_DECIMALS = 9
"""Decimals of a reading [kWh]: those of a delivery."""


def take_reading(
    source: MeterSource, roles: Sequence[MeterRole], horizons: Sequence[Horizon], request: ReadingRequest
) -> Reading | Reason:
    """Read a source as asked.

    Returns:
        The reading, rounded to ``READING_DECIMALS``, or why there is none.
    """
    if request.session >= len(horizons):
        return Reason(reason=f"found session {request.session}, expected one of {len(horizons)}")
    horizon = horizons[request.session]
    if request.slot >= horizon.slots:
        return Reason(reason=f"found slot {request.slot}, expected one of {horizon.slots}")
    try:
        horizon.check_slot(request.slot, request.slot_start, request.slot_end)
    except ProtocolError as error:
        return Reason(reason=str(error))
    asked = list(dict.fromkeys(request.roles))
    foreign = [role for role in asked if role not in roles]
    if foreign or not asked:
        return Reason(reason=f"found {' and '.join(foreign) or 'nothing'} to read, expected of {roles}")
    records: list[SenmlRecord] = []
    estimated, without = False, {}
    for role in asked:
        try:
            energy = _energy_of(source.read(request.session, request.slot, horizon, role), role)
        except ReadingError as error:
            without[role] = str(error)
            continue
        except Exception as error:  # a source is anybody's code, and its failure no reason to leave
            without[role] = f"the source failed: {type(error).__name__}: {error}"
            continue
        assert energy.energy_kwh is not None, "as was just seen"
        estimated |= energy.quality == "estimated"
        records += records_of(role, round(energy.energy_kwh, READING_DECIMALS))
    if not records:
        return Reason(reason="; ".join(f"{role}: {reason}" for role, reason in without.items()))
    return Reading(
        session=request.session,
        slot=request.slot,
        bt=horizon.slot_start(request.slot).timestamp(),
        quality="estimated" if estimated else "metered",
        e=records,
        without=without,
    )


def _energy_of(told: float | SlotEnergy | None, role: MeterRole) -> SlotEnergy:
    """What a source told, checked.

    Raises:
        ReadingError: it is no energy that a slot can have.
    """
    energy = told if isinstance(told, SlotEnergy) else SlotEnergy(told, "metered", 0.0)
    energy_kwh = energy.energy_kwh
    if energy_kwh is None:
        raise ReadingError("the source has no value of this slot")
    least = -MAX_SLOT_ENERGY_KWH if role in SIGNED_ROLES else 0
    if not (math.isfinite(energy_kwh) and least <= energy_kwh <= MAX_SLOT_ENERGY_KWH):
        raise ReadingError(
            f"the source measured {energy_kwh!r} kWh, expected {least:g} to {MAX_SLOT_ENERGY_KWH:g}"
        )
    return energy


def corrections_of(source: MeterSource, horizons: Sequence[Horizon]) -> list[ReadingCorrection]:
    """What a source knows by now of slots that it could not tell for sure when they were read."""
    if not isinstance(source, RevisingSource):
        return []
    found = []
    for revision in source.revisions():
        try:
            energy = _energy_of(revision.energy, revision.role)
        except ReadingError:
            continue
        assert energy.energy_kwh is not None, "as was just seen"
        start = horizons[revision.session].slot_start(revision.slot)
        found.append(
            ReadingCorrection(
                session=revision.session,
                slot=revision.slot,
                bt=start.timestamp(),
                quality=energy.quality,
                e=records_of(revision.role, round(energy.energy_kwh, READING_DECIMALS)),
            )
        )
    return found


def _written(bodies: Sequence[AnyBody]) -> str:
    return json.dumps([body.to_json() for body in bodies])


def _read_bodies(text: str) -> list[AnyBody]:
    return [parse_body(body) for body in json.loads(text)]


BODIES = Kept(_written, _read_bodies)
"""What a source told is kept in the log: asked again it would tell something else."""

"""Sessions that go on from the energy stored in the one before could only save together what they could."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.devices import Battery
from runtime.records import CoordinatorRecord, MemberRecord, MemberSessionRecord, SessionRecord
from runtime.results.reading import session_of

_ROUNDING = 1e-9
"""Allowance on the stored energy that a chain ends with, as a share of the capacity."""


def chains_of(coordinator: CoordinatorRecord) -> list[list[SessionRecord]]:
    """Sessions in order, those together that go on from each other."""
    found: list[list[SessionRecord]] = []
    for session in coordinator.sessions:
        if session.continues and found:
            found[-1].append(session)
        else:
            found.append([session])
    return found


def as_one(
    chain: Sequence[SessionRecord], names: Sequence[str], records: Mapping[str, MemberRecord]
) -> tuple[SessionRecord, dict[str, MemberRecord]]:
    """A chain as one session of all its slots, as far as an optimum of it is asked for.

    Each battery has to end with no less than it really ended with: what the chain leaves to the time after it
    is not to be spent.

    Args:
        chain: its sessions, one or more.
        names: the community's members.
        records: their own records; a member that left none, or has vehicles or appliances in a chain of
            several, is left out.

    Raises:
        InputError: arrays that do not cover a session's slots.
    """
    first = chain[0]
    if len(chain) == 1:
        return first, dict(records)
    slots = sum(session.horizon.slots for session in chain)
    session = first.model_copy(
        update={
            "horizon": first.horizon.first(slots),
            "grid_import_price_eur_per_kwh": [
                price for each in chain for price in each.grid_import_price_eur_per_kwh
            ],
            "grid_export_price_eur_per_kwh": [
                price for each in chain for price in each.grid_export_price_eur_per_kwh
            ],
        }
    )
    members = {}
    for name in names:
        record = records.get(name)
        own = [] if record is None else [session_of(record, each) for each in chain]
        known = [each for each in own if each is not None and not (each.vehicles or each.appliances)]
        if record is not None and len(known) == len(chain):
            battery = None if record.battery is None else _ending_as(record.battery, known)
            update = {"battery": battery, "sessions": [_together(known)]}
            members[name] = record.model_copy(update=update)
    return session, members


def _together(own: Sequence[MemberSessionRecord]) -> MemberSessionRecord:
    """Series of all slots; what does not have a value for each slot is left out."""
    series = {}
    for name in [name for name, value in own[0] if isinstance(value, list)]:
        parts = [getattr(each, name) for each in own]
        whole = all(len(part) == len(each.load_kwh) for part, each in zip(parts, own, strict=True))
        series[name] = [item for part in parts for item in part] if whole else []
    return own[0].model_copy(update=series)


def _ending_as(battery: Battery, own: Sequence[MemberSessionRecord]) -> Battery:
    """The battery at the chain's start, bound to end as it did."""
    start_kwh = own[0].stored_start_kwh
    start = battery.soc_start if start_kwh is None else start_kwh / battery.capacity_kwh
    end = max(own[-1].stored_kwh[-1] / battery.capacity_kwh - _ROUNDING, 0.0)
    return battery.model_copy(update={"soc_start": start, "soc_end_min": end})

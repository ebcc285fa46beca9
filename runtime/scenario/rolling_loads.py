"""Vehicles and appliances where the horizon rolls on: which stays and runs each session plans."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.horizon import Horizon
from runtime.scenario.flexible import ApplianceTable, FlexibleLoads, VehicleTable, flexible_loads
from runtime.scenario.when import SessionSpan


def loads_of_sessions(
    place: str,
    vehicles: Sequence[VehicleTable],
    appliances: Sequence[ApplianceTable],
    stretches: Sequence[Horizon],
    spans: Sequence[SessionSpan],
) -> list[FlexibleLoads]:
    """A member's stays and runs, session by session, their times as the session's slots.

    Where the horizon rolls on, a session plans the stays and windows that end within its slots; of those that
    began before it, what is left is the member's to know.

    Args:
        place: the member, for messages.
        vehicles: its vehicles.
        appliances: its appliances.
        stretches: time without a break that sessions plan.
        spans: the sessions.

    Raises:
        ValueError: a time, window or energy that there is no room for; the message names table and field.
    """
    if not (vehicles or appliances):
        return [FlexibleLoads([], []) for _ in spans]
    if all(span.operated_slots is None for span in spans):
        return [flexible_loads(place, vehicles, appliances, span.horizon) for span in spans]
    whole = [flexible_loads(place, vehicles, appliances, stretch) for stretch in stretches]
    for span in spans:
        _check_visible(place, whole[span.stretch], span)
    return [_within(whole[span.stretch], span) for span in spans]


def _within(loads: FlexibleLoads, span: SessionSpan) -> FlexibleLoads:
    first, last = span.offset, span.offset + span.horizon.slots
    found = FlexibleLoads([], [])
    for vehicle in loads.vehicles:
        if first < vehicle.departure_slot <= last:
            times = {
                "arrival_slot": max(vehicle.arrival_slot - first, 0),
                "departure_slot": vehicle.departure_slot - first,
            }
            found.vehicles.append(vehicle.model_copy(update=times))
    for appliance in loads.appliances:
        closes = appliance.latest_start_slot + len(appliance.energy_kwh)
        if first < closes <= last:
            times = {
                "earliest_start_slot": max(appliance.earliest_start_slot - first, 0),
                "latest_start_slot": max(appliance.latest_start_slot - first, 0),
            }
            found.appliances.append(appliance.model_copy(update=times))
            found.closes.append(closes - first)
    return found


def _check_visible(place: str, loads: FlexibleLoads, span: SessionSpan) -> None:
    """See that what begins in a session's operated slots is planned whole by that session."""
    operated_end, last = span.offset + (span.operated_slots or 0), span.offset + span.horizon.slots
    begins = [
        *(("vehicle", each.name, each.arrival_slot, each.departure_slot) for each in loads.vehicles),
        *(
            ("appliance", each.name, each.earliest_start_slot, each.latest_start_slot + len(each.energy_kwh))
            for each in loads.appliances
        ),
    ]
    for kind, name, begin, end in begins:
        if span.offset <= begin < operated_end and end > last:
            at, start = span.horizon.local(begin - span.offset), span.horizon.local(0)
            raise ValueError(
                f"{place} {kind} {name!r}: found {end - begin} slots from {at:%H:%M} on, of which the "
                f"session from {start:%H:%M} plans {last - begin}; expected all: plan further "
                "(horizon.slots) or replan more often (horizon.replan_every_slots)"
            )

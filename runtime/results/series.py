"""The records of a run as lines to draw: mean power in each settled slot, sessions one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from runtime.records import CoordinatorRecord, MemberRecord, SessionRecord
from runtime.results.reading import session_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """The time axis of a run's figures.

    Sessions follow each other without a gap even if days lie between them (a summer and a winter day).

    Attributes:
        edges_hours: limits of the slots as hours drawn since the left edge [h], shape (slots + 1,).
        starts: local start of each slot.
        breaks_hours: where a session begins that does not continue the one before [h].
        zone: of the local times.
    """

    edges_hours: Array
    starts: list[datetime]
    breaks_hours: list[float]
    zone: str


@dataclass(frozen=True)
class MemberSeries:
    """A member's lines; arrays have shape (slots,), NaN where the member left no record.

    Attributes:
        name: of the member.
        load_kw: consumption [kW].
        pv_kw: production [kW].
        net_kw: settled net position, import > 0 [kW].
        soc: state of charge at the end of the slot as a fraction; ``None`` without battery.
        capacity_kwh: of the battery [kWh]; ``None`` without.
        unmetered: true where the energy was estimated or not delivered.
    """

    name: str
    load_kw: Array
    pv_kw: Array
    net_kw: Array
    soc: Array | None
    capacity_kwh: float | None
    unmetered: NDArray[np.bool_]


@dataclass(frozen=True)
class CommunitySeries:
    """Prices and exchange of the community; arrays have shape (slots,).

    Attributes:
        grid_import_price_eur_per_kwh: tariff for import [EUR/kWh].
        grid_export_price_eur_per_kwh: feed-in tariff [EUR/kWh].
        import_price_eur_per_kwh: agreed price for energy taken [EUR/kWh].
        export_price_eur_per_kwh: agreed price for energy given [EUR/kWh].
        local_price_eur_per_kwh: mean price of local trade, by contract or pooled [EUR/kWh]; NaN without.
        local_kw: traded between members [kW].
        import_kw: bought from the grid [kW].
        export_kw: sold to the grid [kW].
        suspended: true where trade was suspended.
    """

    grid_import_price_eur_per_kwh: Array
    grid_export_price_eur_per_kwh: Array
    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array
    local_price_eur_per_kwh: Array
    local_kw: Array
    import_kw: Array
    export_kw: Array
    suspended: NDArray[np.bool_]


def settled_slots(session: SessionRecord) -> list[int]:
    """Slots of a session that were settled, in order."""
    return sorted({delivery.slot for delivery in session.deliveries})


def time_axis(coordinator: CoordinatorRecord) -> Axis:
    """The axis that all series of the run share."""
    edges, starts, breaks = [0.0], [], []
    end: datetime | None = None
    for session in coordinator.sessions:
        slots = settled_slots(session)
        if end is not None and slots and session.horizon.slot_start(slots[0]) != end:
            breaks.append(edges[-1])
        for slot in slots:
            starts.append(session.horizon.local(slot))
            edges.append(edges[-1] + session.horizon.slot_hours)
            end = session.horizon.slot_start(slot + 1)
    zone = coordinator.sessions[0].horizon.zone if coordinator.sessions else "UTC"
    return Axis(np.array(edges), starts, breaks, zone)


def member_series(coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]) -> list[MemberSeries]:
    """Each member's lines, in the coordinator's order."""
    return [_member(name, coordinator, members.get(name)) for name in coordinator.members]


def community_series(coordinator: CoordinatorRecord) -> CommunitySeries:
    """Prices and exchange over all sessions."""
    parts = [_community(session) for session in coordinator.sessions]
    return CommunitySeries(
        **{
            field: np.concatenate([np.zeros(0), *(getattr(part, field) for part in parts)])
            for field in CommunitySeries.__dataclass_fields__
            if field != "suspended"
        },
        suspended=np.concatenate([np.zeros(0, dtype=bool), *(part.suspended for part in parts)]),
    )


def _member(name: str, coordinator: CoordinatorRecord, record: MemberRecord | None) -> MemberSeries:
    load, pv, net, soc, unmetered = [], [], [], [], []
    capacity = record.battery_capacity_kwh if record else None
    for session in coordinator.sessions:
        slots, hours = settled_slots(session), session.horizon.slot_hours
        delivered = {d.slot: d for d in session.deliveries if d.member == name}
        own = session_of(record, session) if record else None
        nothing = [float("nan")] * session.horizon.slots
        load.append(np.array(own.load_kwh if own else nothing)[slots] / hours)
        pv.append(np.array(own.pv_kwh if own else nothing)[slots] / hours)
        net.append(
            np.array([float(delivered[s].net_kwh) if s in delivered else np.nan for s in slots]) / hours
        )
        soc.append(np.array(own.stored_kwh if own and own.stored_kwh else nothing)[slots] / (capacity or 1.0))
        unmetered.append(np.array([s not in delivered or delivered[s].quality != "metered" for s in slots]))
    return MemberSeries(
        name=name,
        load_kw=np.concatenate([np.zeros(0), *load]),
        pv_kw=np.concatenate([np.zeros(0), *pv]),
        net_kw=np.concatenate([np.zeros(0), *net]),
        soc=np.concatenate([np.zeros(0), *soc]) if capacity else None,
        capacity_kwh=capacity,
        unmetered=np.concatenate([np.zeros(0, dtype=bool), *unmetered]).astype(bool),
    )


def _community(session: SessionRecord) -> CommunitySeries:
    slots, hours = settled_slots(session), session.horizon.slot_hours
    traded = ("local-sale", "contract")
    energy = {kind: np.zeros(session.horizon.slots) for kind in (*traded, "grid-import", "grid-export")}
    sold_for = np.zeros(session.horizon.slots)
    for entry in session.ledger:
        if entry.kind in energy:
            energy[entry.kind][entry.slot] += float(entry.energy_kwh)
        if entry.kind in traded:
            sold_for[entry.slot] += float(entry.amount_eur)
    local = energy["local-sale"] + energy["contract"]
    price = np.divide(sold_for, local, out=np.full(local.shape, np.nan), where=local > 0)
    tariffs = [
        np.array([float(p) for p in prices])
        for prices in (session.grid_import_price_eur_per_kwh, session.grid_export_price_eur_per_kwh)
    ]
    suspended = np.zeros(session.horizon.slots, dtype=bool)
    suspended[session.suspended_slots] = True
    return CommunitySeries(
        grid_import_price_eur_per_kwh=tariffs[0][slots],
        grid_export_price_eur_per_kwh=tariffs[1][slots],
        import_price_eur_per_kwh=np.array(session.agreed_import_price_eur_per_kwh)[slots],
        export_price_eur_per_kwh=np.array(session.agreed_export_price_eur_per_kwh)[slots],
        local_price_eur_per_kwh=price[slots],
        local_kw=local[slots] / hours,
        import_kw=energy["grid-import"][slots] / hours,
        export_kw=energy["grid-export"][slots] / hours,
        suspended=suspended[slots],
    )

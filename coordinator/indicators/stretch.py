"""The settled slots of one session or of several, as arrays: what indicators are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur
from coordinator.indicators.measures import Array
from coordinator.indicators.reference import Reference
from coordinator.indicators.traffic import Traffic
from runtime.errors import InputError
from runtime.records import Bill, LedgerEntry, MemberRecord, MemberSessionRecord, SessionRecord
from runtime.results.reading import session_of


@dataclass(frozen=True)
class Stretch:
    """The settled slots of one or more sessions. Arrays have shape (slots,), one session after the other.

    What comes from members' own records lacks the members that left none.

    Attributes:
        slot_hours: length of the slots [h].
        co2_intensity_g_per_kwh: of the grid; None if it is not known.
        net_kwh: metered net energy, by member.
        quality: how it was come by, by member.
        load_kwh: consumption, by member.
        pv_kwh: production, by member.
        alone_net_kwh: net energy with the member's baseline plan, by member.
        stored_kwh: stored energy at the end of slots, by member; empty without battery.
        alone_cost_eur: cost of ``alone_net_kwh`` without trade, by member.
        metered_cost_eur: cost of ``net_kwh`` without trade, by member.
        planning_seconds: time spent planning, by member.
        ledger: what was settled.
        bills: what it came to.
        rounds: rounds after the baseline, of prices or among the members.
        suspended_slots: slots without trade.
        reference: the coordinated optimum; None if it is not known.
        traffic: what was said; None without message logs.
    """

    slot_hours: Array
    co2_intensity_g_per_kwh: Array | None
    net_kwh: dict[str, Array]
    quality: dict[str, list[str]]
    load_kwh: dict[str, Array]
    pv_kwh: dict[str, Array]
    alone_net_kwh: dict[str, Array]
    stored_kwh: dict[str, Array]
    alone_cost_eur: dict[str, float]
    metered_cost_eur: dict[str, float]
    planning_seconds: dict[str, float]
    ledger: list[LedgerEntry]
    bills: list[Bill]
    rounds: int
    suspended_slots: int
    reference: Reference | None
    traffic: Traffic | None

    @property
    def boundary_kwh(self) -> Array:
        """Net energy of the community, import > 0, shape (slots,)."""
        return self._total(self.net_kwh)

    @property
    def alone_boundary_kwh(self) -> Array | None:
        """The same with all members' baseline plans; None if a member left no record."""
        if set(self.alone_net_kwh) != set(self.net_kwh):
            return None
        return self._total(self.alone_net_kwh)

    def _total(self, parts: Mapping[str, Array]) -> Array:
        return np.asarray(np.sum([*parts.values(), np.zeros(self.slot_hours.size)], axis=0))


def stretch_of(
    names: Sequence[str],
    session: SessionRecord,
    records: Mapping[str, MemberRecord],
    reference: Reference | None,
    traffic: Traffic | None,
) -> Stretch:
    """The settled slots of a session.

    Args:
        names: the community's members.
        session: the coordinator's record.
        records: the members' own records.
        reference: the coordinated optimum.
        traffic: what was said.

    Raises:
        InputError: the records contradict each other.
    """
    net, quality, slots = _deliveries(names, session)
    own = {name: found for name in names if name in records and (found := session_of(records[name], session))}
    tariff = CommunityTariff.of_record(session)
    limited = bool(np.isfinite([tariff.import_limit_kwh, tariff.export_limit_kwh]).any())

    def arrays(field: str) -> dict[str, Array]:
        return {name: np.array(getattr(o, field), dtype=np.float64)[slots] for name, o in own.items()}

    def costs_eur(net_kwh: Mapping[str, Array]) -> dict[str, float]:
        if len(net_kwh) < len(names) and limited:
            return {}  # what a member causes at the connection depends on all others
        whole = np.zeros((len(net_kwh), tariff.slots))
        whole[:, slots] = list(net_kwh.values()) or np.zeros((0, len(slots)))
        return dict(zip(net_kwh, bills_without_trade_eur(whole, tariff).tolist(), strict=True))

    alone_net = arrays("alone_net_kwh")
    intensity = session.co2_intensity_g_per_kwh
    return Stretch(
        slot_hours=np.full(len(slots), session.horizon.slot_hours),
        co2_intensity_g_per_kwh=None if intensity is None else np.array(intensity)[slots],
        net_kwh=net,
        quality=quality,
        load_kwh=arrays("load_kwh"),
        pv_kwh=arrays("pv_kwh"),
        alone_net_kwh=alone_net,
        stored_kwh={name: _stored_kwh(o, slots) for name, o in own.items()},
        alone_cost_eur=costs_eur(alone_net),
        metered_cost_eur=costs_eur(net),
        planning_seconds={name: o.planning_seconds for name, o in own.items()},
        ledger=session.ledger,
        bills=session.bills,
        rounds=session.bargaining_rounds or max((r.number for r in session.rounds), default=0),
        suspended_slots=len(session.suspended_slots),
        reference=reference,
        traffic=traffic,
    )


def joined(names: Sequence[str], stretches: Sequence[Stretch]) -> Stretch:
    """Several sessions as one stretch; a member counts only where all sessions know of it."""

    def arrays(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        everywhere = [name for name in names if all(name in part for part in parts)]
        return {name: _concatenated(part[name] for part in parts) for name in everywhere}

    def sums(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        everywhere = [name for name in names if all(name in part for part in parts)]
        return {name: sum(part[name] for part in parts) for name in everywhere}

    intensities = [s.co2_intensity_g_per_kwh for s in stretches]
    known = [part for part in intensities if part is not None]
    return Stretch(
        slot_hours=_concatenated(s.slot_hours for s in stretches),
        co2_intensity_g_per_kwh=_concatenated(known) if known and len(known) == len(stretches) else None,
        net_kwh=arrays([s.net_kwh for s in stretches]),
        quality={name: [q for s in stretches for q in s.quality[name]] for name in names},
        load_kwh=arrays([s.load_kwh for s in stretches]),
        pv_kwh=arrays([s.pv_kwh for s in stretches]),
        alone_net_kwh=arrays([s.alone_net_kwh for s in stretches]),
        stored_kwh=arrays([s.stored_kwh for s in stretches]),
        alone_cost_eur=sums([s.alone_cost_eur for s in stretches]),
        metered_cost_eur=sums([s.metered_cost_eur for s in stretches]),
        planning_seconds=sums([s.planning_seconds for s in stretches]),
        ledger=[entry for s in stretches for entry in s.ledger],
        bills=[bill for s in stretches for bill in s.bills],
        rounds=sum(s.rounds for s in stretches),
        suspended_slots=sum(s.suspended_slots for s in stretches),
        reference=joined_reference([s.reference for s in stretches]),
        traffic=_joined_traffic([s.traffic for s in stretches]),
    )


def _deliveries(
    names: Sequence[str], session: SessionRecord
) -> tuple[dict[str, Array], dict[str, list[str]], list[int]]:
    """Net energy and quality by member, and the slots that were settled."""
    where = f"records/coordinator.json, session {session.session}"
    net: dict[str, dict[int, float]] = {name: {} for name in names}
    quality: dict[str, list[str]] = {name: [] for name in names}
    for delivery in session.deliveries:
        if delivery.member not in net:
            raise InputError(f"{where}: delivery of {delivery.member!r}, expected one of {', '.join(names)}")
        if delivery.slot in net[delivery.member] or not 0 <= delivery.slot < session.horizon.slots:
            raise InputError(
                f"{where}: slot {delivery.slot} of {delivery.member!r} is there twice or no slot"
            )
        net[delivery.member][delivery.slot] = float(delivery.net_kwh)
        quality[delivery.member].append(delivery.quality)
    slots = sorted(set().union(*net.values()))
    for name in names:
        if len(net[name]) != len(slots):
            lacking = next(slot for slot in slots if slot not in net[name])
            raise InputError(f"{where}: slot {lacking} has no delivery of {name!r}")
    return {name: np.array([net[name][slot] for slot in slots]) for name in names}, quality, slots


def _stored_kwh(own: MemberSessionRecord, slots: list[int]) -> Array:
    return np.array(own.stored_kwh, dtype=np.float64)[slots if own.stored_kwh else []]


def _concatenated(parts: Iterable[Array]) -> Array:
    return np.concatenate([np.zeros(0), *parts])


def joined_reference(parts: Sequence[Reference | None]) -> Reference | None:
    """Optima of sessions after each other, together; None if one of them is not known."""
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    return Reference(sum(part.cost_eur for part in known), sum(part.bound_eur for part in known))


def _joined_traffic(parts: Sequence[Traffic | None]) -> Traffic | None:
    known = [part for part in parts if part is not None]
    if not known or len(known) != len(parts):
        return None
    whole = Traffic()
    for part in known:
        whole.add(part)
    return whole

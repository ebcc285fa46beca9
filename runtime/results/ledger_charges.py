"""Contracts, fees, charges and what is shared out, held against what was agreed and metered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from runtime.bookkeeping import LedgerEntry, LedgerKind
from runtime.grid_terms import mean_power_kw
from runtime.records import SessionRecord
from runtime.results.ledger_error import LedgerError

_STEP_KWH = Decimal("1e-9")
_STEP_EUR = Decimal("1e-18")

_BySlot = dict[tuple[int, str], Decimal]
"""Slot and member to energy [kWh]."""


def check_charges(session: SessionRecord, where: str) -> None:
    """Check contracts, local fee, charges above the limit, demand charges and sharing of a session.

    To be called in a context of sufficient precision.

    Args:
        session: the session; its entries are right by themselves.
        where: what errors begin with.

    Raises:
        LedgerError: an entry is missing, too many, or on another energy, power or amount.
    """
    settled: _BySlot = defaultdict(Decimal)
    corrected: _BySlot = defaultdict(Decimal)
    for delivery in session.deliveries:
        settled[delivery.slot, delivery.member] += delivery.as_settled.net_kwh
        corrected[delivery.slot, delivery.member] += delivery.net_kwh
    _check_contracts(session, settled, where)
    _check_fee(session, where)
    _check_excess(session, settled, where)
    _check_demand(session, corrected, where)
    _check_sharing(session, where)


def _check_contracts(session: SessionRecord, net: _BySlot, where: str) -> None:
    agreed: dict[tuple[int, str, str, Decimal], Decimal] = defaultdict(Decimal)
    to_take: _BySlot = defaultdict(Decimal)
    to_give: _BySlot = defaultdict(Decimal)
    groups = session.settled_together()
    for contract in session.contracts:
        parties = {contract.buyer, contract.seller}
        for slot, energy in enumerate(contract.energy_kwh):
            # One across, in a slot that each community settled alone, is as if there were none.
            if energy and any(parties <= members for members in groups[slot]):
                price = contract.price_eur_per_kwh[slot]
                agreed[slot, contract.buyer, contract.seller, price] += energy
                to_take[slot, contract.buyer] += energy
                to_give[slot, contract.seller] += energy
    executed: dict[tuple[int, str, str, Decimal], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        if entry.kind == "contract":
            buyer, seller = entry.parties()
            executed[entry.slot, buyer, seller, entry.price_eur_per_kwh] += entry.energy_kwh
    settled = {delivery.slot for delivery in session.deliveries}
    for key in sorted(agreed.keys() | executed.keys()):
        slot, buyer, seller, price = key
        here = f"{where}, slot {slot}: {buyer} buys {executed[key]} kWh from {seller} at {price} EUR/kWh"
        if executed[key] > agreed[key]:
            raise LedgerError(f"{here}, agreed were {agreed[key]} kWh")
        short = net[slot, buyer] < to_take[slot, buyer] or -net[slot, seller] < to_give[slot, seller]
        if executed[key] < agreed[key] and slot in settled and not short:
            raise LedgerError(f"{here}, agreed were {agreed[key]} kWh, and both metered enough")


def _check_fee(session: SessionRecord, where: str) -> None:
    fee = _energies(session, "local-fee")
    traded: _BySlot = defaultdict(Decimal)
    for kind in ("local-purchase", "local-sale"):
        for key, energy in _energies(session, kind).items():
            traded[key] += energy
    for entry in session.ledger:
        if entry.kind == "contract":
            for member in entry.parties():
                traded[entry.slot, member] += entry.energy_kwh
    expected = traded if session.grid.local_fee_eur_per_kwh else {}
    _same_energy(fee, expected, where, "pays the local fee on", "traded were")


def _check_excess(session: SessionRecord, net: _BySlot, where: str) -> None:
    charged = _energies(session, "excess-charge")
    minutes, grid = session.horizon.slot_minutes, session.grid
    limits: tuple[tuple[LedgerKind, int, Decimal | None], ...] = (
        ("grid-import", 1, grid.import_limit_kwh(minutes)),
        ("grid-export", -1, grid.export_limit_kwh(minutes)),
    )
    due: _BySlot = {}
    groups = session.settled_together()
    for kind, sign, limit in limits:
        if limit is None or not grid.excess_price_eur_per_kwh:
            continue
        with_grid = _energies(session, kind)
        tolerance_kwh = _STEP_KWH * max(1, len(session.communities))  # shared between, then inside them
        for slot in sorted({slot for slot, _ in net}):
            for members in groups[slot]:
                whole = sum((net.get((slot, each), Decimal(0)) for each in members), Decimal(0))
                excess = sign * whole - limit
                if excess > 0 and session.free_kwh:
                    due.update(_excess_beyond(session, excess, sign, net, charged, slot, where))
                elif excess > 0:
                    own = {each: with_grid[slot, each] for each in sorted(members) if with_grid[slot, each]}
                    due.update(_excess_of_slot(excess, own, charged, slot, where, tolerance_kwh))
    _same_energy(charged, due, where, "is charged for", "above the limit are")


def _excess_beyond(
    session: SessionRecord,
    excess: Decimal,
    sign: int,
    net: _BySlot,
    charged: _BySlot,
    slot: int,
    where: str,
) -> _BySlot:
    """As ``_excess_of_slot``, where charges go by what members have beyond what is free of charge."""
    metered = {each: net.get((slot, each), Decimal(0)) for each in sorted(session.free_kwh)}
    beyond = {
        each: max(sign * (energy - session.free_kwh[each][slot]), Decimal(0))
        for each, energy in metered.items()
    }
    covered = sum(beyond.values(), Decimal(0))
    if covered >= excess:
        shares = {each: energy for each, energy in beyond.items() if energy}
        return _excess_of_slot(excess, shares, charged, slot, where, _STEP_KWH)
    side = {each: sign * energy for each, energy in metered.items() if sign * energy > 0}
    more = {(slot, each): charged.get((slot, each), Decimal(0)) - beyond[each] for each in metered}
    found = _excess_of_slot(excess - covered, side, more, slot, where, _STEP_KWH)
    return {
        (slot, each): beyond[each] + found.get((slot, each), Decimal(0))
        for each in metered
        if beyond[each] or found.get((slot, each))
    }


def _excess_of_slot(
    excess: Decimal,
    with_grid: Mapping[str, Decimal],
    charged: _BySlot,
    slot: int,
    where: str,
    tolerance_kwh: Decimal,
) -> _BySlot:
    """What is charged in a slot, once it is found to be the excess, shared by these energies."""
    here = f"{where}, slot {slot}"
    whole = sum(with_grid.values(), Decimal(0))
    parts = {member: charged.get((slot, member), Decimal(0)) for member in with_grid}
    total = sum(parts.values(), Decimal(0))
    if total != excess:
        raise LedgerError(f"{here}: {total} kWh are charged as above the limit, {excess} kWh are")
    for member, part in parts.items():
        if abs(part * whole - excess * with_grid[member]) >= tolerance_kwh * whole:
            raise LedgerError(
                f"{here}, {member}: charged for {part} of {excess} kWh above the limit, with "
                f"{with_grid[member]} of {whole} kWh that it goes by"
            )
    return {(slot, member): part for member, part in parts.items()}


def _check_demand(session: SessionRecord, net: _BySlot, where: str) -> None:
    peak: dict[str, Decimal] = {}
    for (_, member), energy in net.items():
        peak[member] = max(peak.get(member, Decimal(0)), energy)
    charged: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in session.ledger:
        if entry.kind == "demand-charge":
            charged[entry.member].append(entry)
    for member in sorted(peak.keys() | charged.keys()):
        power = mean_power_kw(peak.get(member, Decimal(0)), session.horizon.slot_minutes)
        expected = power if session.grid.demand_charge_eur_per_kw else Decimal(0)
        found = charged[member]
        if sum((entry.peak_kw for entry in found), Decimal(0)) != expected or len(found) > 1:
            raise LedgerError(
                f"{where}, {member}: demand charge on {', '.join(str(e.peak_kw) for e in found) or 0} kW, "
                f"expected on {expected} kW"
            )
        for entry in found:
            if net[entry.slot, member] != peak[member]:
                raise LedgerError(f"{where}, slot {entry.slot}, {member}: its peak import is in another slot")


def _check_sharing(session: SessionRecord, where: str) -> None:
    taken: dict[str, Decimal] = defaultdict(Decimal)
    given: dict[str, Decimal] = defaultdict(Decimal)
    paid: dict[str, Decimal] = defaultdict(Decimal)
    cost, revenue = Decimal(0), Decimal(0)
    for entry in session.ledger:
        if entry.member in session.apart:
            if entry.kind == "sharing":
                raise LedgerError(f"{where}, {entry.member}: is settled apart, and has a part in the sharing")
            continue
        match entry.kind:
            case "local-purchase" | "grid-import":
                taken[entry.member] += entry.energy_kwh
                cost += entry.amount_eur if entry.kind == "grid-import" else 0
            case "local-sale" | "grid-export":
                given[entry.member] += entry.energy_kwh
                revenue += entry.amount_eur if entry.kind == "grid-export" else 0
            case "sharing":
                if not session.shared_by_day:
                    raise LedgerError(f"{where}, {entry.member}: shares in a session that is not shared out")
            case _:
                continue
        paid[entry.member] += entry.paid_eur(entry.member)
    if not session.shared_by_day:
        return
    buy, sell = _mean(cost, taken), _mean(revenue, given)
    for member in sorted(paid):
        due = buy * Fraction(taken[member]) - sell * Fraction(given[member])
        # either part is rounded to a step
        if abs(Fraction(paid[member]) - due) >= 2 * Fraction(_STEP_EUR):
            raise LedgerError(
                f"{where}, {member}: pays {paid[member]} EUR, at the session's prices it is {float(due)} EUR"
            )


def _mean(amount_eur: Decimal, energy_kwh: Mapping[str, Decimal]) -> Fraction:
    whole = sum(energy_kwh.values(), Decimal(0))
    return Fraction(amount_eur) / Fraction(whole) if whole else Fraction(0)


def _energies(session: SessionRecord, kind: LedgerKind) -> _BySlot:
    found: _BySlot = defaultdict(Decimal)
    for entry in session.ledger:
        if entry.kind == kind:
            found[entry.slot, entry.member] += entry.energy_kwh
    return found


def _same_energy(
    found: _BySlot, expected: Mapping[tuple[int, str], Decimal], where: str, does: str, are: str
) -> None:
    for slot, member in sorted(found.keys() | expected.keys()):
        has, should = found.get((slot, member), Decimal(0)), expected.get((slot, member), Decimal(0))
        if has != should:
            raise LedgerError(f"{where}, slot {slot}, {member}: {does} {has} kWh, {are} {should} kWh")

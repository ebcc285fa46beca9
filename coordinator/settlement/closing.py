"""What is entered when all slots of a session are settled: demand charges, and sharing by the day."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal, localcontext

from coordinator.settlement.exact import AMOUNT_STEP_EUR, EXACT, energy_steps
from coordinator.settlement.rationing import ration
from runtime.bookkeeping import LedgerEntry, LedgerKind
from runtime.grid_terms import mean_power_kw
from runtime.records import Delivery

ENTERED_AT_THE_END: tuple[LedgerKind, ...] = ("correction", "sharing", "demand-charge")
"""Entries of a session as a whole, in the order in which they come after those of its slots."""

_TAKEN, _GIVEN = ("local-purchase", "grid-import"), ("local-sale", "grid-export")


def demand_charges(
    session: int,
    members: Sequence[str],
    deliveries: Iterable[Delivery],
    slot_minutes: int,
    price_eur_per_kw: Decimal,
) -> list[LedgerEntry]:
    """Each member's charge on its greatest mean import power of a slot, entered in the first such slot.

    Args:
        session: market session, from 0.
        members: in the order of the entries.
        deliveries: metered, of all slots.
        slot_minutes: length of a slot [min].
        price_eur_per_kw: of the power; 0 makes no entries.
    """
    if not price_eur_per_kw:
        return []
    peak: dict[str, Delivery] = {}
    for delivery in deliveries:
        if delivery.net_kwh > 0 and (
            delivery.member not in peak or delivery.net_kwh > peak[delivery.member].net_kwh
        ):
            peak[delivery.member] = delivery
    entries = []
    for member in members:
        if member not in peak:
            continue
        power_kw = mean_power_kw(peak[member].net_kwh, slot_minutes)
        with localcontext(EXACT):
            amount_eur = power_kw * price_eur_per_kw
        entries.append(
            LedgerEntry(
                session=session,
                slot=peak[member].slot,
                member=member,
                kind="demand-charge",
                energy_kwh=Decimal(0),
                price_eur_per_kwh=Decimal(0),
                peak_kw=power_kw,
                price_eur_per_kw=price_eur_per_kw,
                amount_eur=amount_eur,
                debit=f"member:{member}",
                credit="grid",
            )
        )
    return entries


def sharing(
    session: int,
    slot: int,
    members: Sequence[str],
    entries: Iterable[LedgerEntry],
    apart: Collection[str] = (),
) -> list[LedgerEntry]:
    """What makes all members pay and earn the same prices for what they pooled or had from the grid.

    With D and S what a member took and gave so, it is to pay pb·D − ps·S in all, pb the cost of all import
    over ΣD and ps the revenue of all export over ΣS: shared in proportion, in whole steps of 1e-18 EUR, the
    largest remainders first. The entries are what is missing to that; they go through ``community`` and
    add up to nothing. Contracts, fees and charges are left as they are.

    Args:
        session: market session, from 0.
        slot: the slot that they are entered in.
        members: in the order of the entries.
        entries: of all slots.
        apart: members that have no part in it.
    """
    taken, given, paid = (dict.fromkeys(members, 0) for _ in range(3))
    cost, revenue = 0, 0
    with localcontext(EXACT):
        for entry in entries:
            if entry.kind not in _TAKEN + _GIVEN or entry.member in apart:
                continue
            amount = int(entry.amount_eur / AMOUNT_STEP_EUR)
            energy = energy_steps(entry.energy_kwh)
            if entry.kind in _TAKEN:
                taken[entry.member] += energy
                paid[entry.member] += amount
                cost += amount if entry.kind == "grid-import" else 0
            else:
                given[entry.member] += energy
                paid[entry.member] -= amount
                revenue += amount if entry.kind == "grid-export" else 0
        costs, revenues = ration(taken, cost), ration(given, revenue)
        missing = {member: costs[member] - revenues[member] - paid[member] for member in members}
        return [
            LedgerEntry(
                session=session,
                slot=slot,
                member=member,
                kind="sharing",
                energy_kwh=Decimal(0),
                price_eur_per_kwh=Decimal(0),
                amount_eur=abs(steps) * AMOUNT_STEP_EUR,
                debit=f"member:{member}" if steps > 0 else "community",
                credit="community" if steps > 0 else f"member:{member}",
            )
            for member, steps in missing.items()
            if steps
        ]

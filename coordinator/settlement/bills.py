"""A session's entries as bills in cents that add up: their lines to the bill, the bills to the total."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import TypeVar

from coordinator.settlement.exact import CENT_EUR, EXACT
from runtime.bookkeeping import BILL_KINDS, Bill, BillItem, BillKind, LedgerEntry

K = TypeVar("K", bound=Hashable)


def bills(session: int, members: Sequence[str], entries: Iterable[LedgerEntry]) -> list[Bill]:
    """One bill a member for a session, in cents that add up to the rounded total.

    Amounts are rounded down to cents; the cents missing to the rounded total go to the largest remainders,
    equal ones in the members' order. The lines of a bill are rounded to its cents in the same way.
    """
    lines: dict[str, dict[BillKind, list[LedgerEntry]]] = {member: {} for member in members}
    for entry in entries:
        for member in lines.keys() & entry.parties():  # a contract's other side may be billed elsewhere
            lines[member].setdefault(entry.bill_kind(member), []).append(entry)
    with localcontext(EXACT):
        exact = {
            member: {
                kind: sum((entry.paid_eur(member) for entry in own[kind]), Decimal(0))
                for kind in BILL_KINDS
                if kind in own
            }
            for member, own in lines.items()
        }
        totals = {member: sum(amounts.values(), Decimal(0)) for member, amounts in exact.items()}
    cents = round_to_cents(totals)
    return [
        _bill(session, member, own, exact[member], totals[member], cents[member])
        for member, own in lines.items()
    ]


def _bill(
    session: int,
    member: str,
    own: Mapping[BillKind, Sequence[LedgerEntry]],
    exact_eur: Mapping[BillKind, Decimal],
    total_eur: Decimal,
    amount_eur: Decimal,
) -> Bill:
    def energy_kwh(*kinds: BillKind) -> Decimal:
        return sum((entry.energy_kwh for kind in kinds for entry in own.get(kind, ())), Decimal(0))

    def item_energy_kwh(kind: BillKind) -> Decimal:
        if kind == "correction":
            return sum((entry.taken_kwh for entry in own[kind]), Decimal(0))
        return energy_kwh(kind)

    item_cents = round_to_cents(exact_eur, amount_eur)
    return Bill(
        session=session,
        member=member,
        local_purchase_kwh=energy_kwh("contract-purchase", "local-purchase"),
        local_sale_kwh=energy_kwh("contract-sale", "local-sale"),
        contract_purchase_kwh=energy_kwh("contract-purchase"),
        contract_sale_kwh=energy_kwh("contract-sale"),
        grid_import_kwh=energy_kwh("grid-import"),
        grid_export_kwh=energy_kwh("grid-export"),
        exact_eur=total_eur,
        amount_eur=amount_eur,
        items=[
            BillItem(
                kind=kind,
                energy_kwh=item_energy_kwh(kind),
                peak_kw=max(entry.peak_kw for entry in own[kind]),
                exact_eur=amount,
                amount_eur=item_cents[kind],
            )
            for kind, amount in exact_eur.items()
        ],
    )


def round_to_cents(exact_eur: Mapping[K, Decimal], total_eur: Decimal | None = None) -> dict[K, Decimal]:
    """Amounts in cents that add up, each within a cent of its exact value.

    Args:
        exact_eur: exact amounts.
        total_eur: what they are to add up to, in cents and less than a cent from their sum; without it their
            sum rounded half up.
    """
    with localcontext(EXACT):
        in_cents = {member: amount / CENT_EUR for member, amount in exact_eur.items()}
        if total_eur is None:
            total = int(sum(in_cents.values(), Decimal("0.5")).to_integral_value(ROUND_FLOOR))
        else:
            total = int(total_eur / CENT_EUR)
        cents = {member: int(amount.to_integral_value(ROUND_FLOOR)) for member, amount in in_cents.items()}
        by_remainder = sorted(in_cents, key=lambda member: cents[member] - in_cents[member])
        for member in by_remainder[: total - sum(cents.values())]:
            cents[member] += 1
        return {member: amount * CENT_EUR for member, amount in cents.items()}

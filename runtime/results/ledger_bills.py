"""Do the bills follow from the ledger, and do their cents add up?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from runtime.bookkeeping import BILL_KINDS, Bill, BillKind, LedgerEntry
from runtime.records import SessionRecord
from runtime.results.ledger_error import LedgerError

CENT_EUR = Decimal("0.01")

_Lines = dict[BillKind, list[LedgerEntry]]


def check_bills(session: SessionRecord, names: set[str], where: str) -> None:
    """Check a session's bills against its entries.

    To be called in a context of sufficient precision.

    Args:
        session: the session.
        names: its members.
        where: what errors begin with.

    Raises:
        LedgerError: a bill is missing, one of its sums or lines is not what its entries add up to, or cents
            do not add up.
    """
    billed = [bill.member for bill in session.bills]
    if sorted(billed) != sorted(names):
        raise LedgerError(
            f"{where}: bills for {', '.join(billed)}, expected one for each of {', '.join(sorted(names))}"
        )
    of_member: dict[str, _Lines] = {name: {} for name in names}
    for entry in session.ledger:
        for member in entry.parties():
            of_member[member].setdefault(entry.bill_kind(member), []).append(entry)
    for bill in session.bills:
        _check_bill(bill, of_member[bill.member], f"{where}, bill of {bill.member}")
    total = sum((bill.exact_eur for bill in session.bills), Decimal(0))
    rounded = sum((bill.amount_eur for bill in session.bills), Decimal(0))
    if abs(rounded - total) >= CENT_EUR * max(1, len(session.communities)):  # each rounds its own total
        raise LedgerError(f"{where}: the bills add up to {rounded} EUR, their exact amounts to {total} EUR")


def _check_bill(bill: Bill, lines: _Lines, where: str) -> None:
    def energy_kwh(*kinds: BillKind) -> Decimal:
        return sum((entry.energy_kwh for kind in kinds for entry in lines.get(kind, ())), Decimal(0))

    sums = {
        "local_purchase_kwh": energy_kwh("contract-purchase", "local-purchase"),
        "local_sale_kwh": energy_kwh("contract-sale", "local-sale"),
        "contract_purchase_kwh": energy_kwh("contract-purchase"),
        "contract_sale_kwh": energy_kwh("contract-sale"),
        "grid_import_kwh": energy_kwh("grid-import"),
        "grid_export_kwh": energy_kwh("grid-export"),
        "exact_eur": sum((_paid_eur(own, bill.member) for own in lines.values()), Decimal(0)),
    }
    for field, expected in sums.items():
        found = getattr(bill, field)
        if found != expected:
            raise LedgerError(f"{where}: {field} is {found}, its entries add up to {expected}")
    _check_cents(bill.amount_eur, bill.exact_eur, where)
    if [item.kind for item in bill.items] != [kind for kind in BILL_KINDS if kind in lines]:
        kinds = ", ".join(item.kind for item in bill.items) or "no lines"
        raise LedgerError(f"{where}: found {kinds}, expected {', '.join(lines) or 'no lines'}")
    for item in bill.items:
        own, here = lines[item.kind], f"{where}, {item.kind}"
        energies_kwh = (entry.taken_kwh if entry.kind == "correction" else entry.energy_kwh for entry in own)
        expected_line = (
            sum(energies_kwh, Decimal(0)),
            max(entry.peak_kw for entry in own),
            _paid_eur(own, bill.member),
        )
        if (item.energy_kwh, item.peak_kw, item.exact_eur) != expected_line:
            raise LedgerError(
                f"{here}: {item.energy_kwh} kWh, {item.peak_kw} kW, {item.exact_eur} EUR, its entries add up "
                f"to {expected_line[0]} kWh, {expected_line[1]} kW, {expected_line[2]} EUR"
            )
        _check_cents(item.amount_eur, item.exact_eur, here)
    lines_eur = sum((item.amount_eur for item in bill.items), Decimal(0))
    if lines_eur != bill.amount_eur:
        raise LedgerError(f"{where}: its lines add up to {lines_eur} EUR, it says {bill.amount_eur} EUR")


def _check_cents(amount_eur: Decimal, exact_eur: Decimal, where: str) -> None:
    if amount_eur % CENT_EUR or abs(amount_eur - exact_eur) >= CENT_EUR:
        raise LedgerError(f"{where}: {amount_eur} EUR is not {exact_eur} EUR in cents")


def _paid_eur(entries: Sequence[LedgerEntry], member: str) -> Decimal:
    return sum((entry.paid_eur(member) for entry in entries), Decimal(0))

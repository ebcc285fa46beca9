"""Does the ledger add up? Recounted in exact decimals, trusting no total that the record states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, localcontext

from runtime.errors import PeerwattError
from runtime.records import CoordinatorRecord, LedgerEntry, SessionRecord

EXACT = Context(prec=400, traps=[Inexact])
"""Any sum or product that would have to be rounded raises instead of losing a digit."""

CENT_EUR = Decimal("0.01")

_ACCOUNTS = {
    "local-purchase": ("member", "community"),
    "local-sale": ("community", "member"),
    "grid-import": ("member", "grid"),
    "grid-export": ("grid", "member"),
}


class LedgerError(PeerwattError):
    """A ledger that does not balance, or bills that do not follow from it."""


def check_ledger(record: CoordinatorRecord) -> None:
    """Check that the money of a run balances to the last decimal.

    Per entry: amount = energy × price, accounts fit the kind, grid energy is at the grid's tariff.
    Per slot: what members pay together is what the community pays the grid; at every local price as much
    is bought as sold; each member's entries add up to its settled delivery. Per session: each bill is the
    sum of its entries, within a cent of its rounded amount; and so are all bills together.

    Args:
        record: the coordinator's record.

    Raises:
        LedgerError: it does not; the message names session, slot and member.
    """
    with localcontext(EXACT):
        try:
            for session in record.sessions:
                _check_session(session, record.members)
        except Inexact:
            raise LedgerError("ledger: a sum has more digits than exact decimals can hold") from None


def signed_energy_kwh(entry: LedgerEntry) -> Decimal:
    """Energy of an entry with the sign of a net position: taken > 0, given < 0."""
    return entry.energy_kwh if entry.kind in ("local-purchase", "grid-import") else -entry.energy_kwh


def signed_amount_eur(entry: LedgerEntry) -> Decimal:
    """What the entry adds to its member's bill: paid > 0, received < 0 (for a price above zero)."""
    return entry.amount_eur if entry.debit == f"member:{entry.member}" else -entry.amount_eur


def _check_session(session: SessionRecord, members: Iterable[str]) -> None:
    where = f"ledger, session {session.session}"
    names = set(members)
    _check_balance(session, where)
    local: dict[tuple[int, Decimal], Decimal] = defaultdict(Decimal)
    energy: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        _check_entry(entry, session, names, where)
        energy[entry.slot, entry.member] += signed_energy_kwh(entry)
        if entry.kind.startswith("local"):
            local[entry.slot, entry.price_eur_per_kwh] += signed_energy_kwh(entry)
    for (slot, price), surplus in local.items():
        if surplus:
            raise LedgerError(
                f"{where}, slot {slot}: at {price} EUR/kWh members bought {surplus} kWh more than they sold"
            )
    delivered: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for delivery in session.deliveries:
        delivered[delivery.slot, delivery.member] += delivery.net_kwh
    for slot, member in sorted(energy.keys() | delivered.keys()):
        if energy[slot, member] != delivered[slot, member]:
            raise LedgerError(
                f"{where}, slot {slot}, {member}: entries add up to {energy[slot, member]} kWh, "
                f"delivered were {delivered[slot, member]} kWh"
            )
    _check_bills(session, names, where)


def _check_balance(session: SessionRecord, where: str) -> None:
    """The accounts alone, whatever the entries say of energy and prices."""
    balance: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        balance[entry.slot, _party(entry.debit)] -= entry.amount_eur
        balance[entry.slot, _party(entry.credit)] += entry.amount_eur
    for slot in sorted({entry.slot for entry in session.ledger}):
        paid, received = -balance[slot, "member"], balance[slot, "grid"]
        if paid != received:
            raise LedgerError(
                f"{where}, slot {slot}: members pay {paid} EUR, the grid receives {received} EUR"
            )


def _check_entry(entry: LedgerEntry, session: SessionRecord, names: set[str], where: str) -> None:
    here = f"{where}, slot {entry.slot}, {entry.member}, {entry.kind}"
    if entry.session != session.session or not 0 <= entry.slot < session.horizon.slots:
        raise LedgerError(f"{here}: session {entry.session} or the slot does not exist here")
    if entry.member not in names:
        raise LedgerError(f"{here}: not a member")
    if entry.energy_kwh < 0:
        raise LedgerError(f"{here}: negative energy {entry.energy_kwh} kWh")
    if entry.amount_eur != entry.energy_kwh * entry.price_eur_per_kwh:
        raise LedgerError(
            f"{here}: {entry.energy_kwh} kWh at {entry.price_eur_per_kwh} EUR/kWh "
            f"is not {entry.amount_eur} EUR"
        )
    expected = tuple(f"member:{entry.member}" if a == "member" else a for a in _ACCOUNTS[entry.kind])
    if (entry.debit, entry.credit) != expected:
        raise LedgerError(
            f"{here}: {entry.debit!r} pays {entry.credit!r}, expected {expected[0]!r} to pay {expected[1]!r}"
        )
    if entry.kind in ("grid-import", "grid-export"):
        tariffs = (
            session.grid_import_price_eur_per_kwh
            if entry.kind == "grid-import"
            else session.grid_export_price_eur_per_kwh
        )
        if entry.price_eur_per_kwh != tariffs[entry.slot]:
            raise LedgerError(
                f"{here}: price {entry.price_eur_per_kwh} EUR/kWh, "
                f"the tariff is {tariffs[entry.slot]} EUR/kWh"
            )


def _check_bills(session: SessionRecord, names: set[str], where: str) -> None:
    billed = [bill.member for bill in session.bills]
    if sorted(billed) != sorted(names):
        raise LedgerError(
            f"{where}: bills for {', '.join(billed)}, expected one for each of {', '.join(sorted(names))}"
        )
    of_member: dict[str, list[LedgerEntry]] = {name: [] for name in names}
    for entry in session.ledger:
        of_member[entry.member].append(entry)
    for bill in session.bills:
        entries = of_member[bill.member]
        sums = {
            "local_purchase_kwh": sum(
                (e.energy_kwh for e in entries if e.kind == "local-purchase"), Decimal(0)
            ),
            "local_sale_kwh": sum((e.energy_kwh for e in entries if e.kind == "local-sale"), Decimal(0)),
            "grid_import_kwh": sum((e.energy_kwh for e in entries if e.kind == "grid-import"), Decimal(0)),
            "grid_export_kwh": sum((e.energy_kwh for e in entries if e.kind == "grid-export"), Decimal(0)),
            "exact_eur": sum((signed_amount_eur(e) for e in entries), Decimal(0)),
        }
        for field, expected in sums.items():
            found = getattr(bill, field)
            if found != expected:
                raise LedgerError(
                    f"{where}, bill of {bill.member}: {field} is {found}, its entries add up to {expected}"
                )
        if bill.amount_eur % CENT_EUR or abs(bill.amount_eur - bill.exact_eur) >= CENT_EUR:
            raise LedgerError(
                f"{where}, bill of {bill.member}: {bill.amount_eur} EUR is not {bill.exact_eur} EUR in cents"
            )
    total = sum((bill.exact_eur for bill in session.bills), Decimal(0))
    rounded = sum((bill.amount_eur for bill in session.bills), Decimal(0))
    if abs(rounded - total) >= CENT_EUR:
        raise LedgerError(f"{where}: the bills add up to {rounded} EUR, their exact amounts to {total} EUR")


def _party(account: str) -> str:
    return "member" if account.startswith("member:") else account

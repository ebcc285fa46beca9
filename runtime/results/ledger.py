"""Does the ledger add up? Recounted in exact decimals, trusting no total that the record states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, localcontext

from runtime.records import CoordinatorRecord, LedgerEntry, LedgerKind, SessionRecord
from runtime.results.ledger_bills import check_bills
from runtime.results.ledger_charges import check_charges
from runtime.results.ledger_error import LedgerError

__all__ = ["EXACT", "LedgerError", "check_ledger"]

EXACT = Context(prec=400, traps=[Inexact])
"""Any sum or product that would have to be rounded raises instead of losing a digit."""

_ACCOUNTS: dict[LedgerKind, tuple[tuple[str, str], ...]] = {
    "contract": (("member", "other"),),
    "local-purchase": (("member", "community"),),
    "local-sale": (("community", "member"),),
    "grid-import": (("member", "grid"),),
    "grid-export": (("grid", "member"),),
    "local-fee": (("member", "network"),),
    "excess-charge": (("member", "grid"),),
    "demand-charge": (("member", "grid"),),
    "sharing": (("member", "community"), ("community", "member")),
    "correction": (("member", "grid"), ("grid", "member")),
}
"""Who pays whom: the entry's member, another one, or the account of that name."""


def check_ledger(record: CoordinatorRecord) -> None:
    """Check that the money of a run balances to the last decimal.

    Per entry: amount = energy × price + power × price, accounts fit the kind, prices are those of the
    session. Per slot: what members pay together is what the community pays grid and network; as much is
    bought from the pool as sold to it, and only what it leaves goes to the grid; each member's entries add up
    to its settled delivery; contracts are executed as far as is metered; fees and charges are on what was
    traded, and on what is above the limit. Per session: demand charges are on each member's peak; what is
    shared out makes all prices the same; each bill and each of its lines is the sum of its entries, within a
    cent of its rounded amount; and so are all bills together.

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


def _check_session(session: SessionRecord, members: Iterable[str]) -> None:
    where = f"ledger, session {session.session}"
    names = set(members)
    _check_balance(session, where)
    for entry in session.ledger:
        _check_entry(entry, session, names, where)
    _check_pool(session, where)
    _check_deliveries(session, where)
    check_charges(session, where)
    check_bills(session, names, where)


def _check_balance(session: SessionRecord, where: str) -> None:
    """The accounts alone, whatever the entries say of energy and prices."""
    balance: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        balance[entry.slot, _party(entry.debit)] -= entry.amount_eur
        balance[entry.slot, _party(entry.credit)] += entry.amount_eur
    for slot in sorted({entry.slot for entry in session.ledger}):
        paid, received = -balance[slot, "member"], balance[slot, "grid"] + balance[slot, "network"]
        if paid != received:
            raise LedgerError(
                f"{where}, slot {slot}: members pay {paid} EUR, grid and network receive {received} EUR"
            )


def _check_entry(entry: LedgerEntry, session: SessionRecord, names: set[str], where: str) -> None:
    here = f"{where}, slot {entry.slot}, {entry.member}, {entry.kind}"
    if entry.session != session.session or not 0 <= entry.slot < session.horizon.slots:
        raise LedgerError(f"{here}: session {entry.session} or the slot does not exist here")
    if entry.member not in names:
        raise LedgerError(f"{here}: not a member")
    for stranger in set(entry.parties()) - names:
        raise LedgerError(f"{here}: {stranger!r} is not a member")
    if entry.energy_kwh < 0 or entry.peak_kw < 0:
        raise LedgerError(f"{here}: negative energy {entry.energy_kwh} kWh or power {entry.peak_kw} kW")
    charge_eur = entry.energy_kwh * entry.price_eur_per_kwh + entry.peak_kw * entry.price_eur_per_kw
    if entry.kind == "sharing":
        if charge_eur or entry.amount_eur < 0:
            raise LedgerError(f"{here}: expected an amount of 0 or more, without energy or power")
    elif entry.amount_eur != charge_eur:
        power = f" and {entry.peak_kw} kW at {entry.price_eur_per_kw} EUR/kW" if entry.peak_kw else ""
        raise LedgerError(
            f"{here}: {entry.energy_kwh} kWh at {entry.price_eur_per_kwh} EUR/kWh{power} "
            f"is not {entry.amount_eur} EUR"
        )
    found = tuple(_role(account, entry.member) for account in (entry.debit, entry.credit))
    if found not in _ACCOUNTS[entry.kind]:
        pays, receives = _ACCOUNTS[entry.kind][0]
        raise LedgerError(
            f"{here}: {entry.debit!r} pays {entry.credit!r}, expected {_account(pays, entry.member)} to pay "
            f"{_account(receives, entry.member)}"
        )
    _check_price(entry, session, here)


def _check_price(entry: LedgerEntry, session: SessionRecord, here: str) -> None:
    tariff: Decimal | None
    match entry.kind:
        case "contract" | "sharing":
            return  # held against what was agreed, and against the session's mean prices
        case "local-purchase" | "local-sale":
            tariff = session.pool_price_of(entry.member, entry.slot)
        case "correction":
            tariffs = session.grid_import_price_eur_per_kwh, session.grid_export_price_eur_per_kwh
            if entry.price_eur_per_kwh not in (prices := [each[entry.slot] for each in tariffs]):
                raise LedgerError(
                    f"{here}: price {entry.price_eur_per_kwh} EUR/kWh, the tariffs are {prices[0]} and "
                    f"{prices[1]} EUR/kWh"
                )
            return
        case "grid-import":
            tariff = session.grid_import_price_eur_per_kwh[entry.slot]
        case "grid-export":
            tariff = session.grid_export_price_eur_per_kwh[entry.slot]
        case "local-fee":
            tariff = session.grid.meter_fee_eur_per_kwh
        case "excess-charge":
            tariff = session.grid.excess_price_eur_per_kwh
        case "demand-charge":
            if entry.price_eur_per_kw != session.grid.demand_charge_eur_per_kw:
                raise LedgerError(
                    f"{here}: price {entry.price_eur_per_kw} EUR/kW, "
                    f"the charge is {session.grid.demand_charge_eur_per_kw} EUR/kW"
                )
            return
    if tariff is None:
        raise LedgerError(f"{here}: there is no pool in this slot")
    if entry.price_eur_per_kwh != tariff:
        raise LedgerError(f"{here}: price {entry.price_eur_per_kwh} EUR/kWh, the tariff is {tariff} EUR/kWh")


def _check_pool(session: SessionRecord, where: str) -> None:
    energy: dict[tuple[int, str, LedgerKind], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        energy[entry.slot, entry.member, entry.kind] += entry.energy_kwh
    groups = session.settled_together()
    for slot in sorted({entry.slot for entry in session.ledger}):
        for members in groups[slot]:

            def whole(kind: LedgerKind, slot: int = slot, members: set[str] = members) -> Decimal:
                return sum((energy[slot, member, kind] for member in members), Decimal(0))

            surplus = whole("local-purchase") - whole("local-sale")
            if surplus:
                raise LedgerError(f"{where}, slot {slot}: members bought {surplus} kWh more than they sold")
            pooled = session.local_price_eur_per_kwh[slot] is not None
            for member in sorted(members & {*session.apart}):
                if energy[slot, member, "local-purchase"] or energy[slot, member, "local-sale"]:
                    raise LedgerError(f"{where}, slot {slot}: {member} is settled apart, and is in the pool")
            pool = members - {*session.apart}
            if pooled and whole("grid-import", members=pool) and whole("grid-export", members=pool):
                raise LedgerError(
                    f"{where}, slot {slot}: there is a pool, and yet energy came from the grid and went to it"
                )


def _check_deliveries(session: SessionRecord, where: str) -> None:
    energy: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in session.ledger:
        match entry.kind:
            case "contract":
                buyer, seller = entry.parties()
                energy[entry.slot, buyer] += entry.energy_kwh
                energy[entry.slot, seller] -= entry.energy_kwh
            case "local-purchase" | "grid-import":
                energy[entry.slot, entry.member] += entry.energy_kwh
            case "local-sale" | "grid-export":
                energy[entry.slot, entry.member] -= entry.energy_kwh
            case "correction":
                energy[entry.slot, entry.member] += entry.taken_kwh
    delivered: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for delivery in session.deliveries:
        delivered[delivery.slot, delivery.member] += delivery.net_kwh
    for slot, member in sorted(energy.keys() | delivered.keys()):
        if energy[slot, member] != delivered[slot, member]:
            raise LedgerError(
                f"{where}, slot {slot}, {member}: entries add up to {energy[slot, member]} kWh, "
                f"delivered were {delivered[slot, member]} kWh"
            )


def _party(account: str) -> str:
    return "member" if account.startswith("member:") else account


def _role(account: str, member: str) -> str:
    if account == f"member:{member}":
        return "member"
    return "other" if account.startswith("member:") else account


def _account(role: str, member: str) -> str:
    return (
        repr(f"member:{member}") if role == "member" else "another member" if role == "other" else repr(role)
    )

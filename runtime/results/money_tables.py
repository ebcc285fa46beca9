"""The tables of money: ledger, contracts, bills."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from runtime.bookkeeping import BILL_KINDS, BillKind
from runtime.records import CoordinatorRecord, SessionRecord
from runtime.results.table import Cell, Table

AMOUNT_COLUMNS: dict[BillKind, str] = {
    "contract-purchase": "contract_purchase_eur",
    "contract-sale": "contract_sale_eur",
    "local-purchase": "pool_purchase_eur",
    "local-sale": "pool_sale_eur",
    "grid-import": "grid_import_eur",
    "grid-export": "grid_export_eur",
    "local-fee": "local_fee_eur",
    "excess-charge": "excess_charge_eur",
    "demand-charge": "demand_charge_eur",
    "sharing": "sharing_eur",
    "correction": "correction_eur",
}
"""Columns of the bills' lines, in cents that add up to ``amount_eur``."""

ENERGY_COLUMNS = (
    "local_purchase_kwh",
    "local_sale_kwh",
    "contract_purchase_kwh",
    "contract_sale_kwh",
    "grid_import_kwh",
    "grid_export_kwh",
)
"""Columns of the bills' energies."""


def money_tables(coordinator: CoordinatorRecord) -> list[Table]:
    """Ledger and bills, and between them the contracts where members agreed on any.

    Args:
        coordinator: the coordinator's record.
    """
    slot = {"session": "INTEGER", "slot": "INTEGER", "slot_start": "TEXT"}
    ledger = Table(
        "ledger",
        {
            "entry": "INTEGER",
            **slot,
            "member": "TEXT",
            "kind": "TEXT",
            "energy_kwh": "TEXT",
            "price_eur_per_kwh": "TEXT",
            "peak_kw": "TEXT",
            "price_eur_per_kw": "TEXT",
            "amount_eur": "TEXT",
            "debit": "TEXT",
            "credit": "TEXT",
            "quality": "TEXT",
            "meters": "TEXT",
        },
        ("entry",),
        list(_ledger(coordinator)),
    )
    contracts = Table(
        "contracts",
        {
            "contract": "INTEGER",
            **slot,
            "seller": "TEXT",
            "buyer": "TEXT",
            "energy_kwh": "TEXT",
            "price_eur_per_kwh": "TEXT",
        },
        ("session", "contract", "slot"),
        list(_contracts(coordinator)),
    )
    bills = bills_table(coordinator)
    return [ledger, contracts, bills] if contracts.rows else [ledger, bills]


def bills_table(coordinator: CoordinatorRecord) -> Table:
    """The bills of each session and member, exact and in cents.

    Args:
        coordinator: the coordinator's record.
    """
    return Table(
        "bills",
        {
            "session": "INTEGER",
            "period_start": "TEXT",
            "period_end": "TEXT",
            "member": "TEXT",
            **dict.fromkeys(ENERGY_COLUMNS, "TEXT"),
            **{AMOUNT_COLUMNS[kind]: "TEXT" for kind in BILL_KINDS},
            "exact_eur": "TEXT",
            "amount_eur": "TEXT",
        },
        ("session", "member"),
        list(_bills(coordinator)),
    )


def decimal_text(value: Decimal) -> str:
    """All digits of an exact decimal, without exponent; zero never has a sign."""
    return format(value if value else abs(value), "f")


def slot_starts(session: SessionRecord) -> list[str]:
    """Local start of every slot, ISO 8601."""
    return [session.horizon.local(slot).isoformat() for slot in range(session.horizon.slots)]


def _ledger(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    number = 0
    for session in coordinator.sessions:
        starts = slot_starts(session)
        deliveries = {(each.slot, each.member): each for each in session.deliveries}
        for entry in session.ledger:
            energy = deliveries.get((entry.slot, entry.member))
            if energy is not None and entry.kind not in ("correction", "demand-charge"):
                energy = energy.as_settled
            yield (
                number,
                session.session,
                entry.slot,
                starts[entry.slot],
                entry.member,
                entry.kind,
                decimal_text(entry.energy_kwh),
                decimal_text(entry.price_eur_per_kwh),
                decimal_text(entry.peak_kw),
                decimal_text(entry.price_eur_per_kw),
                decimal_text(entry.amount_eur),
                entry.debit,
                entry.credit,
                energy.quality if energy else "",
                " ".join(energy.meters) if energy else "",
            )
            number += 1


def _contracts(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for number, contract in enumerate(session.contracts):
            for slot, energy_kwh in enumerate(contract.energy_kwh):
                if energy_kwh:
                    yield (
                        number,
                        session.session,
                        slot,
                        starts[slot],
                        contract.seller,
                        contract.buyer,
                        decimal_text(energy_kwh),
                        decimal_text(contract.price_eur_per_kwh[slot]),
                    )


def _bills(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        horizon = session.horizon
        start, end = (horizon.local(slot).isoformat() for slot in (0, horizon.slots))
        for bill in session.bills:
            cents = {item.kind: item.amount_eur for item in bill.items}
            yield (
                bill.session,
                start,
                end,
                bill.member,
                *(decimal_text(getattr(bill, column)) for column in ENERGY_COLUMNS),
                *(decimal_text(cents.get(kind, Decimal("0.00"))) for kind in BILL_KINDS),
                decimal_text(bill.exact_eur),
                decimal_text(bill.amount_eur),
            )

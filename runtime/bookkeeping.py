"""Contracts, double entries and bills as they are recorded: exact decimals, written as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, get_args

from pydantic import Field

from runtime.record_base import Record

LedgerKind = Literal[
    "contract",
    "local-purchase",
    "local-sale",
    "grid-import",
    "grid-export",
    "local-fee",
    "excess-charge",
    "demand-charge",
    "sharing",
    "correction",
]
"""What an entry is for: energy that two members agreed to trade; energy bought from or sold to the pool of
the community; imported from or exported to the grid; half the local fee on energy traded; energy above the
limit of the connection; the member's peak import; what makes prices the same in all slots of a session;
energy of the grid that became known after the slot was settled."""

BillKind = Literal[
    "contract-purchase",
    "contract-sale",
    "local-purchase",
    "local-sale",
    "grid-import",
    "grid-export",
    "local-fee",
    "excess-charge",
    "demand-charge",
    "sharing",
    "correction",
]
"""The lines of a bill: as the kinds of entries, a contract seen from either side."""

BILL_KINDS: tuple[BillKind, ...] = get_args(BillKind)
"""In the order in which a bill lists them."""


class AgreedContract(Record):
    """Energy that two members agreed to trade; lists have one value a slot.

    Attributes:
        seller: the member that gives.
        buyer: the member that takes.
        energy_kwh: as agreed, before it is cut to what is metered.
        price_eur_per_kwh: what the buyer pays the seller; 0 where there is no energy.
    """

    seller: str
    buyer: str
    energy_kwh: list[Decimal]
    price_eur_per_kwh: list[Decimal]


class LedgerEntry(Record):
    """One double entry: ``debit`` pays ``amount_eur`` to ``credit``.

    Attributes:
        session: market session, from 0.
        slot: slot of the session; of a demand charge that of the peak, of sharing the last.
        member: whose bill it belongs to; of a contract the buyer, who is debited, while the seller's bill has
            it as credited.
        kind: what for.
        energy_kwh: energy exchanged or charged, not negative; 0 for what is not by energy.
        price_eur_per_kwh: price of that energy; may be negative.
        peak_kw: the power that a demand charge is on.
        price_eur_per_kw: price of that power.
        amount_eur: energy times price and power times price, exact; of sharing what evens out, not negative.
        debit: account that pays: ``member:NAME``, ``community``, ``network`` or ``grid``.
        credit: account that receives.
    """

    session: int
    slot: int
    member: str
    kind: LedgerKind
    energy_kwh: Decimal
    price_eur_per_kwh: Decimal
    peak_kw: Decimal = Decimal(0)
    price_eur_per_kw: Decimal = Decimal(0)
    amount_eur: Decimal
    debit: str
    credit: str

    @property
    def taken_kwh(self) -> Decimal:
        """Of a correction: how much more its member took (negative: less), seen with what it gave."""
        return self.energy_kwh if self.debit.startswith("member:") else -self.energy_kwh

    def parties(self) -> tuple[str, ...]:
        """Members that the entry is on the bill of: one, or both sides of a contract."""
        accounts = (self.debit, self.credit)
        return tuple(name.removeprefix("member:") for name in accounts if name.startswith("member:"))

    def paid_eur(self, member: str) -> Decimal:
        """What the entry adds to a member's bill: paid > 0, received < 0 (for a price above zero)."""
        if self.debit == f"member:{member}":
            return self.amount_eur
        return self.amount_eur.copy_negate() if self.credit == f"member:{member}" else Decimal(0)

    def bill_kind(self, member: str) -> BillKind:
        """The line of the member's bill that the entry belongs to."""
        if self.kind == "contract":
            return "contract-purchase" if self.debit == f"member:{member}" else "contract-sale"
        return self.kind


class BillItem(Record):
    """One line of a bill.

    Attributes:
        kind: what for.
        energy_kwh: energy, not negative; 0 for what is not by energy; of corrections how much more was taken,
            negative for less.
        peak_kw: the power that a demand charge is on.
        exact_eur: what is paid for it (negative: received).
        amount_eur: the same in cents; the lines add up to the bill.
    """

    kind: BillKind
    energy_kwh: Decimal
    peak_kw: Decimal = Decimal(0)
    exact_eur: Decimal
    amount_eur: Decimal


class Bill(Record):
    """What a member owes for a session (negative: is owed), exact and in cents.

    Attributes:
        session: market session, from 0.
        member: whose.
        local_purchase_kwh: energy bought from neighbours, by contract or from the pool.
        local_sale_kwh: energy sold to neighbours, likewise.
        contract_purchase_kwh: of that bought, what was by contract.
        contract_sale_kwh: of that sold, what was by contract.
        grid_import_kwh: energy from the grid.
        grid_export_kwh: energy to the grid.
        exact_eur: the sum of its entries.
        amount_eur: in cents.
        items: what it is made of, one a kind that there is anything of.
    """

    session: int
    member: str
    local_purchase_kwh: Decimal
    local_sale_kwh: Decimal
    contract_purchase_kwh: Decimal = Decimal(0)
    contract_sale_kwh: Decimal = Decimal(0)
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal
    exact_eur: Decimal
    amount_eur: Decimal
    items: list[BillItem] = Field(default_factory=list)

    def exact_of(self, kind: BillKind) -> Decimal:
        """What is paid for this (negative: received), exact; 0 if there is nothing of it."""
        return next((item.exact_eur for item in self.items if item.kind == kind), Decimal(0))

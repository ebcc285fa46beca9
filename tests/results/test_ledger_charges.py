"""What the ledger's check finds in contracts, fees, charges and what is shared out."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.mechanisms.base import Clearing, Contract
from coordinator.settlement import bills
from runtime.grid_terms import GridTerms
from runtime.records import CoordinatorRecord, LedgerEntry
from runtime.results.ledger import LedgerError, check_ledger
from tests.coordinator.settlement.cases import Case, terms_of

GRAIN = Decimal("1e-9")
TERMS = terms_of(
    ["0.30", "0.25", "0.30"],
    ["0.10", "0.08", "0.12"],
    GridTerms(
        local_fee_eur_per_kwh=Decimal("0.02"),
        import_limit_kw=Decimal(2),
        export_limit_kw=Decimal(1),
        excess_price_eur_per_kwh=Decimal("0.7"),
        demand_charge_eur_per_kw=Decimal("0.3"),
    ),
)
NET = np.array([[3.0, 0.5, 1.0], [-1.0, -4.0, -2.0], [2.0, 1.0, 0.25]])
CONTRACTS = (
    Contract(1, 0, np.array([0.5, 1.0, 0.0]), np.array([0.2, 0.15, np.nan])),
    Contract(1, 2, np.array([0.25, 0.25, 0.0]), np.array([0.22, 0.16, np.nan])),
)
GOOD = Case(TERMS, Clearing(np.array([0.2, 0.16, np.nan]), CONTRACTS, shared_by_day=True), NET).record()
KINDS = sorted({entry.kind for entry in GOOD.sessions[0].ledger})


def with_ledger(ledger: list[LedgerEntry], **changes: object) -> CoordinatorRecord:
    """The session with other entries, and with the bills that follow from them."""
    session = GOOD.sessions[0]
    update = {"ledger": ledger, "bills": bills(0, GOOD.members, ledger), **changes}
    return GOOD.model_copy(update={"sessions": [session.model_copy(update=update)]})


def changed(entry: LedgerEntry, **by: Decimal) -> LedgerEntry:
    """Energy or power more by so much, and the amount that follows."""
    new = entry.model_copy(update={field: getattr(entry, field) + more for field, more in by.items()})
    amount_eur = new.energy_kwh * new.price_eur_per_kwh + new.peak_kw * new.price_eur_per_kw
    return new.model_copy(update={"amount_eur": amount_eur})


def replaced(old: LedgerEntry, *new: LedgerEntry) -> list[LedgerEntry]:
    ledger = list(GOOD.sessions[0].ledger)
    at = ledger.index(old)
    return [*ledger[:at], *new, *ledger[at + 1 :]]


def first(kind: str, member: str | None = None, slot: int | None = None) -> LedgerEntry:
    return next(
        entry
        for entry in GOOD.sessions[0].ledger
        if entry.kind == kind and member in (None, entry.member) and slot in (None, entry.slot)
    )


def test_a_session_with_every_kind_of_entry_passes() -> None:
    assert KINDS == [
        "contract", "demand-charge", "excess-charge", "grid-export", "grid-import",
        "local-fee", "local-purchase", "local-sale", "sharing",
    ]  # fmt: skip
    check_ledger(GOOD)
    check_ledger(with_ledger(GOOD.sessions[0].ledger))


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_single_change_of_an_entry_is_found_even_if_the_bills_follow_it(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(GOOD.sessions[0].ledger))
    ways = ["price", "amount", "member", "slot", "swap", "drop", "twice"]
    ways += ["peak"] if entry.kind == "demand-charge" else [] if entry.kind == "sharing" else ["energy"]
    way = data.draw(st.sampled_from(ways))
    other = next(m for m in GOOD.members if m not in entry.parties())
    match way:
        case "drop":
            ledger = replaced(entry)
        case "twice":
            ledger = replaced(entry, entry, entry)
        case "energy":
            ledger = replaced(entry, changed(entry, energy_kwh=GRAIN))
        case "peak":
            ledger = replaced(entry, changed(entry, peak_kw=GRAIN))
        case "price":
            field = "price_eur_per_kw" if entry.kind == "demand-charge" else "price_eur_per_kwh"
            new = entry.model_copy(update={field: getattr(entry, field) + GRAIN})
            ledger = replaced(entry, new if entry.kind == "sharing" else changed(new))
            if entry.kind == "sharing":  # a price of no energy is no price
                return
        case _:
            update: dict[str, object] = {
                "amount": {"amount_eur": entry.amount_eur + GRAIN},
                "member": {
                    "member": other,
                    **{
                        side: f"member:{other}"
                        for side in ("debit", "credit")
                        if getattr(entry, side) == f"member:{entry.member}"
                    },
                },
                "slot": {"slot": (entry.slot + 1) % 3},
                "swap": {"debit": entry.credit, "credit": entry.debit},
            }[way]
            if way == "slot" and entry.kind == "sharing":
                return  # entered for the session as a whole
            ledger = replaced(entry, entry.model_copy(update=update))
    with pytest.raises(LedgerError, match="session 0"):
        check_ledger(with_ledger(ledger))


def test_contracts_keep_to_what_was_agreed() -> None:
    session = GOOD.sessions[0]
    less = session.contracts[0].model_copy(update={"energy_kwh": [Decimal(0)] * 3})
    with pytest.raises(LedgerError, match=r"slot 0: m0 buys 0\.5.* kWh from m1 at 0\.2.*, agreed were 0 kWh"):
        check_ledger(with_ledger(session.ledger, contracts=[less, session.contracts[1]]))
    dearer = [price + GRAIN for price in session.contracts[0].price_eur_per_kwh]
    other = session.contracts[0].model_copy(update={"price_eur_per_kwh": dearer})
    with pytest.raises(LedgerError, match="m0 buys"):
        check_ledger(with_ledger(session.ledger, contracts=[other, session.contracts[1]]))


def test_a_contract_is_executed_where_both_sides_metered_enough() -> None:
    session = GOOD.sessions[0]
    more = session.contracts[0].model_copy(update={"energy_kwh": [Decimal("0.6"), Decimal(1), Decimal(0)]})
    more = more.model_copy(update={"energy_kwh": [Decimal("0.6"), *session.contracts[0].energy_kwh[1:]]})
    with pytest.raises(LedgerError, match=r"agreed were 0\.6 kWh, and both metered enough"):
        check_ledger(with_ledger(session.ledger, contracts=[more, session.contracts[1]]))
    # in slot 1 the buyer takes 0.5 of what was agreed: cut, and rightly so
    assert first("contract", "m0", 1).energy_kwh < session.contracts[0].energy_kwh[1]


def test_a_contract_needs_two_members() -> None:
    entry = first("contract")
    stranger = entry.model_copy(update={"credit": "member:nobody"})
    with pytest.raises(LedgerError, match="'nobody' is not a member"):
        check_ledger(GOOD.model_copy(update={"sessions": [
            GOOD.sessions[0].model_copy(update={"ledger": replaced(entry, stranger)})
        ]}))  # fmt: skip
    alone = entry.model_copy(update={"credit": entry.debit})
    with pytest.raises(LedgerError, match="to pay another member"):
        check_ledger(GOOD.model_copy(update={"sessions": [
            GOOD.sessions[0].model_copy(update={"ledger": replaced(entry, alone)})
        ]}))  # fmt: skip


def test_the_excess_is_shared_by_energy_with_the_grid() -> None:
    a, b = first("excess-charge", "m0", 0), first("excess-charge", "m2", 0)
    ledger = [
        changed(e, energy_kwh=GRAIN * 9 * (1 if e == a else -1)) if e in (a, b) else e
        for e in GOOD.sessions[0].ledger
    ]
    with pytest.raises(LedgerError, match=r"slot 0, m\d: charged for .* kWh above the limit, with"):
        check_ledger(with_ledger(ledger))
    with pytest.raises(LedgerError, match="kWh are charged as above the limit"):
        check_ledger(with_ledger(replaced(a)))


def test_fee_demand_charge_and_sharing_only_where_they_are_asked_for() -> None:
    session = GOOD.sessions[0]
    for field, words in (
        ("local_fee_eur_per_kwh", "the tariff is 0"),
        ("excess_price_eur_per_kwh", "the tariff is 0"),
        ("demand_charge_eur_per_kw", "the charge is 0"),
    ):
        grid = session.grid.model_copy(update={field: Decimal(0)})
        with pytest.raises(LedgerError, match=words):
            check_ledger(with_ledger(session.ledger, grid=grid))
    with pytest.raises(LedgerError, match="a session that is not shared out"):
        check_ledger(with_ledger(session.ledger, shared_by_day=False))


def test_what_is_shared_out_adds_up_to_nothing_and_makes_prices_the_same() -> None:
    entry = first("sharing")
    with pytest.raises(LedgerError, match=r"members pay .* EUR, grid and network receive"):
        check_ledger(with_ledger(replaced(entry)))
    pays = next(e for e in GOOD.sessions[0].ledger if e.kind == "sharing" and e.credit == "community")
    gets = next(e for e in GOOD.sessions[0].ledger if e.kind == "sharing" and e.debit == "community")
    ledger = [
        e.model_copy(update={"amount_eur": e.amount_eur + GRAIN}) if e in (pays, gets) else e
        for e in GOOD.sessions[0].ledger
    ]
    with pytest.raises(LedgerError, match="at the session's prices it is"):
        check_ledger(with_ledger(ledger))


def test_with_a_pool_nobody_imports_while_another_exports() -> None:
    session = GOOD.sessions[0]
    prices = [*session.local_price_eur_per_kwh[:2], Decimal("0.2")]  # slot 2 was settled without one
    with pytest.raises(LedgerError, match="slot 2: there is a pool, and yet"):
        check_ledger(with_ledger(session.ledger, local_price_eur_per_kwh=prices))

"""The ledger check lets consistent ledgers pass and finds any single change of one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_run

from coordinator import settlement
from runtime.records import CoordinatorRecord, Delivery, LedgerEntry, SessionRecord
from runtime.results.ledger import LedgerError, check_ledger

GOOD, _ = make_run(5, 2, slots=24, slot_minutes=60, suspended=(11,))
GRAIN = Decimal("1e-15")


def with_session(index: int, **changes: object) -> CoordinatorRecord:
    sessions = list(GOOD.sessions)
    sessions[index] = sessions[index].model_copy(update=changes)
    return GOOD.model_copy(update={"sessions": sessions})


def with_entry(session: SessionRecord, at: int, **changes: object) -> list[LedgerEntry]:
    ledger = list(session.ledger)
    ledger[at] = ledger[at].model_copy(update=changes)
    return ledger


def local_sale() -> tuple[int, LedgerEntry]:
    return next((i, e) for i, e in enumerate(GOOD.sessions[0].ledger) if e.kind == "local-sale")


@settings(max_examples=25, deadline=None)
@given(
    members=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    setting=st.sampled_from(["community", "pv-only", "pv-battery-rule"]),
    suspended=st.sets(st.integers(0, 11), max_size=3),
)
def test_consistent_runs_pass(members: int, seed: int, setting: str, suspended: set[int]) -> None:
    record, _ = make_run(
        members, slots=12, slot_minutes=120, seed=seed, setting=setting, suspended=tuple(suspended)
    )
    check_ledger(record)


@settings(max_examples=15, deadline=None)
@given(members=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_the_coordinators_own_settlement_passes(members: int, seed: int) -> None:
    record, _ = make_run(members, slots=12, slot_minutes=120, seed=seed)
    session = record.sessions[0]
    ledger: list[LedgerEntry] = []
    for slot in range(12):
        net = {d.member: d.net_kwh for d in session.deliveries if d.slot == slot}
        taken, given_ = (
            session.grid_import_price_eur_per_kwh[slot],
            session.grid_export_price_eur_per_kwh[slot],
        )
        prices = settlement.SlotPrices(taken, given_, (taken + given_) / 2)
        ledger += settlement.slot_entries(0, slot, settlement.exchange_energy(net, pooled=True), prices)
    bills = settlement.bills(0, record.members, ledger)
    check_ledger(
        record.model_copy(
            update={"sessions": [session.model_copy(update={"ledger": ledger, "bills": bills})]}
        )
    )
    assert sum(b.exact_eur for b in bills) == sum(b.exact_eur for b in session.bills), "two settlements agree"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_single_change_of_an_entry_is_found(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, 1))
    session = GOOD.sessions[index]
    at = data.draw(st.integers(0, len(session.ledger) - 1))
    entry = session.ledger[at]
    change = data.draw(
        st.sampled_from(
            ["energy", "price", "amount", "consistent", "member", "slot", "swap", "drop", "twice"]
        )
    )
    if change == "drop":
        ledger = [e for i, e in enumerate(session.ledger) if i != at]
    elif change == "twice":
        ledger = [*session.ledger, entry]
    else:
        other = next(m for m in GOOD.members if m != entry.member)
        ledger = with_entry(
            session,
            at,
            **{
                "energy": {"energy_kwh": entry.energy_kwh + GRAIN},
                "price": {"price_eur_per_kwh": entry.price_eur_per_kwh + GRAIN},
                "amount": {"amount_eur": entry.amount_eur - GRAIN},
                "consistent": {
                    "price_eur_per_kwh": entry.price_eur_per_kwh * 2,
                    "amount_eur": entry.amount_eur * 2,
                },
                "member": {"member": other},
                "slot": {"slot": (entry.slot + 1) % 24},
                "swap": {"debit": entry.credit, "credit": entry.debit},
            }[change],
        )
    with pytest.raises(LedgerError, match=f"session {index}"):
        check_ledger(with_session(index, ledger=ledger))


def test_what_members_pay_is_what_the_grid_receives() -> None:
    session = GOOD.sessions[0]
    at = next(i for i, e in enumerate(session.ledger) if e.kind == "local-purchase")
    ledger = with_entry(session, at, amount_eur=session.ledger[at].amount_eur - GRAIN)
    with pytest.raises(LedgerError, match=rf"slot {ledger[at].slot}: members pay .* EUR, grid and network"):
        check_ledger(with_session(0, ledger=ledger))


def test_energy_bought_locally_was_sold_locally() -> None:
    # where energy costs nothing, a grain from the pool instead of the grid changes no account, only the trade
    price = Decimal(0)
    net = {"a": Decimal(3), "b": Decimal(1), "c": Decimal(-2)}
    exchange = settlement.exchange_energy(net, pooled=True)
    ledger = settlement.slot_entries(0, 0, exchange, settlement.SlotPrices(price, price, price))
    session = GOOD.sessions[0].model_copy(
        update={
            "grid_import_price_eur_per_kwh": [price],
            "grid_export_price_eur_per_kwh": [price],
            "local_price_eur_per_kwh": [price],
            "deliveries": [Delivery(slot=0, member=m, net_kwh=q, quality="metered") for m, q in net.items()],
            "ledger": ledger,
            "bills": settlement.bills(0, list(net), ledger),
        }
    )

    def checked(entries: list[LedgerEntry]) -> None:
        changed = session.model_copy(update={"ledger": entries})
        check_ledger(GOOD.model_copy(update={"members": list(net), "sessions": [changed]}))

    checked(ledger)
    shifted = [
        e.model_copy(update={"energy_kwh": e.energy_kwh + by}) if e.member == "a" else e
        for e in ledger
        for by in [GRAIN if e.kind == "local-purchase" else -GRAIN]
    ]
    with pytest.raises(LedgerError, match=rf"slot 0: members bought {GRAIN} kWh more than they sold"):
        checked(shifted)


def test_amount_is_energy_times_price() -> None:
    session = GOOD.sessions[0]
    at = next(i for i, e in enumerate(session.ledger) if e.kind == "grid-import")
    ledger = with_entry(session, at, amount_eur=session.ledger[at].amount_eur + GRAIN)
    with pytest.raises(LedgerError, match=r"grid-import: .* kWh at .* EUR/kWh is not .* EUR"):
        check_ledger(with_session(0, ledger=ledger))


def test_accounts_fit_the_kind_of_entry() -> None:
    session = GOOD.sessions[0]
    at = next(i for i, e in enumerate(session.ledger) if e.kind == "grid-import")
    other = next(m for m in GOOD.members if m != session.ledger[at].member)
    with pytest.raises(LedgerError, match=f"'member:{other}' pays 'grid', expected 'member:"):
        check_ledger(with_session(0, ledger=with_entry(session, at, debit=f"member:{other}")))


def test_grid_energy_costs_the_tariff() -> None:
    session = GOOD.sessions[0]
    at = next(i for i, e in enumerate(session.ledger) if e.kind == "grid-import")
    entry = session.ledger[at]
    ledger = with_entry(session, at, price_eur_per_kwh=Decimal(1), amount_eur=entry.energy_kwh)
    with pytest.raises(LedgerError, match=r"price 1 EUR/kWh, the tariff is 0\.1"):
        check_ledger(with_session(0, ledger=ledger))


def test_local_energy_is_at_the_local_price() -> None:
    session = GOOD.sessions[0]
    slot = local_sale()[1].slot
    price = Decimal("0.05")
    ledger = [
        e.model_copy(update={"price_eur_per_kwh": price, "amount_eur": e.energy_kwh * price})
        if e.slot == slot and e.kind.startswith("local")
        else e
        for e in session.ledger
    ]
    with pytest.raises(LedgerError, match=r"price 0\.05 EUR/kWh, the tariff is"):
        check_ledger(with_session(0, ledger=ledger))


def test_entries_must_settle_what_was_delivered() -> None:
    deliveries = list(GOOD.sessions[0].deliveries)
    deliveries[0] = deliveries[0].model_copy(update={"net_kwh": deliveries[0].net_kwh + GRAIN})
    with pytest.raises(LedgerError, match=r"slot 0, house-1: entries add up to .* delivered were"):
        check_ledger(with_session(0, deliveries=deliveries))


def test_a_delivery_left_unsettled_is_found() -> None:
    session = GOOD.sessions[0]
    gone = local_sale()[1]
    ledger = [e for e in session.ledger if e.slot != gone.slot]
    with pytest.raises(LedgerError, match=f"slot {gone.slot}, .*entries add up to 0 kWh"):
        check_ledger(with_session(0, ledger=ledger))


@pytest.mark.parametrize(
    ("field", "by"),
    [
        ("exact_eur", GRAIN),
        ("local_sale_kwh", GRAIN),
        ("local_purchase_kwh", GRAIN),
        ("grid_import_kwh", GRAIN),
        ("grid_export_kwh", GRAIN),
        ("amount_eur", Decimal("0.01")),
        ("amount_eur", Decimal("0.001")),
    ],
)
def test_bills_follow_from_the_ledger(field: str, by: Decimal) -> None:
    bills = list(GOOD.sessions[0].bills)
    # up from the rounded-up or down from the rounded-down side, so that the bill leaves its cent
    sign = 1 if bills[0].amount_eur >= bills[0].exact_eur else -1
    bills[0] = bills[0].model_copy(update={field: getattr(bills[0], field) + sign * by})
    with pytest.raises(LedgerError, match="bill of house-1"):
        check_ledger(with_session(0, bills=bills))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy_kwh": GRAIN}, "its entries add up to"),
        ({"exact_eur": GRAIN}, "its entries add up to"),
        ({"peak_kw": GRAIN}, "its entries add up to"),
        ({"amount_eur": Decimal("0.02")}, "EUR in cents"),
        ({"amount_eur": Decimal("0.001")}, "EUR in cents"),
    ],
)
def test_the_lines_of_a_bill_follow_from_the_ledger(change: dict[str, Decimal], words: str) -> None:
    bills = list(GOOD.sessions[0].bills)
    items = list(bills[0].items)
    items[0] = items[0].model_copy(update={key: getattr(items[0], key) + by for key, by in change.items()})
    bills[0] = bills[0].model_copy(update={"items": items})
    with pytest.raises(LedgerError, match=f"bill of house-1, {items[0].kind}: .*{words}"):
        check_ledger(with_session(0, bills=bills))


def test_the_lines_of_a_bill_are_all_there_and_add_up_to_it() -> None:
    bills = list(GOOD.sessions[0].bills)
    items = bills[0].items
    bills[0] = bills[0].model_copy(update={"items": items[1:]})
    with pytest.raises(LedgerError, match=f"bill of house-1: found .*expected .*{items[0].kind}"):
        check_ledger(with_session(0, bills=bills))
    up = next(i for i, item in enumerate(items) if item.amount_eur < item.exact_eur)
    more = [
        item.model_copy(update={"amount_eur": item.amount_eur + Decimal("0.01")}) if i == up else item
        for i, item in enumerate(items)
    ]
    bills[0] = bills[0].model_copy(update={"items": more})
    with pytest.raises(LedgerError, match="bill of house-1: its lines add up to"):
        check_ledger(with_session(0, bills=bills))


def test_rounded_bills_may_not_drift_from_their_sum() -> None:
    session = GOOD.sessions[0]
    up = []
    for bill in session.bills:
        if bill.amount_eur < bill.exact_eur:
            items = list(bill.items)
            low = next(i for i, item in enumerate(items) if item.amount_eur < item.exact_eur)
            items[low] = items[low].model_copy(update={"amount_eur": items[low].amount_eur + Decimal("0.01")})
            changes = {"amount_eur": bill.amount_eur + Decimal("0.01"), "items": items}
            bill = bill.model_copy(update=changes)
        up.append(bill)
    with pytest.raises(LedgerError, match="the bills add up to"):
        check_ledger(with_session(0, bills=up))


def test_a_bill_is_there_for_everyone_once() -> None:
    with pytest.raises(LedgerError, match="expected one for each of"):
        check_ledger(with_session(0, bills=GOOD.sessions[0].bills[1:]))


def test_negative_energy_and_strangers_are_named() -> None:
    at, entry = local_sale()
    session = GOOD.sessions[0]
    changes = {"energy_kwh": -entry.energy_kwh, "price_eur_per_kwh": -entry.price_eur_per_kwh}
    negative = with_entry(session, at, **changes)
    with pytest.raises(LedgerError, match="negative energy"):
        check_ledger(with_session(0, ledger=negative))
    with pytest.raises(LedgerError, match=r"nobody.*not a member"):
        check_ledger(with_session(0, ledger=with_entry(session, at, member="nobody")))

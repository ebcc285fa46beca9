"""A corrected slot: the budget holds to the last digit, nobody else pays more, the last correction counts."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.settlement import owed_eur
from coordinator.settlement.corrections import SettledGrid, adjustment, correction_entries
from runtime.errors import ProtocolError
from runtime.protocol.bodies import DeliveryCorrection, MeteredDelivery
from runtime.results.ledger import check_ledger
from tests.coordinator.settlement.cases import Case, cases

some = settings(max_examples=60, deadline=None)
STEP = Decimal("1e-9")


def correction(slot: int, net_kwh: Decimal, member: str = "m0") -> DeliveryCorrection:
    return DeliveryCorrection(
        session=0,
        slot=slot,
        grid_import_kwh=max(net_kwh, Decimal(0)),
        grid_export_kwh=max(-net_kwh, Decimal(0)),
        quality="metered",
        meters=(f"{member}.meter",),
    )


def corrected_record(case: Case, corrections: list[tuple[str, DeliveryCorrection]]):
    """What the coordinator records after these corrections, and what it told."""
    told = []
    settle = case.settle

    def with_corrections():
        operation, lines = settle_open(case)
        told.extend(operation.correct(member, each) for member, each in corrections)
        operation.close()
        return operation, lines

    case.settle = with_corrections  # type: ignore[method-assign]
    try:
        return case.record(), told
    finally:
        case.settle = settle  # type: ignore[method-assign]


def settle_open(case: Case):
    """All slots settled, and the session not closed."""
    from coordinator.negotiation import Negotiation
    from coordinator.operation import Operation
    from tests.coordinator.settlement.cases import Told

    negotiation = Negotiation(Told(case.tariff, len(case.members), case.clearing), case.members)
    negotiation.clearing = case.clearing
    operation = Operation(0, case.terms, negotiation, case.members)
    lines = []
    while not operation.passed:
        for number, member in enumerate(case.members):
            net = Decimal(repr(float(case.net_kwh[number, operation.slot]))).quantize(STEP)
            delivery = MeteredDelivery(
                session=0,
                slot=operation.slot,
                grid_import_kwh=max(net, Decimal(0)),
                grid_export_kwh=max(-net, Decimal(0)),
                quality="estimated",
            )
            operation.deliver(member, delivery)
        lines.append(operation.settle())
    return operation, lines


@st.composite
def corrected_cases(draw: st.DrawFn, *, rational: bool = False):
    case = draw(cases(rational=rational))
    slots = case.terms.horizon.slots
    energies = st.one_of(st.integers(-(4 * 10**9), 4 * 10**9), st.sampled_from([0, 1, -1, 10**9]))
    made = [
        (draw(st.sampled_from(case.members)), draw(st.integers(0, slots - 1)), draw(energies) * STEP)
        for _ in range(draw(st.integers(1, 5)))
    ]
    return case, [(member, correction(slot, net, member)) for member, slot, net in made]


@some
@given(made=corrected_cases())
def test_with_any_corrections_the_ledger_adds_up_and_energies_are_those_corrected(made) -> None:
    case, corrections = made
    record, _ = corrected_record(case, corrections)
    check_ledger(record)
    last = {(each.slot, member): each.net_kwh for member, each in corrections}
    for delivery in record.sessions[0].deliveries:
        corrected = last.get((delivery.slot, delivery.member))
        if corrected is None:
            assert delivery.settled_net_kwh is None
        else:
            assert delivery.net_kwh == corrected
            assert delivery.quality == "metered"
            assert delivery.as_settled.quality == "estimated"
            place = case.members.index(delivery.member)
            settled = Decimal(repr(float(case.net_kwh[place, delivery.slot]))).quantize(STEP)
            assert delivery.as_settled.net_kwh == settled


@some
@given(made=corrected_cases())
def test_nobody_elses_entries_change_and_order_does_not_matter(made) -> None:
    case, corrections = made
    plain = case.record().sessions[0]
    changed, told = corrected_record(case, corrections)
    session = changed.sessions[0]
    untouched = ("correction", "demand-charge")
    assert [e for e in plain.ledger if e.kind not in untouched] == [
        e for e in session.ledger if e.kind not in untouched
    ]
    correcting = {member for member, _ in corrections}
    before, after = ({bill.member: bill.exact_eur for bill in s.bills} for s in (plain, session))
    assert {m: after[m] for m in after if m not in correcting} == {
        m: before[m] for m in before if m not in correcting
    }
    # Members' slots come in any order; of one slot the last correction counts.
    last = {(member, each.slot): (member, each) for member, each in corrections}
    shuffled = list(last.values())
    random.Random(len(corrections)).shuffle(shuffled)
    assert corrected_record(case, shuffled)[0].sessions[0].ledger == session.ledger
    final = {(member, line.slot): line for (member, _), line in zip(corrections, told, strict=True)}
    entered = owed_eur(e for e in session.ledger if e.kind == "correction")
    for member in correcting:
        lines = [line.amount_eur for (who, _), line in final.items() if who == member]
        assert sum(lines, Decimal(0)) == entered.get(member, Decimal(0))


@some
@given(
    grid=st.integers(-5000, 5000),
    local=st.integers(-5000, 5000),
    more=st.integers(-9000, 9000),
    prices=st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 100)),
)
def test_who_stays_on_its_side_of_the_grid_pays_no_more_than_alone(grid, local, more, prices) -> None:
    milli = Decimal("0.001")
    sell = prices[0] * milli
    buy = sell + prices[1] * milli
    price = sell + (buy - sell) * prices[2] / 100
    grid, local, more = grid * milli, local * milli, more * milli
    if grid * local < 0:
        local = -local
    settled = SettledGrid(local + grid, max(grid, Decimal(0)), max(-grid, Decimal(0)), buy, sell)
    corrected = local + grid + more
    line = adjustment(settled, correction(0, corrected))

    def alone(net_kwh: Decimal) -> Decimal:
        return net_kwh * (buy if net_kwh > 0 else sell)

    paid = local * price + alone(grid) + line.amount_eur
    assert line.grid_import_kwh - line.grid_export_kwh == more
    if grid * (grid + more) >= 0:
        assert paid <= alone(corrected)
    turned = abs(grid + more) if grid * (grid + more) < 0 else Decimal(0)
    assert paid <= alone(corrected) + turned * max(price - sell, buy - price)
    balance = sum(
        (e.amount_eur if e.credit == "grid" else -e.amount_eur for e in correction_entries("m0", line)),
        Decimal(0),
    )
    assert balance == line.amount_eur


def test_by_hand_less_import_is_paid_back_at_the_import_tariff_and_beyond_it_earns_the_feed_in_tariff() -> (
    None
):
    # Settled with 5 kWh, of which neighbours gave 3; 1 kWh was drawn.
    settled = SettledGrid(Decimal(5), Decimal(2), Decimal(0), Decimal("0.3"), Decimal("0.1"))
    line = adjustment(settled, correction(0, Decimal(1)))
    assert (line.grid_import_kwh, line.grid_export_kwh) == (-2, 2)
    assert line.amount_eur == Decimal("-0.8")
    less, given_ = correction_entries("m0", line)
    assert (less.debit, less.credit, less.energy_kwh, less.amount_eur) == (
        "grid", "member:m0", 2, Decimal("0.6"),
    )  # fmt: skip
    assert (given_.debit, given_.credit, given_.price_eur_per_kwh) == ("grid", "member:m0", Decimal("0.1"))
    assert less.taken_kwh + given_.taken_kwh == -4
    back = adjustment(settled, correction(0, Decimal(5)))
    assert correction_entries("m0", back) == []


def test_a_slot_that_is_not_settled_cannot_be_corrected() -> None:
    from coordinator.mechanisms.base import Clearing
    from tests.coordinator.settlement.cases import terms_of

    case = Case(terms_of(["0.3"], ["0.1"]), Clearing(np.array([0.2]), (), False), np.array([[1.0], [-1.0]]))
    operation, _ = settle_open(case)
    with pytest.raises(ProtocolError, match="slot 1 is not settled"):
        operation.correct("m0", correction(1, Decimal(1)))

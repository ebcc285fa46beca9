"""Energy and money are conserved in every slot, with any contracts, fees and limits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.expected import average_prices, bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms.base import Clearing, Contract
from runtime.results.ledger import check_ledger
from tests.coordinator.settlement.cases import Case, cases

some = settings(max_examples=80, deadline=None)


@some
@given(case=cases())
def test_energy_and_money_are_conserved_in_every_slot(case: Case) -> None:
    operation, lines = case.settle()
    delivered = {(each.slot, each.member): each.net_kwh for each in operation.deliveries}
    balance: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    in_slots = [entry for entry in operation.ledger if entry.kind not in ("demand-charge", "sharing")]
    for entry in in_slots:
        balance[entry.slot, entry.debit] -= entry.amount_eur
        balance[entry.slot, entry.credit] += entry.amount_eur
    grid, minutes = case.terms.grid, case.terms.horizon.slot_minutes
    for slot, of_members in enumerate(lines):
        taken = Decimal(0)
        for member, line in of_members.items():
            net = line.local_purchase_kwh - line.local_sale_kwh + line.grid_import_kwh - line.grid_export_kwh
            assert net == delivered[slot, member]
            assert line.amount_eur == -balance[slot, f"member:{member}"]
            assert min(line.contract_purchase_kwh, line.contract_sale_kwh) == 0
            assert line.contract_purchase_kwh <= line.local_purchase_kwh
            assert line.contract_sale_kwh <= line.local_sale_kwh
            taken += line.local_purchase_kwh
        assert taken == sum(line.local_sale_kwh for line in of_members.values())
        from_grid = sum(line.grid_import_kwh for line in of_members.values())
        to_grid = sum(line.grid_export_kwh for line in of_members.values())
        boundary = sum(net for (at, _), net in delivered.items() if at == slot)
        assert from_grid - to_grid == boundary
        above = Decimal(0)
        for limit, energy in (
            (grid.import_limit_kwh(minutes), boundary),
            (grid.export_limit_kwh(minutes), -boundary),
        ):
            above += max(energy - limit, Decimal(0)) if limit is not None else Decimal(0)
        assert sum(line.excess_kwh for line in of_members.values()) == above
        buy, sell = case.terms.import_price_eur_per_kwh[slot], case.terms.export_price_eur_per_kwh[slot]
        assert balance[slot, "community"] == 0
        assert balance[slot, "network"] == taken * grid.local_fee_eur_per_kwh
        at_grid = from_grid * buy - to_grid * sell
        assert balance[slot, "grid"] == at_grid + above * grid.excess_price_eur_per_kwh
        paid = sum(line.amount_eur for line in of_members.values())
        assert paid == balance[slot, "grid"] + balance[slot, "network"]
        if buy - sell < grid.local_fee_eur_per_kwh:
            assert taken == 0
    assert sum(bill.exact_eur for bill in operation.bills()) == sum(
        (entry.paid_eur(member) for entry in operation.ledger for member in entry.parties()), Decimal(0)
    )


@some
@given(case=cases())
def test_the_records_check_accepts_it(case: Case) -> None:
    check_ledger(case.record())


@some
@given(case=cases())
def test_expected_bills_are_those_of_the_settlement(case: Case) -> None:
    expected = expected_bills_eur(case.net_kwh, case.clearing, case.tariff)
    exact = [float(bill.exact_eur) for bill in case.bills()]
    np.testing.assert_allclose(expected, exact, rtol=0, atol=1e-8 * len(case.net_kwh[0]))


@some
@given(case=cases(shared=False))
def test_average_prices_are_those_of_the_pools_bills(case: Case) -> None:
    local = case.clearing.local_price_eur_per_kwh
    prices = average_prices(case.net_kwh, local, case.tariff)
    price = np.where(case.net_kwh > 0, prices.import_price_eur_per_kwh, prices.export_price_eur_per_kwh)
    bills = (case.net_kwh * price).sum(axis=1) + case.tariff.demand_charges_eur(case.net_kwh)
    np.testing.assert_allclose(
        bills, expected_bills_eur(case.net_kwh, Clearing(local), case.tariff), rtol=0, atol=1e-9
    )


@some
@given(case=cases(rational=True, shared=False))
def test_between_the_tariffs_nobody_pays_more_than_at_the_grid_charges_for_the_limit_aside(
    case: Case,
) -> None:
    for slot, of_members in enumerate(case.settle()[1]):
        buy, sell = case.terms.import_price_eur_per_kwh[slot], case.terms.export_price_eur_per_kwh[slot]
        for number, line in enumerate(of_members.values()):
            net = Decimal(repr(float(case.net_kwh[number, slot])))
            assert line.amount_eur - line.excess_charge_eur <= net * (buy if net > 0 else sell) + Decimal(
                "1e-9"
            )


@some
@given(case=cases(), data=st.data())
def test_the_order_of_members_and_contracts_changes_no_total_and_no_bill_beyond_a_step(
    case: Case, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(case.net_kwh))))  # new place -> old place
    place = {old: new for new, old in enumerate(order)}
    contracts = tuple(
        Contract(place[c.seller], place[c.buyer], c.energy_kwh, c.price_eur_per_kwh)
        for c in data.draw(st.permutations(case.clearing.contracts))
    )
    apart = frozenset(place[member] for member in case.clearing.apart)
    free = case.clearing.free_kwh
    free = None if free is None else free[list(order)]
    clearing = replace(case.clearing, contracts=contracts, apart=apart, free_kwh=free)
    moved = Case(case.terms, clearing, case.net_kwh[list(order)])
    before, after = case.bills(), moved.bills()
    slots, pairs = case.net_kwh.shape[1], len(contracts)
    steps_kwh = Decimal("1e-9") * slots * pairs  # contracts are cut in whole steps, by the members' order
    for field in ("grid_import_kwh", "grid_export_kwh"):
        totals = [sum(getattr(bill, field) for bill in some_bills) for some_bills in (before, after)]
        assert abs(totals[0] - totals[1]) <= steps_kwh
    totals = [sum(bill.exact_eur for bill in some_bills) for some_bills in (before, after)]
    assert abs(totals[0] - totals[1]) <= steps_kwh
    for new, old in enumerate(order):
        assert abs(after[new].exact_eur - before[old].exact_eur) <= Decimal("1e-8") * slots * (1 + pairs)


@some
@given(case=cases(shared=True))
def test_a_session_that_is_shared_out_has_one_price_to_pay_and_one_to_earn(case: Case) -> None:
    operation, _ = case.settle()
    energy = [
        e
        for e in operation.ledger
        if e.kind in ("local-purchase", "local-sale", "grid-import", "grid-export")
        and e.member not in operation.apart
    ]
    taken, given_ = defaultdict(Decimal), defaultdict(Decimal)
    paid = defaultdict(Decimal)
    for entry in energy:
        side = taken if entry.kind in ("local-purchase", "grid-import") else given_
        side[entry.member] += entry.energy_kwh
    for entry in [*energy, *(e for e in operation.ledger if e.kind == "sharing")]:
        paid[entry.member] += entry.paid_eur(entry.member)
    cost = sum(e.amount_eur for e in energy if e.kind == "grid-import")
    revenue = sum(e.amount_eur for e in energy if e.kind == "grid-export")
    assert sum(paid.values()) == cost - revenue
    buy = float(cost / sum(taken.values())) if taken else 0.0
    sell = float(revenue / sum(given_.values())) if given_ else 0.0
    for member in paid:
        expected = buy * float(taken[member]) - sell * float(given_[member])
        assert abs(float(paid[member]) - expected) < 1e-12


@some
@given(case=cases())
def test_who_is_apart_has_its_energy_from_and_to_the_grid_alone(case: Case) -> None:
    operation, lines = case.settle()
    for slot, of_members in enumerate(lines):
        buy, sell = case.terms.import_price_eur_per_kwh[slot], case.terms.export_price_eur_per_kwh[slot]
        for member in operation.apart:
            line = of_members[member]
            net = Decimal(repr(float(case.net_kwh[case.members.index(member), slot])))
            assert line.local_purchase_kwh == line.local_sale_kwh == 0
            assert line.amount_eur - line.excess_charge_eur == net * (buy if net > 0 else sell)
    assert {entry.member for entry in operation.ledger if entry.kind == "sharing"}.isdisjoint(operation.apart)


@some
@given(case=cases())
def test_without_trade_it_is_the_grids_tariffs_and_the_limit(case: Case) -> None:
    alone = bills_without_trade_eur(case.net_kwh, case.tariff)
    excess_eur = case.tariff.excess_price_eur_per_kwh * case.tariff.excess_kwh(case.net_kwh.sum(axis=0)).sum()
    grid_eur = case.tariff.grid_cost_eur(case.net_kwh).sum(axis=1)
    without_excess = grid_eur + case.tariff.demand_charges_eur(case.net_kwh)
    np.testing.assert_allclose(alone.sum(), without_excess.sum() + excess_eur, rtol=0, atol=1e-9)
    assert (alone >= without_excess - 1e-12).all()

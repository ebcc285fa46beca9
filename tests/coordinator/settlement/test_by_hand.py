"""Worked cases of contracts, fee, limit, demand charge and sharing."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from coordinator.expected import expected_bills_eur
from coordinator.mechanisms.base import Clearing, Contract
from coordinator.opting_out import who_opts_out
from coordinator.settlement import (
    SlotContract,
    SlotPrices,
    agreed_contracts,
    bills,
    exchange_energy,
    round_to_cents,
    slot_entries,
)
from runtime.grid_terms import GridTerms
from tests.coordinator.settlement.cases import Case, Told, terms_of

D = Decimal
BUY, SELL = "0.30", "0.10"


def executed(net: dict[str, str], *contracts: tuple[str, str, str, str], pooled: bool = False):
    exchange = exchange_energy(
        {member: D(energy) for member, energy in net.items()},
        pooled=pooled,
        contracts=[SlotContract(s, b, D(energy), D(price)) for s, b, energy, price in contracts],
    )
    return exchange, [(c.seller, c.buyer, c.energy_kwh, c.price_eur_per_kwh) for c in exchange.contracts]


def one_slot(net: list[float], grid: GridTerms, local: float = 0.2, contracts=()) -> Case:
    clearing = Clearing(np.array([local]), tuple(contracts))
    return Case(terms_of([BUY], [SELL], grid), clearing, np.array(net)[:, None])


# -- contracts -----------------------------------------------------------------------------------------


def test_a_contract_goes_from_buyer_to_seller_and_what_it_leaves_is_pooled() -> None:
    exchange, done = executed({"s": "-3", "b": "2", "c": "2"}, ("s", "b", "1", "0.25"), pooled=True)
    assert done == [("s", "b", D(1), D("0.25"))]
    entries = slot_entries(0, 0, exchange, SlotPrices(D(BUY), D(SELL), D("0.20")))
    # 2 left of the seller's 3 for 1 + 2 wanted: a third of b's rest, two thirds of c's
    assert [(e.member, e.kind, e.energy_kwh, e.debit, e.credit) for e in entries] == [
        ("b", "contract", D(1), "member:b", "member:s"),
        ("s", "local-sale", D(2), "community", "member:s"),
        ("b", "local-purchase", D("0.666666667"), "member:b", "community"),
        ("b", "grid-import", D("0.333333333"), "member:b", "grid"),
        ("c", "local-purchase", D("1.333333333"), "member:c", "community"),
        ("c", "grid-import", D("0.666666667"), "member:c", "grid"),
    ]
    assert entries[0].amount_eur == D("0.25")


@pytest.mark.parametrize(
    ("net", "contracts", "expected"),
    [
        # the seller has 2 for contracts of 1 and 3
        (
            {"s": "-2", "b": "5", "c": "5"},
            [("s", "b", "1", "0.2"), ("s", "c", "3", "0.2")],
            [("s", "b", D("0.5"), D("0.2")), ("s", "c", D("1.5"), D("0.2"))],
        ),
        # the buyer takes 1 of contracts of 1 and 3
        (
            {"s": "-5", "t": "-5", "b": "1"},
            [("t", "b", "3", "0.2"), ("s", "b", "1", "0.1")],
            [("s", "b", D("0.25"), D("0.1")), ("t", "b", D("0.75"), D("0.2"))],
        ),
        # both are short: the smaller of both shares, a half and a quarter
        ({"s": "-2", "b": "1"}, [("s", "b", "4", "0.2")], [("s", "b", D(1), D("0.2"))]),
        # a seller that imports, a buyer that exports, one that meters nothing
        ({"s": "1", "b": "2"}, [("s", "b", "1", "0.2")], []),
        ({"s": "-1", "b": "-2"}, [("s", "b", "1", "0.2")], []),
        ({"s": "-1", "b": "0"}, [("s", "b", "1", "0.2")], []),
        # contracts of the same terms are one, of other prices are not
        (
            {"s": "-3", "b": "3"},
            [("s", "b", "1", "0.2"), ("s", "b", "1", "0.1"), ("s", "b", "1", "0.2")],
            [("s", "b", D(1), D("0.1")), ("s", "b", D(2), D("0.2"))],
        ),
        # an indivisible step goes to the first in the members' order
        (
            {"b": "1", "c": "1", "s": "-0.000000001"},
            [("s", "c", "1", "0.2"), ("s", "b", "1", "0.2")],
            [("s", "b", D("1e-9"), D("0.2"))],
        ),
    ],
)
def test_contracts_are_cut_to_what_is_metered(net, contracts, expected) -> None:
    assert executed(net, *contracts)[1] == expected
    assert executed(net, *contracts[::-1])[1] == expected


def test_without_a_pool_what_contracts_leave_is_the_grids() -> None:
    exchange, _ = executed({"s": "-3", "b": "2"}, ("s", "b", "1", "0.25"))
    assert [(s.grid_import_kwh, s.grid_export_kwh) for s in exchange.shares] == [(0, 2), (1, 0)]


def test_contracts_are_made_exact_and_checked() -> None:
    nothing = np.zeros(2, dtype=bool)

    def agreed(seller=0, buyer=1, energy=(1.0, 0.25), price=(0.2, 0.1), suspended=nothing):
        contract = Contract(seller, buyer, np.array(energy), np.array(price))
        return agreed_contracts([contract], ["a", "b"], suspended)

    (contract,) = agreed(energy=(0.1 + 0.2, 0), price=(1 / 3, np.nan))
    assert (contract.seller, contract.buyer) == ("a", "b")
    assert contract.energy_kwh == [D("0.3"), D(0)]
    assert contract.price_eur_per_kwh == [D("0.333333333"), D(0)]
    assert agreed(energy=(0, 1e-10)) == []
    (contract,) = agreed(suspended=np.array([True, False]))
    assert contract.energy_kwh == [D(0), D("0.25")]
    for wrong in ({"seller": 1}, {"buyer": 2}, {"seller": -1}):
        with pytest.raises(ValueError, match="expected two of 2 members"):
            agreed(**wrong)
    for wrong in ((-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0)):
        with pytest.raises(ValueError, match="energy_kwh: expected finite"):
            agreed(energy=wrong)
    with pytest.raises(ValueError, match="price_eur_per_kwh: found nan"):
        agreed(price=(np.nan, 0.1))
    with pytest.raises(ValueError, match="found shape"):
        agreed(energy=(1.0,))


# -- fee, limit, demand charge -------------------------------------------------------------------------


def test_half_the_fee_is_on_either_side_of_pool_and_contract() -> None:
    contract = Contract(1, 0, np.array([1.0]), np.array([0.18]))
    case = one_slot([3.0, -2.0], GridTerms(local_fee_eur_per_kwh=D("0.04")), contracts=[contract])
    operation, (lines,) = case.settle()
    fees = [
        (e.member, e.energy_kwh, e.price_eur_per_kwh, e.debit, e.credit)
        for e in operation.ledger
        if e.kind == "local-fee"
    ]
    assert fees == [
        ("m0", D(2), D("0.02"), "member:m0", "network"),
        ("m1", D(2), D("0.02"), "member:m1", "network"),
    ]
    buyer, seller = lines["m0"], lines["m1"]
    assert (buyer.local_purchase_kwh, buyer.contract_purchase_kwh, buyer.grid_import_kwh) == (2, 1, 1)
    assert (buyer.contract_eur, buyer.local_fee_eur) == (D("0.18"), D("0.04"))
    assert buyer.amount_eur == D("0.18") + D("0.20") + D("0.30") + D("0.04")
    assert seller.local_fee_eur == D("0.04")
    assert (seller.contract_eur, seller.amount_eur) == (D("-0.18"), D("-0.18") - D("0.20") + D("0.04"))


def test_what_is_above_the_limit_is_charged_to_those_on_the_long_side_by_their_energy_with_the_grid() -> None:
    # 2 kW are 1 kWh in half an hour; 4 wanted, 1 from the neighbour: 3 from the grid, 2 too much
    grid = GridTerms(import_limit_kw=D(2), excess_price_eur_per_kwh=D("0.5"))
    operation, (lines,) = one_slot([3.0, 1.0, -1.0], grid).settle()
    assert [lines[m].excess_kwh for m in ("m0", "m1", "m2")] == [D("1.5"), D("0.5"), 0]
    assert [lines[m].excess_charge_eur for m in ("m0", "m1", "m2")] == [D("0.75"), D("0.25"), 0]
    charges = [(e.member, e.debit, e.credit) for e in operation.ledger if e.kind == "excess-charge"]
    assert charges == [("m0", "member:m0", "grid"), ("m1", "member:m1", "grid")]
    assert lines["m0"].amount_eur == D("0.75") * D("0.20") + D("2.25") * D("0.30") + D("0.75")


def test_the_limit_counts_both_ways_and_just_at_it_nothing_is_charged() -> None:
    grid = GridTerms(export_limit_kw=D(2), excess_price_eur_per_kwh=D(1))
    assert [line.excess_kwh for line in one_slot([-1.0, 0.0], grid).settle()[1][0].values()] == [0, 0]
    lines = one_slot([-1.5, 0.25], grid).settle()[1][0]
    assert [line.excess_kwh for line in lines.values()] == [D("0.25"), 0]
    assert [line.excess_kwh for line in one_slot([5.0, 5.0], grid).settle()[1][0].values()] == [0, 0]


def test_in_a_suspended_slot_contracts_and_pool_rest_but_the_wire_does_not() -> None:
    grid = GridTerms(local_fee_eur_per_kwh=D("0.21"), import_limit_kw=D(0), excess_price_eur_per_kwh=D(1))
    contract = Contract(1, 0, np.array([2.0]), np.array([0.2]))
    operation, (lines,) = one_slot([3.0, -2.0], grid, contracts=[contract]).settle()
    assert [(e.member, e.kind, e.energy_kwh) for e in operation.ledger] == [
        ("m0", "grid-import", D(3)),
        ("m0", "excess-charge", D(1)),
        ("m1", "grid-export", D(2)),
    ]
    assert lines["m0"].local_price_eur_per_kwh is None
    assert operation.contracts == []


def test_the_demand_charge_is_on_each_members_own_peak_import_in_its_slot() -> None:
    terms = terms_of([BUY] * 3, [SELL] * 3, GridTerms(demand_charge_eur_per_kw=D("0.5")))
    net = np.array([[1.0, 2.0, 2.0], [-1.0, 0.0, -3.0], [0.25, -4.0, 0.0]])
    operation, _ = Case(terms, Clearing(np.full(3, 0.2)), net).settle()
    charges = [e for e in operation.ledger if e.kind == "demand-charge"]
    assert [(e.member, e.slot, e.peak_kw, e.amount_eur, e.debit, e.credit) for e in charges] == [
        ("m0", 1, D(4), D("2.00"), "member:m0", "grid"),
        ("m2", 0, D("0.5"), D("0.25"), "member:m2", "grid"),
    ]
    bill = operation.bills()[0]
    assert bill.exact_of("demand-charge") == 2
    assert next(item for item in bill.items if item.kind == "demand-charge").peak_kw == 4


# -- sharing -------------------------------------------------------------------------------------------


def test_a_shared_day_by_hand() -> None:
    terms = terms_of(["0.30", "0.20"], [SELL] * 2)
    net = np.array([[4.0, 1.0], [1.0, -3.0], [-3.0, 0.0]])
    # slot 0: 2 imported, 0.60; slot 1: 2 exported, 0.20. pb = 0.60/6, ps = 0.20/6
    case = Case(terms, Clearing(np.array([0.2, 0.15]), shared_by_day=True), net)
    operation, _ = case.settle()
    sharing = [e for e in operation.ledger if e.kind == "sharing"]
    assert sum(e.paid_eur(e.member) for e in sharing) == 0
    assert all("community" in (e.debit, e.credit) and e.slot == 1 and e.energy_kwh == 0 for e in sharing)
    for bill, taken, given in zip(operation.bills(), (5, 1, 0), (0, 3, 3), strict=True):
        assert abs(bill.exact_eur - (D("0.1") * taken - D("0.2") / 6 * given)) < D("2e-18")
    assert sum(bill.exact_eur for bill in operation.bills()) == D("0.40")
    np.testing.assert_allclose(
        expected_bills_eur(net, case.clearing, case.tariff), [0.5, 0.0, -0.1], rtol=0, atol=1e-12
    )


def test_sharing_leaves_contracts_as_they_are() -> None:
    contract = Contract(1, 0, np.array([2.0]), np.array([0.25]))
    case = Case(
        terms_of([BUY], [SELL]),
        Clearing(np.array([0.2]), (contract,), shared_by_day=True),
        np.array([[3.0], [-3.0], [2.0]]),
    )
    # beside the contract 1 + 2 taken, 1 given, 2 imported: 0.60 / 3 a kWh, and nothing for what is given
    assert [bill.exact_eur for bill in case.bills()] == [D("0.50") + D("0.20"), D("-0.50"), D("0.40")]


def test_who_took_nothing_or_gave_nothing_shares_nothing() -> None:
    case = Case(
        terms_of([BUY], [SELL]), Clearing(np.array([0.2]), shared_by_day=True), np.array([[0.0], [-1.0]])
    )
    assert [bill.exact_eur for bill in case.bills()] == [0, D("-0.10")]
    negative = Case(
        terms_of(["-0.30"], ["-0.40"]),
        Clearing(np.array([-0.35]), shared_by_day=True),
        np.array([[1.0], [2.0]]),
    )
    assert [bill.exact_eur for bill in negative.bills()] == [D("-0.30"), D("-0.60")]


# -- bills ---------------------------------------------------------------------------------------------


def test_the_lines_of_a_bill_add_up_to_its_cents() -> None:
    grid = GridTerms(local_fee_eur_per_kwh=D("0.017"), demand_charge_eur_per_kw=D("0.011"))
    contract = Contract(1, 0, np.array([0.7]), np.array([0.183]))
    operation, _ = one_slot([1.3, -1.1, 0.9], grid, contracts=[contract]).settle()
    found = operation.bills()
    assert [[item.kind for item in bill.items] for bill in found] == [
        ["contract-purchase", "local-purchase", "grid-import", "local-fee", "demand-charge"],
        ["contract-sale", "local-sale", "local-fee"],
        ["local-purchase", "grid-import", "local-fee", "demand-charge"],
    ]
    for bill in found:
        assert sum(item.amount_eur for item in bill.items) == bill.amount_eur
        assert sum(item.exact_eur for item in bill.items) == bill.exact_eur
        for item in bill.items:
            assert abs(item.amount_eur - item.exact_eur) < D("0.01")
    assert found[0].contract_purchase_kwh == D("0.7")
    assert found[0].local_purchase_kwh == D("0.7") + D("0.16")  # 0.4 for 0.6 and 0.9 wanted
    assert bills(0, ["nobody"], [])[0].items == []


def test_cents_can_be_made_to_add_up_to_what_the_bill_says() -> None:
    parts = {"a": D("0.004"), "b": D("0.004"), "c": D("-0.50")}
    assert round_to_cents(parts) == {"a": D("0.01"), "b": D("0.00"), "c": D("-0.50")}
    assert round_to_cents(parts, D("-0.50")) == {"a": D("0.00"), "b": D("0.00"), "c": D("-0.50")}


# -- opting out ----------------------------------------------------------------------------------------


class Insisting(Told):
    """Clears the same, whatever the positions; looks three times who is better off alone."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.parameters = self.parameters.model_copy(update={"opt_out_passes": 3})


def test_who_goes_back_takes_its_contracts_with_it() -> None:
    tariff = one_slot([0.0], GridTerms()).tariff
    dear = Contract(1, 0, np.array([1.0]), np.array([0.35]))  # above the grid's 0.30
    fair = Contract(1, 2, np.array([1.0]), np.array([0.20]))
    told = Clearing(np.array([np.nan]), (dear, fair))
    agreed = np.array([[1.0], [-2.0], [1.0]])
    leaving, clearing = who_opts_out(Insisting(tariff, 3, told), agreed, agreed.copy())
    assert leaving == {0}
    assert clearing.contracts == (fair,)


def test_a_charge_for_the_limit_that_alone_would_be_there_too_drives_nobody_out() -> None:
    grid = GridTerms(import_limit_kw=D(2), excess_price_eur_per_kwh=D(1))
    tariff = one_slot([0.0], grid).tariff
    alone = np.array([[3.0], [1.0], [-1.0]])
    agreed = np.array([[2.5], [1.0], [-1.0]])  # dearer by nothing, half the excess
    mechanism = Insisting(tariff, 3, Clearing(np.array([0.2])))
    assert who_opts_out(mechanism, agreed, alone)[0] == frozenset()
    # bills with the charge are above the grid's tariffs alone, which is not what is compared
    at_the_grid_eur = tariff.grid_cost_eur(alone).sum(axis=1)
    assert (expected_bills_eur(agreed, mechanism.clear(agreed), tariff) > at_the_grid_eur)[:2].all()

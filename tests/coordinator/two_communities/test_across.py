"""Trade between two communities as one of them sees it: hand-worked bills, denials, opting out."""

from __future__ import annotations

import numpy as np
import pytest

from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Clearing, Contract, Mechanism, OtherCommunity
from coordinator.trades import ReportedTrade
from coordinator.two_communities.across import OptingOut, bills_beside_eur, contracts_across, relayed_trades
from runtime.protocol.bargain_bodies import AgreedTrade
from runtime.protocol.community_bodies import RelayedTrades

TARIFF = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
POOL = np.array([0.2, 0.2])


def other(demand: list[float], supply: list[float]) -> OtherCommunity:
    return OtherCommunity(1, np.array(demand), np.array(supply), POOL)


def trade(partner: str, energy: list[float], price: float = 0.25) -> ReportedTrade:
    return ReportedTrade(partner, np.array(energy), np.full(len(energy), price))


class Settled(Mechanism):
    """Terms that are what they are."""

    def __init__(self, *contracts: Contract) -> None:
        self.tariff, self._clearing = TARIFF, Clearing(POOL, contracts)

    def respond(self, answers):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def clear(self, net_kwh: np.ndarray) -> Clearing:
        return self._clearing


def test_what_the_other_community_takes_is_paid_the_pool_s_price_and_the_rest_the_grid_s() -> None:
    # slot 0: 3 given, 2 of it to the other's pool; slot 1: the other has something over too
    net = np.array([[-3.0, -1.0]])
    bills = bills_beside_eur(net, Clearing(POOL), TARIFF, other([2, 0], [0, 4]))
    assert bills == pytest.approx([-(2 * 0.2 + 1 * 0.1) - 1 * 0.1])


def test_a_contract_across_counts_at_its_own_price_and_is_no_part_of_the_pool() -> None:
    contract = Contract(0, 1, np.array([1.0, 0.0]), np.array([0.25, 0.0]))
    net = np.array([[-3.0, 0.0]])
    # the other takes 2 in all, 1 of it by contract
    bills = bills_beside_eur(net, Clearing(POOL, (contract,)), TARIFF, other([2, 0], [0, 0]))
    assert bills == pytest.approx([-(1 * 0.25 + 1 * 0.2 + 1 * 0.1)])
    alone = bills_beside_eur(net, Clearing(POOL, (contract,)), TARIFF, None)
    assert alone == pytest.approx([-3 * 0.1])


def test_what_both_sides_report_alike_is_a_contract() -> None:
    reports = {"a": [trade("x", [1.0, -2.0])]}
    relayed = relayed_trades(0, {"x": [trade("a", [-1.0, 2.0])]}, ["x"])
    contracts, notes = contracts_across(reports, relayed, ["a"], ["x"], TARIFF)
    assert notes == []
    assert [(each.seller, each.buyer, each.energy_kwh.tolist()) for each in contracts] == [
        (1, 0, [1.0, 0.0]),
        (0, 1, [0.0, 2.0]),
    ]


@pytest.mark.parametrize(
    ("told", "noted"),
    [
        ([], "a and x report no trade alike"),
        ([trade("a", [-1.0, 0.0], price=0.26)], "a and x report no trade alike"),
        ([trade("b", [-1.0, 0.0])], "x reports a trade with 'b', who is not here"),
    ],
)
def test_what_the_other_side_denies_is_no_contract(told: list[ReportedTrade], noted: str) -> None:
    reports = {"a": [trade("x", [1.0, 0.0])]}
    contracts, notes = contracts_across(reports, relayed_trades(0, {"x": told}, ["x"]), ["a"], ["x"], TARIFF)
    assert contracts == ()
    assert any(noted in note for note in notes)


def test_slots_that_there_are_not_are_no_trade() -> None:
    beyond = AgreedTrade(partner="a", slots=[7], purchase_kwh=[0.0], sale_kwh=[1.0], price_eur_per_kwh=[0.2])
    relayed = [RelayedTrades(session=0, member="x", trades=[beyond])]
    contracts, notes = contracts_across({}, relayed, ["a"], ["x"], TARIFF)
    assert (contracts, notes) == ((), ["x reports trades in slots that there are not"])


def test_who_would_pay_more_than_alone_goes_back_and_its_contracts_with_it() -> None:
    dear = Contract(1, 0, np.array([1.0, 0.0]), np.array([0.3, 0.0]))
    agreed, alone = np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])
    opting_out = OptingOut(Settled(dear), agreed, alone, ["a"], ["x"])
    assert opting_out.look(other([0, 0], [1, 0]), [])
    assert opting_out.leaving == {0}
    assert opting_out.positions_kwh.tolist() == alone.tolist()
    assert opting_out.clearing.contracts == ()
    assert not opting_out.look(other([0, 0], [1, 0]), []), "it has gone already"


def test_contracts_with_who_has_gone_back_over_there_are_cancelled() -> None:
    contracts = [
        Contract(1, 0, np.array([1.0, 0.0]), np.array([0.2, 0.0])),
        Contract(2, 0, np.array([1.0, 0.0]), np.array([0.2, 0.0])),
    ]
    net = np.array([[2.0, 0.0]])
    opting_out = OptingOut(Settled(*contracts), net, net, ["a"], ["x", "y"])
    assert not opting_out.look(other([0, 0], [2, 0]), ["x"])
    assert opting_out.clearing.contracts == (contracts[1],)
    opting_out.cancel(None, [])
    assert opting_out.clearing.contracts == (), "without the other community there is no contract across"


def test_only_contracts_that_both_coordinators_have_alike_are_confirmed() -> None:
    contracts = [
        Contract(1, 0, np.array([1.0, 0.0]), np.array([0.2, 0.0])),
        Contract(0, 2, np.array([0.0, 1.0]), np.array([0.0, 0.2])),
    ]
    net = np.array([[1.0, -1.0]])
    opting_out = OptingOut(Settled(*contracts), net, net, ["a"], ["x", "y"])
    told = opting_out.digests
    assert sorted(told) == ["a>y", "x>a"]
    assert not opting_out.confirm(told)
    assert opting_out.confirm({**told, "x>a": "0" * 16})
    assert opting_out.clearing.contracts == (contracts[1],)

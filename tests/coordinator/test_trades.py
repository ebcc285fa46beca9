"""Reported trades: only what both sides say alike, and what is allowed, becomes a contract."""

from __future__ import annotations

import numpy as np
import pytest

from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Answers, Bargain, mechanism_for
from coordinator.trades import ReportedTrade, matched_contracts, reported_trade
from runtime.errors import InputError, ProtocolError
from runtime.protocol.bargain_bodies import AgreedTrade

MEMBERS = ["a", "b", "c"]
TARIFF = CommunityTariff.of([0.3, 0.3, 0.3], [0.1, 0.1, 0.29], 0.25, local_fee_eur_per_kwh=0.02)


def trade(partner: str, energy: list[float], price: float | list[float] = 0.2) -> ReportedTrade:
    prices = [price] * 3 if isinstance(price, float) else price
    return ReportedTrade(partner, np.array(energy), np.array(prices))


AGREED = {"a": [trade("b", [1.0, -0.5, 0.0])], "b": [trade("a", [-1.0, 0.5, 0.0])]}


def test_what_both_report_becomes_a_contract_from_seller_to_buyer() -> None:
    contracts, notes = matched_contracts(AGREED, MEMBERS, TARIFF)
    assert notes == []
    told = {
        (each.seller, each.buyer): (each.energy_kwh.tolist(), each.price_eur_per_kwh[0]) for each in contracts
    }
    assert set(told) == {(1, 0), (0, 1)}
    assert told[1, 0] == ([1.0, 0.0, 0.0], 0.2)
    assert told[0, 1][0] == [0.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("theirs", "left"),
    [
        ([trade("a", [-1.0, 0.4, 0.0])], [1.0, 0.0, 0.0]),  # another energy in one slot
        ([trade("a", [-1.0, 0.5, 0.0], [0.2, 0.21, 0.2])], [1.0, 0.0, 0.0]),  # another price there
        ([trade("a", [1.0, 0.5, 0.0])], [0.0, -0.5, 0.0]),  # the same direction as the other
        ([trade("a", [-1.0, 0.5, np.nan])], [1.0, -0.5, 0.0]),
        ([trade("a", [-1.0, 0.5, 0.0], [np.nan, 0.2, 0.2])], [0.0, -0.5, 0.0]),
        ([trade("a", [-1.000000001, 0.5, 0.0])], [0.0, -0.5, 0.0]),
        ([], [0.0, 0.0, 0.0]),  # denied
        ([trade("a", [-1.0, 0.5, 0.0]), trade("a", [-1.0, 0.5, 0.0])], [0.0, 0.0, 0.0]),  # said twice
        ([trade("c", [-1.0, 0.5, 0.0])], [0.0, 0.0, 0.0]),  # with somebody else
    ],
)
def test_what_the_other_side_denies_does_not_count_and_is_named(
    theirs: list[ReportedTrade], left: list[float]
) -> None:
    contracts, notes = matched_contracts({"a": AGREED["a"], "b": theirs}, MEMBERS, TARIFF)
    taken = np.zeros(3)
    for each in contracts:
        assert {each.seller, each.buyer} == {0, 1}
        taken += each.energy_kwh * (1 if each.buyer == 0 else -1)
    assert taken.tolist() == left
    assert notes


def test_a_third_member_cannot_claim_in_anothers_name_nor_change_its_trades() -> None:
    liar = {
        "c": [trade("a", [-1.0, 0.5, 0.0]), trade("c", [1.0, 0.0, 0.0]), trade("nobody", [1.0, 0.0, 0.0])]
    }
    contracts, notes = matched_contracts(AGREED | liar, MEMBERS, TARIFF)
    honest, _ = matched_contracts(AGREED, MEMBERS, TARIFF)
    assert [(c.seller, c.buyer, c.energy_kwh.tolist()) for c in contracts] == [
        (c.seller, c.buyer, c.energy_kwh.tolist()) for c in honest
    ]
    assert len(notes) == 3


def test_prices_worse_than_the_grids_and_suspended_slots_do_not_count() -> None:
    assert TARIFF.suspended.tolist() == [False, False, True]
    for price, counts in ((0.29, True), (0.291, False), (0.11, True), (0.109, False), (50.0, False)):
        reports = {"a": [trade("b", [1.0, 0.0, 1.0], price)], "b": [trade("a", [-1.0, 0.0, -1.0], price)]}
        contracts, notes = matched_contracts(reports, MEMBERS, TARIFF)
        assert [each.energy_kwh.tolist() for each in contracts] == ([[1.0, 0.0, 0.0]] if counts else [])
        assert notes


def test_a_told_trade_is_laid_out_over_all_slots() -> None:
    told = AgreedTrade(
        partner="b", slots=[0, 2], purchase_kwh=[1.0, 0.0], sale_kwh=[0.0, 2.0], price_eur_per_kwh=[0.2, 0.25]
    )
    laid_out = reported_trade(told, 3)
    assert laid_out.energy_kwh.tolist() == [1.0, 0.0, -2.0]
    assert laid_out.price_eur_per_kwh.tolist() == [0.2, 0.0, 0.25]
    with pytest.raises(ProtocolError, match="slot 2 is not one of 2"):
        reported_trade(told, 2)


def test_the_mechanism_has_members_bargain_once_and_settles_their_contracts() -> None:
    mechanism = mechanism_for("bilateral", {"max_rounds": 7, "tolerance": 0.1})(TARIFF, 2)
    net = np.array([[1.0, -0.5, 0.0], [-1.0, 0.5, 0.0]])
    call = mechanism.respond(Answers(net))
    assert isinstance(call, Bargain)
    assert (call.max_rounds, call.tolerance_kwh) == (7, pytest.approx(0.05))
    assert (call.penalty_eur_per_kwh2 > 0).all()
    contracts, _ = matched_contracts(AGREED, MEMBERS[:2], TARIFF)
    agreed = mechanism.respond(Answers(net, contracts=contracts))
    assert (agreed.round, mechanism.clear(net).contracts) == (1, contracts)
    assert np.isnan(mechanism.clear(net).local_price_eur_per_kwh).all()


@pytest.mark.parametrize(("members", "net"), [(1, [[1.0, 0.0, 0.0]]), (2, [[0.0] * 3, [0.0] * 3])])
def test_without_anything_to_trade_nobody_bargains(members: int, net: list[list[float]]) -> None:
    mechanism = mechanism_for("bilateral", {})(TARIFF, members)
    assert mechanism.respond(Answers(np.array(net))).round == 0


def test_more_trades_than_a_report_has_room_for_are_an_error_of_the_scenario() -> None:
    with pytest.raises(InputError, match="found 2000 members that would bargain over 3 slots"):
        mechanism_for("bilateral", {})(TARIFF, 2000)

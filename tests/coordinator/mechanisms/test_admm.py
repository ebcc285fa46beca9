"""ADMM and the block tariff: which round comes when, what is told, how it is cleared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms import Agreed, Answers, Clearing, InTurn, Signal, mechanism_for
from coordinator.mechanisms.pool_cost import PoolCost
from tests.coordinator.mechanisms.markets import markets

TARIFF = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
FIRST = np.array([[2.0, -1.0], [1.0, -2.0], [0.5, 0.5]])


def mechanism(
    name: str = "admm", tariff: CommunityTariff = TARIFF, members: int = 3, **parameters: Any
) -> Any:
    return mechanism_for(name, parameters)(tariff, members)


def play(market: Any, rng: np.random.Generator, net_kwh: np.ndarray) -> tuple[list[Any], Agreed]:
    """Answer with positions that wander; members asked in turn move one after the other."""
    calls = []
    for _ in range(1000):
        call = market.respond(Answers(net_kwh.copy()))
        if isinstance(call, Agreed):
            return calls, call
        calls.append(call)
        asked = call.order if isinstance(call, InTurn) else range(len(net_kwh))
        for member in asked:
            if isinstance(call, InTurn):
                market.turn(member, net_kwh.copy())
            net_kwh[member] += rng.normal(0, 0.3, net_kwh.shape[1])
    raise AssertionError("the rounds did not come to an end")


def test_the_kinds_of_round_follow_each_other_and_all_together_keep_the_limit() -> None:
    market = mechanism(max_rounds=9, price_rounds=3, smoothed_turns=4, tolerance=0.0)
    calls, _ = play(market, np.random.default_rng(1), FIRST.copy())
    kinds = [type(call).__name__ for call in calls]
    assert kinds[:7] == ["Signal"] * 3 + ["InTurn"] * 4
    assert len(calls) <= 9


@pytest.mark.parametrize("max_rounds", range(5))
def test_the_last_round_is_kept_for_a_block_tariff(max_rounds: int) -> None:
    market = mechanism(max_rounds=max_rounds)
    calls, _ = play(market, np.random.default_rng(1), FIRST.copy())
    assert len(calls) == max_rounds
    assert all(isinstance(call, Signal) for call in calls[:-1][:3])
    assert not calls or isinstance(calls[-1], InTurn)


def test_the_first_price_by_hand() -> None:
    market = mechanism(damping=0.5)
    net_kwh = np.array([[3.0, -1.5], [0.0, 0.0], [0.0, 0.0]])  # 4.5 kWh over 6: mean 0.75
    weight = 0.5 * 0.2 / 0.75
    told = market.respond(Answers(net_kwh))
    # z = argmin g(z) + w/2 (z − Q − p/w)², w = weight / 3, p = 0.2: Q + (p − slope)/w is beyond 0 in both.
    dual = weight / 3
    assert 3.0 + (0.2 - 0.3) / dual > 0
    energy = np.array([3.0 - 0.1 / dual, min(-1.5 + 0.1 / dual, 0.0)])
    price = np.array([0.3, 0.2 + dual * (-1.5 - energy[1])])
    expected = price + dual * (np.array([3.0, -1.5]) - energy)
    assert told.proximal_weight_eur_per_kwh2 == pytest.approx(weight)
    assert told.import_price_eur_per_kwh == pytest.approx(expected)
    assert told.export_price_eur_per_kwh == pytest.approx(expected)


def test_the_second_price_is_over_relaxed() -> None:
    pool, weight = PoolCost.of(TARIFF), 0.5 * 0.2 / np.abs(FIRST).mean()
    first, second = FIRST.sum(axis=0), FIRST.sum(axis=0) + np.array([0.2, 0.4])
    energy, price = pool.proximal(first, np.full(2, 0.2), weight / 3)
    energy, price = pool.proximal(1.5 * second - 0.5 * energy, price, weight / 3)
    market = mechanism(damping=0.5, over_relaxation=1.5)
    market.respond(Answers(FIRST))
    told = market.respond(Answers(FIRST + np.array([[0.2, 0.4], [0.0, 0.0], [0.0, 0.0]])))
    assert told.import_price_eur_per_kwh == pytest.approx(price + weight / 3 * (second - energy))


def test_a_smoothed_turn_sees_the_answers_before_it_and_a_block_tariff_is_exact() -> None:
    market = mechanism(price_rounds=0, smoothed_turns=1, max_rounds=3)
    assert isinstance(market.respond(Answers(FIRST)), InTurn)
    short, long = FIRST.copy(), FIRST.copy()
    long[1] += 1.0
    at_short, at_long = market.turn(0, short), market.turn(0, long)
    assert (at_long.import_price_eur_per_kwh >= at_short.import_price_eur_per_kwh).all()
    assert (at_long.import_price_eur_per_kwh > at_short.import_price_eur_per_kwh).any()
    assert at_long.proximal_weight_eur_per_kwh2 > 0
    assert not at_long.steps
    assert isinstance(market.respond(Answers(long)), InTurn)
    exact, expected = market.turn(0, long), PoolCost.of(TARIFF).block_signal(long[1:].sum(axis=0))
    assert exact.proximal_weight_eur_per_kwh2 == 0
    assert exact.import_price_eur_per_kwh == pytest.approx(expected.import_price_eur_per_kwh)
    assert exact.steps[0].threshold_kwh == pytest.approx(-long[1:].sum(axis=0))


def test_members_that_never_move_are_not_asked_in_turn_but_late_ones_are() -> None:
    market = mechanism(price_rounds=2, tolerance=0.0)
    net_kwh = FIRST.copy()
    market.respond(Answers(net_kwh.copy()))
    for _ in range(2):
        net_kwh[0] += 0.1
        call = market.respond(Answers(net_kwh.copy(), late=frozenset([2])))
    assert isinstance(call, InTurn)
    assert call.order == (0, 2)


def test_whoever_moved_most_is_asked_first() -> None:
    market = mechanism(price_rounds=1, tolerance=0.0)
    net_kwh = FIRST.copy()
    market.respond(Answers(net_kwh.copy()))
    net_kwh[:, 0] += [0.1, 0.5, 0.3]
    assert market.respond(Answers(net_kwh)).order == (1, 2, 0)


def test_a_community_in_which_nobody_can_move_agrees_at_once() -> None:
    market = mechanism()
    answers = [market.respond(Answers(FIRST.copy())) for _ in range(4)]
    assert isinstance(answers[0], Signal)
    assert answers[-1] == Agreed(0)


def test_without_energy_or_without_anything_to_be_gained_round_0_is_agreed_on() -> None:
    assert mechanism().respond(Answers(np.zeros((3, 2)))) == Agreed(0)
    flat = CommunityTariff.of([0.3, 0.3], [0.3, 0.3], 1.0)
    assert mechanism(tariff=flat).respond(Answers(FIRST)) == Agreed(0)


@given(markets(limited=True), st.sampled_from(["admm", "block-tariff"]), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_cheapest_round_is_agreed_on_prices_are_finite_and_local_ones_between_the_pools_tariffs(
    market: tuple[np.ndarray, CommunityTariff], name: str, seed: int
) -> None:
    net_kwh, tariff = market
    made = mechanism(name, tariff, len(net_kwh))
    costs = []
    respond = made.respond

    def noted(answers: Answers) -> Any:
        costs.append(tariff.cost_eur(answers.net_kwh))
        call = respond(answers)
        if isinstance(call, Signal):
            assert np.isfinite(call.import_price_eur_per_kwh).all()
            assert np.isfinite(call.export_price_eur_per_kwh).all()
        return call

    made.respond = noted
    calls, agreed = play(made, np.random.default_rng(seed), net_kwh.copy())
    assert len(calls) <= made.parameters.max_rounds
    assert costs[agreed.round] <= min(costs) + 1e-8
    local = made.clear(net_kwh).local_price_eur_per_kwh
    open_ = ~tariff.suspended
    assert np.isnan(local[~open_]).all()
    assert (local[open_] >= tariff.pool_export_price_eur_per_kwh[open_] - 1e-9).all()
    assert (local[open_] <= tariff.pool_import_price_eur_per_kwh[open_] + 1e-9).all()


def test_a_slot_that_imports_is_cleared_at_the_import_tariff_and_one_that_exports_at_the_feed_in() -> None:
    market = mechanism("block-tariff", CommunityTariff.of([0.3] * 3, [0.1] * 3, 1.0), 2)
    local = market.clear(np.array([[2.0, 1.0, 1.0], [-1.0, -2.0, -1.0]])).local_price_eur_per_kwh
    assert local == pytest.approx([0.3, 0.1, 0.2])  # balanced: the middle, for want of a dual price


def test_a_member_that_hardly_gains_is_not_left_worse_off_by_inexact_prices() -> None:
    market = mechanism("block-tariff", members=2)
    alone = np.array([[0.19 / 0.3, 0.0], [-2.0, 1.0]])
    market.respond(Answers(alone))
    net_kwh = np.array([[2.0, -1.0], [-2.0, 1.0]])
    at_the_middle = expected_bills_eur(net_kwh, Clearing(np.full(2, 0.2)), TARIFF)[0]
    assert at_the_middle == pytest.approx(0.2), "a cent more than alone"
    fair = expected_bills_eur(net_kwh, market.clear(net_kwh), TARIFF)[0]
    assert fair <= bills_without_trade_eur(alone, TARIFF)[0]
    assert fair == pytest.approx(0.19, abs=1e-7)

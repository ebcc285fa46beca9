"""Prices at which nobody is worse off, as near as can be to those found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms.base import Clearing
from coordinator.mechanisms.fair_prices import fair_clearing, nearest_change, traded_kwh

BOUND = np.array([0.1, 0.1])


def test_the_nearest_change_by_hand() -> None:
    # Buys 1 and 2 kWh and is to pay 0.05 less: against the normal (1, 2) by 0.05/5.
    change = nearest_change(np.array([[1.0, 2.0]]), np.array([-0.05]), -BOUND, BOUND)
    assert change == pytest.approx([-0.01, -0.02], abs=1e-9)


def test_a_bound_is_kept_and_the_rest_falls_on_the_other_slot() -> None:
    low = np.array([-0.1, -0.01])
    change = nearest_change(np.array([[1.0, 2.0]]), np.array([-0.05]), low, BOUND)
    assert change == pytest.approx([-0.03, -0.01], abs=1e-9)


def test_where_nothing_has_to_change_nothing_does() -> None:
    assert not nearest_change(np.array([[1.0, 2.0]]), np.array([0.05]), -BOUND, BOUND).any()


@given(st.integers(0, 10**6))
@example(3136)  # where passes are slow
@settings(max_examples=50, deadline=None)
def test_the_change_is_the_projection(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energy = rng.normal(size=(3, 4))
    low, high = -rng.uniform(0, 0.05, 4), rng.uniform(0, 0.05, 4)
    inside = rng.uniform(low, high)
    room = energy @ inside + rng.uniform(0, 0.005, 3)
    change = nearest_change(energy, room, low, high)
    assert (energy @ change <= room + 1e-8).all()
    assert (change >= low).all()
    assert (change <= high).all()
    # Variational inequality of a projection: no feasible point lies in the direction of the origin.
    nearest = linprog(change, A_ub=energy, b_ub=room + 1e-12, bounds=np.stack([low, high], axis=1))
    assert float(change @ change) <= nearest.fun + 1e-7


def test_a_member_a_little_worse_off_is_not_any_more_and_the_others_hardly_notice() -> None:
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    net = np.array([[2.0, -1.0], [-2.0, 1.0]])  # the first shifts a kWh with losses, and gains nothing
    alone = np.array([[1.0, -0.1], [-2.0, 1.0]])
    clearing = Clearing(np.array([0.2, 0.2]))
    room = bills_without_trade_eur(alone, tariff) - expected_bills_eur(net, clearing, tariff)
    alone[0, 0] -= (room[0] + 0.01) / 0.3
    before = bills_without_trade_eur(alone, tariff) - expected_bills_eur(net, clearing, tariff)
    assert before[0] == pytest.approx(-0.01)
    fair = fair_clearing(clearing, net, alone, tariff)
    after = bills_without_trade_eur(alone, tariff) - expected_bills_eur(net, fair, tariff)
    assert after[0] >= 0
    assert after[0] < 1e-6
    assert after.sum() == pytest.approx(before.sum())
    assert np.abs(fair.local_price_eur_per_kwh - 0.2).max() < 0.01


def test_prices_stay_where_nobody_is_worse_off_and_where_it_cannot_be_helped() -> None:
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    net = np.array([[2.0, -1.0], [-2.0, 1.0]])
    clearing = Clearing(np.array([0.2, np.nan]))
    assert fair_clearing(clearing, net, net, tariff) is clearing
    cheap_alone = np.array([[0.1, -1.0], [-2.0, 1.0]])
    assert fair_clearing(clearing, net, cheap_alone, tariff) is clearing


def test_what_is_traded_is_rationed_on_the_long_side() -> None:
    assert traded_kwh(np.array([[3.0], [1.0], [-2.0]])) == pytest.approx(np.array([[1.5], [0.5], [-2.0]]))

"""Mechanisms: prices against the formulas, budgets, and what a scenario may ask for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from coordinator.costs import CommunityTariff
from coordinator.expected import average_prices
from coordinator.mechanisms import Agreed, Answers, Signal, mechanism_for
from coordinator.mechanisms.mid_market_rate import mid_market_price_eur_per_kwh
from runtime.errors import InputError
from runtime.mechanisms import mechanism_names


def tariffs(buy: list[float], sell: list[float]) -> CommunityTariff:
    return CommunityTariff.of(buy, sell, 0.25)


def mid_market_prices(net_kwh: np.ndarray, tariff: CommunityTariff) -> tuple[np.ndarray, np.ndarray]:
    prices = average_prices(net_kwh, mid_market_price_eur_per_kwh(tariff), tariff)
    return prices.import_price_eur_per_kwh, prices.export_price_eur_per_kwh


@st.composite
def markets(draw: st.DrawFn) -> tuple[np.ndarray, CommunityTariff]:
    members, slots = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    energy = st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 6))
    net_kwh = draw(arrays.arrays(float, (members, slots), elements=energy))
    price = st.floats(-0.5, 1).map(lambda value: round(value, 4))
    buy, sell = (draw(arrays.arrays(float, slots, elements=price)) for _ in range(2))
    return net_kwh, CommunityTariff.of(buy, sell, 0.25)


def paid_eur(net_kwh: np.ndarray, buy: np.ndarray, sell: np.ndarray) -> np.ndarray:
    return np.where(net_kwh > 0, net_kwh * buy, net_kwh * sell)


@given(markets())
def test_at_mid_market_prices_members_pay_exactly_what_the_community_pays(
    market: tuple[np.ndarray, CommunityTariff],
) -> None:
    net_kwh, grid = market
    paid = paid_eur(net_kwh, *mid_market_prices(net_kwh, grid)).sum()
    assert paid == pytest.approx(grid.cost_eur(net_kwh), rel=1e-9, abs=1e-9)


@given(markets())
def test_at_mid_market_prices_nobody_pays_more_than_at_the_grid(
    market: tuple[np.ndarray, CommunityTariff],
) -> None:
    net_kwh, grid = market
    alone = paid_eur(net_kwh, grid.import_price_eur_per_kwh, grid.export_price_eur_per_kwh)
    assert (paid_eur(net_kwh, *mid_market_prices(net_kwh, grid)) <= alone + 1e-9).all()


@pytest.mark.parametrize(
    ("net_kwh", "paid", "earned"),
    [
        ([4.0, -1.0], (0.2 * 1 + 0.3 * 3) / 4, 0.2),  # D > S: sellers earn m, buyers pay the mix
        ([1.0, -4.0], 0.2, (0.2 * 1 + 0.1 * 3) / 4),  # S > D: buyers pay m, sellers earn the mix
        ([2.0, -2.0], 0.2, 0.2),  # D = S
        ([2.0, 1.0], 0.3, 0.2),  # S = 0: buyers pay the grid's price; who fed in would earn m
        ([-2.0, -1.0], 0.2, 0.1),  # D = 0: sellers earn the feed-in tariff; who took energy would pay m
        ([0.0, 0.0], 0.3, 0.1),  # nobody there to trade with
    ],
)
def test_mid_market_prices_by_hand(net_kwh: list[float], paid: float, earned: float) -> None:
    prices = mid_market_prices(np.array(net_kwh)[:, None], tariffs([0.3], [0.1]))
    assert (float(prices[0][0]), float(prices[1][0])) == pytest.approx((paid, earned))


def test_a_suspended_slot_keeps_the_tariffs_and_equal_tariffs_are_no_reason_to_suspend() -> None:
    grid = tariffs([0.05, 0.05, 0.3], [0.07, 0.05, 0.1])
    assert grid.suspended.tolist() == [True, False, False]
    buy, sell = mid_market_prices(np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]), grid)
    assert buy.tolist() == pytest.approx([0.05, 0.05, 0.2])
    assert sell.tolist() == pytest.approx([0.07, 0.05, 0.2])


def test_local_price_is_the_middle_or_none() -> None:
    grid = tariffs([0.3, 0.1, 0.1], [0.1, 0.1, 0.100000001])
    net_kwh = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    local = mechanism_for("mid-market-rate", {})(grid, 2).clear(net_kwh).local_price_eur_per_kwh
    assert local[:2].tolist() == [0.2, 0.1]
    assert np.isnan(local[2])
    assert np.isnan(mechanism_for("grid-only", {})(grid, 2).clear(net_kwh).local_price_eur_per_kwh).all()


def test_rounds_end_when_positions_stand_still_and_the_cheapest_round_is_agreed_on() -> None:
    market = mechanism_for("mid-market-rate", {"max_rounds": 9, "damping": 0.25, "damping_growth": 1.3})(
        tariffs([0.3, 0.3], [0.1, 0.1]), 2
    )
    cheap, dear = np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([[3.0, 1.0], [-1.0, -1.0]])
    first = market.respond(Answers(dear))
    assert isinstance(first, Signal)
    assert first.proximal_weight_eur_per_kwh2 == pytest.approx(0.25 * 0.2 / 1.5)
    second = market.respond(Answers(cheap))
    assert isinstance(second, Signal)
    assert second.proximal_weight_eur_per_kwh2 == pytest.approx(1.3 * first.proximal_weight_eur_per_kwh2)
    assert isinstance(market.respond(Answers(dear)), Signal)
    agreed = market.respond(Answers(dear))
    assert isinstance(agreed, Agreed)
    assert agreed.round == 1


def test_rounds_end_at_their_limit() -> None:
    market = mechanism_for("mid-market-rate", {"max_rounds": 2})(tariffs([0.3], [0.1]), 2)
    positions = [np.array([[float(number)], [-1.0]]) for number in range(1, 5)]
    answers = [market.respond(Answers(position)) for position in positions[:3]]
    assert [type(answer) for answer in answers] == [Signal, Signal, Agreed]


def test_a_community_without_energy_agrees_at_once() -> None:
    market = mechanism_for("mid-market-rate", {})(tariffs([0.3], [0.1]), 2)
    assert isinstance(market.respond(Answers(np.zeros((3, 1)))), Agreed)


def test_grid_only_agrees_on_round_0_at_the_tariffs() -> None:
    market = mechanism_for("grid-only", {})(tariffs([0.3], [0.1]), 2)
    assert market.respond(Answers(np.array([[1.0], [-1.0]]))) == Agreed(0)


def test_an_unknown_mechanism_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"mechanism\.name: found 'mid-market'.*mid-market-rate"):
        mechanism_for("mid-market", {})
    assert {"grid-only", "mid-market-rate"} <= set(mechanism_names())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_round": 3}, r"mechanism\.max_round: unknown parameter, found 3.*max_rounds"),
        ({"damping": -0.1}, r"mechanism\.damping: .*found -0\.1"),
        ({"damping_growth": 0.5}, r"mechanism\.damping_growth: "),
        ({"max_rounds": 2.5}, r"mechanism\.max_rounds: .*found 2\.5"),
        ({"tolerance": float("nan")}, r"mechanism\.tolerance: .*found nan"),
        ({"tolerance": "small"}, r"mechanism\.tolerance: .*found 'small'"),
    ],
)
def test_a_parameter_that_will_not_do_is_refused_with_its_name(
    parameters: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        mechanism_for("mid-market-rate", parameters)


def test_every_mechanism_has_a_name_a_class_and_says_what_it_is() -> None:
    for name in mechanism_names():
        market = mechanism_for(name, {})(tariffs([0.3], [0.1]), 2)
        assert market.parameters_model.model_config["extra"] == "forbid"

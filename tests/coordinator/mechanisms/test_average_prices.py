"""Mid-market rate, supply–demand ratio and bill sharing: formulas, edge cases, budget, damping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.expected import (
    AveragePrices,
    bills_without_trade_eur,
    expected_bills_eur,
    expected_prices,
)
from coordinator.mechanisms import Agreed, Answers, Clearing, Signal, mechanism_for
from coordinator.mechanisms.average_price_rounds import AveragePriceMechanism
from tests.coordinator.mechanisms.markets import markets

NAMES = ["mid-market-rate", "supply-demand-ratio", "bill-sharing"]


def mechanism(name: str, tariff: CommunityTariff, members: int = 2, **parameters: Any) -> Any:
    made = mechanism_for(name, parameters)(tariff, members)
    assert isinstance(made, AveragePriceMechanism)
    return made


def column(*net_kwh: float) -> np.ndarray:
    return np.array(net_kwh)[:, None]


def paid_and_earned(prices: AveragePrices) -> tuple[float, float]:
    return float(prices.import_price_eur_per_kwh[0]), float(prices.export_price_eur_per_kwh[0])


@pytest.mark.parametrize(
    ("net_kwh", "paid", "earned"),
    [
        ((4.0, -1.0), 0.2 * 0.25 + 0.3 * 0.75, 0.2),  # r = 1/4: ps = 0.03 / (0.2/4 + 0.1)
        ((2.0, -2.0), 0.1, 0.1),  # r = 1
        ((1.0, -4.0), 0.1, 0.1),  # r > 1
    ],
)
def test_supply_demand_ratio_by_hand(net_kwh: tuple[float, ...], paid: float, earned: float) -> None:
    market = mechanism("supply-demand-ratio", CommunityTariff.of([0.3], [0.1], 1.0))
    assert paid_and_earned(market.prices(column(*net_kwh))) == pytest.approx((paid, earned))


def test_supply_demand_ratio_at_its_edges() -> None:
    market = mechanism("supply-demand-ratio", CommunityTariff.of([0.3], [0.1], 1.0))
    assert paid_and_earned(market.prices(column(2.0, 1.0))) == pytest.approx((0.3, 0.3))  # r = 0: both λ⁺
    assert paid_and_earned(market.prices(column(-2.0, -1.0))) == pytest.approx((0.1, 0.1))  # D = 0: both λ⁻
    assert paid_and_earned(market.prices(column(0.0, 0.0))) == pytest.approx((0.3, 0.1))  # nobody there


@pytest.mark.parametrize("export", [0.0, -0.1])
def test_supply_demand_ratio_runs_straight_where_the_export_tariff_is_not_above_zero(export: float) -> None:
    market = mechanism("supply-demand-ratio", CommunityTariff.of([0.3], [export], 1.0))
    price = market.local_price_eur_per_kwh(column(4.0, -1.0))
    assert price == pytest.approx([0.3 * 0.75 + export * 0.25])


def test_supply_demand_ratio_is_relative_to_the_pools_tariffs_and_members_see_half_the_fee() -> None:
    market = mechanism(
        "supply-demand-ratio", CommunityTariff.of([0.32], [0.08], 1.0, local_fee_eur_per_kwh=0.04)
    )
    local = 0.3 * 0.1 / (0.2 * 0.25 + 0.1)  # pool tariffs 0.3 and 0.1
    assert market.local_price_eur_per_kwh(column(4.0, -1.0)) == pytest.approx([local])
    expected = ((local + 0.02) * 0.25 + 0.32 * 0.75, local - 0.02)
    assert paid_and_earned(market.prices(column(4.0, -1.0))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("net_kwh", "paid", "earned"),
    [
        ((4.0, -1.0), 0.3 * 3 / 4, 0.0),
        ((1.0, -4.0), 0.0, 0.1 * 3 / 4),
        ((2.0, -2.0), 0.0, 0.0),
        ((2.0, 1.0), 0.3, 0.0),
        ((-2.0, -1.0), 0.0, 0.1),
    ],
)
def test_bill_sharing_of_a_slot_by_hand(net_kwh: tuple[float, ...], paid: float, earned: float) -> None:
    market = mechanism("bill-sharing", CommunityTariff.of([0.3], [0.1], 1.0))
    assert paid_and_earned(market.prices(column(*net_kwh))) == pytest.approx((paid, earned))


def test_bill_sharing_of_a_day_by_hand() -> None:
    tariff = CommunityTariff.of([0.3, 0.3, 0.05], [0.1, 0.1, 0.08], 1.0)  # the last slot is suspended
    net_kwh = np.array([[4.0, 1.0, 2.0], [-1.0, -4.0, -1.0]])
    prices = mechanism("bill-sharing", tariff, period="day").prices(net_kwh)
    # Imports 3 kWh at 0.3, 2 kWh at 0.05 over 7 kWh taken; exports 3 kWh at 0.1, 1 kWh at 0.08 over 6 given.
    assert prices.import_price_eur_per_kwh == pytest.approx([1.0 / 7] * 3)
    assert prices.export_price_eur_per_kwh == pytest.approx([0.38 / 6] * 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_suspended_slot_keeps_the_grids_tariffs(name: str) -> None:
    tariff = CommunityTariff.of([0.05, 0.3], [0.07, 0.28], 1.0, local_fee_eur_per_kwh=0.05)
    market = mechanism(name, tariff)
    net_kwh = np.array([[1.0, 1.0], [-1.0, -2.0]])
    prices = market.prices(net_kwh)
    assert prices.import_price_eur_per_kwh == pytest.approx([0.05, 0.3])
    assert prices.export_price_eur_per_kwh == pytest.approx([0.07, 0.28])
    assert np.isnan(market.clear(net_kwh).local_price_eur_per_kwh).all()


@given(markets(), st.sampled_from([*NAMES, "day"]))
def test_what_members_pay_at_the_told_prices_is_what_the_community_pays(
    market: tuple[np.ndarray, CommunityTariff], name: str
) -> None:
    net_kwh, tariff = market
    parameters = {"period": "day"} if name == "day" else {}
    made = mechanism("bill-sharing" if name == "day" else name, tariff, len(net_kwh), **parameters)
    prices = made.prices(net_kwh)
    price = np.where(net_kwh > 0, prices.import_price_eur_per_kwh, prices.export_price_eur_per_kwh)
    bills = (net_kwh * price).sum(axis=1)
    assert bills.sum() == pytest.approx(tariff.cost_eur(net_kwh), rel=1e-9, abs=1e-8)
    settled = expected_bills_eur(net_kwh, made.clear(net_kwh), tariff)
    assert settled == pytest.approx(bills, rel=1e-9, abs=1e-8)


@given(markets(), st.sampled_from(NAMES))
def test_where_rationality_is_promised_local_prices_lie_between_the_pools_tariffs(
    market: tuple[np.ndarray, CommunityTariff], name: str
) -> None:
    net_kwh, tariff = market
    made = mechanism(name, tariff, len(net_kwh))
    local = made.clear(net_kwh).local_price_eur_per_kwh
    assert (np.isnan(local) == tariff.suspended).all()
    if not made.individually_rational:
        assert name == "bill-sharing"
        return
    open_ = ~tariff.suspended
    assert (local[open_] >= tariff.pool_export_price_eur_per_kwh[open_] - 1e-9).all()
    assert (local[open_] <= tariff.pool_import_price_eur_per_kwh[open_] + 1e-9).all()
    bills = expected_bills_eur(net_kwh, made.clear(net_kwh), tariff)
    assert (bills <= bills_without_trade_eur(net_kwh, tariff) + 1e-8).all()


@given(markets(), st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_the_order_of_members_changes_nothing(
    market: tuple[np.ndarray, CommunityTariff], name: str, rng: Any
) -> None:
    net_kwh, tariff = market
    order = list(range(len(net_kwh)))
    rng.shuffle(order)
    prices, shuffled = (mechanism(name, tariff, len(net_kwh)).prices(n) for n in (net_kwh, net_kwh[order]))
    assert shuffled.import_price_eur_per_kwh == pytest.approx(prices.import_price_eur_per_kwh, abs=1e-9)
    assert shuffled.export_price_eur_per_kwh == pytest.approx(prices.export_price_eur_per_kwh, abs=1e-9)


def test_bill_sharing_can_leave_a_seller_worse_off_than_the_grid() -> None:
    tariff = CommunityTariff.of([0.3], [0.1], 1.0)
    net_kwh = column(4.0, -1.0)
    bills = expected_bills_eur(net_kwh, mechanism("bill-sharing", tariff).clear(net_kwh), tariff)
    assert bills[1] == 0 > bills_without_trade_eur(net_kwh, tariff)[1]


# -- damping -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_prices_learn_part_of_the_way_and_steps_are_limited_by_mean_energy(name: str) -> None:
    tariff = CommunityTariff.of([0.3], [0.1], 1.0)
    net_kwh = column(4.0, -1.0)
    market = mechanism(name, tariff, learning=0.25, step_limit=0.4, damping=0.5, damping_growth=2.0)
    full = market.prices(net_kwh)
    first = market.respond(Answers(net_kwh))
    assert isinstance(first, Signal)
    assert first.import_price_eur_per_kwh == pytest.approx(0.75 * 0.3 + 0.25 * full.import_price_eur_per_kwh)
    assert first.step_limit_kwh == pytest.approx(0.4 * 2.5)
    assert first.proximal_weight_eur_per_kwh2 == pytest.approx(0.5 * 0.2 / 2.5)
    second = market.respond(Answers(net_kwh))
    assert isinstance(second, Signal), "positions stand still, but prices do not yet"
    assert second.import_price_eur_per_kwh == pytest.approx(
        0.75 * first.import_price_eur_per_kwh + 0.25 * full.import_price_eur_per_kwh
    )
    assert second.proximal_weight_eur_per_kwh2 == pytest.approx(2 * 0.5 * 0.2 / 2.5)


def test_without_a_step_limit_none_is_told() -> None:
    first = mechanism("bill-sharing", CommunityTariff.of([0.3], [0.1], 1.0)).respond(
        Answers(column(1.0, -2.0))
    )
    assert isinstance(first, Signal)
    assert first.step_limit_kwh is None


def test_the_cheapest_round_is_kept_and_rounds_end_when_all_stands_still() -> None:
    market = mechanism("supply-demand-ratio", CommunityTariff.of([0.3], [0.1], 1.0))
    cheap, dear = column(1.0, -1.0), column(3.0, -1.0)
    assert isinstance(market.respond(Answers(dear)), Signal)
    assert isinstance(market.respond(Answers(cheap)), Signal)
    assert isinstance(market.respond(Answers(dear)), Signal)
    assert market.respond(Answers(dear)) == Agreed(1)


def test_what_is_shared_by_the_day_has_one_price_though_one_slot_has_no_pool() -> None:
    tariff = CommunityTariff.of([0.3, 0.3], [0.1, 0.1], 1.0)
    net_kwh = np.array([[2.0, 2.0], [-1.0, -1.0]])
    clearing = Clearing(np.array([np.nan, 0.0]), shared_by_day=True)
    # imports 2 and 1 kWh at 0.30 over 4 kWh taken; exports 1 and 0 kWh at 0.10 over 2 kWh given
    prices = expected_prices(net_kwh, clearing, tariff)
    assert prices.import_price_eur_per_kwh == pytest.approx([0.225, 0.225])
    assert prices.export_price_eur_per_kwh == pytest.approx([0.05, 0.05])
    assert expected_bills_eur(net_kwh, clearing, tariff) == pytest.approx([0.9, -0.1])

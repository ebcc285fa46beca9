"""Order books: by hand, and what holds for any orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.mechanisms.order_book import match_orders, uniform_price_eur_per_kwh

NAN = float("nan")


def energies(matches, side):
    total: dict[int, float] = {}
    for match in matches:
        member = getattr(match, side)
        total[member] = total.get(member, 0.0) + match.energy_kwh
    return total


def test_merit_order_by_hand() -> None:
    net_kwh = np.array([2.0, 1.0, -1.5, -2.0])
    limits = np.array([0.30, 0.18, 0.10, 0.20])
    matches = match_orders(net_kwh, limits)
    # The first buyer takes all of the cheap seller and 0.5 of the dear one; the second bids too little.
    assert energies(matches, "buyer") == pytest.approx({0: 2.0})
    assert energies(matches, "seller") == pytest.approx({2: 1.5, 3: 0.5})
    assert uniform_price_eur_per_kwh(net_kwh, limits, 0.5) == pytest.approx((0.30 + 0.20) / 2)
    assert uniform_price_eur_per_kwh(net_kwh, limits, 1.0) == pytest.approx(0.30)


def test_the_marginal_level_is_shared_in_proportion() -> None:
    net_kwh, limits = np.array([1.0, 3.0, -2.0]), np.array([0.3, 0.3, 0.1])
    assert energies(match_orders(net_kwh, limits), "buyer") == pytest.approx({0: 0.5, 1: 1.5})


def test_when_all_bid_the_tariffs_the_price_is_their_middle() -> None:
    net_kwh, limits = np.array([1.0, 3.0, -2.0, -1.0]), np.array([0.3, 0.3, 0.1, 0.1])
    assert uniform_price_eur_per_kwh(net_kwh, limits, 0.5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("net_kwh", "limits", "price"),
    [
        ([1.0, 2.0], [0.3, 0.2], NAN),  # nobody gives
        ([0.0, -1.0], [0.3, 0.1], NAN),  # nobody takes
        ([1.0, -1.0], [0.1, 0.2], 0.15),  # they do not meet: the middle of the best
        ([1.0, -1.0], [NAN, 0.2], NAN),  # the only bid has no limit
    ],
)
def test_books_without_a_match(net_kwh: list[float], limits: list[float], price: float) -> None:
    assert match_orders(np.array(net_kwh), np.array(limits)) == []
    found = uniform_price_eur_per_kwh(np.array(net_kwh), np.array(limits), 0.5)
    assert found == pytest.approx(price, nan_ok=True)


@st.composite
def books(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    members = draw(st.integers(1, 8))
    net = draw(st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=members, max_size=members))
    limit = draw(st.lists(st.sampled_from([0.05, 0.1, 0.15, 0.2, 0.3]), min_size=members, max_size=members))
    return np.array(net), np.array(limit)


@given(books(), st.floats(0, 1))
def test_of_any_book(book: tuple[np.ndarray, np.ndarray], k: float) -> None:
    net_kwh, limits = book
    matches = match_orders(net_kwh, limits)
    bought, sold = energies(matches, "buyer"), energies(matches, "seller")
    assert sum(bought.values()) == pytest.approx(sum(sold.values()))
    for member, energy in bought.items():
        assert energy <= net_kwh[member] + 1e-9
    for member, energy in sold.items():
        assert energy <= -net_kwh[member] + 1e-9
    # All that can be matched is: an order left over does not meet any left on the other side.
    left = [i for i in range(net_kwh.size) if net_kwh[i] > bought.get(i, 0.0) + 1e-9]
    offers = [i for i in range(net_kwh.size) if -net_kwh[i] > sold.get(i, 0.0) + 1e-9]
    assert all(limits[buyer] < limits[seller] for buyer in left for seller in offers)
    price = uniform_price_eur_per_kwh(net_kwh, limits, k)
    for match in matches:
        assert match.ask_eur_per_kwh - 1e-9 <= price <= match.bid_eur_per_kwh + 1e-9


@given(books(), st.randoms(use_true_random=False))
def test_the_price_does_not_depend_on_the_members_order(book, random) -> None:
    net_kwh, limits = book
    order = list(range(net_kwh.size))
    random.shuffle(order)
    before = uniform_price_eur_per_kwh(net_kwh, limits, 0.5)
    assert uniform_price_eur_per_kwh(net_kwh[order], limits[order], 0.5) == pytest.approx(before, nan_ok=True)

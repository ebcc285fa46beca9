"""Measures of energy, power and money, and of fairness, by hand and for any input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import indicators as ind

energies = st.lists(st.floats(0, 1e4), min_size=1, max_size=40)
nets = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40)


def test_self_sufficiency_counts_only_what_was_imported() -> None:
    assert ind.self_sufficiency([4.0, 6.0], [1.0, 1.5]) == pytest.approx(0.75)
    assert ind.self_sufficiency([4.0], [5.0]) == pytest.approx(-0.25), "imports that fill a battery"
    assert ind.self_sufficiency([0.0, 0.0], [1.0, 0.0]) is None


def test_self_consumption() -> None:
    assert ind.self_consumption([3.0, 5.0], [0.0, 2.0]) == pytest.approx(0.75)
    assert ind.self_consumption([0.0], [2.0]) is None


def test_peak_and_load_factor_use_power_not_energy_per_slot() -> None:
    # 1 kWh in a quarter of an hour is 4 kW, 2 kWh in an hour 2 kW; the mean over 2.25 h is 3/2.25 kW
    hours = [0.25, 1.0, 1.0]
    assert ind.peak_import_kw([1.0, 2.0, -9.0], hours) == pytest.approx(4.0)
    assert ind.load_factor([1.0, 2.0, -9.0], hours) == pytest.approx(3 / 2.25 / 4)
    assert ind.load_factor([-1.0, 0.0], 1.0) is None
    assert ind.peak_import_kw([], 1.0) == 0.0
    assert ind.load_factor([], 1.0) is None


def test_saving_of_a_member_that_earns_is_positive_when_it_earns_more() -> None:
    assert ind.saving_percent(-2.0, -3.0) == pytest.approx(50.0)
    assert ind.saving_percent(10.0, 11.0) == pytest.approx(-10.0)
    assert ind.saving_percent(0.0, -1.0) is None
    assert ind.saving_percent(0.03, -0.64) is None, "more than all of it"


def test_gini_and_jain_by_hand() -> None:
    # pairs of (1, 3): |1−3| twice = 4, over 2·4·2; (1+3)²/(2·(1+9))
    assert ind.gini([1.0, 3.0]) == pytest.approx(0.25)
    assert ind.jain([1.0, 3.0]) == pytest.approx(0.8)
    assert ind.gini([0.0, 0.0, 0.0, 5.0]) == pytest.approx(0.75)
    assert ind.jain([0.0, 0.0, 0.0, 5.0]) == pytest.approx(0.25)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [1.0, -0.1]])
def test_equality_of_nothing_or_of_losses_is_not_defined(values: list[float]) -> None:
    assert ind.gini(values) is None
    assert ind.jain(values) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_gini_and_jain_stay_in_bounds_and_gini_is_the_double_sum(values: list[float]) -> None:
    gini, jain, n = ind.gini(values), ind.jain(values), len(values)
    if max(values) <= ind.NO_MONEY_EUR:
        assert gini is None
        assert jain is None
        return
    assert gini is not None
    assert jain is not None
    assert 0 <= gini <= (n - 1) / n + 1e-12
    assert 1 / n - 1e-12 <= jain <= 1
    pairs = sum(abs(x - y) for x in values for y in values)
    assert gini == pytest.approx(pairs / (2 * n * sum(values)), abs=1e-9)


@given(nets)
def test_imports_and_exports_split_the_net_position(net: list[float]) -> None:
    taken, given_ = ind.imports_kwh(net), ind.exports_kwh(net)
    assert np.array_equal(taken - given_, np.asarray(net))
    assert not np.any((taken > 0) & (given_ > 0))


@given(energies, nets)
def test_ratios_are_at_most_one_and_never_nan(load: list[float], net: list[float]) -> None:
    for value in (
        ind.self_sufficiency(load, ind.imports_kwh(net)),
        ind.self_consumption(load, ind.exports_kwh(net)),
        ind.load_factor(net, 0.25),
    ):
        assert value is None or (value <= 1 and not math.isnan(value))


def test_members_worse_off_ignores_rounding() -> None:
    assert ind.members_worse_off([1.0, -1e-8, -0.01, 0.0]) == 1


def test_co2_is_of_what_is_imported_only() -> None:
    # 2 · 100 + 0.5 · 400 g
    assert ind.co2_kg([2.0, -5.0, 0.5], [100.0, 300.0, 400.0]) == pytest.approx(0.4)


def test_losses_go_with_the_square_of_power_in_either_direction() -> None:
    # 2 kW and 4 kW for half an hour each: 0.5 · (4 + 16)
    assert ind.squared_power_kw2h([1.0, -2.0], 0.5) == pytest.approx(10.0)
    assert ind.squared_power_kw2h([1.0, -2.0], [0.5, 1.0]) == pytest.approx(2.0 + 4.0)


def test_peak_to_average() -> None:
    # 8 kW at most; 4 kWh in 1.5 h
    assert ind.peak_to_average([1.0, -2.0, 1.0], [0.5, 0.25, 0.75]) == pytest.approx(8.0 / (4 / 1.5))
    assert ind.peak_to_average([3.0, -3.0], 1.0) == pytest.approx(1.0)
    assert ind.peak_to_average([0.0], 1.0) is None
    assert ind.peak_to_average([], 1.0) is None


def test_min_over_max() -> None:
    assert ind.min_over_max([2.0, 1.0, 4.0]) == pytest.approx(0.25)
    assert ind.min_over_max([3.0]) == 1.0
    assert ind.min_over_max([0.0, 0.0]) is None
    assert ind.min_over_max([-1.0, 2.0]) is None


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=12), st.floats(0.1, 10), st.randoms())
def test_fairness_depends_neither_on_the_order_of_members_nor_on_the_unit(values, factor, random) -> None:
    other = [factor * value for value in values]
    random.shuffle(other)
    for measure in (ind.gini, ind.jain, ind.min_over_max):
        assert measure(other) == pytest.approx(measure(values), abs=1e-9)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((10.0, 8.0, 6.0), 0.5),
        ((10.0, 6.0, 6.0), 1.0),
        ((10.0, 10.0, 6.0), 0.0),
        ((10.0, 12.0, 6.0), -0.5),
        ((-2.0, -3.0, -6.0), 0.25),
        ((10.0, 10.0, 10.0), None),
        ((10.0, 10.0, 11.0), None),
    ],
    ids=["half", "all", "none", "dearer", "earning", "nothing to save", "optimum above alone"],
)
def test_the_score_is_the_share_of_the_achievable_saving(
    costs: tuple[float, float, float], expected: float | None
) -> None:
    assert ind.score(*costs) == (None if expected is None else pytest.approx(expected))


def test_the_price_of_decentralisation_is_relative_to_the_size_of_the_optimum() -> None:
    assert ind.price_of_decentralisation(11.0, 10.0) == pytest.approx(0.1)
    assert ind.price_of_decentralisation(-9.0, -10.0) == pytest.approx(0.1)
    assert ind.price_of_decentralisation(0.1, 0.0) is None
    assert ind.price_of_decentralisation(3.0, 1.0) is None, "mostly what nearly cancels"

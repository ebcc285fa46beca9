"""The indices of Zhou, Wu and Long, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.indicators.zhou import energy_balance, equality, participation, power_flatness, zhou_indices

# three members, two hours: 10 + 4 + 2 alone, 8 + 3 + 2 paid, 11 at best
CASE: dict[str, Any] = {
    "alone_costs_eur": [10.0, 4.0, 2.0],
    "costs_eur": [8.0, 3.0, 2.0],
    "optimum_cost_eur": 11.0,
    "boundary_kwh": [6.0, -2.0],
    "alone_boundary_kwh": [8.0, -2.0],
    "slot_hours": 1.0,
    "load_kwh": 12.0,
    "pv_kwh": 8.0,
}


def test_three_members_by_hand() -> None:
    found = zhou_indices(**CASE)
    assert found.value_tapping == pytest.approx(3 / 5)
    assert found.participation == pytest.approx(2 / 3)
    # incomes −8, −3, −2, raised by 8: 0, 5, 6; pairs differ by 5, 6, 1, twice, over 2 · 9 · 11/3
    assert found.equality == pytest.approx(1 - 24 / 66)
    assert found.energy_balance == pytest.approx(1 - 8 / 20)
    # 6 over 4 against 8 over 5
    assert found.power_flatness == pytest.approx(1 - 1.5 / 1.6)
    assert found.self_sufficiency == pytest.approx(0.5)
    assert found.economic == pytest.approx((3 / 5 + 2 / 3 + 1 - 24 / 66) / 3)
    assert found.technical == pytest.approx((0.6 + 1 - 1.5 / 1.6 + 0.5) / 3)
    assert found.overall == pytest.approx((found.economic + found.technical) / 2)


@pytest.mark.parametrize(
    ("change", "none"),
    [
        ({"optimum_cost_eur": None}, {"value_tapping", "economic", "overall"}),
        ({"optimum_cost_eur": 16.0}, {"value_tapping", "economic", "overall"}),
        ({"load_kwh": 0.0}, {"self_sufficiency", "technical", "overall"}),
        ({"load_kwh": 0.0, "pv_kwh": 0.0}, {"energy_balance", "self_sufficiency", "technical", "overall"}),
        ({"boundary_kwh": [0.0, 0.0]}, {"power_flatness", "technical", "overall"}),
        ({"alone_boundary_kwh": [0.0, 0.0]}, {"power_flatness", "technical", "overall"}),
        (
            {"alone_costs_eur": [], "costs_eur": [], "optimum_cost_eur": 0.0},
            {"value_tapping", "participation", "equality", "economic", "overall"},
        ),
    ],
)
def test_a_mean_is_not_taken_without_all_its_parts(change: dict[str, Any], none: set[str]) -> None:
    found = zhou_indices(**(CASE | change))
    names = {*vars(found), "economic", "technical", "overall"}
    assert {name for name in names if getattr(found, name) is None} == none


def test_equality_by_hand() -> None:
    assert equality([3.0, 3.0, 3.0]) == 1.0
    assert equality([0.0, 0.0, 0.0, -8.0]) == pytest.approx(0.25), "one has all"
    assert equality([5.0]) == 1.0
    assert equality([]) is None


def test_participation_ignores_rounding() -> None:
    assert participation([1.0, 1.0, 1.0], [0.9, 1.0 - 1e-8, 1.1]) == pytest.approx(1 / 3)


def test_flatness_has_no_lower_bound() -> None:
    spike = [0.0] * 99 + [1.0]
    assert power_flatness(spike, [1.0] * 100, 0.25) == pytest.approx(-99.0)
    assert power_flatness([1.0] * 100, spike, 0.25) == pytest.approx(0.99)


def test_energy_balance_counts_both_directions() -> None:
    assert energy_balance([1.0, -1.0], 3.0, 1.0) == pytest.approx(0.5)
    assert energy_balance([0.0], 3.0, 1.0) == 1.0


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=10), st.randoms())
def test_the_order_of_members_does_not_matter(costs: list[tuple[float, float]], random: Any) -> None:
    def economic(pairs: list[tuple[float, float]]) -> list[float | None]:
        alone, paid = np.array(pairs).T
        found = zhou_indices(
            **(CASE | {"alone_costs_eur": alone, "costs_eur": paid, "optimum_cost_eur": -600.0})
        )
        assert found.participation is not None
        assert found.equality is not None
        assert 0 <= found.participation <= 1
        assert 1 / len(pairs) - 1e-9 <= found.equality <= 1
        return [found.value_tapping, found.participation, found.equality]

    shuffled = list(costs)
    random.shuffle(shuffled)
    assert economic(shuffled) == pytest.approx(economic(costs), abs=1e-9)

import numpy as np
import pytest
import rainflow
from hypothesis import given
from hypothesis import strategies as st

from agents.planning.ageing.rainflow import rainflow_cycles, reversals, taut_string_kwh

# Small integers, so that equal ranges, plateaus and returns to a level are common.
LEVELS = st.lists(st.integers(0, 6), min_size=1, max_size=30).map(lambda row: np.array(row, dtype=float))


def total_variation(levels):
    return float(np.abs(np.diff(levels)).sum())


def test_the_standards_own_example():
    """ASTM E1049-85, figure 6."""
    counted = rainflow_cycles(np.array([-2.0, 1, -3, 5, -1, 3, -4, 4, -2]))
    by_range = {3.0: 0.0, 4.0: 0.0, 6.0: 0.0, 8.0: 0.0, 9.0: 0.0}
    for span, count in zip(counted.range_kwh.tolist(), counted.cycles.tolist(), strict=True):
        by_range[span] += count
    assert by_range == {3.0: 0.5, 4.0: 1.5, 6.0: 0.5, 8.0: 1.0, 9.0: 0.5}


@pytest.mark.parametrize(
    ("levels", "ranges", "counts"),
    [
        ([2.0], [], []),
        ([2.0, 2.0, 2.0], [], []),
        ([1.0, 4.0], [3.0], [0.5]),
        ([1.0, 2.0, 2.0, 4.0], [3.0], [0.5]),
        ([0.0, 5.0, 2.0, 4.0, 0.0], [2.0, 5.0, 5.0], [1.0, 0.5, 0.5]),
    ],
)
def test_small_trajectories_by_hand(levels, ranges, counts):
    counted = rainflow_cycles(np.array(levels))
    assert counted.range_kwh.tolist() == ranges
    assert counted.cycles.tolist() == counts


@given(LEVELS.filter(lambda levels: reversals(levels).size > 2))  # it counts nothing of a single run
def test_it_counts_as_the_rainflow_package_does(levels):
    theirs = sorted((span, count) for span, _, count, _, _ in rainflow.extract_cycles(reversals(levels)))
    counted = rainflow_cycles(levels)
    assert sorted(zip(counted.range_kwh.tolist(), counted.cycles.tolist(), strict=True)) == theirs


@given(LEVELS)
def test_cycles_conserve_the_total_variation(levels):
    counted = rainflow_cycles(levels)
    assert 2 * counted.cycles @ counted.range_kwh == pytest.approx(total_variation(levels))


@given(LEVELS, st.floats(0, 8))
def test_the_taut_string_moves_by_what_cycles_exceed_its_width(levels, width):
    path = taut_string_kwh(levels, width)
    counted = rainflow_cycles(levels)
    assert np.abs(path - levels).max() <= width / 2 + 1e-12
    exceeding = 2 * counted.cycles @ np.maximum(counted.range_kwh - width, 0)
    assert total_variation(path) == pytest.approx(exceeding, abs=1e-9)

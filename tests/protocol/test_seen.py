"""Which ids have come: each once, in whatever order, and none that is older than can be told."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocol.seen import LIVES, NUMBERS, SeenIds

IDS = st.one_of(
    st.integers(1, 300).map(str),
    st.integers(1, 40).map(lambda number: f"0a1b2c3d-{number}"),
    st.sampled_from(["0", "01", "x", "inspection-4", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "٣"]),
)


@given(st.lists(IDS, max_size=400))
def test_what_was_added_is_among_them_and_nothing_else(message_ids: list[str]) -> None:
    seen, expected = SeenIds(), set()
    for message_id in message_ids:
        assert (message_id in seen) == (message_id in expected)
        assert seen.see(message_id) == (message_id not in expected)
        expected.add(message_id)
    assert all(message_id in seen for message_id in expected)


@pytest.mark.parametrize("latest", [NUMBERS + 7, 3 * NUMBERS, 10**15 - 1])
def test_numbers_are_told_apart_so_far_back_and_count_as_seen_before(latest: int) -> None:
    seen = SeenIds()
    seen.see("7")
    seen.see(str(latest))
    assert "7" in seen
    assert "5" not in SeenIds()
    assert str(latest - NUMBERS + 1) not in seen
    assert str(latest - NUMBERS) in seen
    seen.see(str(latest - NUMBERS + 1))
    assert str(latest - NUMBERS + 1) in seen
    assert str(latest - NUMBERS + 2) not in seen


def test_numbers_take_a_few_kibibytes_however_many_come() -> None:
    seen = SeenIds()
    for number in range(1, 3 * NUMBERS):
        seen.see(str(number))
    (numbers,) = seen._lives.values()
    assert sys.getsizeof(numbers.bits) < NUMBERS / 8 * 1.1


def test_each_life_of_an_attached_meter_counts_by_itself_and_the_latest_are_remembered() -> None:
    seen = SeenIds()
    for life in range(LIVES + 1):
        assert f"{life:08x}-1" not in seen
        seen.see(f"{life:08x}-1")
    assert f"{0:08x}-1" not in seen
    assert f"{1:08x}-1" in seen

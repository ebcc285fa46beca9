"""Numbers of things, as they are printed."""

from __future__ import annotations

import pytest

from runtime.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "member", "1 member"),
        (0, "member", "0 members"),
        (3, "bill line", "3 bill lines"),
        (1, "ledger entry", "1 ledger entry"),
        (2, "ledger entry", "2 ledger entries"),
        (2, "day", "2 days"),
        (4, "process", "4 processes"),
    ],
)
def test_one_thing_is_told_in_the_singular_and_all_else_in_the_plural(
    number: int, noun: str, said: str
) -> None:
    assert counted(number, noun) == said

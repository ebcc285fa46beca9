"""Something whole split in proportion."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def ration(wanted: Mapping[K, int], total: int) -> dict[K, int]:
    """Split ``total`` in proportion to ``wanted``, in whole steps that add up to ``total``.

    Largest remainders get the steps that rounding down leaves, also of a total below 0; equal remainders in
    the order given. Nobody gets more than wanted as long as ``total`` is at most the sum.
    """
    everything = sum(wanted.values())
    if total == 0 or everything == 0:
        return dict.fromkeys(wanted, 0)
    parts = {member: want * total // everything for member, want in wanted.items()}
    by_remainder = sorted(wanted, key=lambda member: -(wanted[member] * total % everything))
    for member in by_remainder[: total - sum(parts.values())]:
        parts[member] += 1
    return parts

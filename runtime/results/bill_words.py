"""The lines of a bill in words that a household understands."""

from __future__ import annotations

from runtime.bookkeeping import BillKind

WORDS: dict[BillKind, str] = {
    "contract-purchase": "Bought from neighbours, as agreed with them",
    "contract-sale": "Sold to neighbours, as agreed with them",
    "local-purchase": "Bought from neighbours",
    "local-sale": "Sold to neighbours",
    "grid-import": "Bought from the grid",
    "grid-export": "Sold to the grid",
    "local-fee": "Network fee on what you traded with neighbours",
    "excess-charge": "Your part of what the community drew or gave above the limit of its connection",
    "demand-charge": "Charge for the highest power you drew",
    "sharing": "Evened out among all members, so that everybody pays and earns the same price",
    "correction": "Corrected: what your meter told only later",
}
"""Who pays or receives is told by the sign of the amount."""

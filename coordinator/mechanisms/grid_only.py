"""No market: each member alone against the grid, as in the paper's three scenarios."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from coordinator.mechanisms.base import Agreed, Answers, Array, Clearing, Family, Mechanism


class GridOnly(Mechanism):
    """Round 0 is all there is; everybody settles at the grid's tariffs."""

    title: ClassVar[str] = "Grid only"
    summary: ClassVar[str] = "Nobody trades: each member plans and settles alone at the grid's tariffs."
    discloses: ClassVar[str] = "Net energy per slot, planned once and then metered, as to any supplier."
    family: ClassVar[Family] = "none"
    individually_rational: ClassVar[bool] = True

    def respond(self, answers: Answers) -> Agreed:
        """Agree on round 0."""
        return Agreed(0)

    def clear(self, net_kwh: Array) -> Clearing:
        """No local trade."""
        return Clearing(np.full(self.tariff.slots, np.nan))

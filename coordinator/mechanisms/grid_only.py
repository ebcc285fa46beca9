"""No market: each member alone against the grid, as in the paper's three scenarios."""

from __future__ import annotations

import numpy as np

from coordinator.mechanisms.base import Agreed, Answers, Array, Clearing, Mechanism


class GridOnly(Mechanism):
    """Round 0 is all there is; everybody settles at the grid's tariffs."""

    def respond(self, answers: Answers) -> Agreed:
        """Agree on round 0."""
        return Agreed(0)

    def clear(self, net_kwh: Array) -> Clearing:
        """No local trade."""
        return Clearing(np.full(self.tariff.slots, np.nan))

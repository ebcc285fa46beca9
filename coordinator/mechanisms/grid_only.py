"""No market: each member alone against the grid, as in the paper's three scenarios."""

from __future__ import annotations

from decimal import Decimal

from coordinator.mechanisms.base import Agreed, Array, Mechanism


class GridOnly(Mechanism):
    """Round 0 is all there is; everybody settles at the grid's tariffs."""

    def respond(self, net_kwh: Array) -> Agreed:
        """Agree on round 0."""
        return Agreed(0, self.tariffs.import_price_eur_per_kwh, self.tariffs.export_price_eur_per_kwh)

    def local_price_eur_per_kwh(self, import_price: Decimal, export_price: Decimal) -> None:
        """No local trade."""

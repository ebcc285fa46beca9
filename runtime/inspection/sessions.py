"""Prices, flows and rounds of a market session, gathered from its messages as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]
Series = list[float | None]

_MOST_SLOTS = 10_000
"""So many are made room for where it is not known how many there are: the admission is not in the logs."""


@dataclass(slots=True)
class SessionView:
    """A session as the dashboard draws it; series have one value a slot, None where nothing is known.

    Attributes:
        number: which.
        slots: how many it has; 0 if that is not known.
        import_price_eur_per_kwh: the grid's import tariff.
        export_price_eur_per_kwh: the grid's feed-in tariff.
        local_price_eur_per_kwh: price among neighbours, as agreed.
        traded_kwh: energy that neighbours bought from each other.
        import_kwh: the members' energy from the grid.
        export_kwh: the members' energy to the grid.
        costs_eur: what the positions of each round would cost at the grid's tariffs.
    """

    number: int
    slots: int
    import_price_eur_per_kwh: Series = field(default_factory=list)
    export_price_eur_per_kwh: Series = field(default_factory=list)
    local_price_eur_per_kwh: Series = field(default_factory=list)
    traded_kwh: Series = field(default_factory=list)
    import_kwh: Series = field(default_factory=list)
    export_kwh: Series = field(default_factory=list)
    costs_eur: dict[int, float] = field(default_factory=dict)
    _positions: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make room for every slot."""
        for name in ("traded_kwh", "import_kwh", "export_kwh"):
            setattr(self, name, [None] * self.slots)

    def price_signal(self, body: Fields) -> None:
        """Take a round's prices: those of round 0 are the grid's tariffs."""
        if body["round"] == 0:
            # what is planned beyond the session's own slots, the next session plans again
            self.import_price_eur_per_kwh = self._own(body["import_price_eur_per_kwh"])
            self.export_price_eur_per_kwh = self._own(body["export_price_eur_per_kwh"])

    def _own(self, series: list[Any]) -> list[Any]:
        """The session's own slots of a series; all of them where it is not known how many those are."""
        return series[: self.slots] if self.slots else series

    def position(self, member: str, body: Fields) -> None:
        """Take a member's position, and what all positions now cost."""
        taken, given = (self._own(body[name]) for name in ("grid_import_kwh", "grid_export_kwh"))
        self._positions[member] = [one - other for one, other in zip(taken, given, strict=True)]
        self.costs_eur[body["round"]] = self._cost_eur()

    def _cost_eur(self) -> float:
        cost = 0.0
        prices = zip(self.import_price_eur_per_kwh, self.export_price_eur_per_kwh, strict=True)
        for net_kwh, (taken, given) in zip(
            map(sum, zip(*self._positions.values(), strict=True)), prices, strict=True
        ):
            cost += net_kwh * ((taken if net_kwh > 0 else given) or 0.0)
        return cost

    def agreement(self, body: Fields) -> None:
        """Take the agreed price among neighbours."""
        self.local_price_eur_per_kwh = self._own(body["local_price_eur_per_kwh"])

    def bill_line(self, body: Fields) -> None:
        """Add a member's settled slot."""
        slot = body["slot"]
        for series, name in (
            (self.traded_kwh, "local_purchase_kwh"),
            (self.import_kwh, "grid_import_kwh"),
            (self.export_kwh, "grid_export_kwh"),
        ):
            if not self.slots and slot < _MOST_SLOTS:
                series += [None] * (slot + 1 - len(series))
            series[slot] = (series[slot] or 0.0) + float(body[name])

    def as_json(self) -> Fields:
        """Give it as a JSON object."""
        return {
            "number": self.number,
            "slots": self.slots,
            "import_price": self.import_price_eur_per_kwh,
            "export_price": self.export_price_eur_per_kwh,
            "local_price": self.local_price_eur_per_kwh,
            "traded_kwh": self.traded_kwh,
            "import_kwh": self.import_kwh,
            "export_kwh": self.export_kwh,
            "costs_eur": [{"round": number, "cost": cost} for number, cost in sorted(self.costs_eur.items())],
        }

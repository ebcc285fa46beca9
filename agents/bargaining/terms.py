"""What bargaining is about, as data: terms, proposals, trades, and what net energy costs in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.planning.tariff import FloatArray, Hinge


@dataclass(frozen=True, eq=False)
class BargainTerms:
    """What the coordinator tells of a bargaining; arrays of shape (slots,).

    Attributes:
        partners: names of the others, in everybody's same order.
        import_price_eur_per_kwh: the grid's import tariff λ⁺.
        export_price_eur_per_kwh: the grid's feed-in tariff λ⁻.
        suspended: slots without local trade.
        local_fee_eur_per_kwh: fee φ on energy traded, half for each side.
        penalty_eur_per_kwh2: ρ, above 0.
        max_rounds: rounds at most.
        tolerance_kwh: residual at which bargaining may end.
        import_share_kwh: the member's share of what the community's connection takes, energy from the grid
            above which costs more; None without a limit.
        export_share_kwh: of what it gives, likewise.
        excess_price_eur_per_kwh: how much more.
    """

    partners: tuple[str, ...]
    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    suspended: NDArray[np.bool_]
    local_fee_eur_per_kwh: float
    penalty_eur_per_kwh2: FloatArray
    max_rounds: int
    tolerance_kwh: float
    import_share_kwh: FloatArray | None = None
    export_share_kwh: FloatArray | None = None
    excess_price_eur_per_kwh: float = 0.0

    @property
    def highest_eur_per_kwh(self) -> FloatArray:
        """What a kWh taken costs at most, shape (slots,)."""
        excess = 0.0 if self.import_share_kwh is None else self.excess_price_eur_per_kwh
        return np.maximum(self.import_price_eur_per_kwh, self.export_price_eur_per_kwh) + excess

    @property
    def lowest_eur_per_kwh(self) -> FloatArray:
        """What a kWh given earns at least, shape (slots,)."""
        excess = 0.0 if self.export_share_kwh is None else self.excess_price_eur_per_kwh
        return self.export_price_eur_per_kwh - excess


@dataclass(frozen=True, eq=False)
class Proposal:
    """What one side of a pair proposes in a round, as told; arrays of shape (slots,).

    Attributes:
        trade_kwh: energy taken from the partner > 0, given to it < 0.
        price_eur_per_kwh: the pair's price as this side knows it.
        residual_kwh: how far this side's pairs were from agreeing in the rounds before; None in the first.
        green: whether this side produces energy from the sun.
    """

    trade_kwh: FloatArray
    price_eur_per_kwh: FloatArray
    residual_kwh: float | None
    green: bool


@dataclass(frozen=True, eq=False)
class Trade:
    """What was agreed with a partner; arrays of shape (slots,), energy taken > 0."""

    partner: str
    trade_kwh: FloatArray
    price_eur_per_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class NetCost:
    """What net energy costs a member, up to a constant: ``import [n]₊ − export [−n]₊ + Σ hinges(n)``."""

    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    hinges: tuple[Hinge, ...]

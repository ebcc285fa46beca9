"""What using a battery costs it: convex in each slot's discharge and in the charge it stands at.

Both parts are sums over slots, which the exact planning of convex problems needs. The depth of a cycle is no
such sum: standing at a low charge stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from agents.planning.tariff import FloatArray
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.devices import Battery


@dataclass(frozen=True)
class StandingPrice:
    """A price on standing away from a state of charge.

    Attributes:
        soc: state of charge, fraction of the capacity.
        below_eur_per_kwh_h: price of each kWh below it and hour [EUR/(kWh·h)]: depth of discharge.
        above_eur_per_kwh_h: price of each kWh above it and hour [EUR/(kWh·h)]: calendar ageing.
    """

    soc: float
    below_eur_per_kwh_h: float = 0.0
    above_eur_per_kwh_h: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.soc <= 1:
            raise InputError(f"wear.standing.soc: expected a fraction from 0 to 1, found {self.soc}")
        for name in ("below_eur_per_kwh_h", "above_eur_per_kwh_h"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(
                    f"wear.standing.{name}: expected a finite number of at least 0, found {value}"
                )


@dataclass(frozen=True)
class WearCost:
    """Convex wear: segments of throughput, and standing deep or full.

    Attributes:
        discharge_price_eur_per_kwh: price of each kWh taken from the cells [EUR/kWh], one per segment of the
            discharge rate, not falling.
        discharge_rate_per_h: rates where a segment ends and the next begins, as a share of the capacity per
            hour (C-rate), rising; one fewer than prices.
        standing: prices on the stored energy at the end of each slot.

    Raises:
        InputError: prices that fall (wear would not be convex), are negative or do not fit the rates.
    """

    discharge_price_eur_per_kwh: tuple[float, ...] = ()
    discharge_rate_per_h: tuple[float, ...] = ()
    standing: tuple[StandingPrice, ...] = ()

    def __post_init__(self) -> None:
        prices, rates = self.discharge_price_eur_per_kwh, self.discharge_rate_per_h
        if len(rates) != max(len(prices) - 1, 0):
            raise InputError(
                f"wear.discharge_rate_per_h: expected one fewer than the {len(prices)} prices, "
                f"found {len(rates)}"
            )
        for name, row in (("discharge_price_eur_per_kwh", prices), ("discharge_rate_per_h", rates)):
            if not all(np.isfinite(value) and value >= 0 for value in row):
                raise InputError(f"wear.{name}: expected finite numbers of at least 0, found {row}")
            if any(after < before for before, after in pairwise(row)):
                raise InputError(f"wear.{name}: expected rising numbers, found {row}")

    def discharge_hinges(self, battery: Battery, slot_hours: float) -> list[tuple[float, float]]:
        """Stored changes below which a further price counts [kWh, at most 0], and that price [EUR/kWh]."""
        rates = (0.0, *self.discharge_rate_per_h)
        rises = np.diff(self.discharge_price_eur_per_kwh, prepend=0.0).tolist()
        return [
            (-rate * battery.capacity_kwh * slot_hours, rise)
            for rate, rise in zip(rates, rises, strict=False)
            if rise > 0
        ]

    def discharge_cost_eur(
        self, stored_change_kwh: FloatArray, battery: Battery, slot_hours: float
    ) -> FloatArray:
        """Wear of discharging [EUR] for stored changes [kWh, charge > 0], any shape."""
        cost = np.zeros_like(stored_change_kwh)
        for at_kwh, price in self.discharge_hinges(battery, slot_hours):
            cost += price * np.maximum(at_kwh - stored_change_kwh, 0.0)
        return cost

    def standing_marginals(self, battery: Battery, slot_hours: float) -> tuple[FloatArray, FloatArray]:
        """Where the standing cost's slope changes, and its slope between.

        Returns:
            Stored energies [kWh], shape (M,), rising, and slopes [EUR/kWh per slot], shape (M + 1,), rising.
        """
        prices = sorted(self.standing, key=lambda price: price.soc)
        at_kwh = np.array([price.soc * battery.capacity_kwh for price in prices])
        below = np.array([price.below_eur_per_kwh_h for price in prices]) * slot_hours
        above = np.array([price.above_eur_per_kwh_h for price in prices]) * slot_hours
        return at_kwh, np.concatenate([[0.0], np.cumsum(below + above)]) - below.sum()

    def standing_cost_eur(
        self, stored_energy_kwh: FloatArray, battery: Battery, slot_hours: float
    ) -> FloatArray:
        """Cost of standing [EUR] at stored energies [kWh] at the end of slots, any shape."""
        cost = np.zeros_like(stored_energy_kwh)
        for price in self.standing:
            beyond = stored_energy_kwh - price.soc * battery.capacity_kwh
            per_kwh = np.where(beyond > 0, price.above_eur_per_kwh_h, -price.below_eur_per_kwh_h)
            cost += slot_hours * per_kwh * beyond
        return cost

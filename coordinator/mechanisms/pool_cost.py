"""What the members' energy together costs, as a function of the net energy at the community's boundary.

``coordinator.costs`` shows that a slot's cost is g(Q) + Σ m(q): what the pool pays at the boundary, and a
part that each meter pays whoever it trades with. g is convex and piecewise linear, with bends at the
connection's limits −L⁻ and L⁺ and at 0. Slots without local trade fit in: there the grid's tariffs are the
meters' part, and g is the excess charge alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array, PriceStep, Signal

_ENERGY_DECIMALS = 9
"""Energies are told to nine decimals; the steps of a block tariff are worked out from what is told."""


@dataclass(frozen=True)
class PoolCost:
    """The pool's cost g, and what is paid at each meter beside it.

    Attributes:
        bend_kwh: boundary energies at which the slope of g changes, shape (3, slots), ascending; infinite
            where the connection has no limit [kWh].
        slope_eur_per_kwh: slopes of g left of the first bend, between bends and right of the last, shape
            (4, slots), ascending.
        meter_import_eur_per_kwh: paid at each meter for energy taken, shape (slots,).
        meter_export_eur_per_kwh: earned at each meter for energy given, shape (slots,).
    """

    bend_kwh: Array
    slope_eur_per_kwh: Array
    meter_import_eur_per_kwh: Array
    meter_export_eur_per_kwh: Array

    @classmethod
    def of(cls, tariff: CommunityTariff) -> Self:
        """The pool's cost at a community's tariff."""
        apart = tariff.suspended
        low = np.where(apart, 0.0, tariff.pool_export_price_eur_per_kwh)
        # Tariffs that differ by rounding alone are one price: the slopes ascend.
        high = np.maximum(low, np.where(apart, 0.0, tariff.pool_import_price_eur_per_kwh))
        excess = tariff.excess_price_eur_per_kwh
        return cls(
            bend_kwh=np.stack([-tariff.export_limit_kwh, np.zeros(tariff.slots), tariff.import_limit_kwh]),
            slope_eur_per_kwh=np.stack([low - excess, low, high, high + excess]),
            meter_import_eur_per_kwh=np.where(
                apart, tariff.import_price_eur_per_kwh, tariff.meter_fee_eur_per_kwh
            ),
            meter_export_eur_per_kwh=np.where(
                apart, tariff.export_price_eur_per_kwh, -tariff.meter_fee_eur_per_kwh
            ),
        )

    @property
    def spread_eur_per_kwh(self) -> float:
        """What a kWh kept inside the community spares, mean over slots; without tariff spread, the excess."""
        inner = float((self.slope_eur_per_kwh[2] - self.slope_eur_per_kwh[1]).mean())
        return inner if inner > 0 else float((self.slope_eur_per_kwh[3] - self.slope_eur_per_kwh[2]).mean())

    @property
    def middle_eur_per_kwh(self) -> Array:
        """Middle of the slopes on either side of a balanced boundary, shape (slots,)."""
        middle: Array = (self.slope_eur_per_kwh[1] + self.slope_eur_per_kwh[2]) / 2
        return middle

    def proximal(
        self, boundary_kwh: Array, price_eur_per_kwh: Array, weight_eur_per_kwh2: float
    ) -> tuple[Array, Array]:
        """The proximal step that makes a price of the pool: argmin g(Z) + w/2 (Z − Q − p/w)².

        Args:
            boundary_kwh: net energy Q of the members, shape (slots,).
            price_eur_per_kwh: the price p so far, shape (slots,).
            weight_eur_per_kwh2: w > 0.

        Returns:
            The pool's energy Z and the new price p + w (Q − Z), a slope of g at Z, shape (slots,) each.
        """
        weight = weight_eur_per_kwh2
        shifted = boundary_kwh + price_eur_per_kwh / weight
        energy = np.minimum(shifted - self.slope_eur_per_kwh[0] / weight, self.bend_kwh[0])
        ends = [*self.bend_kwh[1:], np.full(shifted.shape, np.inf)]
        for slope, end in zip(self.slope_eur_per_kwh[1:], ends, strict=True):
            energy = np.maximum(energy, np.minimum(shifted - slope / weight, end))
        price = np.clip(weight * (shifted - energy), self.slope_eur_per_kwh[0], self.slope_eur_per_kwh[-1])
        return energy, price

    def signal(self, price_eur_per_kwh: Array, proximal_weight_eur_per_kwh2: float) -> Signal:
        """A price of the pool as it is told at the meters.

        Args:
            price_eur_per_kwh: shape (slots,).
            proximal_weight_eur_per_kwh2: weight of the term that keeps members near their last positions.
        """
        return Signal(
            price_eur_per_kwh + self.meter_import_eur_per_kwh,
            price_eur_per_kwh + self.meter_export_eur_per_kwh,
            proximal_weight_eur_per_kwh2,
        )

    def block_signal(self, others_kwh: Array) -> Signal:
        """The block tariff of one member: it pays what it changes in the community's cost.

        With Q₋ the others' net energy, a position q costs g(Q₋ + q) − g(Q₋) + m(q): grid import tariff above
        the threshold −Q₋, feed-in tariff below it, the excess charge beyond the limits, half the fee at the
        meter. A member whose own cost falls by some amount lowers the community's by the same amount.

        Args:
            others_kwh: net energy of all other members, shape (slots,), import > 0.
        """
        threshold = self.bend_kwh - others_kwh.round(_ENERGY_DECIMALS)
        rise = np.where(np.isfinite(threshold), np.diff(self.slope_eur_per_kwh, axis=0), 0.0)
        below = self.slope_eur_per_kwh[0] + (rise * (threshold < 0)).sum(axis=0)
        above = below + (rise * (threshold == 0)).sum(axis=0)
        # A limit that is not there is below or above all energies: its slope counts on the far side only.
        unlimited = np.isneginf(threshold[0])
        low = np.where(unlimited, self.slope_eur_per_kwh[1] - self.slope_eur_per_kwh[0], 0.0)
        steps = tuple(
            PriceStep(np.where(bends, at, 0.0), np.where(at > 0, height, 0.0), np.where(at < 0, height, 0.0))
            for at, height, bends in zip(threshold, rise, rise > 0, strict=True)
            if (bends & (at != 0)).any()
        )
        return Signal(
            above + low + self.meter_import_eur_per_kwh,
            below + low + self.meter_export_eur_per_kwh,
            steps=steps,
        )

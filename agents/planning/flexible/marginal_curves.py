"""What one more kWh costs in each slot, as curves that flexible loads can be merged into.

A convex cost of a slot is told by its marginal price against net energy: both ascending, with a vertical jump
where the price changes and a level piece where it does not. A vehicle that charges wherever energy costs no
more than a price λ turns the cost C into ``min over 0 <= e <= limit of C(m + e) − λ e``, the infimal
convolution of two convex functions: its curve is the same with a level piece of the limit's length put in at
λ, and what lies below it moved down by that length. So a battery beside vehicles at known values of their
energy is planned like a battery alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.planning.exact.curves import Curve
from agents.planning.tariff import FloatArray, Hinge, NetTariff

if TYPE_CHECKING:
    from agents.planning.problem import PlanningProblem

_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class MarginalCurves:
    """One staircase per slot, linear between points: energy and marginal price, ascending along axis 1.

    Attributes:
        energy_kwh: energy, shape (T, K).
        price_eur_per_kwh: cost of one more kWh there, shape (T, K).
    """

    energy_kwh: FloatArray
    price_eur_per_kwh: FloatArray

    def energy_at(self, price_eur_per_kwh: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Least and greatest energy at which a price is marginal [kWh], shapes (T,)."""
        wanted = np.broadcast_to(np.asarray(price_eur_per_kwh, dtype=float), len(self.energy_kwh))
        return _crossing(self.price_eur_per_kwh, self.energy_kwh, wanted)

    def price_at(self, energy_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Marginal price just below and just above an energy [EUR/kWh], shapes (T,)."""
        return _crossing(self.energy_kwh, self.price_eur_per_kwh, energy_kwh)

    def cost_eur(self, energy_kwh: FloatArray) -> FloatArray:
        """Cost of an energy over that of the least energy of the curve [EUR], shape (T,)."""
        energy, price = self.energy_kwh, self.price_eur_per_kwh
        upto = np.minimum(energy, energy_kwh[:, None])
        width = np.diff(energy, axis=1)
        share = np.diff(upto, axis=1) / np.where(width > 0, width, 1.0)
        end = price[:, :-1] + share * np.diff(price, axis=1)
        total: FloatArray = (0.5 * (price[:, :-1] + end) * np.diff(upto, axis=1)).sum(axis=1)
        return total

    def with_load(self, limit_kwh: FloatArray, value_eur_per_kwh: float) -> MarginalCurves:
        """Curves of the energy beside a load that draws where a kWh costs at most its value.

        Args:
            limit_kwh: most that the load draws in each slot [kWh], shape (T,).
            value_eur_per_kwh: what a kWh is worth to it.

        Returns:
            The merged curves, shape (T, K + 2).
        """
        first, last = self.energy_at(value_eur_per_kwh)
        below = self.price_eur_per_kwh < value_eur_per_kwh
        moved = np.where(below, self.energy_kwh - limit_kwh[:, None], self.energy_kwh)
        energy = np.concatenate([moved, (first - limit_kwh)[:, None], last[:, None]], axis=1)
        level = np.full((len(moved), 2), value_eur_per_kwh)
        # Both rise together, so sorting each alone keeps the pairs.
        energy.sort(axis=1)
        price = np.sort(np.concatenate([self.price_eur_per_kwh, level], axis=1), axis=1)
        return MarginalCurves(energy, price)

    def load_at(
        self, other_kwh: FloatArray, limit_kwh: FloatArray, value_eur_per_kwh: float
    ) -> tuple[FloatArray, FloatArray]:
        """What the load of :meth:`with_load` draws beside other energy, on these curves without it.

        Args:
            other_kwh: all other energy of the slot [kWh], shape (T,).
            limit_kwh: as there.
            value_eur_per_kwh: as there.

        Returns:
            Least and greatest energy that is optimal [kWh], shapes (T,).
        """
        first, last = self.energy_at(value_eur_per_kwh)
        least = np.clip(first - other_kwh, 0.0, limit_kwh)
        return least, np.maximum(least, np.clip(last - other_kwh, 0.0, limit_kwh))

    def split_at(self, energy_kwh: FloatArray) -> MarginalCurves:
        """The same curves with two more points where they pass an energy, shape (T, K + 2)."""
        below, above = self.price_at(energy_kwh)
        energy = np.concatenate([self.energy_kwh, np.stack([energy_kwh, energy_kwh], axis=1)], axis=1)
        price = np.concatenate([self.price_eur_per_kwh, np.stack([below, above], axis=1)], axis=1)
        energy.sort(axis=1)
        price.sort(axis=1)
        return MarginalCurves(energy, price)

    def between(self, least_kwh: FloatArray, greatest_kwh: FloatArray) -> MarginalCurves:
        """The part of the curves between two energies [kWh], shapes (T,)."""
        price = np.clip(
            self.price_eur_per_kwh,
            self.price_at(least_kwh)[1][:, None],
            self.price_at(greatest_kwh)[0][:, None],
        )
        return MarginalCurves(np.clip(self.energy_kwh, least_kwh[:, None], greatest_kwh[:, None]), price)


def net_curves(
    problem: PlanningProblem,
    least_kwh: FloatArray,
    greatest_kwh: FloatArray,
    hinges: tuple[Hinge, ...] = (),
) -> MarginalCurves:
    """Marginal cost of net energy: tariff and proximal term, or their convex hull where they are not convex.

    Args:
        problem: the problem; its demand charge is left out.
        least_kwh: least net energy that can occur in each slot [kWh], shape (T,).
        greatest_kwh: greatest, likewise.
        hinges: further prices on net energy.

    Returns:
        The curves, over the range given.
    """
    tariff = problem.tariff
    tariff = NetTariff(
        tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh, tariff.hinges + hinges
    )
    kinks = np.stack([np.zeros(problem.slots), *(hinge.at_kwh for hinge in tariff.hinges)], axis=1)
    inner = np.sort(np.clip(kinks, least_kwh[:, None], greatest_kwh[:, None]), axis=1)
    ends = np.concatenate([least_kwh[:, None], inner, greatest_kwh[:, None]], axis=1)
    price = tariff.marginal_eur_per_kwh(0.5 * (ends[:, :-1] + ends[:, 1:]))
    pull = problem.weight_eur_per_kwh2[:, None] * (ends - problem.reference_kwh[:, None])
    start, end = price + pull[:, :-1], price + pull[:, 1:]
    width = np.diff(ends, axis=1)
    empty = width <= 1e-12 * (1.0 + np.abs(ends).max())
    pairs = np.stack([np.where(empty, np.nan, start), np.where(empty, np.nan, end)], axis=2)
    pairs = _filled(pairs.reshape(problem.slots, -1))
    energy = np.repeat(ends, 2, axis=1)[:, 1:-1]
    slack = 1e-12 * (1.0 + np.abs(pairs))
    bent = np.flatnonzero((np.diff(pairs, axis=1) < -slack[:, 1:]).any(axis=1))
    if not bent.size:
        return MarginalCurves(energy, np.maximum.accumulate(pairs, axis=1))
    return _convexified(MarginalCurves(energy, pairs), bent)


def battery_curves(net: MarginalCurves, residual_kwh: FloatArray, problem: PlanningProblem) -> MarginalCurves:
    """Marginal cost of stored change: the curves of net energy seen through a battery's losses and wear.

    Args:
        net: marginal cost of net energy.
        residual_kwh: net energy with the battery at rest [kWh], shape (T,).
        problem: a problem with a battery, whose wear of discharging counts.

    Returns:
        Curves of stored change [kWh, charge > 0], convex hulls where charging and discharging at a negative
        price make them not convex.
    """
    battery = problem.battery
    if battery is None:
        raise ValueError("curves of stored change need a battery")
    split = net.split_at(residual_kwh)
    below, above = net.price_at(residual_kwh)
    drawn = split.energy_kwh - residual_kwh[:, None]
    eta_c, eta_d = battery.charge_efficiency, battery.discharge_efficiency
    change = np.where(drawn > 0, drawn * eta_c, drawn / eta_d)
    price = np.where(drawn > 0, split.price_eur_per_kwh / eta_c, split.price_eur_per_kwh * eta_d)
    low, high = below * eta_d, above / eta_c
    # The points at rest hold the price on either side of it.
    at_rest = drawn == 0.0
    is_last = at_rest & (np.cumsum(at_rest, axis=1) == at_rest.sum(axis=1, keepdims=True))
    price = np.where(at_rest, np.where(is_last, high[:, None], low[:, None]), price)
    curves = MarginalCurves(change, price)
    bent = np.flatnonzero(low > high + 1e-12)
    if bent.size:
        curves = _convexified(curves, bent)
    wear = problem.wear
    for at_kwh, extra in wear.discharge_hinges(battery, problem.slot_hours) if wear is not None else []:
        where = np.full(len(change), at_kwh)
        left, right = curves.price_at(where)
        less = np.where(
            curves.energy_kwh <= at_kwh, curves.price_eur_per_kwh - extra, curves.price_eur_per_kwh
        )
        price = np.concatenate([less, (left - extra)[:, None], right[:, None]], axis=1)
        change = np.concatenate([curves.energy_kwh, where[:, None], where[:, None]], axis=1)
        curves = MarginalCurves(np.sort(change, axis=1), np.sort(price, axis=1))
    return curves


def stored_change_curves(curves: MarginalCurves) -> list[Curve]:
    """One curve per slot as :func:`agents.planning.exact.water_values.water_value_plan` takes them."""
    change = np.repeat(curves.energy_kwh, 2, axis=1)[:, 1:-1]
    value = np.repeat(curves.price_eur_per_kwh, 2, axis=1)[:, 1:-1]
    return [Curve(*pair) for pair in zip(value, change, strict=True)]


def _convexified(curves: MarginalCurves, slots: NDArray[np.intp]) -> MarginalCurves:
    """Curves of the convex hull of the cost in some slots, where prices fall somewhere; the others as given.

    The hull of a piecewise-linear cost has the isotonic regression of its prices, weighted by length, for its
    prices: ``max over i <= k of min over j >= k of mean price from i to j`` (R. E. Barlow et al.,
    *Statistical Inference under Order Restrictions*, 1972). Pieces whose price rises are cut into level ones,
    so that their hull lies a little above the true one.
    """
    energy, price = curves.energy_kwh[slots], curves.price_eur_per_kwh[slots]
    if np.any((np.diff(price, axis=1) > 1e-12) & (np.diff(energy, axis=1) > 1e-12)):
        share = np.arange(_SAMPLES) / _SAMPLES
        energy = _cut(energy, share)
        price = _cut(price, share)
    length = np.diff(energy, axis=1)
    mean = 0.5 * (price[:, :-1] + price[:, 1:])
    count = length.shape[1]
    upto = np.concatenate([np.zeros((len(slots), 1)), np.cumsum(length, axis=1)], axis=1)
    cost = np.concatenate([np.zeros((len(slots), 1)), np.cumsum(length * mean, axis=1)], axis=1)
    width = upto[:, None, 1:] - upto[:, :-1, None]
    total = cost[:, None, 1:] - cost[:, :-1, None]
    # Axes: slot, first piece, last piece. No mean where nothing lies between.
    means = np.where(width > 1e-12, total / np.where(width > 1e-12, width, 1.0), np.nan)
    later = np.fmin.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    order = np.arange(count)
    later = np.where(order[:, None] <= order, later, np.nan)
    hull = _filled(np.fmax.reduce(later, axis=1))
    hull_energy = np.repeat(energy, 2, axis=1)[:, 1:-1]
    hull_price = np.maximum.accumulate(np.repeat(hull, 2, axis=1), axis=1)
    spare = hull_energy.shape[1] - curves.energy_kwh.shape[1]
    all_energy = np.pad(curves.energy_kwh, ((0, 0), (0, spare)), mode="edge")
    all_price = np.pad(curves.price_eur_per_kwh, ((0, 0), (0, spare)), mode="edge")
    all_energy[slots], all_price[slots] = hull_energy, hull_price
    return MarginalCurves(all_energy, np.maximum.accumulate(all_price, axis=1))


def _cut(rows: FloatArray, share: FloatArray) -> FloatArray:
    inner = rows[:, :-1, None] + share * np.diff(rows, axis=1)[:, :, None]
    return np.concatenate([inner.reshape(len(rows), -1), rows[:, -1:]], axis=1)


def _crossing(x: FloatArray, y: FloatArray, wanted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least and greatest y where the staircases (x, y) pass x = wanted, shapes (T,)."""
    below = (x < wanted[:, None]).sum(axis=1)
    upto = (x <= wanted[:, None]).sum(axis=1)
    return _interpolated(x, y, wanted, below), _interpolated(x, y, wanted, upto)


def _interpolated(x: FloatArray, y: FloatArray, wanted: FloatArray, count: NDArray[np.intp]) -> FloatArray:
    """Value at x = wanted between each row's points count − 1 and count; at the ends the end's own."""
    rows = np.arange(len(x))
    lo, hi = np.maximum(count - 1, 0), np.minimum(count, x.shape[1] - 1)
    x0, y0 = x[rows, lo], y[rows, lo]
    width = x[rows, hi] - x0
    share = np.where(width > 0, (wanted - x0) / np.where(width > 0, width, 1.0), 0.0)
    found: FloatArray = y0 + np.clip(share, 0.0, 1.0) * (y[rows, hi] - y0)
    return found


def _filled(rows: FloatArray) -> FloatArray:
    """NaN replaced by the value before it in its row, or else by the first there is, or else by 0."""
    rows = rows.copy()
    for column in range(1, rows.shape[1]):
        np.copyto(rows[:, column], rows[:, column - 1], where=np.isnan(rows[:, column]))
    for column in range(rows.shape[1] - 2, -1, -1):
        np.copyto(rows[:, column], rows[:, column + 1], where=np.isnan(rows[:, column]))
    return np.nan_to_num(rows)

"""The objective of each slot as a function of the stored change, cut where its slope jumps.

A slot's objective is piecewise linear (quadratic with a proximal term) in the stored change y. Its slope
jumps at y = 0 (charging and discharging lose differently), where the net energy is zero (import and export
prices differ), at the threshold of a block tariff, at a capped import power and where wear gets dearer. A
jump upwards is convex. It is downwards, hence non-convex, at zero net where the export price is above the
import price, at a threshold beyond which energy gets cheaper, and at y = 0 where energy is paid to be
consumed and the battery has losses. Where several jumps meet, their sum counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.devices.battery import building_side_kwh, stored_change_limits_kwh
from agents.planning.exact.curves import Curve, hull_slopes, staircases
from agents.planning.problem import PlanningProblem, proximal_cost_eur
from agents.planning.tariff import FloatArray, Hinge, NetTariff

if TYPE_CHECKING:
    from runtime.devices import Battery


@dataclass(frozen=True, eq=False)
class Bends:
    """A piecewise-linear function of each slot's stored change y: ``slope y + Σ rise [y − at]₊``.

    Attributes:
        slope_eur_per_kwh: slope left of all bends, shape (T,).
        at_kwh: stored changes at which the slope changes, shape (B, T).
        rise_eur_per_kwh: by how much, shape (B, T); 0 where there is no bend.
    """

    slope_eur_per_kwh: FloatArray
    at_kwh: FloatArray
    rise_eur_per_kwh: FloatArray


class Stages:
    """The slots' objectives of a problem with a battery, without the demand charge and standing wear.

    Attributes:
        zero_net_change_kwh: stored change at which the net energy is zero [kWh], shape (T,).
        least_kwh: least stored change of each slot [kWh], shape (T,).
        greatest_kwh: greatest stored change of each slot [kWh], shape (T,).
        jumps_kwh: stored changes at which the slope may jump [kWh], shape (T, J), ascending; some may lie
            outside the limits.

    Args:
        problem: the problem.
        battery: its battery.
        hinges: further prices on net energy, for instance on import power above a cap.
    """

    def __init__(self, problem: PlanningProblem, battery: Battery, hinges: tuple[Hinge, ...] = ()) -> None:
        self.problem = problem
        self.battery = battery
        tariff = problem.tariff
        self.tariff = NetTariff(
            tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh, tariff.hinges + hinges
        )
        wear = problem.wear
        self._wear_hinges = wear.discharge_hinges(battery, problem.slot_hours) if wear is not None else []
        self._standing = (
            wear.standing_marginals(battery, problem.slot_hours)
            if wear is not None
            else (np.zeros(0), np.zeros(1))
        )
        least, greatest = stored_change_limits_kwh(battery, problem.slot_hours)
        self.least_kwh = np.full(problem.slots, least)
        self.greatest_kwh = np.full(problem.slots, greatest)
        self.zero_net_change_kwh = self.change_kwh(np.zeros(problem.slots))
        jumps = [np.zeros(problem.slots), self.zero_net_change_kwh]
        jumps += [self.change_kwh(hinge.at_kwh) for hinge in self.tariff.hinges]
        jumps += [np.full(problem.slots, at_kwh) for at_kwh, _ in self._wear_hinges if at_kwh < 0]
        # Jumps that rounding alone keeps apart are one.
        self._same_kwh = 1e-12 * battery.stored_max_kwh
        columns = np.stack(jumps, axis=1)
        columns[np.abs(columns) <= self._same_kwh] = 0.0
        self.jumps_kwh = np.sort(columns, axis=1)
        self._jump_is_concave = self._concave_jumps()
        self._bends: Bends | None = None

    @property
    def convex(self) -> bool:
        """Whether every slot's objective is convex within the battery's limits."""
        return not self._jump_is_concave.any()

    @property
    def nonconvex_slots(self) -> NDArray[np.intp]:
        """Slots whose objective is not convex, shape (N,)."""
        return np.flatnonzero(self._jump_is_concave.any(axis=1))

    def net_kwh(self, change_kwh: FloatArray) -> FloatArray:
        """Net energy for a stored change, first axis T, shape as given."""
        trailing = (slice(None),) + (None,) * (change_kwh.ndim - 1)
        net: FloatArray = self.problem.residual_load_kwh[trailing] - building_side_kwh(
            change_kwh, self.battery
        )
        return net

    def change_kwh(self, net_kwh: FloatArray) -> FloatArray:
        """Stored change at which the net energy is a given one [kWh], shapes (T,)."""
        drawn = net_kwh - self.problem.residual_load_kwh
        battery = self.battery
        change: FloatArray = np.where(
            drawn > 0, drawn * battery.charge_efficiency, drawn / battery.discharge_efficiency
        )
        return change

    def objective_eur(self, change_kwh: FloatArray) -> FloatArray:
        """Objective of each slot for a stored change, first axis T, shape as given."""
        net = self.net_kwh(change_kwh)
        stage = self.tariff.cost_eur(net)
        if self.problem.weight_eur_per_kwh2.any():
            stage += proximal_cost_eur(net, self.problem)
        for at_kwh, price in self._wear_hinges:
            stage += price * np.maximum(at_kwh - change_kwh, 0.0)
        return stage

    def bends(self) -> Bends:
        """The objective, the proximal term apart, as one slope and the bends where it changes."""
        if self._bends is None:
            ends = np.sort(np.stack([self.jumps_kwh[:, 0], self.jumps_kwh[:, -1]]), axis=0)
            outside = self.battery.stored_max_kwh + 1.0
            points = np.concatenate([ends[:1].T - outside, self.jumps_kwh, ends[1:].T + outside], axis=1)
            slope = self._slopes_eur_per_kwh(points)
            empty = np.diff(points, axis=1) <= self._same_kwh
            for column in range(1, slope.shape[1]):
                np.copyto(slope[:, column], slope[:, column - 1], where=empty[:, column])
            at_kwh, rise = self.jumps_kwh.T, np.diff(slope, axis=1).T
            # Where a slope differs by rounding alone there is no bend.
            real = np.abs(rise) > 1e-12 * np.abs(slope).max()
            kept = real.any(axis=1)
            self._bends = Bends(slope[:, 0], at_kwh[kept], np.where(real, rise, 0.0)[kept])
        return self._bends

    def breakpoints_kwh(self, least_kwh: FloatArray, greatest_kwh: FloatArray) -> FloatArray:
        """Ends of the segments of each slot between two limits [kWh], shape (T, J + 2), ascending."""
        inner = np.clip(self.jumps_kwh, least_kwh[:, None], greatest_kwh[:, None])
        return np.concatenate([least_kwh[:, None], inner, greatest_kwh[:, None]], axis=1)

    def marginals_eur_per_kwh(self, breakpoints_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slope of the objective at the start and at the end of each segment.

        Args:
            breakpoints_kwh: ends of the segments [kWh], shape (T, S + 1); no slope jumps inside a segment.

        Returns:
            Slopes just after each segment's start and just before its end [EUR/kWh stored], shapes (T, S).
            A segment of no length has no slope of its own; what is given for it means nothing.
        """
        problem = self.problem
        slope = self._slopes_eur_per_kwh(breakpoints_kwh)
        weight = problem.weight_eur_per_kwh2[:, None]
        if not weight.any():
            return slope, slope
        middle = 0.5 * (breakpoints_kwh[:, :-1] + breakpoints_kwh[:, 1:])
        net_per_change = self._net_per_change(middle)
        pull = weight * (self.net_kwh(breakpoints_kwh) - problem.reference_kwh[:, None])
        return slope + net_per_change * pull[:, :-1], slope + net_per_change * pull[:, 1:]

    def _net_per_change(self, change_kwh: FloatArray) -> FloatArray:
        """Net energy for each kWh of stored change."""
        battery = self.battery
        per_change: FloatArray = np.where(
            change_kwh > 0, 1.0 / battery.charge_efficiency, battery.discharge_efficiency
        )
        return per_change

    def _slopes_eur_per_kwh(self, breakpoints_kwh: FloatArray) -> FloatArray:
        """Slope of the objective in each segment without the proximal term, shapes as of marginals."""
        middle = 0.5 * (breakpoints_kwh[:, :-1] + breakpoints_kwh[:, 1:])
        slope = self._net_per_change(middle) * self.tariff.marginal_eur_per_kwh(self.net_kwh(middle))
        for at_kwh, price in self._wear_hinges:
            slope -= np.where(middle < at_kwh, price, 0.0)
        return slope

    def convex_piece(
        self, change_kwh: FloatArray, toward_charge: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Limits of the convex piece of each slot that holds a stored change.

        Args:
            change_kwh: stored change [kWh], shape (T,).
            toward_charge: where the change lies on a concave jump: the piece above if positive, else the one
                below, shape (T,).

        Returns:
            Least and greatest stored change of the piece [kWh], shapes (T,).
        """
        least, greatest = self.least_kwh.copy(), self.greatest_kwh.copy()
        slack = 1e-9 * max(self.battery.stored_max_kwh - self.battery.stored_min_kwh, 1e-12)
        for column in range(self.jumps_kwh.shape[1]):
            jump, concave = self.jumps_kwh[:, column], self._jump_is_concave[:, column]
            on_it = np.abs(change_kwh - jump) <= slack
            above = np.where(on_it, toward_charge > 0, change_kwh > jump)
            least = np.where(concave & above, np.maximum(least, jump), least)
            greatest = np.where(concave & ~above, np.minimum(greatest, jump), greatest)
        return least, greatest

    def curves(
        self, least_kwh: FloatArray, greatest_kwh: FloatArray, slots: NDArray[np.intp] | None = None
    ) -> list[Curve]:
        """Optimal change against value of stored energy, where each slot is convex between the limits.

        Args:
            least_kwh: least stored change [kWh], shape (T,).
            greatest_kwh: greatest stored change [kWh], shape (T,).
            slots: slots to give curves of, shape (N,); None gives all.

        Returns:
            One curve per slot.
        """
        points = self.breakpoints_kwh(least_kwh, greatest_kwh)
        start, end = self.marginals_eur_per_kwh(points)
        if slots is not None:
            points, start, end = points[slots], start[slots], end[slots]
        return staircases(points, start, end)

    def hull_curves(self, samples: int = 9) -> list[Curve]:
        """Curves of the slots' convex hulls, for the relaxed problem.

        Exact without a proximal term. With one, the hull of a non-convex slot is taken over ``samples``
        points of each segment, a little above the true hull.

        Args:
            samples: points per segment where a proximal term bends it.

        Returns:
            One curve per slot.
        """
        slots = self.nonconvex_slots
        if not slots.size:
            return self.curves(self.least_kwh, self.greatest_kwh)
        points = self.breakpoints_kwh(self.least_kwh, self.greatest_kwh)
        if not self.problem.weight_eur_per_kwh2.any():
            slope = hull_slopes(points, self.objective_eur(points))
            return staircases(points, slope, slope)
        curves = self.curves(self.least_kwh, self.greatest_kwh)
        share = np.linspace(0.0, 1.0, samples)[:-1]
        inner = points[:, :-1, None] + share * np.diff(points, axis=1)[:, :, None]
        points = np.concatenate([inner.reshape(len(points), -1), points[:, -1:]], axis=1)
        slope = hull_slopes(points[slots], self.objective_eur(points)[slots])
        for slot, curve in zip(slots.tolist(), staircases(points[slots], slope, slope), strict=True):
            curves[slot] = curve
        return curves

    def standing_marginals(self) -> tuple[FloatArray, FloatArray]:
        """Kinks [kWh], shape (M,), and slopes [EUR/kWh], shape (M + 1,), of the cost of standing charged."""
        return self._standing

    def standing_eur(self, stored_kwh: FloatArray) -> FloatArray:
        """Cost of standing at stored energies at the end of a slot [EUR], shape as given."""
        wear = self.problem.wear
        if wear is None:
            return np.zeros_like(stored_kwh)
        return wear.standing_cost_eur(stored_kwh, self.battery, self.problem.slot_hours)

    def concave_jumps(self) -> list[tuple[FloatArray, NDArray[np.bool_]]]:
        """Where a slot's slope may jump downwards: stored changes [kWh] and whether it does, shapes (T,)."""
        return list(zip(self.jumps_kwh.T, self._jump_is_concave.T, strict=True))

    def least_lagrangian_eur(
        self,
        value_eur_per_kwh: FloatArray,
        least_kwh: FloatArray,
        greatest_kwh: FloatArray,
        net_price_eur_per_kwh: FloatArray | None = None,
    ) -> FloatArray:
        """Least of objective + net price × net energy − value × stored change in each slot, between limits.

        Args:
            value_eur_per_kwh: value of stored energy at the end of each slot, shape (T,).
            least_kwh: least stored change [kWh], shape (T,).
            greatest_kwh: greatest stored change [kWh], shape (T,).
            net_price_eur_per_kwh: a price on net energy beside the objective, shape (T,); None is 0.

        Returns:
            Minimum [EUR], shape (T,): the exact conjugate, whether the slot is convex or not.
        """
        points = self.breakpoints_kwh(least_kwh, greatest_kwh)
        extra = np.zeros(len(points)) if net_price_eur_per_kwh is None else net_price_eur_per_kwh
        candidates = [points]
        if self.problem.weight_eur_per_kwh2.any():
            start, end = self.marginals_eur_per_kwh(points)
            rise = end - start
            charging = points[:, 1:] + points[:, :-1] > 0
            per_change = np.where(
                charging, 1.0 / self.battery.charge_efficiency, self.battery.discharge_efficiency
            )
            wanted = value_eur_per_kwh[:, None] - extra[:, None] * per_change
            share = np.where(rise > 0, (wanted - start) / np.where(rise > 0, rise, 1.0), 0.0)
            candidates.append(points[:, :-1] + np.clip(share, 0.0, 1.0) * np.diff(points, axis=1))
        change = np.concatenate(candidates, axis=1)
        value = self.objective_eur(change) - value_eur_per_kwh[:, None] * change
        if net_price_eur_per_kwh is not None:
            value += extra[:, None] * self.net_kwh(change)
        least: FloatArray = value.min(axis=1)
        return least

    def _concave_jumps(self) -> NDArray[np.bool_]:
        points = self.breakpoints_kwh(self.least_kwh, self.greatest_kwh)
        start, end = self.marginals_eur_per_kwh(points)
        empty = np.diff(points, axis=1) <= self._same_kwh
        before, after = np.where(empty, np.nan, end), np.where(empty, np.nan, start)
        # Beside a segment without length counts the next one that has some.
        for column in range(1, before.shape[1]):
            left, right = before[:, column], after[:, -1 - column]
            np.copyto(left, before[:, column - 1], where=np.isnan(left))
            np.copyto(right, after[:, -column], where=np.isnan(right))
        below, above = before[:, :-1], after[:, 1:]
        # A jump outside the limits has nothing on one side, and NaN compares as false. Of jumps in one place
        # the last stands for all.
        concave: NDArray[np.bool_] = above < below - 1e-12 * (np.abs(above) + np.abs(below))
        last: NDArray[np.bool_] = concave & ~empty[:, 1:]
        return last

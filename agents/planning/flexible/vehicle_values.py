"""Battery and vehicles planned together: exact where the cost of net energy is convex and appliances are set.

At a given value of a kWh in each vehicle, vehicles charge wherever energy costs no more, which merges them
into the slots' curves of marginal cost (:mod:`agents.planning.flexible.marginal_curves`); water values then
give the battery's best plan exactly. What is left are as many numbers as there are vehicles, the values at
which each gets the energy it needs. They are the multipliers of a linear programme over the convex mixtures
of such plans (G. B. Dantzig, P. Wolfe, *Decomposition Principle for Linear Programs*, Operations Research 8,
1960): a mixture of plans is a plan, and costs no more than the mixture of their costs. Its basis has one plan
more than there are vehicles; the multipliers of the basis ask for the plan that enters next.

Unlike replies of one device at a time this cannot get stuck where battery and vehicle both stand on a kink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.devices.battery import stored_change_kwh
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import water_value_plan
from agents.planning.flexible.devices import Devices, Schedule
from agents.planning.flexible.marginal_curves import (
    MarginalCurves,
    battery_curves,
    net_curves,
    stored_change_curves,
)
from agents.planning.tariff import FloatArray, Hinge

_GAIN_SHARE, _BENT_GAIN_SHARE = 1e-6, 1e-5
_WIDEN = 6.0
_SAME_KWH = 1e-9


@dataclass(frozen=True, eq=False)
class JointPlan:
    """Battery and vehicles beside set appliances.

    Attributes:
        schedule: a feasible schedule.
        price_range_eur_per_kwh: what one less and one more kWh cost in each slot, with the devices' replies,
            shape (2, T); any prices between support the plan.
        water_value_eur_per_kwh: value of stored energy in the battery, shape (T,); zeros without one.
        vehicle_value_eur_per_kwh: value of a kWh drawn by each vehicle, shape (V,).
        solves: plans made on the way.
    """

    schedule: Schedule
    price_range_eur_per_kwh: FloatArray
    water_value_eur_per_kwh: FloatArray
    vehicle_value_eur_per_kwh: FloatArray
    solves: int


@dataclass(frozen=True, eq=False)
class _Column:
    """A plan at given values: what it costs without them, and what each vehicle draws [kWh]."""

    stored_energy_kwh: FloatArray | None
    vehicle_kwh: FloatArray
    drawn_kwh: FloatArray
    cost_eur: float
    price_range_eur_per_kwh: FloatArray
    water_value_eur_per_kwh: FloatArray


class VehicleValues:
    """Plans battery and vehicles beside appliances that are set.

    Args:
        devices: all devices.
    """

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self._net = net_curves(devices.base, *devices.net_range_kwh)
        self._stages = None if devices.battery is None else Stages(devices.base, devices.battery)

    def plan(
        self,
        near: Schedule,
        hinges: tuple[Hinge, ...] = (),
        values_eur_per_kwh: FloatArray | None = None,
        gain_share: float | None = None,
    ) -> JointPlan:
        """Best battery and vehicles beside a schedule's appliances.

        Args:
            near: a feasible schedule, the better the sooner it ends.
            hinges: further prices on net energy.
            values_eur_per_kwh: values of a kWh in each vehicle to start from, shape (V,), for instance of
                the same loads beside other appliances; None takes them from ``near``.
            gain_share: gain that is worth another plan, as a share of what the vehicles' energy may cost;
                None chooses by whether a proximal term bends the costs, so that plans never end exactly.

        Returns:
            The plan; optimal where the cost of net energy is convex, else for its convex hull.
        """
        devices = self.devices
        other = devices.problem.residual_load_kwh + devices.appliances_kwh(near.starts)
        net = net_curves(devices.base, *devices.net_range_kwh, hinges) if hinges else self._net
        if not len(near.vehicle_kwh):
            column = self._column(net, other, np.zeros(0))
            schedule = Schedule(column.stored_energy_kwh, near.vehicle_kwh, near.starts)
            return JointPlan(
                schedule, column.price_range_eur_per_kwh, column.water_value_eur_per_kwh, np.zeros(0), 1
            )
        if gain_share is None:
            gain_share = _BENT_GAIN_SHARE if devices.base.weight_eur_per_kwh2.any() else _GAIN_SHARE
        return self._mixture(near, net, other, values_eur_per_kwh, gain_share)

    def _mixture(
        self,
        near: Schedule,
        net: MarginalCurves,
        other_kwh: FloatArray,
        given_value: FloatArray | None,
        gain_share: float,
    ) -> JointPlan:
        devices = self.devices
        needed = devices.ranges_kwh[:, 0]
        count = needed.size
        first = self._given(near, net, other_kwh)
        value, half = self._first_values(near, net, other_kwh)
        least_gain = gain_share * float((needed * half).sum()) + 1e-12
        width = 0.25 * half
        if given_value is not None:
            value, width = given_value, 0.05 * half
        low, high = value - width, value + width
        # Rows: energy of each vehicle, and shares that sum to one. A shortage costs the box's upper end.
        columns: list[_Column | None] = [first] + [None] * count
        basis = np.zeros((count + 1, count + 1))
        basis[:, 0] = np.append(first.drawn_kwh, 1.0)
        basis[:count, 1:] = np.eye(count)
        right = np.append(needed, 1.0)
        latest, best_bound, best_value = first, -np.inf, value
        bends = bool(devices.base.weight_eur_per_kwh2.any())
        solves = 0
        for _ in range(40 + 20 * count):
            costs = np.array(
                [
                    column.cost_eur
                    if column is not None
                    else _artificial_cost(basis[:count, place], low, high)
                    for place, column in enumerate(columns)
                ]
            )
            multipliers = np.linalg.solve(basis.T, costs)
            value, level = multipliers[:count], multipliers[count]
            outside = np.flatnonzero((value > high + 1e-12) | (value < low - 1e-12))
            if outside.size:
                v = int(outside[0])
                entering: _Column | None = None
                row = np.zeros(count + 1)
                row[v] = 1.0 if value[v] > high[v] else -1.0
            else:
                entering = self._column(net, other_kwh, value)
                solves += 1
                row = np.append(entering.drawn_kwh, 1.0)
                bound = entering.cost_eur - float(value @ (entering.drawn_kwh - needed))
                if bound > best_bound:
                    latest, best_bound, best_value = entering, bound, value
                if entering.cost_eur - value @ entering.drawn_kwh >= level - least_gain:
                    share = np.linalg.solve(basis, right)
                    short = sum(share[k] for k, column in enumerate(columns) if column is None)
                    if short <= 1e-9 * (1.0 + needed.sum()):
                        break
                    width = width * _WIDEN
                    low, high = np.minimum(low, value - width), np.maximum(high, value + width)
                    continue
            direction = np.linalg.solve(basis, row)
            share = np.maximum(np.linalg.solve(basis, right), 0.0)
            possible = direction > 1e-9
            if not possible.any():
                break
            ratio = np.where(possible, share / np.where(possible, direction, 1.0), np.inf)
            place = int(ratio.argmin())
            basis[:, place] = row
            columns[place] = entering
            if bends and all(columns):
                # Where costs bend, a mixture costs less than what it mixes: it may be good enough already.
                mixed = self._mixed(near, columns, np.linalg.solve(basis, right))
                if self._given(mixed, net, other_kwh).cost_eur - best_bound <= least_gain:
                    break
        mixed = self._mixed(near, columns, np.linalg.solve(basis, right))
        price, water = latest.price_range_eur_per_kwh, latest.water_value_eur_per_kwh
        return JointPlan(mixed, price, water, best_value, solves)

    def _mixed(self, near: Schedule, columns: list[_Column | None], shares: FloatArray) -> Schedule:
        """The mixture of a basis."""
        pairs = zip(shares.tolist(), columns, strict=True)
        kept = [(share, column) for share, column in pairs if column is not None and share > 0]
        total = sum(share for share, _ in kept)
        vehicle = np.zeros_like(near.vehicle_kwh)
        stored = None if near.stored_energy_kwh is None else np.zeros_like(near.stored_energy_kwh)
        for share, column in kept:
            vehicle += share / total * column.vehicle_kwh
            if stored is not None and column.stored_energy_kwh is not None:
                stored += share / total * column.stored_energy_kwh
        return Schedule(stored, self.devices.repaired_kwh(vehicle), near.starts)

    def _given(self, schedule: Schedule, net: MarginalCurves, other_kwh: FloatArray) -> _Column:
        drawn = self.devices.drawn_kwh(schedule.stored_energy_kwh)
        energy = other_kwh + drawn + schedule.vehicle_kwh.sum(axis=0)
        totals = schedule.vehicle_kwh.sum(axis=1)
        # What is drawn beyond the need counts as room that is used.
        totals = np.minimum(totals, self.devices.ranges_kwh[:, 0])
        cost = self._cost_eur(net, energy, schedule.stored_energy_kwh)
        price = np.stack(net.price_at(energy))
        nothing = np.zeros(energy.size)
        return _Column(schedule.stored_energy_kwh, schedule.vehicle_kwh, totals, cost, price, nothing)

    def _cost_eur(self, net: MarginalCurves, energy_kwh: FloatArray, stored_kwh: FloatArray | None) -> float:
        cost = float(net.cost_eur(energy_kwh).sum())
        problem, battery = self.devices.base, self.devices.battery
        if problem.wear is not None and battery is not None and stored_kwh is not None:
            change = stored_change_kwh(stored_kwh, battery)
            hours = problem.slot_hours
            cost += float(problem.wear.discharge_cost_eur(change, battery, hours).sum())
            cost += float(problem.wear.standing_cost_eur(stored_kwh, battery, hours).sum())
        return cost

    def _first_values(
        self, near: Schedule, net: MarginalCurves, other_kwh: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Each vehicle's value of a kWh by what it pays in a schedule, and the spread of its prices."""
        energy = other_kwh + self.devices.drawn_kwh(near.stored_energy_kwh) + near.vehicle_kwh.sum(axis=0)
        below, above = net.price_at(energy)
        values, spreads = np.zeros(len(near.vehicle_kwh)), np.zeros(len(near.vehicle_kwh))
        for number, (row, limit) in enumerate(zip(near.vehicle_kwh, self.devices.limits_kwh, strict=True)):
            here = limit > 0
            paid = below[here & (row > 1e-9 * limit)]
            spared = above[here & (row < limit * (1 - 1e-9))]
            ends = [float(paid.max())] if paid.size else []
            ends += [float(spared.min())] if spared.size else []
            values[number] = np.mean(ends) if ends else 0.0
            prices = np.concatenate([below[here], above[here]])
            spreads[number] = max(float(np.ptp(prices)), 0.02 * float(np.abs(prices).max()), 1e-6)
        return values, spreads

    def _column(self, net: MarginalCurves, other_kwh: FloatArray, value: FloatArray) -> _Column:
        """The plan of least cost where each vehicle's kWh has a value."""
        devices, battery = self.devices, self.devices.battery
        chain = [net]
        for limit, worth in zip(devices.limits_kwh, value.tolist(), strict=True):
            chain.append(chain[-1].with_load(limit, worth))
        merged = chain[-1]
        stored, water = None, np.zeros(other_kwh.size)
        if battery is not None and self._stages is not None:
            stages = self._stages
            curves = battery_curves(merged, other_kwh, devices.base)
            curves = curves.between(stages.least_kwh, stages.greatest_kwh)
            solved = water_value_plan(stored_change_curves(curves), stages, devices.lower_kwh)
            stored, water = solved.stored_energy_kwh, solved.value_eur_per_kwh
        rest = other_kwh + devices.drawn_kwh(stored)
        price = self._price(merged, rest, stored, water)
        vehicle = np.zeros_like(devices.limits_kwh)
        drawn = np.zeros(value.size)
        energy = rest
        for number in range(value.size - 1, -1, -1):
            least, greatest = chain[number].load_at(energy, devices.limits_kwh[number], float(value[number]))
            vehicle[number], drawn[number] = self._chosen(number, least, greatest, float(value[number]))
            energy = energy + vehicle[number]
        return _Column(stored, vehicle, drawn, self._cost_eur(net, energy, stored), price, water)

    def _chosen(
        self, number: int, least: FloatArray, greatest: FloatArray, value: float
    ) -> tuple[FloatArray, float]:
        """Between equally good loads, the one nearest to the need; and its total less the room it uses."""
        needed, most = self.devices.ranges_kwh[number].tolist()
        low, high = float(least.sum()), float(greatest.sum())
        # Energy beyond the need is worth nothing, so a negative value fills all the room.
        room = most - needed if value < 0 else 0.0
        if value == 0.0:
            room = min(max(low - needed, 0.0), most - needed)
        wanted = min(max(needed + room, low), high)
        share = (wanted - low) / (high - low) if high > low else 0.0
        chosen: FloatArray = least + share * (greatest - least)
        return chosen, float(chosen.sum()) - room

    def _price(
        self, merged: MarginalCurves, rest_kwh: FloatArray, stored: FloatArray | None, water: FloatArray
    ) -> FloatArray:
        """Least and greatest price of each slot at which battery and vehicles would do what they do."""
        # Rounding must not put a slot on one side of a kink that it stands on.
        low, high = merged.price_at(rest_kwh - _SAME_KWH)[0], merged.price_at(rest_kwh + _SAME_KWH)[1]
        battery = self.devices.battery
        if battery is None or stored is None or self._stages is None:
            return np.stack([low, high])
        change = stored_change_kwh(stored, battery)
        same = 1e-9 * (battery.stored_max_kwh - battery.stored_min_kwh)
        wear = self.devices.base.wear
        worn_below, worn_above = np.zeros(change.size), np.zeros(change.size)
        if wear is not None:
            for at_kwh, extra in wear.discharge_hinges(battery, self.devices.base.slot_hours):
                worn_below += np.where(change <= at_kwh + same, extra, 0.0)
                worn_above += np.where(change < at_kwh - same, extra, 0.0)
        charging = water * battery.charge_efficiency
        at_least = np.where(change > same, charging, (water + worn_above) / battery.discharge_efficiency)
        at_least = np.where(np.abs(change) <= same, charging, at_least)
        at_most = np.where(change > same, charging, (water + worn_below) / battery.discharge_efficiency)
        at_least = np.where(change >= self._stages.greatest_kwh - same, -np.inf, at_least)
        at_most = np.where(change <= self._stages.least_kwh + same, np.inf, at_most)
        least = np.minimum(np.maximum(low, at_least), high)
        most = np.maximum(np.minimum(high, at_most), low)
        return np.stack([np.minimum(least, most), np.maximum(least, most)])


def _artificial_cost(column: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Cost of a kWh short, or over: what bounds a vehicle's value."""
    v = int(np.abs(column).argmax())
    return float(high[v]) if column[v] > 0 else float(-low[v])

"""The community's problem as a linear program, with binaries only where it is not convex.

Every member's net energy is its residual load plus what its stores draw. Slots with local trade are priced at
the boundary by the pool tariffs (``coordinator.costs``), with half the fee at each meter; slots without it
price every meter by itself. Binaries are needed

- for the sign of a member's net energy in a slot without trade whose feed-in tariff is above the import
  price (importing and exporting at once would earn the difference),
- for the direction of a lossy store where a negative price makes destroying energy pay, and
- for the start of a load that runs once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordinator.costs import CommunityTariff
from coordinator.optimum.linear_model import Columns, LinearModel, Solved
from coordinator.optimum.stores import Store
from runtime.devices import Appliance

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What real stores do, and what the community pays.

    Attributes:
        stored_kwh: for each member one trajectory a store, shape (slots,).
        start_slots: for each member one slot an appliance, in which it starts.
        net_kwh: net positions, shape (members, slots).
        cost_eur: cost of these positions.
    """

    stored_kwh: tuple[tuple[Array, ...], ...]
    start_slots: tuple[tuple[int, ...], ...]
    net_kwh: Array
    cost_eur: float


class CommunityProgram:
    """Columns and rows of the community's problem, and the way back from their values to a plan.

    Attributes:
        model: the columns and rows.
        constant_eur: cost that no column changes.
    """

    def __init__(
        self,
        residual_load_kwh: Array,
        stores: Sequence[Sequence[Store]],
        appliances: Sequence[Sequence[Appliance]],
        tariff: CommunityTariff,
    ) -> None:
        """Write the problem down.

        Args:
            residual_load_kwh: load − production, shape (members, slots).
            stores: each member's stores.
            appliances: each member's loads that run once.
            tariff: the community's prices and limits.
        """
        self.model = LinearModel()
        self.constant_eur = 0.0
        self._residual_kwh, self._stores, self._tariff = residual_load_kwh, stores, tariff
        self._appliances = appliances
        self._stored: list[list[Columns]] = []
        self._net_terms: list[list[tuple[Columns, float]]] = []
        self._starts: list[list[Columns]] = []
        self._signs: list[tuple[Columns, int, NDArray[np.intp]]] = []
        self._directions: list[tuple[Columns, int, int, NDArray[np.intp]]] = []
        least, greatest = self._net_ranges()
        burning = self._burning(least.sum(axis=0))
        # what a member's meter itself is charged: half the fee, or without trade the grid's tariffs
        suspended = tariff.suspended
        self._meter_import_eur_per_kwh = np.where(
            suspended, tariff.import_price_eur_per_kwh, tariff.meter_fee_eur_per_kwh
        )
        self._meter_export_eur_per_kwh = np.where(
            suspended, tariff.export_price_eur_per_kwh, -tariff.meter_fee_eur_per_kwh
        )
        for member in range(len(stores)):
            self._add_member(member, least[member], greatest[member], burning)
        self._balanced = np.flatnonzero(~suspended | (tariff.excess_price_eur_per_kwh > 0))
        self._balance = self._add_boundary(least.sum(axis=0), greatest.sum(axis=0))

    # -- from values to a plan ---------------------------------------------------------------------------

    def plan_of(self, values: Array) -> Plan:
        """The plan that real stores make of the columns' values."""
        stored = tuple(
            tuple(
                np.clip(values[columns], store.stored_min_kwh, store.stored_max_kwh)
                for store, columns in zip(own, member_columns, strict=True)
            )
            for own, member_columns in zip(self._stores, self._stored, strict=True)
        )
        starts = tuple(
            tuple(
                appliance.earliest_start_slot + int(np.argmax(values[columns]))
                for appliance, columns in zip(own, member_columns, strict=True)
            )
            for own, member_columns in zip(self._appliances, self._starts, strict=True)
        )
        net = self._residual_kwh.copy()
        for member, trajectories in enumerate(stored):
            for store, trajectory in zip(self._stores[member], trajectories, strict=True):
                net[member] += store.drawn_kwh(trajectory)
            for appliance, start in zip(self._appliances[member], starts[member], strict=True):
                net[member, start : start + len(appliance.energy_kwh)] += appliance.energy_kwh
        return Plan(stored, starts, net, self._tariff.cost_eur(net))

    def binaries_of(self, plan: Plan) -> tuple[Columns, Array]:
        """The binaries, and what they are in a plan."""
        columns, values = [np.zeros(0, dtype=np.intp)], [np.zeros(0)]
        for signs, member, slots in self._signs:
            columns.append(signs)
            values.append((plan.net_kwh[member, slots] > 0).astype(float))
        for directions, member, number, slots in self._directions:
            drawn = self._stores[member][number].drawn_kwh(plan.stored_kwh[member][number])
            columns.append(directions)
            values.append((drawn[slots] > 0).astype(float))
        for member, (own, member_columns) in enumerate(zip(self._appliances, self._starts, strict=True)):
            for number, (appliance, starts) in enumerate(zip(own, member_columns, strict=True)):
                chosen = plan.start_slots[member][number] - appliance.earliest_start_slot
                columns.append(starts)
                values.append((np.arange(starts.size) == chosen).astype(float))
        return np.concatenate(columns), np.concatenate(values)

    def prices_of(self, solved: Solved | None) -> Array:
        """Dual of each trading slot's balance; NaN elsewhere."""
        prices = np.full(self._tariff.slots, np.nan)
        if solved is not None and solved.equality_marginals is not None:
            prices[self._balanced] = solved.equality_marginals[self._balance]
        return np.where(self._tariff.suspended, np.nan, prices)

    # -- columns and rows --------------------------------------------------------------------------------

    def _net_ranges(self) -> tuple[Array, Array]:
        least, greatest = self._residual_kwh.copy(), self._residual_kwh.copy()
        for member, own in enumerate(self._stores):
            for store in own:
                least[member] -= store.discharge_max_kwh
                greatest[member] += store.charge_max_kwh
            for appliance in self._appliances[member]:
                greatest[member] += _runs(appliance, self._tariff.slots).max(axis=0)
        return least, greatest

    def _burning(self, least_boundary: Array) -> NDArray[np.bool_]:
        """Slots in which a kWh less may cost more: where destroying energy may pay."""
        tariff = self._tariff
        lowest = np.minimum(tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh)
        above_limit = -least_boundary > tariff.export_limit_kwh
        return np.asarray(lowest - tariff.excess_price_eur_per_kwh * above_limit < 0)

    def _add_member(self, member: int, least: Array, greatest: Array, burning: NDArray[np.bool_]) -> None:
        residual, own = self._residual_kwh[member], self._stores[member]
        split = (
            (least < 0) & (greatest > 0) & (self._meter_import_eur_per_kwh != self._meter_export_eur_per_kwh)
        )
        price = np.where(greatest > 0, self._meter_import_eur_per_kwh, self._meter_export_eur_per_kwh)
        price = np.where(split, 0.0, price)
        self.constant_eur += float(price @ residual)
        self._net_terms.append([])
        self._stored.append([])
        for number, store in enumerate(own):
            charge = self.model.add_columns(0.0, store.charge_max_kwh, price)
            discharge = self.model.add_columns(0.0, store.discharge_max_kwh, -price)
            self._net_terms[member] += [(charge, 1.0), (discharge, -1.0)]
            self._stored[member].append(self._add_store(store, charge, discharge))
            if store.lossy:
                self._add_directions(member, number, charge, discharge, burning)
        self._starts.append([self._add_appliance(member, one, price) for one in self._appliances[member]])
        slots = np.flatnonzero(split)
        if slots.size:
            self._add_signs(member, slots, least[slots], greatest[slots])
        if self._net_terms[member] and self._tariff.demand_charge_eur_per_kw:
            hours = self._tariff.slot_hours
            peak = self.model.add_columns(0.0, np.inf, self._tariff.demand_charge_eur_per_kw)
            terms = [(columns, sign / hours) for columns, sign in self._net_terms[member]]
            self.model.add_at_most([*terms, (np.repeat(peak, hours.size), -1.0)], -residual / hours)
        else:
            self.constant_eur += float(self._tariff.demand_charges_eur(self._residual_kwh[[member]]).sum())

    def _add_store(self, store: Store, charge: Columns, discharge: Columns) -> Columns:
        stored = self.model.add_columns(store.stored_min_kwh, store.stored_max_kwh)
        right = -store.used_kwh
        right[:1] += store.retention * store.start_kwh
        rows = self.model.add_equal(
            [
                (stored, 1.0),
                (charge, -store.charge_efficiency),
                (discharge, 1.0 / store.discharge_efficiency),
            ],
            right,
        )
        self.model.add_to_equal(rows[1:], stored[:-1], -store.retention)
        return stored

    def _add_appliance(self, member: int, appliance: Appliance, price: Array) -> Columns:
        """One binary for each start; what the appliance draws is a column a slot."""
        runs = _runs(appliance, self._tariff.slots)
        starts = self.model.add_columns(np.zeros(len(runs)), 1.0, binary=True)
        one = self.model.add_equal([], [1.0])
        self.model.add_to_equal(np.repeat(one, starts.size), starts, 1.0)
        drawn = self.model.add_columns(0.0, runs.max(axis=0), price)
        rows = self.model.add_equal([(drawn, 1.0)], 0.0)
        start, slot = np.nonzero(runs)
        self.model.add_to_equal(rows[slot], starts[start], -runs[start, slot])
        self._net_terms[member].append((drawn, 1.0))
        return starts

    def _add_directions(
        self, member: int, number: int, charge: Columns, discharge: Columns, burning: NDArray[np.bool_]
    ) -> None:
        store = self._stores[member][number]
        slots = np.flatnonzero(burning & (store.charge_max_kwh > 0) & (store.discharge_max_kwh > 0))
        if not slots.size:
            return
        charging = self.model.add_columns(np.zeros(slots.size), 1.0, binary=True)
        self.model.add_at_most([(charge[slots], 1.0), (charging, -store.charge_max_kwh[slots])], 0.0)
        most = store.discharge_max_kwh[slots]
        self.model.add_at_most([(discharge[slots], 1.0), (charging, most)], most)
        self._directions.append((charging, member, number, slots))

    def _add_signs(self, member: int, slots: NDArray[np.intp], least: Array, greatest: Array) -> None:
        """Split net energy into import and export where they have different prices at the meter."""
        up, down = self._meter_import_eur_per_kwh[slots], self._meter_export_eur_per_kwh[slots]
        taken = self.model.add_columns(0.0, greatest, up)
        given = self.model.add_columns(0.0, -least, -down)
        terms = [(columns[slots], -sign) for columns, sign in self._net_terms[member]]
        self.model.add_equal([(taken, 1.0), (given, -1.0), *terms], self._residual_kwh[member, slots])
        twisted = np.flatnonzero(down > up)
        if twisted.size:
            importing = self.model.add_columns(np.zeros(twisted.size), 1.0, binary=True)
            self.model.add_at_most([(taken[twisted], 1.0), (importing, -greatest[twisted])], 0.0)
            self.model.add_at_most([(given[twisted], 1.0), (importing, -least[twisted])], -least[twisted])
            self._signs.append((importing, member, slots[twisted]))

    def _add_boundary(self, least: Array, greatest: Array) -> Columns:
        """Price the community's net energy where members trade, and what is above the connection's limits."""
        tariff, slots = self._tariff, self._balanced
        trading = ~tariff.suspended[slots]
        buy = np.where(trading, tariff.pool_import_price_eur_per_kwh[slots], 0.0)
        sell = np.where(trading, tariff.pool_export_price_eur_per_kwh[slots], 0.0)
        taken = self.model.add_columns(0.0, np.maximum(greatest[slots], 0.0), buy)
        given = self.model.add_columns(0.0, np.maximum(-least[slots], 0.0), -sell)
        boundary = self._residual_kwh.sum(axis=0)[slots]
        rows = self.model.add_equal([(taken, 1.0), (given, -1.0)], boundary)
        for terms in self._net_terms:
            for columns, sign in terms:
                self.model.add_to_equal(rows, columns[slots], -sign)
        excess_price = tariff.excess_price_eur_per_kwh
        for side, limit in ((taken, tariff.import_limit_kwh[slots]), (given, tariff.export_limit_kwh[slots])):
            limited = np.flatnonzero(np.isfinite(limit))
            if limited.size and excess_price:
                above = self.model.add_columns(np.zeros(limited.size), np.inf, excess_price)
                self.model.add_at_most([(side[limited], 1.0), (above, -1.0)], limit[limited])
        return rows


def _runs(appliance: Appliance, slots: int) -> Array:
    """What an appliance draws for each start it may have, shape (starts, slots)."""
    runs = np.zeros((appliance.latest_start_slot - appliance.earliest_start_slot + 1, slots))
    for row, start in enumerate(range(appliance.earliest_start_slot, appliance.latest_start_slot + 1)):
        runs[row, start : start + len(appliance.energy_kwh)] = appliance.energy_kwh
    return runs

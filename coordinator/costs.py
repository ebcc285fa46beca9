"""What a community pays for its members' positions: grid tariffs, local fee, connection limit, demand charge.

Positions are the paper's: import > 0, export < 0 [kWh per slot]. With q the members' positions in a slot,
D = Σ[q]₊, S = Σ[−q]₊, Q = D − S and M = min(D, S), a slot with local trade costs

    G(Q) + φ M + e ([Q − L⁺]₊ + [−Q − L⁻]₊),    G(Q) = λ⁺[Q]₊ − λ⁻[−Q]₊,

λ⁺ and λ⁻ the grid's import and feed-in tariffs, φ the fee on energy traded between members, L⁺ and L⁻ what
the community's connection carries, e the price of energy above it. Since M = (Σ|q| − |Q|)/2 the same cost is

    (λ⁺ − φ/2)[Q]₊ − (λ⁻ + φ/2)[−Q]₊ + (φ/2) Σ|q| + excess:

*pool tariffs* at the boundary and half the fee at each meter, for which it does not matter who trades with
whom. A slot where λ⁺ − λ⁻ < φ has no local trade: it would destroy value. Everybody is at the grid's tariffs
there, Σ G(q), and only the connection, which is a wire, still sees the net energy.

The demand charge is each member's own: on the highest mean power its meter imports in a slot of the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.configuration import CoordinatorSession
from runtime.grid_terms import GridTerms
from runtime.records import SessionRecord

Array = NDArray[np.float64]

_HALF_PRICE_STEP_EUR_PER_KWH = 5e-10
"""Prices are whole multiples of 1e-9: within half of that, two sums of prices are the same."""


@dataclass(frozen=True)
class CommunityTariff:
    """All prices and limits that a community's positions of one session meet; arrays of shape (slots,).

    Attributes:
        import_price_eur_per_kwh: the grid's import tariff λ⁺.
        export_price_eur_per_kwh: the grid's feed-in tariff λ⁻.
        slot_hours: length of the slots [h].
        local_fee_eur_per_kwh: fee φ on energy traded between members, half for each side.
        import_limit_kwh: what the community's connection takes in a slot L⁺; infinite without a limit.
        export_limit_kwh: what it gives L⁻; infinite without a limit.
        excess_price_eur_per_kwh: charge e on energy above either limit.
        demand_charge_eur_per_kw: charge on each member's peak import of the horizon.
    """

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array
    slot_hours: Array
    local_fee_eur_per_kwh: float
    import_limit_kwh: Array
    export_limit_kwh: Array
    excess_price_eur_per_kwh: float
    demand_charge_eur_per_kw: float

    def __post_init__(self) -> None:
        """Check shapes and signs.

        Raises:
            ValueError: which attribute is wrong, what was found, what was expected.
        """
        slots = self.import_price_eur_per_kwh.shape
        if len(slots) != 1:
            raise ValueError(f"import_price_eur_per_kwh: expected shape (slots,), found {slots}")
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            values = np.asarray(value)
            if values.ndim and values.shape != slots:
                raise ValueError(f"{name}: expected shape {slots}, found {values.shape}")
            limit = name.endswith("_limit_kwh")
            if np.isnan(values).any() or not (limit or np.isfinite(values).all()):
                raise ValueError(f"{name}: expected finite numbers, found {value}")
            if not name.endswith("port_price_eur_per_kwh") and (values < 0).any():
                raise ValueError(f"{name}: expected 0 or more, found {values.min()}")
        if (self.slot_hours <= 0).any():
            raise ValueError(f"slot_hours: expected more than 0, found {self.slot_hours.min()}")

    @classmethod
    def of(
        cls,
        import_price_eur_per_kwh: ArrayLike,
        export_price_eur_per_kwh: ArrayLike,
        slot_hours: ArrayLike,
        *,
        local_fee_eur_per_kwh: float = 0.0,
        import_limit_kw: ArrayLike | None = None,
        export_limit_kw: ArrayLike | None = None,
        excess_price_eur_per_kwh: float = 0.0,
        demand_charge_eur_per_kw: float = 0.0,
    ) -> Self:
        """Make one from what a scenario says, where limits are powers.

        Args:
            import_price_eur_per_kwh: shape (slots,).
            export_price_eur_per_kwh: shape (slots,).
            slot_hours: a number or shape (slots,) [h].
            local_fee_eur_per_kwh: fee on energy traded between members.
            import_limit_kw: power the connection takes, a number or shape (slots,); None for no limit.
            export_limit_kw: power it gives, likewise.
            excess_price_eur_per_kwh: charge on energy above a limit.
            demand_charge_eur_per_kw: charge on each member's peak import.

        Raises:
            ValueError: shapes that do not fit, or a number that is negative or not finite.
        """
        buy = np.asarray(import_price_eur_per_kwh, dtype=np.float64)

        def row(values: ArrayLike) -> Array:
            array = np.asarray(values, dtype=np.float64)
            return array if array.ndim else np.full(buy.shape, array)

        hours = row(slot_hours)
        return cls(
            import_price_eur_per_kwh=buy,
            export_price_eur_per_kwh=row(export_price_eur_per_kwh),
            slot_hours=hours,
            local_fee_eur_per_kwh=local_fee_eur_per_kwh,
            import_limit_kwh=row(np.inf) if import_limit_kw is None else row(import_limit_kw) * hours,
            export_limit_kwh=row(np.inf) if export_limit_kw is None else row(export_limit_kw) * hours,
            excess_price_eur_per_kwh=excess_price_eur_per_kwh,
            demand_charge_eur_per_kw=demand_charge_eur_per_kw,
        )

    @classmethod
    def in_terms(
        cls,
        import_price_eur_per_kwh: Sequence[Decimal],
        export_price_eur_per_kwh: Sequence[Decimal],
        slot_hours: float,
        grid: GridTerms,
    ) -> Self:
        """Make one from exact terms, as configurations and records hold them.

        Args:
            import_price_eur_per_kwh: the grid's import tariff, by slot.
            export_price_eur_per_kwh: the grid's feed-in tariff, by slot.
            slot_hours: length of a slot [h].
            grid: fee, limits and charges.
        """
        takes_kw, gives_kw = (
            None if limit_kw is None else float(limit_kw)
            for limit_kw in (grid.import_limit_kw, grid.export_limit_kw)
        )
        return cls.of(
            [float(price) for price in import_price_eur_per_kwh],
            [float(price) for price in export_price_eur_per_kwh],
            slot_hours,
            local_fee_eur_per_kwh=float(grid.local_fee_eur_per_kwh),
            import_limit_kw=takes_kw,
            export_limit_kw=gives_kw,
            excess_price_eur_per_kwh=float(grid.excess_price_eur_per_kwh),
            demand_charge_eur_per_kw=float(grid.demand_charge_eur_per_kw),
        )

    @classmethod
    def of_session(cls, terms: CoordinatorSession, slots: int | None = None) -> Self:
        """That of a session as configured.

        Args:
            terms: its horizon, tariffs and grid terms.
            slots: how many slots from its start on; None: all that it plans.
        """
        return cls.in_terms(
            terms.import_price_eur_per_kwh[:slots],
            terms.export_price_eur_per_kwh[:slots],
            terms.horizon.slot_hours,
            terms.grid,
        )

    @classmethod
    def of_record(cls, session: SessionRecord) -> Self:
        """That of a session as recorded, of the slots that were operated."""
        return cls.in_terms(
            session.grid_import_price_eur_per_kwh,
            session.grid_export_price_eur_per_kwh,
            session.horizon.slot_hours,
            session.grid,
        )

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.import_price_eur_per_kwh.size

    @property
    def suspended(self) -> NDArray[np.bool_]:
        """Slots without local trade, shape (slots,): the spread λ⁺ − λ⁻ does not cover the fee φ."""
        spread = self.import_price_eur_per_kwh - self.export_price_eur_per_kwh
        return np.asarray(spread < self.local_fee_eur_per_kwh - _HALF_PRICE_STEP_EUR_PER_KWH)

    @property
    def meter_fee_eur_per_kwh(self) -> Array:
        """Half the fee where there is local trade, else 0: what pool tariffs add at every meter, (slots,)."""
        return np.where(self.suspended, 0.0, self.local_fee_eur_per_kwh / 2)

    @property
    def pool_import_price_eur_per_kwh(self) -> Array:
        """λ⁺ − φ/2, shape (slots,); λ⁺ where trade is suspended."""
        return self.import_price_eur_per_kwh - self.meter_fee_eur_per_kwh

    @property
    def pool_export_price_eur_per_kwh(self) -> Array:
        """λ⁻ + φ/2, shape (slots,); λ⁻ where trade is suspended."""
        return self.export_price_eur_per_kwh + self.meter_fee_eur_per_kwh

    def grid_cost_eur(self, energy_kwh: ArrayLike) -> Array:
        """G: energy at the grid's tariffs, slot by slot [EUR].

        Args:
            energy_kwh: import > 0, shape (..., slots).

        Returns:
            Cost, shape as given.
        """
        energy = np.asarray(energy_kwh, dtype=np.float64)
        price = np.where(energy > 0, self.import_price_eur_per_kwh, self.export_price_eur_per_kwh)
        return energy * price

    def excess_kwh(self, boundary_kwh: ArrayLike) -> Array:
        """Energy above the connection's limits: [Q − L⁺]₊ + [−Q − L⁻]₊ [kWh].

        Args:
            boundary_kwh: net energy Q of the community, shape (..., slots).

        Returns:
            Shape as given.
        """
        boundary = np.asarray(boundary_kwh, dtype=np.float64)
        above = np.maximum(boundary - self.import_limit_kwh, 0.0)
        return np.asarray(above + np.maximum(-boundary - self.export_limit_kwh, 0.0))

    def local_trade_kwh(self, net_kwh: ArrayLike) -> Array:
        """M = min(D, S), energy traded between members; 0 in suspended slots [kWh].

        Args:
            net_kwh: positions, shape (members, slots).

        Returns:
            Shape (slots,).
        """
        net = self._checked(net_kwh)
        traded = np.minimum(np.maximum(net, 0.0).sum(axis=0), np.maximum(-net, 0.0).sum(axis=0))
        return np.where(self.suspended, 0.0, traded)

    def cost_by_slot_eur(self, net_kwh: ArrayLike) -> Array:
        """What positions together cost slot by slot, the demand charge left out [EUR].

        Args:
            net_kwh: positions, import > 0, shape (members, slots).

        Returns:
            Shape (slots,): G(Q) + φ M + e · excess; in a suspended slot Σ G(q) + e · excess.
        """
        net = self._checked(net_kwh)
        boundary = net.sum(axis=0)
        pooled_eur = self.grid_cost_eur(boundary) + self.local_fee_eur_per_kwh * self.local_trade_kwh(net)
        apart_eur = self.grid_cost_eur(net).sum(axis=0)
        excess_eur = self.excess_price_eur_per_kwh * self.excess_kwh(boundary)
        return np.asarray(np.where(self.suspended, apart_eur, pooled_eur) + excess_eur)

    def demand_charges_eur(self, net_kwh: ArrayLike) -> Array:
        """Each member's charge on its peak import, shape (members,) [EUR].

        Args:
            net_kwh: positions, shape (members, slots).
        """
        power_kw = np.maximum(self._checked(net_kwh), 0.0) / self.slot_hours
        return np.asarray(self.demand_charge_eur_per_kw * power_kw.max(axis=1, initial=0.0))

    def cost_eur(self, net_kwh: ArrayLike) -> float:
        """What positions together cost: all slots and all demand charges [EUR].

        Args:
            net_kwh: positions, import > 0, shape (members, slots).
        """
        return float(self.cost_by_slot_eur(net_kwh).sum() + self.demand_charges_eur(net_kwh).sum())

    def _checked(self, net_kwh: ArrayLike) -> Array:
        net = np.asarray(net_kwh, dtype=np.float64)
        if net.ndim != 2 or net.shape[1] != self.slots:
            raise ValueError(f"net_kwh: expected shape (members, {self.slots}), found {net.shape}")
        return net

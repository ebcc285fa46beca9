"""Local prices at which nobody is worse off than alone, as near as can be to those that a market found.

Prices of a negotiation that was stopped in time are not exact, and a member who hardly gains would leave for
a fraction of a cent, at the cost of all others. What members pay is linear in the local prices, so the set of
prices at which nobody is worse off than alone is convex; this is the projection on it.

Source: Hildreth, "A quadratic programming procedure", Naval Research Logistics Quarterly 4 (1957), with the
bounds as in Dykstra, "An algorithm for restricted least squares regression", JASA 78 (1983).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.excess import free_of_charge_kwh
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms.base import Array, Clearing

_PASSES = 500

_INFEASIBLE = 1e-10
"""Residual of the least squares below which no prices meet all bounds."""

_SAME_PRICE_EUR_PER_KWH = 1e-11
_MARGIN_EUR = 1e-8
"""Bills are to stay this far below those alone: prices are settled in whole multiples of 1e-9."""


def fair_clearing(clearing: Clearing, net_kwh: Array, alone_kwh: Array, tariff: CommunityTariff) -> Clearing:
    """The clearing with local prices at which as few members as possible are worse off than alone.

    Args:
        clearing: terms of settlement; its prices lie between the pool's tariffs.
        net_kwh: agreed positions, shape (members, slots), import > 0 [kWh].
        alone_kwh: positions of the members' plans alone, likewise.
        tariff: the community's tariff.

    Returns:
        The clearing given where nobody is worse off, or where no other prices help more; else with the
        nearest prices between the pool's tariffs at which nobody is.
    """
    free_kwh = free_of_charge_kwh(alone_kwh, net_kwh, tariff)
    if free_kwh is not None:
        clearing = replace(clearing, free_kwh=free_kwh)
    room_eur = bills_without_trade_eur(alone_kwh, tariff) - expected_bills_eur(net_kwh, clearing, tariff)
    if (room_eur >= 0).all():
        return clearing
    local = clearing.local_price_eur_per_kwh
    pooled = np.isfinite(local) & ~tariff.suspended
    bought_kwh = traded_kwh(net_kwh)[:, pooled]
    low = tariff.pool_export_price_eur_per_kwh[pooled] - local[pooled]
    high = tariff.pool_import_price_eur_per_kwh[pooled] - local[pooled]
    price_eur_per_kwh = local.copy()
    price_eur_per_kwh[pooled] += nearest_change(bought_kwh, room_eur - _MARGIN_EUR, low, high)
    changed = replace(clearing, local_price_eur_per_kwh=price_eur_per_kwh)
    room_after_eur = bills_without_trade_eur(alone_kwh, tariff) - expected_bills_eur(net_kwh, changed, tariff)
    return changed if (room_after_eur < 0).sum() < (room_eur < 0).sum() else clearing


def traded_kwh(net_kwh: Array) -> Array:
    """What each member has from (> 0) or gives to (< 0) its neighbours, shape (members, slots) [kWh].

    Args:
        net_kwh: positions, shape (members, slots), import > 0 [kWh].
    """
    demand, supply = np.maximum(net_kwh, 0.0).sum(axis=0), np.maximum(-net_kwh, 0.0).sum(axis=0)
    volume = np.minimum(demand, supply)
    bought = np.divide(volume, demand, out=np.zeros_like(volume), where=demand > 0)
    sold = np.divide(volume, supply, out=np.zeros_like(volume), where=supply > 0)
    traded: Array = np.where(net_kwh > 0, net_kwh * bought, net_kwh * sold)
    return traded


def nearest_change(energy_kwh: Array, room_eur: Array, low: Array, high: Array) -> Array:
    """The least change of prices, in the sum of squares, that costs nobody more than there is room for.

    Args:
        energy_kwh: what each member buys (> 0) or sells, shape (members, slots).
        room_eur: by how much each bill may rise; negative: has to fall, shape (members,).
        low: least change of each price, at most 0, shape (slots,) [EUR/kWh].
        high: greatest change, at least 0, likewise.

    Returns:
        Change x, shape (slots,), within its bounds: energy · x ≤ room where that can be met for all, and
        where not, what the passes have come to.
    """
    members = np.flatnonzero((energy_kwh**2).sum(axis=1) > 0)
    squares = (energy_kwh**2).sum(axis=1)
    multiplier = np.zeros(len(energy_kwh))
    change = np.clip(np.zeros(low.size), low, high)
    correction = np.zeros(low.size)
    tolerance = 1e-3 * _MARGIN_EUR
    for _ in range(_PASSES):
        before = change
        for member in members:
            row = energy_kwh[member]
            step = max(-multiplier[member], (float(row @ change) - room_eur[member]) / squares[member])
            multiplier[member] += step
            change = change - step * row
        shifted = change + correction
        change = np.clip(shifted, low, high)
        correction = shifted - change
        met = (energy_kwh @ change <= room_eur + tolerance).all()
        if met and np.abs(change - before).max(initial=0.0) <= _SAME_PRICE_EUR_PER_KWH:
            return change
    exact = _least_distance(energy_kwh, room_eur, low, high)
    return change if exact is None else exact


def _least_distance(energy_kwh: Array, room_eur: Array, low: Array, high: Array) -> Array | None:
    """The same by non-negative least squares, where passes are slow; None if no prices meet all bounds.

    Source: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23 (problem LDP).
    """
    from scipy.optimize import nnls  # half a second to import: only where it is used

    scale = float(max(np.abs(low).max(initial=0.0), np.abs(high).max(initial=0.0)))
    if scale == 0:
        return None
    unit = np.eye(low.size)
    rows = np.concatenate([-energy_kwh, unit, -unit])
    least = np.concatenate([-room_eur, low, -high]) / scale
    system = np.concatenate([rows, least[:, None]], axis=1).T
    wanted = np.zeros(low.size + 1)
    wanted[-1] = 1.0
    weights, _ = nnls(system, wanted)
    residual = system @ weights - wanted
    if -residual[-1] < _INFEASIBLE:
        return None
    change = np.clip(-scale * residual[:-1] / residual[-1], low, high)
    return change if (energy_kwh @ change <= room_eur + _MARGIN_EUR).all() else None

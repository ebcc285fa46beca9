"""Indicators of a community and its members: pure functions on arrays.

Net positions are the paper's: import > 0, export < 0 [kWh per slot]. Where an indicator has no meaning
(a ratio to nothing) the functions return ``None``, never NaN or infinity.

Sources: the paper's equations 1 and 11; R. Luthander et al., *Photovoltaic self-consumption in buildings:
a review*, Applied Energy 142 (2015) for self-consumption; C. Gini (1912) and R. Jain, D. Chiu, W. Hawe,
*A quantitative measure of fairness*, DEC-TR-301 (1984) for equality.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

NO_MONEY_EUR = 1e-5
"""Differences below a thousandth of a cent are rounding, not money: settled energy has nine decimals."""


def imports_kwh(net_kwh: ArrayLike) -> Array:
    """Energy taken, [net]₊, same shape as ``net_kwh`` [kWh]."""
    return np.maximum(np.asarray(net_kwh, dtype=np.float64), 0.0)


def exports_kwh(net_kwh: ArrayLike) -> Array:
    """Energy given, [−net]₊, same shape as ``net_kwh`` [kWh]."""
    return np.maximum(-np.asarray(net_kwh, dtype=np.float64), 0.0)


def grid_cost_eur(
    net_kwh: ArrayLike, import_price_eur_per_kwh: ArrayLike, export_price_eur_per_kwh: ArrayLike
) -> float:
    """Cost of a net position at the grid's tariffs: Σ [net]₊·GT − [−net]₊·FIT (the paper's eq. 1) [EUR].

    Args:
        net_kwh: net position, import > 0, shape (..., slots).
        import_price_eur_per_kwh: grid tariff GT, shape (slots,).
        export_price_eur_per_kwh: feed-in tariff FIT, shape (slots,).

    Returns:
        The cost, negative if more is earned than paid; summed over all axes.
    """
    paid = imports_kwh(net_kwh) * np.asarray(import_price_eur_per_kwh, dtype=np.float64)
    earned = exports_kwh(net_kwh) * np.asarray(export_price_eur_per_kwh, dtype=np.float64)
    return float(np.sum(paid) - np.sum(earned))


def self_sufficiency(load_kwh: ArrayLike, import_kwh: ArrayLike) -> float | None:
    """Share of the load not imported: (Σ load − Σ import)/Σ load (the paper's eq. 11).

    For a community, the sum of its members' imports gives it *at the meters*, where energy from a neighbour
    counts as imported; the imports of the summed positions give it *at the boundary*, where it does not.
    Below 0 if imports fill batteries beyond the load; 1 if nothing is imported.

    Args:
        load_kwh: consumption, not negative, any shape.
        import_kwh: energy imported, not negative, any shape.

    Returns:
        The fraction, or ``None`` without load.
    """
    load = float(np.sum(load_kwh))
    return (load - float(np.sum(import_kwh))) / load if load > 0 else None


def self_consumption(pv_kwh: ArrayLike, export_kwh: ArrayLike) -> float | None:
    """Share of the production not exported: 1 − Σ export/Σ PV.

    Below 0 if a battery exports more than was produced (energy it held at the start).

    Args:
        pv_kwh: production, not negative, any shape.
        export_kwh: energy exported, not negative, any shape.

    Returns:
        The fraction, or ``None`` without production.
    """
    pv = float(np.sum(pv_kwh))
    return 1.0 - float(np.sum(export_kwh)) / pv if pv > 0 else None


def peak_import_kw(net_kwh: ArrayLike, slot_hours: ArrayLike) -> float:
    """Highest mean power imported in a slot: max [net]₊/Δt [kW].

    Args:
        net_kwh: net position, import > 0, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).

    Returns:
        The peak; 0 if nothing is imported or there are no slots.
    """
    power_kw = imports_kwh(net_kwh) / np.asarray(slot_hours, dtype=np.float64)
    return float(power_kw.max()) if power_kw.size else 0.0


def load_factor(net_kwh: ArrayLike, slot_hours: ArrayLike) -> float | None:
    """Mean imported power over its peak: (Σ [net]₊/Σ Δt)/max([net]₊/Δt); 1 is perfectly flat.

    Args:
        net_kwh: net position, import > 0, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).

    Returns:
        The fraction in (0, 1], or ``None`` if nothing is imported.
    """
    net = np.asarray(net_kwh, dtype=np.float64)
    hours = np.broadcast_to(np.asarray(slot_hours, dtype=np.float64), net.shape)
    peak_kw = peak_import_kw(net, hours)
    if peak_kw <= 0:
        return None
    return min(float(np.sum(imports_kwh(net)) / np.sum(hours)) / peak_kw, 1.0)


def saving_percent(alone_cost_eur: float, cost_eur: float) -> float | None:
    """Saving as a percentage of the size of the cost alone: 100·(alone − cost)/|alone| [%].

    Args:
        alone_cost_eur: cost alone at the grid; negative for a member that earns.
        cost_eur: what it came to.

    Returns:
        The percentage, or ``None`` if the cost alone is zero or smaller than the saving: where bill and
        revenue nearly cancel, a share of what is left says nothing.
    """
    saving_eur = alone_cost_eur - cost_eur
    if abs(alone_cost_eur) < max(NO_MONEY_EUR, abs(saving_eur)):
        return None
    return 100.0 * saving_eur / abs(alone_cost_eur)


def gini(values: ArrayLike) -> float | None:
    """Gini coefficient Σᵢ Σⱼ |xᵢ − xⱼ|/(2 n² x̄): 0 if all have the same, (n−1)/n if one has all.

    Args:
        values: shares, shape (n,).

    Returns:
        The coefficient in [0, 1), or ``None`` where it is not defined: no values, a negative one, or
        nothing to share.
    """
    shares = _shares(values)
    if shares is None:
        return None
    ranked = np.sort(shares)
    count = ranked.size
    rank = np.arange(1, count + 1)
    # the double sum over pairs, by ranks: O(n log n)
    return max(float(np.sum((2 * rank - count - 1) * ranked) / (count * np.sum(ranked))), 0.0)


def jain(values: ArrayLike) -> float | None:
    """Jain's fairness index (Σ x)²/(n Σ x²): 1 if all have the same, 1/n if one has all.

    Args:
        values: shares, shape (n,).

    Returns:
        The index in [1/n, 1], or ``None`` where ``gini`` is not defined either.
    """
    shares = _shares(values)
    if shares is None:
        return None
    # scaled to its largest share, so that squares of tiny or huge amounts neither vanish nor overflow
    scaled = shares / shares.max()
    return min(float(np.sum(scaled) ** 2 / (scaled.size * np.sum(scaled**2))), 1.0)


def members_worse_off(savings_eur: ArrayLike) -> int:
    """Number of members that pay more than alone (by more than rounding).

    Args:
        savings_eur: saving of each member, shape (members,).
    """
    return int(np.sum(np.asarray(savings_eur, dtype=np.float64) < -NO_MONEY_EUR))


def mean_price_eur_per_kwh(amount_eur: float, energy_kwh: float) -> float | None:
    """Money per energy [EUR/kWh], or ``None`` if no energy was exchanged."""
    return amount_eur / energy_kwh if energy_kwh > 0 else None


def _shares(values: ArrayLike) -> Array | None:
    shares = np.asarray(values, dtype=np.float64)
    if not shares.size or float(shares.min()) < -NO_MONEY_EUR or float(shares.max()) <= NO_MONEY_EUR:
        return None
    return np.maximum(shares, 0.0)

"""Indicators of energy, power and money: pure functions on arrays.

Net positions are the paper's: import > 0, export < 0 [kWh per slot]. Where an indicator has no meaning
(a ratio to nothing) the functions return ``None``, never NaN or infinity.

Sources: the paper's equation 11; R. Luthander et al., *Photovoltaic self-consumption in buildings:
a review*, Applied Energy 142 (2015) for self-consumption.
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


def mean_price_eur_per_kwh(amount_eur: float, energy_kwh: float) -> float | None:
    """Money per energy [EUR/kWh], or ``None`` if no energy was exchanged."""
    return amount_eur / energy_kwh if energy_kwh > 0 else None


def co2_kg(net_kwh: ArrayLike, co2_intensity_g_per_kwh: ArrayLike) -> float:
    """CO₂ that the imported energy causes: Σ [net]₊ · intensity [kg]. What is exported is given no credit.

    Args:
        net_kwh: net position, import > 0, shape (slots,).
        co2_intensity_g_per_kwh: of the grid, shape (slots,).
    """
    intensity = np.asarray(co2_intensity_g_per_kwh, dtype=np.float64)
    return float(np.sum(imports_kwh(net_kwh) * intensity)) / 1000.0


def squared_power_kw2h(net_kwh: ArrayLike, slot_hours: ArrayLike) -> float:
    """What losses in the connection are proportional to: Σ (net/Δt)² Δt [kW² h].

    Current goes with power and ohmic loss with its square, in either direction; the factor is the line's.

    Args:
        net_kwh: net position, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).
    """
    net = np.asarray(net_kwh, dtype=np.float64)
    return float(np.sum(net**2 / np.asarray(slot_hours, dtype=np.float64)))


def peak_to_average(net_kwh: ArrayLike, slot_hours: ArrayLike) -> float | None:
    """Highest power exchanged over the mean, max |net/Δt| / (Σ|net| / ΣΔt); import and export alike.

    Args:
        net_kwh: net position, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).

    Returns:
        The ratio, at least 1, or ``None`` if nothing is exchanged.
    """
    size = np.abs(np.asarray(net_kwh, dtype=np.float64))
    hours = np.broadcast_to(np.asarray(slot_hours, dtype=np.float64), size.shape)
    total = float(size.sum())
    if total <= 0:
        return None
    return max(float((size / hours).max()) / (total / float(hours.sum())), 1.0)

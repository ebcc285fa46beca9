"""How a member spreads what it needs, or has to spare, over partners and the grid: as water fills vessels."""

from __future__ import annotations

import numpy as np

from agents.planning.tariff import FloatArray


def fill(
    energy_kwh: FloatArray, floor_eur_per_kwh: FloatArray, penalty_eur_per_kwh2: FloatArray, cap: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Spread energy over partners: the level π with Σ_m [π − floor_m]₊ / ρ = energy, at most a cap.

    Args:
        energy_kwh: what there is to spread, at least 0, shape (slots,).
        floor_eur_per_kwh: price of each partner's first kWh, shape (partners, slots), at least one partner.
        penalty_eur_per_kwh2: ρ, shape (slots,).
        cap: highest level, shape (slots,) [EUR/kWh]; what it leaves over is not spread.

    Returns:
        The level, shape (slots,), and each partner's share, shape (partners, slots).
    """
    partners = np.arange(1, floor_eur_per_kwh.shape[0] + 1)[:, None]
    lowest_first = np.sort(floor_eur_per_kwh, axis=0)
    # With the j lowest floors alone, the level would be these; the true one is the lowest of them.
    levels = (penalty_eur_per_kwh2 * energy_kwh + np.cumsum(lowest_first, axis=0)) / partners
    level = np.minimum(levels.min(axis=0), cap)
    return level, np.maximum(level - floor_eur_per_kwh, 0.0) / penalty_eur_per_kwh2


def fill_beside_grid(
    energy_kwh: FloatArray,
    floor_eur_per_kwh: FloatArray,
    penalty_eur_per_kwh2: FloatArray,
    grid_eur_per_kwh: FloatArray,
    share_kwh: FloatArray | None,
    excess_price_eur_per_kwh: float,
) -> tuple[FloatArray, FloatArray]:
    """As ``fill``, with the grid at its tariff beside the partners, up to a share, and dearer beyond.

    Args:
        energy_kwh: as ``fill``.
        floor_eur_per_kwh: as ``fill``.
        penalty_eur_per_kwh2: as ``fill``.
        grid_eur_per_kwh: the grid's tariff, shape (slots,).
        share_kwh: energy to be had at that, shape (slots,); None without a limit.
        excess_price_eur_per_kwh: on energy beyond the share.

    Returns:
        As ``fill``; what partners do not have is the grid's.
    """
    level, spread_kwh = fill(energy_kwh, floor_eur_per_kwh, penalty_eur_per_kwh2, grid_eur_per_kwh)
    if share_kwh is None:
        return level, spread_kwh
    beside_kwh = np.maximum(energy_kwh - share_kwh, 0.0)
    over = beside_kwh > spread_kwh.sum(axis=0)
    cap = grid_eur_per_kwh + excess_price_eur_per_kwh
    higher, more_kwh = fill(beside_kwh, floor_eur_per_kwh, penalty_eur_per_kwh2, cap)
    return np.where(over, higher, level), np.where(over, more_kwh, spread_kwh)

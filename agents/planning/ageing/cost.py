"""What battery cycles cost, counted by rainflow: a cost that is no sum over slots."""

from __future__ import annotations

import numpy as np

from agents.planning.ageing.rainflow import rainflow_cycles
from agents.planning.tariff import FloatArray
from runtime.devices import Battery
from runtime.preferences import BatteryAgeing


def replacement_eur(ageing: BatteryAgeing, battery: Battery) -> float:
    """Cost of replacing a battery [EUR]."""
    return ageing.replacement_eur_per_kwh * battery.capacity_kwh


def cycle_wear_eur(depth: FloatArray | float, ageing: BatteryAgeing, battery: Battery) -> FloatArray:
    """Wear of a full cycle.

    Args:
        depth: depth of the cycle as a fraction of the nominal capacity, any shape.
        ageing: what cycles cost.
        battery: the battery.

    Returns:
        Wear [EUR], shape as given.
    """
    per_cycle = replacement_eur(ageing, battery) / ageing.cycle_life
    wear: FloatArray = per_cycle * np.asarray(depth, dtype=np.float64) ** ageing.depth_exponent
    return wear


def wear_eur(stored_energy_kwh: FloatArray, ageing: BatteryAgeing, battery: Battery) -> FloatArray:
    """Wear of each of P trajectories: replacement cost × Σ count · depth^k / cycle life over its cycles.

    Args:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T, P).
        ageing: what cycles cost.
        battery: the battery, whose start is the first level.

    Returns:
        Wear [EUR], shape (P,).
    """
    total = np.empty(stored_energy_kwh.shape[1])
    for column, trajectory in enumerate(stored_energy_kwh.T):
        counted = rainflow_cycles(np.concatenate([[battery.stored_start_kwh], trajectory]))
        each = cycle_wear_eur(counted.range_kwh / battery.capacity_kwh, ageing, battery)
        total[column] = float(counted.cycles @ each)
    return total

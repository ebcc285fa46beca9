"""An electric vehicle at its charger on arrays: a store that only fills, between arrival and departure.

Energies are drawn at the building's side [kWh per slot], at least 0; what is stored is that times the charge
efficiency. Nothing is lost while it stands, so its only coupling between slots is the sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.devices import ElectricVehicle

FloatArray = NDArray[np.float64]

_REACH_TOLERANCE = 1e-9


def drawn_limit_kwh(vehicle: ElectricVehicle, slots: int, slot_hours: float) -> FloatArray:
    """Most energy that a vehicle can draw in each slot [kWh], shape (slots,); 0 while it is away."""
    limit = np.zeros(slots)
    limit[vehicle.arrival_slot : vehicle.departure_slot] = vehicle.charge_limit_kw * slot_hours
    return limit


def drawn_range_kwh(vehicle: ElectricVehicle, slots: int, slot_hours: float) -> tuple[float, float]:
    """Least and greatest energy that a vehicle draws over its stay [kWh].

    Args:
        vehicle: the vehicle.
        slots: number of slots of the horizon.
        slot_hours: length of a slot [h].

    Returns:
        What it needs and what it can take, as far as its charger reaches.

    Raises:
        InputError: it leaves after the horizon, or the energy cannot be reached before it leaves.
    """
    if vehicle.departure_slot > slots:
        raise InputError(
            f"vehicle {vehicle.name!r}: departure_slot: found {vehicle.departure_slot}, expected at most "
            f"{slots}, the end of the horizon"
        )
    reachable = float(drawn_limit_kwh(vehicle, slots, slot_hours).sum())
    needed = vehicle.energy_kwh / vehicle.charge_efficiency
    if needed > reachable * (1 + _REACH_TOLERANCE):
        raise InputError(
            f"vehicle {vehicle.name!r}: energy_kwh: found {vehicle.energy_kwh}, expected at most "
            f"{reachable * vehicle.charge_efficiency:.4f}: charging at {vehicle.charge_limit_kw} kW from "
            "arrival to departure stores no more"
        )
    room = vehicle.energy_kwh if vehicle.room_kwh is None else vehicle.room_kwh
    needed = min(needed, reachable)
    return needed, max(needed, min(room / vehicle.charge_efficiency, reachable))


def charge_at_once_kwh(vehicle: ElectricVehicle, slots: int, slot_hours: float) -> FloatArray:
    """Energy drawn by a vehicle that charges at full power from its arrival until it has what it needs.

    Args:
        vehicle: the vehicle.
        slots: number of slots of the horizon.
        slot_hours: length of a slot [h].

    Returns:
        Energy drawn [kWh], shape (slots,).

    Raises:
        InputError: as :func:`drawn_range_kwh`.
    """
    needed, _ = drawn_range_kwh(vehicle, slots, slot_hours)
    limit = drawn_limit_kwh(vehicle, slots, slot_hours)
    before = np.concatenate([[0.0], np.cumsum(limit)[:-1]])
    drawn: FloatArray = np.clip(needed - before, 0.0, limit)
    return drawn


def cheapest_charging_kwh(
    vehicle: ElectricVehicle, slot_hours: float, price_eur_per_kwh: FloatArray
) -> FloatArray:
    """Energy drawn at least cost where every slot has one price: the cheapest slots first.

    More than is needed is drawn where energy is paid to be consumed, as far as there is room.

    Args:
        vehicle: the vehicle.
        slot_hours: length of a slot [h].
        price_eur_per_kwh: price of each slot [EUR/kWh], shape (T,).

    Returns:
        Energy drawn [kWh], shape (T,).

    Raises:
        InputError: as :func:`drawn_range_kwh`.
    """
    slots = price_eur_per_kwh.size
    needed, most = drawn_range_kwh(vehicle, slots, slot_hours)
    limit = drawn_limit_kwh(vehicle, slots, slot_hours)
    order = np.argsort(price_eur_per_kwh, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(limit[order])[:-1]])
    wanted = np.where(price_eur_per_kwh[order] < 0, most, needed)
    drawn = np.zeros(slots)
    drawn[order] = np.clip(wanted - before, 0.0, limit[order])
    return drawn

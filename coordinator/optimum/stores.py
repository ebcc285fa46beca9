"""What a member can store energy in, as bounds slot by slot: a battery, or anything else that fits them.

Source: Gabriel, Oulhaj and Dupont (2021), equations 5 to 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.devices import Battery, ElectricVehicle
from runtime.errors import InputError

Array = NDArray[np.float64]

_REACH_TOLERANCE = 1e-9
"""Rounding allowance when asking whether bounds can be kept, as a share of the greatest stored energy."""


@dataclass(frozen=True)
class Store:
    """Bounds of a store; arrays of shape (slots,). Energies drawn and delivered are at the building's side.

    A battery has the same bounds all the time. Bounds that change from slot to slot, and energy that is used
    elsewhere, are there for vehicles: away, a vehicle neither draws nor delivers, and drives.

    Attributes:
        start_kwh: stored energy before slot 0.
        stored_min_kwh: least stored energy at the end of a slot; the end state of charge is in the last.
        stored_max_kwh: greatest stored energy at the end of a slot.
        charge_max_kwh: most energy drawn in a slot, finite.
        discharge_max_kwh: most energy delivered in a slot, finite.
        used_kwh: stored energy used away from the building in a slot.
        retention: share of the stored energy left after a slot of rest, 1 − σ.
        charge_efficiency: stored energy per energy drawn.
        discharge_efficiency: energy delivered per stored energy used.
    """

    start_kwh: float
    stored_min_kwh: Array
    stored_max_kwh: Array
    charge_max_kwh: Array
    discharge_max_kwh: Array
    used_kwh: Array
    retention: float = 1.0
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0

    @property
    def lossy(self) -> bool:
        """Whether charging and discharging at once would destroy energy."""
        return self.charge_efficiency * self.discharge_efficiency < 1.0

    def check(self, owner: str) -> None:
        """See that charging at full power keeps the lower bounds.

        Args:
            owner: who it belongs to, for the message.

        Raises:
            InputError: it does not, so there is no plan at all.
        """
        slack = _REACH_TOLERANCE * max(float(self.stored_max_kwh.max(initial=0.0)), 1e-6)
        needed = -np.inf
        for slot in range(self.stored_min_kwh.size - 1, -1, -1):
            needed = max(needed, float(self.stored_min_kwh[slot]))
            charged = self.charge_efficiency * float(self.charge_max_kwh[slot])
            needed = (needed + float(self.used_kwh[slot]) - charged) / self.retention
        if needed > self.start_kwh + slack:
            raise InputError(
                f"{owner}: found {self.start_kwh:g} kWh stored at the start, expected at least "
                f"{needed:g} kWh: even charging at full power cannot keep the least state of charge"
            )

    def drawn_kwh(self, stored_kwh: ArrayLike) -> Array:
        """Energy at the building's side for a trajectory, drawn > 0, delivered < 0, shape (slots,).

        Never both in a slot: a trajectory says what enters or leaves the store (eq. 8 to 10).

        Args:
            stored_kwh: stored energy at the end of each slot, shape (slots,).
        """
        stored = np.asarray(stored_kwh, dtype=np.float64)
        before = np.concatenate([[self.start_kwh], stored[:-1]])
        change = stored - self.retention * before + self.used_kwh
        # 1/eta_C >= eta_D, so the greater of the two lines is the right one on either side of zero
        return np.maximum(change / self.charge_efficiency, change * self.discharge_efficiency)


def battery_store(battery: Battery, slot_hours: ArrayLike) -> Store:
    """A battery's bounds.

    Args:
        battery: the battery.
        slot_hours: length of the slots, shape (slots,) [h].
    """
    hours = np.asarray(slot_hours, dtype=np.float64)
    keep = 1.0 - battery.self_discharge_per_slot
    least = np.full(hours.shape, battery.stored_min_kwh)
    if hours.size and battery.soc_end_min is not None:
        least[-1] = max(least[-1], battery.soc_end_min * battery.capacity_kwh)
    # without a power limit, what the bounds of the state of charge leave room for (eq. 6 and 7)
    charge_room = (battery.stored_max_kwh - keep * battery.stored_min_kwh) / battery.charge_efficiency
    used_room = max(keep * battery.stored_max_kwh - battery.stored_min_kwh, 0.0)
    discharge_room = used_room * battery.discharge_efficiency
    return Store(
        start_kwh=battery.stored_start_kwh,
        stored_min_kwh=least,
        stored_max_kwh=np.full(hours.shape, battery.stored_max_kwh),
        charge_max_kwh=_limited(charge_room, battery.charge_limit_kw, hours),
        discharge_max_kwh=_limited(discharge_room, battery.discharge_limit_kw, hours),
        used_kwh=np.zeros(hours.shape),
        retention=keep,
        charge_efficiency=battery.charge_efficiency,
        discharge_efficiency=battery.discharge_efficiency,
    )


def vehicle_store(vehicle: ElectricVehicle, slot_hours: ArrayLike) -> Store:
    """A vehicle's stay at its charger: it charges between arrival and departure, and never gives back.

    Args:
        vehicle: the vehicle.
        slot_hours: length of the slots, shape (slots,) [h].

    Raises:
        InputError: it leaves after the last slot.
    """
    hours = np.asarray(slot_hours, dtype=np.float64)
    slots = np.arange(hours.size)
    if vehicle.departure_slot > hours.size:
        raise InputError(
            f"{vehicle.name}: found departure_slot {vehicle.departure_slot}, expected at most {hours.size}"
        )
    here = (slots >= vehicle.arrival_slot) & (slots < vehicle.departure_slot)
    most = vehicle.energy_kwh if vehicle.room_kwh is None else vehicle.room_kwh
    return Store(
        start_kwh=0.0,
        stored_min_kwh=np.where(slots >= vehicle.departure_slot - 1, vehicle.energy_kwh, 0.0),
        stored_max_kwh=np.full(hours.shape, most),
        charge_max_kwh=np.where(here, vehicle.charge_limit_kw * hours, 0.0),
        discharge_max_kwh=np.zeros(hours.shape),
        used_kwh=np.zeros(hours.shape),
        charge_efficiency=vehicle.charge_efficiency,
    )


def _limited(room_kwh: float, limit_kw: float | None, hours: Array) -> Array:
    room = np.full(hours.shape, room_kwh)
    return room if limit_kw is None else np.minimum(room, limit_kw * hours)

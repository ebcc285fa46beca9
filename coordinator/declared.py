"""Is a declared device one that can be planned for? Who plans for all is not to fail by what one says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from coordinator.mechanisms.base import Array
from runtime.devices import Battery, ElectricVehicle
from runtime.errors import InputError, ProtocolError
from runtime.protocol.bodies import DeviceDeclaration
from runtime.protocol.body_base import MAX_SLOT_ENERGY_KWH

LEAST_EFFICIENCY = 0.01
"""Below it a battery or charger is taken for a mistake: a solver that has to weigh such numbers against those
of other members may fail them all."""


def check_declared(body: DeviceDeclaration, slot_hours: Array) -> None:
    """Check that each declared device can do what it has to within the session.

    Args:
        body: the declaration.
        slot_hours: length of the session's slots, shape (slots,) [h].

    Raises:
        ProtocolError: one cannot, or its numbers are beyond any such device.
    """
    # SciPy takes half a second to import: only where members declare.
    from coordinator.optimum import battery_store, vehicle_store

    for name, energy_kwh in _energies_kwh(body):
        if energy_kwh > MAX_SLOT_ENERGY_KWH:
            raise ProtocolError(f"{name}: found {energy_kwh:g} kWh, expected at most {MAX_SLOT_ENERGY_KWH:g}")
    try:
        if body.battery is not None:
            _check_efficiency(body.battery)
            battery_store(body.battery, slot_hours).check(_name(body.battery))
        for vehicle in body.vehicles:
            _check_efficiency(vehicle)
            vehicle_store(vehicle, slot_hours).check(vehicle.name)
    except InputError as error:
        raise ProtocolError(str(error)) from None
    for load in body.appliances:
        if load.latest_start_slot + len(load.energy_kwh) > slot_hours.size:
            raise ProtocolError(
                f"{load.name}: found {len(load.energy_kwh)} slots from slot {load.latest_start_slot} on, "
                f"expected it to end within {slot_hours.size} slots"
            )


def _energies_kwh(body: DeviceDeclaration) -> Iterator[tuple[str, float]]:
    if body.battery is not None:
        yield "battery", body.battery.capacity_kwh
    for vehicle in body.vehicles:
        yield vehicle.name, max(vehicle.energy_kwh, vehicle.room_kwh or 0.0)
    for load in body.appliances:
        yield load.name, float(np.max(load.energy_kwh))


def _check_efficiency(device: Battery | ElectricVehicle) -> None:
    efficiencies = [device.charge_efficiency]
    if isinstance(device, Battery):
        efficiencies += [device.discharge_efficiency, 1.0 - device.self_discharge_per_slot]
    if min(efficiencies) < LEAST_EFFICIENCY:
        found = f"{_name(device)}: found an efficiency of {min(efficiencies):g}"
        raise ProtocolError(f"{found}, expected at least {LEAST_EFFICIENCY:g}")


def _name(device: Battery | ElectricVehicle) -> str:
    return "battery" if isinstance(device, Battery) else device.name

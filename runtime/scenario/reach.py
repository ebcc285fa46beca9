"""What a battery can reach: the upper envelope of its stored energy."""

from __future__ import annotations

from runtime.devices import Battery


def reachable_end_kwh(battery: Battery, slots: int, slot_hours: float) -> float:
    """Most stored energy that a battery can hold after some slots of charging as hard as it may.

    Follows eq. 8 and 10: a slot first loses the share sigma, then gains eta_C times the energy drawn.

    Args:
        battery: its parameters.
        slots: number of slots.
        slot_hours: length of a slot [h].

    Returns:
        Stored energy after the last slot [kWh].
    """
    stored_kwh = battery.stored_start_kwh
    for _ in range(slots):
        if battery.charge_limit_kw is None:
            return battery.stored_max_kwh
        gain_kwh = battery.charge_efficiency * battery.charge_limit_kw * slot_hours
        stored_kwh = min(
            battery.stored_max_kwh, stored_kwh * (1 - battery.self_discharge_per_slot) + gain_kwh
        )
    return stored_kwh

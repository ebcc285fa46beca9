"""Behind one member's meter, slot by slot: load, PV, flexible loads, and the battery that follows a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.devices.battery import battery_slot_kwh, follow_step, lower_envelope_kwh, rule_step
from agents.devices.pv import pv_energy_kwh
from runtime.configuration import MemberSession
from runtime.devices import Battery, PvArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlotOutcome:
    """Energies of one slot [kWh]; battery at the building's side, discharge > 0; net import > 0 (eq. 3)."""

    battery_kwh: float
    stored_kwh: float
    net_kwh: float


class Building:
    """The battery's state, advanced with metered energies.

    With the strategy ``rule`` the battery reacts to what is metered; otherwise it follows the stored energy
    of the plan, as far as its limits allow.
    """

    def __init__(self, battery: Battery | None, strategy: str, slots: int, slot_hours: float) -> None:
        """Set up at the start of a session, with the battery at its start SOC.

        Args:
            battery: the battery; None without one.
            strategy: how it is run.
            slots: number of slots until its end SOC counts.
            slot_hours: length of a slot [h].
        """
        self._battery = battery
        self._strategy = strategy
        self._slot_hours = slot_hours
        self._stored_kwh = battery.stored_start_kwh if battery else 0.0
        self._lower_kwh = lower_envelope_kwh(battery, slots, slot_hours) if battery else np.zeros(slots)

    @property
    def stored_kwh(self) -> float:
        """Stored energy at present."""
        return self._stored_kwh

    def step(
        self,
        slot: int,
        load_kwh: float,
        pv_kwh: float,
        planned_stored_kwh: float,
        flexible_kwh: float = 0.0,
        metered_battery_kwh: float | None = None,
    ) -> SlotOutcome:
        """Pass one slot.

        Args:
            slot: the slot.
            load_kwh: metered load.
            pv_kwh: metered production.
            planned_stored_kwh: stored energy that the plan wants at the end of the slot.
            flexible_kwh: what vehicles and appliances draw as planned, on top of the metered load.
            metered_battery_kwh: what the battery did, where a meter read it, discharge > 0; else it does as
                planned, or by the rule.

        Returns:
            What the battery did and what the meter at the grid shows.
        """
        residual_kwh = load_kwh - pv_kwh + flexible_kwh
        if self._battery is None:
            return SlotOutcome(0.0, 0.0, residual_kwh)
        before_kwh = self._stored_kwh
        if metered_battery_kwh is not None:
            self._stored_kwh = stored_after_kwh(before_kwh, metered_battery_kwh, self._battery)
            return SlotOutcome(metered_battery_kwh, self._stored_kwh, residual_kwh - metered_battery_kwh)
        outcome = self.foresee(slot, residual_kwh, planned_stored_kwh)
        self._stored_kwh = outcome.stored_kwh
        return outcome

    def foresee(self, slot: int, residual_kwh: float, planned_stored_kwh: float) -> SlotOutcome:
        """What the battery does in the slot that is next, by plan or rule; nothing here changes.

        Args:
            slot: the slot.
            residual_kwh: load − production, flexible loads included.
            planned_stored_kwh: as for ``step``.
        """
        if self._battery is None:
            return SlotOutcome(0.0, 0.0, residual_kwh)
        before_kwh, lower_kwh = self._stored_kwh, float(self._lower_kwh[slot])
        if self._strategy == "rule":
            after_kwh = rule_step(before_kwh, residual_kwh, self._battery, self._slot_hours, lower_kwh)
        else:
            after_kwh = follow_step(
                before_kwh, planned_stored_kwh, self._battery, self._slot_hours, lower_kwh
            )
        battery_kwh = battery_slot_kwh(before_kwh, after_kwh, self._battery)
        return SlotOutcome(battery_kwh, after_kwh, residual_kwh - battery_kwh)


def stored_after_kwh(before_kwh: float, battery_kwh: float, battery: Battery) -> float:
    """Stored energy after a slot in which the battery gave or took what was metered (eq. 8 to 10).

    Args:
        before_kwh: stored energy before the slot.
        battery_kwh: at the building's side, discharge > 0.
        battery: the battery.

    Returns:
        The stored energy, kept within 0 and the capacity: a meter knows nothing of what is stored, and what
        the model is off by shows there.
    """
    kept_kwh = (1.0 - battery.self_discharge_per_slot) * before_kwh
    if battery_kwh > 0:
        after_kwh = kept_kwh - battery_kwh / battery.discharge_efficiency
    else:
        after_kwh = kept_kwh - battery_kwh * battery.charge_efficiency
    return min(max(after_kwh, 0.0), battery.capacity_kwh)


def series_of(session: MemberSession, pv: PvArray | None) -> tuple[Array, Array]:
    """Load and production of a session, shape (slots,) each [kWh]; zeros for what a member does not have."""
    slots = session.horizon.slots
    load_kwh = np.zeros(slots) if session.load_kwh is None else np.array(session.load_kwh)
    if session.pv_production_kwh is not None:
        return load_kwh, np.array(session.pv_production_kwh)
    if session.ghi_w_per_m2 is not None and pv is not None:
        return load_kwh, pv_energy_kwh(session.ghi_w_per_m2, pv, session.horizon.slot_hours)
    return load_kwh, np.zeros(slots)

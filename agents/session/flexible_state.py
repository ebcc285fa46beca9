"""Stays and runs that go on from one session to the next: what is charged, and what is running already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.planning.problem import Plan
from runtime.configuration import MemberSession
from runtime.devices import Appliance, ElectricVehicle

Key = tuple[str, int]
"""Name, and the slot of the session by which a stay or window ends: no other of the name ends then."""

_FULL_KWH = 1e-9
"""What is left of a vehicle's need or room below this is nothing."""


@dataclass(frozen=True)
class FlexibleState:
    """How far stays and runs are when a session begins; slots are that session's.

    Attributes:
        stored_kwh: what vehicles have stored since they arrived [kWh].
        starts: slots in which appliances started, below 0.
    """

    stored_kwh: dict[Key, float] = field(default_factory=dict)
    starts: dict[Key, int] = field(default_factory=dict)


NOTHING_BEGUN = FlexibleState()


class FlexibleLoadsInSession:
    """A member's stays and runs as a session plans them, less what was done before it.

    Attributes:
        vehicles: stays that still need, or can take, energy.
        appliances: runs that have not ended.
    """

    def __init__(self, session: MemberSession, state: FlexibleState) -> None:
        """Take up what ``state`` says of the session's stays and runs."""
        self._state = state
        self._slot_hours = session.horizon.slot_hours
        closes = session.appliance_closes or [
            each.latest_start_slot + len(each.energy_kwh) for each in session.appliances
        ]
        self._all_keys = (
            [(each.name, each.departure_slot) for each in session.vehicles],
            [(each.name, end) for each, end in zip(session.appliances, closes, strict=True)],
        )
        stays = [
            (key, stay)
            for key, each in zip(self._all_keys[0], session.vehicles, strict=True)
            if (stay := self._left_of(each, state.stored_kwh.get(key, 0.0))) is not None
        ]
        runs = [
            (key, run)
            for key, each in zip(self._all_keys[1], session.appliances, strict=True)
            if (run := _left_of_run(each, state.starts.get(key))) is not None
        ]
        self.vehicles: tuple[ElectricVehicle, ...] = tuple(stay for _, stay in stays)
        self.appliances: tuple[Appliance, ...] = tuple(run for _, run in runs)
        self._stay_keys = [key for key, _ in stays]
        self._run_keys = [key for key, _ in runs]

    def after(self, plan: Plan, slots: int) -> FlexibleState:
        """How far all is ``slots`` later, when the plan has been run so far."""
        before = self._state
        stored = {key: before.stored_kwh[key] for key in self._all_keys[0] if key in before.stored_kwh}
        for key, vehicle, drawn in zip(self._stay_keys, self.vehicles, plan.vehicle_kwh, strict=True):
            charged = float(drawn[:slots].sum()) * vehicle.charge_efficiency
            stored[key] = stored.get(key, 0.0) + charged
        starts = {key: before.starts[key] for key in self._all_keys[1] if key in before.starts}
        for key, start in zip(self._run_keys, plan.appliance_start_slot, strict=True):
            if key not in starts and start < slots:
                starts[key] = int(start)
        return FlexibleState(
            {(name, end - slots): energy for (name, end), energy in stored.items() if end > slots},
            {(name, end - slots): start - slots for (name, end), start in starts.items() if end > slots},
        )

    def _left_of(self, vehicle: ElectricVehicle, stored_kwh: float) -> ElectricVehicle | None:
        if not stored_kwh:
            return vehicle
        need = max(vehicle.energy_kwh - stored_kwh, 0.0)
        room = None if vehicle.room_kwh is None else max(vehicle.room_kwh - stored_kwh, need)
        if (need if room is None else room) <= _FULL_KWH:
            return None
        slots = vehicle.departure_slot - vehicle.arrival_slot
        most = vehicle.charge_limit_kw * slots * self._slot_hours * vehicle.charge_efficiency
        return vehicle.model_copy(update={"energy_kwh": min(need, most), "room_kwh": room})


def _left_of_run(appliance: Appliance, start: int | None) -> Appliance | None:
    """What is left of a run that started so many slots before the session (below 0); all if it has not."""
    if start is None:
        return appliance
    left = appliance.energy_kwh[-start:]
    if not left:
        return None
    return appliance.model_copy(update={"energy_kwh": left, "earliest_start_slot": 0, "latest_start_slot": 0})


def ending_within(
    vehicles: Sequence[ElectricVehicle], appliances: Sequence[Appliance], slots: int
) -> tuple[list[ElectricVehicle], list[Appliance]]:
    """Those whose stay or window ends within the first slots."""
    return (
        [each for each in vehicles if each.departure_slot <= slots],
        [each for each in appliances if each.latest_start_slot + len(each.energy_kwh) <= slots],
    )

"""One market session as its prosumer knows it: its plans (``round_plans``), and what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.building import Building, SlotOutcome
from agents.planning.flexible.devices import loads_kwh
from agents.planning.problem import Plan
from agents.session.balance import Balance, balance_of
from agents.session.carry_over import CarriedOver, with_stored
from agents.session.flexible_state import FlexibleLoadsInSession
from agents.session.measured import Measured
from agents.session.round_plans import OwnDevices, RoundPlans
from runtime.configuration import MemberConfig
from runtime.devices import Battery
from runtime.horizon import Horizon
from runtime.protocol.bodies import Role
from runtime.records import MemberSessionRecord, Quality


class OwnSession:
    """What a prosumer knows of a session, and its building in it.

    Attributes:
        number: number of the session, from 0.
        horizon: the slots it plans.
        operated: of them, the first, which are run and settled.
        battery: the member's battery as the session finds it; None without one.
        planning: its plans, by round, and the one it runs.
        vehicles: the member's vehicles in it.
        appliances: its appliances that can wait.
        outcomes: what battery and exchange with the grid came to, in each slot that has passed.
    """

    def __init__(
        self,
        config: MemberConfig,
        number: int,
        horizon: Horizon,
        earlier: Iterable[MemberSessionRecord],
        carried: CarriedOver | None = None,
    ) -> None:
        """Begin a session.

        Args:
            config: the member's configuration.
            number: number of the session, from 0.
            horizon: the slots it plans.
            earlier: records of the sessions before, for forecasts.
            carried: what the session before left; None begins at the battery's start SOC.
        """
        self.number = number
        self.horizon = horizon
        self.operated = horizon.first(config.sessions[number].operated_slots)
        self.battery = config.battery
        alone = config.battery
        if config.battery is not None and carried is not None:
            self.battery = with_stored(config.battery, carried.stored_kwh)
            alone = with_stored(config.battery, carried.alone_stored_kwh)
        self._carried = carried
        state = carried or CarriedOver(0.0, 0.0, 0)
        self._loads = FlexibleLoadsInSession(config.sessions[number], state.flexible)
        self._alone_loads = FlexibleLoadsInSession(config.sessions[number], state.alone_flexible)
        self.vehicles, self.appliances = self._loads.vehicles, self._loads.appliances
        there = OwnDevices(self.battery, self.vehicles, self.appliances)
        there_alone = OwnDevices(alone, self._alone_loads.vehicles, self._alone_loads.appliances)
        self.planning = RoundPlans(config, number, horizon, earlier, there, there_alone, carried)
        self._config = config
        self._building = self._new_building(self.battery)
        self._alone = self._new_building(alone)
        self._measured: list[Measured] = []
        self._balances: list[Balance] = []
        self.outcomes: list[SlotOutcome] = []
        self._alone_net_kwh: list[float] = []
        self._quality: list[Quality] = []
        self._corrected: set[int] = set()

    def _new_building(self, battery: Battery | None) -> Building:
        return Building(battery, self._config.strategy, self.horizon.slots, self.horizon.slot_hours)

    # -- slots -----------------------------------------------------------------------------------------

    @property
    def passed(self) -> int:
        """Number of slots that have passed."""
        return len(self.outcomes)

    def next_slot_foreseen(self) -> SlotOutcome | None:
        """What the battery is to do in the slot that is next, from what is stored and the agreed plan.

        Returns:
            None without a battery, before anything is agreed, and after the last slot.
        """
        slot, plan = self.passed, self.planning.chosen
        if self.battery is None or plan is None or slot >= self.operated.slots:
            return None
        residual_kwh = float(self.planning.foreseen.residual_load_kwh[slot]) + _flexible_kwh(plan, slot)
        return self._building.foresee(slot, residual_kwh, float(plan.stored_energy_kwh[slot]))

    def pass_slot(self, measured: Measured, quality: Quality) -> Balance:
        """Advance the building by a slot; what was not read is taken from forecast and plan.

        Args:
            measured: what meters read.
            quality: how the slot's energies were come by.
        """
        slot, read_kwh = self.passed, measured.energies_kwh
        # Without one chosen, the agreement never came through.
        plan, baseline = self.planning.chosen or self.planning.choose(None), self.planning.baseline
        flexible_kwh = _flexible_kwh(plan, slot)
        foreseen = self.planning.foreseen
        outcome = self._building.step(
            slot,
            read_kwh.get("load", float(foreseen.load_kwh[slot])),
            read_kwh.get("pv", float(foreseen.pv_kwh[slot])),
            float(plan.stored_energy_kwh[slot]),
            flexible_kwh,
            read_kwh.get("battery"),
        )
        self.outcomes.append(outcome)
        balance = self._balance(slot, measured)
        alone = self._alone.step(
            slot,
            balance.load_kwh + balance.unmetered_kwh,
            balance.pv_kwh,
            float(baseline.stored_energy_kwh[slot]),
            _flexible_kwh(baseline, slot),
        )
        self._balances.append(balance)
        self._alone_net_kwh.append(alone.net_kwh)
        self._quality.append(quality)
        self._measured.append(measured)
        return balance

    def _balance(self, slot: int, measured: Measured) -> Balance:
        plan = self.planning.chosen
        assert plan is not None, "a plan has been chosen"
        foreseen = self.planning.foreseen
        return balance_of(
            measured.energies_kwh,
            float(foreseen.load_kwh[slot]),
            float(foreseen.pv_kwh[slot]),
            self.outcomes[slot].battery_kwh,
            _flexible_kwh(plan, slot),
        )

    def measured(self, slot: int) -> Measured:
        """What meters read of a slot that has passed."""
        return self._measured[slot]

    def revise(self, slot: int) -> Balance:
        """Put a slot together again after more was read of it.

        The battery has done what it did: its stored energy is not told anew, unless by a later reading.
        """
        measured, before = self._measured[slot], self._balances[slot]
        after = self._balances[slot] = self._balance(slot, measured)
        self._quality[slot] = measured.quality
        self._alone_net_kwh[slot] += after.load_kwh + after.unmetered_kwh - after.pv_kwh
        self._alone_net_kwh[slot] -= before.load_kwh + before.unmetered_kwh - before.pv_kwh
        self._corrected.add(slot)
        return after

    def miss_slots(self, until: int, asked: Mapping[Role, str] | None = None) -> list[int]:
        """Pass the slots before ``until`` that were settled without this member.

        Args:
            until: a slot.
            asked: the meters that may tell what was in them.

        Returns:
            The slots.
        """
        missed = list(range(self.passed, until))
        for _ in missed:
            self.pass_slot(Measured(dict(asked or {})), "missing")
        return missed

    # -- record ----------------------------------------------------------------------------------------

    def end(self) -> MemberSessionRecord:
        """End the session; what there is to be kept of it: the slots operated, and the whole plan."""
        slots = self.operated.slots
        self.miss_slots(slots)
        planning, plan = self.planning, self.planning.chosen
        assert plan is not None, "a slot has passed, so a plan has been chosen"
        has_battery = self.battery is not None
        loads = loads_kwh(self.vehicles, self.appliances, plan)
        return MemberSessionRecord(
            session=self.number,
            load_kwh=[
                balance.load_kwh + _flexible_kwh(plan, slot) for slot, balance in enumerate(self._balances)
            ],
            pv_kwh=[balance.pv_kwh for balance in self._balances],
            battery_charge_kwh=[max(0.0, -balance.battery_kwh) for balance in self._balances],
            battery_discharge_kwh=[max(0.0, balance.battery_kwh) for balance in self._balances],
            stored_kwh=[outcome.stored_kwh for outcome in self.outcomes] if has_battery else [],
            net_kwh=[balance.net_kwh for balance in self._balances],
            unmetered_kwh=(
                [balance.unmetered_kwh for balance in self._balances]
                if any(balance.unmetered_kwh for balance in self._balances)
                else []
            ),
            corrected_slots=sorted(self._corrected),
            planned_net_kwh=plan.net_kwh[:slots].tolist(),
            alone_net_kwh=self._alone_net_kwh,
            stored_start_kwh=self.battery.stored_start_kwh if self.battery and self._carried else None,
            quality=self._quality,
            meter=[",".join(measured.readers) for measured in self._measured],
            rounds_planned=len(planning.rounds),
            planning_seconds=planning.seconds,
            forecast=planning.forecast,
            plan=planning.agreed(),
            flexible_kwh={name: drawn[:slots].tolist() for name, drawn in loads.items()},
            vehicles=self.vehicles,
            appliances=self.appliances,
        )

    def carried_over(self) -> CarriedOver:
        """What the session, once ended, leaves to the next."""
        plan, baseline = self.planning.chosen, self.planning.baseline
        assert plan is not None, "a slot has passed, so a plan has been chosen"
        own, slots = self._config.sessions[self.number], self.operated.slots
        loads = own.vehicles or own.appliances  # their plans are no start for those of other stays and runs
        alone = self._alone_loads if self.planning.has_plan_alone else self._loads
        return CarriedOver(
            self._building.stored_kwh,
            self._alone.stored_kwh,
            slots,
            self._loads.after(plan, slots),
            alone.after(baseline, slots),
            None if loads else plan,
            None if loads else baseline,
        )


def _flexible_kwh(plan: Plan, slot: int) -> float:
    """What vehicles and appliances draw by a plan in a slot [kWh]."""
    return 0.0 if plan.flexible_kwh is None else float(plan.flexible_kwh[slot])

"""One market session as its prosumer knows it: forecast, plans by round, and what happened slot by slot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agents.balance import Balance, balance_of
from agents.building import Building, SlotOutcome
from agents.carry_over import CarriedOver, with_stored
from agents.flexible_state import FlexibleLoadsInSession
from agents.forecast.member import Foreseen, foresee
from agents.metering import Measured
from agents.planning.ageing.planner import AgeingPlanner
from agents.planning.flexible.devices import beside_loads, loads_kwh
from agents.planning.limits import limit_prices_eur_per_kwh
from agents.planning.planner import Planner, planner_for
from agents.planning.preferred import Terms, aged, terms_of, with_terms
from agents.planning.problem import Plan, PlanningProblem
from agents.planning.scheduled import scheduled_plan
from agents.planning.signals import hinges_of
from agents.planning.tariff import FloatArray, Hinge
from runtime.configuration import MemberConfig
from runtime.devices import Battery
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import DeviceSchedule, PriceSignal, Role
from runtime.records import AgreedPlan, MemberSessionRecord, PriceChange, Quality


@dataclass(frozen=True)
class PlannedRound:
    """A plan that is ready: what it was made with and for, and how long it took [s].

    ``limit_price_eur_per_kwh`` has the limit prices of the slots where the signal asked for them;
    ``alone_plan`` is what the member would do alone where its battery would hold something else by now.
    """

    foreseen: Foreseen
    problem: PlanningProblem
    plan: Plan
    planning_seconds: float
    terms: Terms
    limit_price_eur_per_kwh: FloatArray | None = None
    alone_plan: Plan | None = None


class OwnSession:
    """What a prosumer knows of a session, and its building in it.

    Attributes:
        number: number of the session, from 0.
        horizon: the slots it plans.
        operated: of them, the first, which are run and settled.
        battery: the member's battery as the session finds it; None without one.
        plans: the plans made, by round.
        vehicles: the member's vehicles in it.
        appliances: its appliances that can wait.
    """

    def __init__(
        self,
        config: MemberConfig,
        number: int,
        horizon: Horizon,
        earlier: Sequence[MemberSessionRecord],
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
        self._alone_battery = alone
        there = (self.battery, self.vehicles, self.appliances)
        self._differs_alone = (alone, self._alone_loads.vehicles, self._alone_loads.appliances) != there
        self._alone_plan: Plan | None = None
        self.plans: dict[int, Plan] = {}
        self._config = config
        self._earlier = tuple(earlier)
        # Told, not forecast: nothing to be worked out.
        self._foreseen = foresee(config, number) if config.forecast is None else None
        self._problems: dict[int, PlanningProblem] = {}
        self._plan: Plan | None = None
        self._plan_round: int | None = None
        self._planning_seconds = 0.0
        self._terms: Terms | None = None
        self._building = self._new_building(self.battery)
        self._alone = self._new_building(alone)
        self._measured: list[Measured] = []
        self._balances: list[Balance] = []
        self._outcomes: list[SlotOutcome] = []
        self._alone_net_kwh: list[float] = []
        self._quality: list[Quality] = []
        self._corrected: set[int] = set()

    def _new_building(self, battery: Battery | None) -> Building:
        return Building(battery, self._config.strategy, self.horizon.slots, self.horizon.slot_hours)

    # -- planning --------------------------------------------------------------------------------------

    @property
    def plans_briefly(self) -> bool:
        """Whether a plan takes less time than handing it to another thread."""
        devices = self.battery is not None or self.vehicles or self.appliances
        quick = not devices or self._config.strategy != "optimised"
        return quick and self._foreseen is not None

    @property
    def last_plan(self) -> Plan | None:
        """The plan of the latest round, None before the first."""
        return self.plans[max(self.plans)] if self.plans else None

    def check(self, signal: PriceSignal) -> None:
        """Check that a price signal has a value for each slot.

        Raises:
            ProtocolError: which series has how many.
        """
        series = {
            "import_price_eur_per_kwh": signal.import_price_eur_per_kwh,
            "export_price_eur_per_kwh": signal.export_price_eur_per_kwh,
        }
        for number, step in enumerate(signal.steps):
            series[f"steps.{number}.threshold_kwh"] = step.threshold_kwh
            series[f"steps.{number}.above_eur_per_kwh"] = step.above_eur_per_kwh
            series[f"steps.{number}.below_eur_per_kwh"] = step.below_eur_per_kwh
        for name, values in series.items():
            if len(values) != self.horizon.slots:
                raise ProtocolError(f"{name} has {len(values)} slots, expected {self.horizon.slots}")

    def plan_at(
        self, signal: PriceSignal, last: Plan | None, planner: Planner, hinges: tuple[Hinge, ...] = ()
    ) -> PlannedRound:
        """Plan at a round's prices; changes nothing here, so it may run beside the event loop.

        Args:
            signal: the round's prices, one of each a slot.
            last: the plan of the latest round when the signal came: what the proximal term holds on to.
            planner: the member's planner.
            hinges: changes of price beside those of the signal.
        """
        foreseen = self._foreseen or foresee(self._config, self.number, self._earlier)
        problem = PlanningProblem(
            residual_load_kwh=foreseen.residual_load_kwh,
            battery=self.battery,
            slot_hours=self.horizon.slot_hours,
            import_price_eur_per_kwh=np.array(signal.import_price_eur_per_kwh),
            export_price_eur_per_kwh=np.array(signal.export_price_eur_per_kwh),
            proximal_weight_eur_per_kwh2=signal.proximal_weight_eur_per_kwh2 if last else 0.0,
            reference_net_kwh=last.net_kwh if last else None,
            hinges=hinges_of(signal, last.net_kwh if last else None) + hinges,
            peak_charge_eur_per_kw=signal.demand_charge_eur_per_kw,
            vehicles=self.vehicles,
            appliances=self.appliances,
        )
        began = time.perf_counter()
        # Worked out at the first prices, which are the grid's, and held on to.
        terms = self._terms or self._terms_at(problem)
        problem = with_terms(problem, terms)
        heeding, slots = self._heeding(planner, terms), self.horizon.slots
        warm = last if last is not None or self._carried is None else self._carried.warm_start(slots)
        plan = heeding.plan(problem, warm)
        alone_plan = None
        if last is None and self._carried is not None and self._differs_alone:
            warm, loads = self._carried.warm_start(slots, alone=True), self._alone_loads
            alone = replace(
                problem, battery=self._alone_battery, vehicles=loads.vehicles, appliances=loads.appliances
            )
            alone_plan = heeding.plan(alone, warm)
        limits = None
        if signal.wants_limits:
            grid = self._problems.get(0, problem)
            limits = limit_prices_eur_per_kwh(
                beside_loads(problem, plan),
                plan,
                grid.import_price_eur_per_kwh,
                grid.export_price_eur_per_kwh,
            )
        return PlannedRound(foreseen, problem, plan, time.perf_counter() - began, terms, limits, alone_plan)

    def _terms_at(self, problem: PlanningProblem) -> Terms:
        wishes = self._config.planning
        if wishes.preference is None or self._config.strategy != "optimised":
            return Terms()
        return terms_of(problem, wishes.preference, wishes.ageing, self._config.seed)

    def _heeding(self, planner: Planner, terms: Terms) -> Planner:
        """The planner, or one that counts ageing where the member wants it counted."""
        ageing = self._config.planning.ageing
        if ageing is None or self._config.strategy != "optimised":
            return planner
        return AgeingPlanner(aged(ageing, terms), self._config.seed)

    def keep(self, number: int, planned: PlannedRound) -> None:
        """Keep a round's plan."""
        self._foreseen = self._foreseen or planned.foreseen
        self._problems[number] = planned.problem
        self.plans[number] = planned.plan
        self._terms = self._terms or planned.terms
        self._alone_plan = self._alone_plan or planned.alone_plan
        self._planning_seconds += planned.planning_seconds

    def choose_plan(self, agreed_round: int | None) -> None:
        """Take the plan of a round for the one to run; without one of that round, the last one made."""
        if not self.plans:  # every round closed before a plan was ready: the battery keeps still
            residual_kwh = self._known().residual_load_kwh
            no_price, hours = np.zeros(self.horizon.slots), self.horizon.slot_hours
            still = PlanningProblem(
                residual_kwh,
                self.battery,
                hours,
                no_price,
                no_price,
                vehicles=self.vehicles,
                appliances=self.appliances,
            )
            self.plans[0] = planner_for("idle", self._config.seed).plan(still)
        self._plan_round = agreed_round if agreed_round in self.plans else max(self.plans)
        self._plan = self.plans[self._plan_round]

    def follow_schedule(self, schedule: DeviceSchedule) -> None:
        """Take what the coordinator planned for the devices for the plan to run.

        Raises:
            ProtocolError: a schedule that does not fit the devices, or before the grid's tariffs were told.
        """
        if not self.plans:
            raise ProtocolError("the grid's tariffs were not told yet")
        self._plan_round = None
        self._plan = scheduled_plan(self._problems[min(self._problems)], schedule)

    @property
    def foreseen_residual_kwh(self) -> FloatArray:
        """Load − production as foreseen, without vehicles and appliances, shape (slots,) [kWh]."""
        return self._known().residual_load_kwh

    def _known(self) -> Foreseen:
        """What the first plan was made with, or is worked out now where no plan was ready in time."""
        if self._foreseen is None:
            self._foreseen = foresee(self._config, self.number, self._earlier)
        return self._foreseen

    # -- slots -----------------------------------------------------------------------------------------

    @property
    def passed(self) -> int:
        """Number of slots that have passed."""
        return len(self._outcomes)

    def next_slot_foreseen(self) -> SlotOutcome | None:
        """What the battery is to do in the slot that is next, from what is stored and the agreed plan.

        Returns:
            None without a battery, before anything is agreed, and after the last slot.
        """
        slot, plan = self.passed, self._plan
        if self.battery is None or plan is None or slot >= self.operated.slots:
            return None
        residual_kwh = float(self._known().residual_load_kwh[slot]) + _flexible_kwh(plan, slot)
        return self._building.foresee(slot, residual_kwh, float(plan.stored_energy_kwh[slot]))

    def pass_slot(self, measured: Measured, quality: Quality) -> Balance:
        """Advance the building by a slot; what was not read is taken from forecast and plan.

        Args:
            measured: what meters read.
            quality: how the slot's energies were come by.
        """
        if self._plan is None:  # the agreement never came through
            self.choose_plan(None)
        assert self._plan is not None, "a plan has been chosen"
        slot, read_kwh = self.passed, measured.energies_kwh
        plan, baseline = self._plan, self._baseline
        flexible_kwh = _flexible_kwh(plan, slot)
        foreseen = self._known()
        outcome = self._building.step(
            slot,
            read_kwh.get("load", float(foreseen.load_kwh[slot])),
            read_kwh.get("pv", float(foreseen.pv_kwh[slot])),
            float(plan.stored_energy_kwh[slot]),
            flexible_kwh,
            read_kwh.get("battery"),
        )
        self._outcomes.append(outcome)
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

    @property
    def _baseline(self) -> Plan:
        """The plan that the member would have run alone."""
        return self._alone_plan or self.plans[min(self.plans)]

    def _balance(self, slot: int, measured: Measured) -> Balance:
        assert self._plan is not None, "a plan has been chosen"
        foreseen = self._known()
        return balance_of(
            measured.energies_kwh,
            float(foreseen.load_kwh[slot]),
            float(foreseen.pv_kwh[slot]),
            self._outcomes[slot].battery_kwh,
            _flexible_kwh(self._plan, slot),
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
        assert self._plan is not None, "a slot has passed, so a plan has been chosen"
        has_battery = self.battery is not None
        loads = loads_kwh(self.vehicles, self.appliances, self._plan)
        return MemberSessionRecord(
            session=self.number,
            load_kwh=[
                balance.load_kwh + _flexible_kwh(self._plan, slot)
                for slot, balance in enumerate(self._balances)
            ],
            pv_kwh=[balance.pv_kwh for balance in self._balances],
            battery_charge_kwh=[max(0.0, -balance.battery_kwh) for balance in self._balances],
            battery_discharge_kwh=[max(0.0, balance.battery_kwh) for balance in self._balances],
            stored_kwh=[outcome.stored_kwh for outcome in self._outcomes] if has_battery else [],
            net_kwh=[balance.net_kwh for balance in self._balances],
            unmetered_kwh=(
                [balance.unmetered_kwh for balance in self._balances]
                if any(balance.unmetered_kwh for balance in self._balances)
                else []
            ),
            corrected_slots=sorted(self._corrected),
            planned_net_kwh=self._plan.net_kwh[:slots].tolist(),
            alone_net_kwh=self._alone_net_kwh,
            stored_start_kwh=self.battery.stored_start_kwh if self.battery and self._carried else None,
            quality=self._quality,
            meter=[",".join(measured.readers) for measured in self._measured],
            rounds_planned=len(self.plans),
            planning_seconds=self._planning_seconds,
            forecast=self._foreseen.forecast if self._foreseen else None,
            plan=self._agreed_plan(has_battery),
            flexible_kwh={name: drawn[:slots].tolist() for name, drawn in loads.items()},
            vehicles=self.vehicles,
            appliances=self.appliances,
        )

    def carried_over(self) -> CarriedOver:
        """What the session, once ended, leaves to the next."""
        assert self._plan is not None, "a slot has passed, so a plan has been chosen"
        own, slots = self._config.sessions[self.number], self.operated.slots
        loads = own.vehicles or own.appliances  # their plans are no start for those of other stays and runs
        alone = self._alone_loads if self._alone_plan is not None else self._loads
        return CarriedOver(
            self._building.stored_kwh,
            self._alone.stored_kwh,
            slots,
            self._loads.after(self._plan, slots),
            alone.after(self._baseline, slots),
            None if loads else self._plan,
            None if loads else self._baseline,
        )

    def _agreed_plan(self, has_battery: bool) -> AgreedPlan | None:
        """The plan that was run and what it was made for; None where no price signal was answered in time."""
        problem = self._problems.get(self._plan_round) if self._plan_round is not None else None
        if self._plan is None or self._plan_round is None or problem is None:
            return None
        weight = float(problem.weight_eur_per_kwh2.max())
        return AgreedPlan(
            round=self._plan_round,
            residual_load_kwh=problem.residual_load_kwh.tolist(),
            stored_kwh=self._plan.stored_energy_kwh.tolist() if has_battery else None,
            import_price_eur_per_kwh=problem.import_price_eur_per_kwh.tolist(),
            export_price_eur_per_kwh=problem.export_price_eur_per_kwh.tolist(),
            proximal_weight_eur_per_kwh2=weight,
            reference_net_kwh=problem.reference_kwh.tolist() if weight > 0 else None,
            steps=[
                PriceChange(
                    threshold_kwh=hinge.at_kwh.tolist(),
                    above_eur_per_kwh=hinge.above_eur_per_kwh.tolist(),
                    below_eur_per_kwh=hinge.below_eur_per_kwh.tolist(),
                )
                for hinge in problem.hinges
            ],
            demand_charge_eur_per_kw=problem.peak_charge_eur_per_kw,
            cost_eur=self._plan.cost_eur,
            objective_eur=self._plan.objective_eur,
            lower_bound_eur=self._plan.lower_bound_eur,
            certified_loss=self._plan.certified_loss,
            certificate=self._plan.certificate,
        )


def _flexible_kwh(plan: Plan, slot: int) -> float:
    """What vehicles and appliances draw by a plan in a slot [kWh]."""
    return 0.0 if plan.flexible_kwh is None else float(plan.flexible_kwh[slot])

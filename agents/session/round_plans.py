"""A member's plans in a market session: one for each round's prices, and the one that it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agents.forecast.member import Foreseen, foresee
from agents.planning.ageing.planner import AgeingPlanner
from agents.planning.flexible.devices import beside_loads
from agents.planning.limits import limit_prices_eur_per_kwh
from agents.planning.planner import Planner, planner_for
from agents.planning.preferred import Terms, aged, terms_of, with_terms
from agents.planning.problem import Plan, PlanningProblem
from agents.planning.scheduled import scheduled_plan
from agents.planning.signals import hinges_of
from agents.planning.tariff import FloatArray, Hinge
from agents.session.agreed_plan import agreed_plan
from agents.session.carry_over import CarriedOver
from runtime.configuration import MemberConfig
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.planners import HEEDLESS_OF_PRICES
from runtime.protocol.bodies import DeviceSchedule, PriceSignal
from runtime.records import AgreedPlan, MemberForecast, MemberSessionRecord


@dataclass(frozen=True)
class OwnDevices:
    """What a member has to plan in a session."""

    battery: Battery | None
    vehicles: tuple[ElectricVehicle, ...] = ()
    appliances: tuple[Appliance, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is anything to plan."""
        return self.battery is not None or bool(self.vehicles) or bool(self.appliances)


@dataclass(frozen=True, eq=False)
class PlannedRound:
    """A plan that is ready: what it was made with and for, and how long it took [s].

    Attributes:
        net_kwh: the plan's net energy, import > 0, shape (slots,) [kWh]: what is proposed.
        make: makes problem and plan, when they are first looked at.
        foreseen: load and production that it was made with.
        planning_seconds: how long it took [s].
        terms: what the member's preference adds to its cost.
        limit_price_eur_per_kwh: limit prices of the slots, where the signal asked for them.
        alone_plan: what the member would do alone, where its devices would be in another state by now.
    """

    net_kwh: FloatArray
    make: Callable[[], tuple[PlanningProblem, Plan]]
    foreseen: Foreseen
    planning_seconds: float
    terms: Terms
    limit_price_eur_per_kwh: FloatArray | None = None
    alone_plan: Plan | None = None

    @cached_property
    def _made(self) -> tuple[PlanningProblem, Plan]:
        return self.make()

    @property
    def problem(self) -> PlanningProblem:
        """What was to be planned."""
        return self._made[0]

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self._made[1]


class RoundPlans:
    """The plans that a member makes in a session, and the one that it runs.

    Attributes:
        rounds: the plans made, by round.
        chosen: the plan to run; None before the agreement.
        chosen_round: the round that it was made for; None before the agreement, and for a schedule.
        seconds: how long plans took in all [s].
    """

    def __init__(
        self,
        config: MemberConfig,
        number: int,
        horizon: Horizon,
        earlier: Iterable[MemberSessionRecord],
        devices: OwnDevices,
        devices_alone: OwnDevices,
        carried: CarriedOver | None = None,
    ) -> None:
        """Begin a session.

        Args:
            config: the member's configuration.
            number: number of the session, from 0.
            horizon: the slots it plans.
            earlier: records of the sessions before, for forecasts.
            devices: the member's devices as the session finds them.
            devices_alone: as it would find them had the member been alone.
            carried: what the session before left.
        """
        self.rounds: dict[int, PlannedRound] = {}
        self.chosen: Plan | None = None
        self.chosen_round: int | None = None
        self.seconds = 0.0
        self._config, self._number, self._horizon, self._earlier = config, number, horizon, earlier
        self._devices, self._devices_alone, self._carried = devices, devices_alone, carried
        # Told, not forecast: nothing to be worked out.
        self._foreseen = foresee(config, number) if config.forecast is None else None
        self._at_signals: dict[int, PlannedRound] = {}  # those of ``rounds`` made at prices that were told
        self._terms: Terms | None = None
        self._alone_plan: Plan | None = None

    # -- what is planned with --------------------------------------------------------------------------

    @property
    def foreseen(self) -> Foreseen:
        """What the first plan was made with, or is worked out now where no plan was ready in time."""
        if self._foreseen is None:
            self._foreseen = foresee(self._config, self._number, self._earlier)
        return self._foreseen

    @property
    def forecast(self) -> MemberForecast | None:
        """How load and production were forecast; None where they were told, or not needed."""
        return self._foreseen.forecast if self._foreseen else None

    @property
    def same_at_all_prices(self) -> bool:
        """Whether prices change nothing about what the member does, only what that costs."""
        return not self._devices.any or self._config.strategy in HEEDLESS_OF_PRICES

    @property
    def briefly(self) -> bool:
        """Whether a plan takes less time than handing it to another thread."""
        return self.same_at_all_prices and self._foreseen is not None

    @property
    def last(self) -> PlannedRound | None:
        """The plan of the latest round, None before the first."""
        return self.rounds[max(self.rounds)] if self.rounds else None

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
            if len(values) != self._horizon.slots:
                raise ProtocolError(f"{name} has {len(values)} slots, expected {self._horizon.slots}")

    # -- planning --------------------------------------------------------------------------------------

    def plan_at(
        self,
        signal: PriceSignal,
        last: PlannedRound | None,
        planner: Planner,
        hinges: tuple[Hinge, ...] = (),
    ) -> PlannedRound:
        """Plan at a round's prices; changes nothing here, so it may run beside the event loop.

        Args:
            signal: the round's prices, one of each a slot.
            last: the latest round when the signal came: what the proximal term holds on to.
            planner: the member's planner.
            hinges: changes of price beside those of the signal.
        """
        began = time.perf_counter()
        foreseen = self._foreseen or foresee(self._config, self._number, self._earlier)
        if last is not None and self._at_signals and self.same_at_all_prices:
            return self._as_before(signal, last, planner, hinges, foreseen, began)
        problem = self._problem(signal, None if last is None else last.net_kwh, hinges, foreseen)
        began = time.perf_counter()
        # Worked out at the first prices, which are the grid's, and held on to.
        terms = self._terms or self._terms_at(problem)
        problem = with_terms(problem, terms)
        heeding, slots = self._heeding(planner, terms), self._horizon.slots
        if last is not None:
            warm: Plan | None = last.plan
        else:
            warm = None if self._carried is None else self._carried.warm_start(slots)
        plan = heeding.plan(problem, warm)
        alone_plan = None
        if last is None and self._carried is not None and self._devices_alone != self._devices:
            warm, alone = self._carried.warm_start(slots, alone=True), self._devices_alone
            alone_problem = replace(
                problem, battery=alone.battery, vehicles=alone.vehicles, appliances=alone.appliances
            )
            alone_plan = heeding.plan(alone_problem, warm)
        limits = self._limits(problem, plan) if signal.wants_limits else None
        return PlannedRound(
            plan.net_kwh,
            lambda: (problem, plan),
            foreseen,
            time.perf_counter() - began,
            terms,
            limits,
            alone_plan,
        )

    def _as_before(
        self,
        signal: PriceSignal,
        last: PlannedRound,
        planner: Planner,
        hinges: tuple[Hinge, ...],
        foreseen: Foreseen,
        began: float,
    ) -> PlannedRound:
        """What is done in every round, at this round's prices; what it costs is not worked out before."""
        first, last_net_kwh = next(iter(self._at_signals.values())), last.net_kwh
        terms = first.terms

        def make() -> tuple[PlanningProblem, Plan]:
            problem = with_terms(self._problem(signal, last_net_kwh, hinges, foreseen), terms)
            return problem, self._heeding(planner, terms).plan(problem)

        limits = self._limits(*make()) if signal.wants_limits else None
        return PlannedRound(first.net_kwh, make, foreseen, time.perf_counter() - began, terms, limits)

    def _problem(
        self,
        signal: PriceSignal,
        last_net_kwh: FloatArray | None,
        hinges: tuple[Hinge, ...],
        foreseen: Foreseen,
    ) -> PlanningProblem:
        held = last_net_kwh is not None
        return PlanningProblem(
            residual_load_kwh=foreseen.residual_load_kwh,
            battery=self._devices.battery,
            slot_hours=self._horizon.slot_hours,
            import_price_eur_per_kwh=np.array(signal.import_price_eur_per_kwh),
            export_price_eur_per_kwh=np.array(signal.export_price_eur_per_kwh),
            proximal_weight_eur_per_kwh2=signal.proximal_weight_eur_per_kwh2 if held else 0.0,
            reference_net_kwh=last_net_kwh,
            hinges=hinges_of(signal, last_net_kwh) + hinges,
            peak_charge_eur_per_kw=signal.demand_charge_eur_per_kw,
            vehicles=self._devices.vehicles,
            appliances=self._devices.appliances,
        )

    def _limits(self, problem: PlanningProblem, plan: Plan) -> FloatArray:
        grid = self._at_signals[0].problem if 0 in self._at_signals else problem
        return limit_prices_eur_per_kwh(
            beside_loads(problem, plan),
            plan,
            grid.import_price_eur_per_kwh,
            grid.export_price_eur_per_kwh,
        )

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
        self.rounds[number] = self._at_signals[number] = planned
        self._terms = self._terms or planned.terms
        self._alone_plan = self._alone_plan or planned.alone_plan
        self.seconds += planned.planning_seconds

    # -- the plan to run -------------------------------------------------------------------------------

    def choose(self, agreed_round: int | None) -> Plan:
        """Take the plan of a round for the one to run; without one of that round, the last one made."""
        if not self.rounds:  # every round closed before a plan was ready: the battery keeps still
            self.rounds[0] = self._still()
        self.chosen_round = agreed_round if agreed_round in self.rounds else max(self.rounds)
        self.chosen = self.rounds[self.chosen_round].plan
        return self.chosen

    def _still(self) -> PlannedRound:
        devices, no_price = self._devices, np.zeros(self._horizon.slots)
        problem = PlanningProblem(
            self.foreseen.residual_load_kwh,
            devices.battery,
            self._horizon.slot_hours,
            no_price,
            no_price,
            vehicles=devices.vehicles,
            appliances=devices.appliances,
        )
        plan = planner_for("idle", self._config.seed).plan(problem)
        return PlannedRound(plan.net_kwh, lambda: (problem, plan), self.foreseen, 0.0, Terms())

    def follow_schedule(self, schedule: DeviceSchedule) -> None:
        """Take what the coordinator planned for the devices for the plan to run.

        Raises:
            ProtocolError: a schedule that does not fit the devices, or before the grid's tariffs were told.
        """
        if not self._at_signals:
            raise ProtocolError("the grid's tariffs were not told yet")
        self.chosen = scheduled_plan(self._at_signals[min(self._at_signals)].problem, schedule)
        self.chosen_round = None

    @property
    def has_plan_alone(self) -> bool:
        """Whether there is a plan of its own for what the member would do alone."""
        return self._alone_plan is not None

    @property
    def baseline(self) -> Plan:
        """The plan that the member would have run alone."""
        return self._alone_plan or self.rounds[min(self.rounds)].plan

    def agreed(self) -> AgreedPlan | None:
        """The plan that is run and what it was made for; None where no price signal was answered in time."""
        planned = self._at_signals.get(self.chosen_round) if self.chosen_round is not None else None
        if self.chosen is None or self.chosen_round is None or planned is None:
            return None
        stored_kwh = self.chosen.stored_energy_kwh.tolist() if self._devices.battery is not None else None
        return agreed_plan(self.chosen_round, planned.problem, self.chosen, stored_kwh)

"""Coordinated market: members declare what they foresee and own, the coordinator plans for all of them.

The least the community can pay, and the most it has to know: what other mechanisms are compared with. Members
that do not declare keep the plan they made alone. Local trade is settled at the dual price of the optimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import numpy as np
from pydantic import Field

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Array,
    Clearing,
    Declaration,
    Declare,
    Family,
    Mechanism,
    Parameters,
    Schedule,
)
from coordinator.mechanisms.dual_price import dual_price_eur_per_kwh
from coordinator.mechanisms.fair_prices import fair_clearing
from runtime.devices import Appliance
from runtime.errors import PeerwattError


class CoordinatedParameters(Parameters):
    """What a scenario may set.

    Attributes:
        time_limit_s: after it the best plan so far counts [s].
    """

    time_limit_s: float = Field(default=60.0, gt=0)


class Coordinated(Mechanism):
    """See the module."""

    title: ClassVar[str] = "Coordinated"
    summary: ClassVar[str] = (
        "Members tell the coordinator what they foresee and which devices they have; it plans for all at the "
        "least cost, and neighbours trade at the price of the balance."
    )
    discloses: ClassVar[str] = (
        "Load and production foreseen in every slot, all data of batteries, vehicles and appliances, and "
        "metered net energy."
    )
    family: ClassVar[Family] = "coordinated"
    individually_rational: ClassVar[bool] = True
    minimises_cost: ClassVar[bool] = True
    parameters_model = CoordinatedParameters
    computes_long: ClassVar[bool] = True

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        super().__init__(tariff, parameters, members)
        self._own = cast(CoordinatedParameters, parameters)
        self._alone_kwh: Array | None = None
        self._dual_eur_per_kwh = np.full(tariff.slots, np.nan)

    def respond(self, answers: Answers) -> Declare | Agreed:
        """Ask for declarations after the grid's tariffs, and plan when they are there."""
        if self._alone_kwh is None:
            self._alone_kwh = answers.net_kwh.copy()
            return Declare()
        try:
            return self._planned(answers, answers.declarations)
        except PeerwattError:  # whose numbers the solver cannot take, though each is one that may be
            each = answers.declarations.items()
            sound = {member: told for member, told in each if self._can_plan(member, answers)}
        try:
            return self._planned(answers, sound)
        except PeerwattError:
            return Agreed(round=0)

    def _can_plan(self, member: int, answers: Answers) -> bool:
        """Whether there is a plan for one member's devices with all others as they would be alone."""
        try:
            self._planned(answers, {member: answers.declarations[member]})
        except PeerwattError:
            return False
        return True

    def _planned(self, answers: Answers, declarations: Mapping[int, Declaration]) -> Agreed:
        """The least cost of all whose devices are known, others as they would be alone.

        Raises:
            PeerwattError: there is no such plan, or none was found in time.
        """
        # SciPy takes half a second to import: only where it is used.
        from coordinator.optimum import Store, battery_store, optimise, vehicle_store

        hours = self.tariff.slot_hours
        residual_kwh = answers.net_kwh.copy()
        stores: list[list[Store]] = [[] for _ in range(self.members)]
        appliances: list[tuple[Appliance, ...]] = [() for _ in range(self.members)]
        for member, told in declarations.items():
            residual_kwh[member] = told.residual_load_kwh
            batteries = [] if told.battery is None else [battery_store(told.battery, hours)]
            stores[member] = [*batteries, *(vehicle_store(vehicle, hours) for vehicle in told.vehicles)]
            appliances[member] = told.appliances
        optimum = optimise(
            residual_kwh, stores, self.tariff, appliances=appliances, time_limit_s=self._own.time_limit_s
        )
        self._dual_eur_per_kwh = optimum.price_eur_per_kwh
        schedules = {}
        for member, told in declarations.items():
            stored_kwh = optimum.stored_kwh[member]
            drawn_kwh = [
                np.maximum(store.drawn_kwh(stored), 0.0)
                for store, stored in zip(stores[member], stored_kwh, strict=True)
            ]
            schedules[member] = Schedule(
                stored_kwh=None if told.battery is None else stored_kwh[0],
                vehicle_kwh=tuple(drawn_kwh[len(drawn_kwh) - len(told.vehicles) :]),
                appliance_start_slots=optimum.start_slots[member],
            )
        return Agreed(round=1, schedules=schedules, net_kwh=optimum.net_kwh)

    def clear(self, net_kwh: Array) -> Clearing:
        """The dual price of the optimum, or the nearest at which nobody is worse off than alone."""
        clearing = Clearing(dual_price_eur_per_kwh(net_kwh, self._dual_eur_per_kwh, self.tariff))
        if self._alone_kwh is None:
            return clearing
        return fair_clearing(clearing, net_kwh, self._alone_kwh, self.tariff)

"""Solves the community's problem, and says how good the plan can be at most.

The relaxation is solved first: its trajectories, run by real stores, are a feasible plan, and often cost no
more than the relaxation says; binaries are searched only if they do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coordinator.costs import CommunityTariff
from coordinator.optimum.linear_model import InfeasibleError
from coordinator.optimum.program import CommunityProgram, Plan
from coordinator.optimum.stores import Store
from runtime.devices import Appliance
from runtime.errors import InputError, PeerwattError

Array = NDArray[np.float64]

_GAP_TOLERANCE = 1e-7
"""Relative gap that does not matter: HiGHS meets its rows to about as much."""

_LEAST_POLISH_S = 1.0


class OptimumTimeoutError(PeerwattError):
    """The time was up before there was any plan."""


@dataclass(frozen=True)
class Optimum:
    """The best plan found and what is known of better ones.

    Attributes:
        objective_eur: what the community pays with this plan, demand charges included [EUR].
        lower_bound_eur: no plan costs less [EUR].
        net_kwh: members' net positions, import > 0, shape (members, slots) [kWh].
        stored_kwh: for each member one trajectory a store, shape (slots,): stored energy at the end of slots.
        start_slots: for each member one slot an appliance, in which it starts.
        price_eur_per_kwh: what a further kWh at the boundary would cost in each slot (the dual of its
            balance), shape (slots,); with a fee, half of it comes on top at each meter. Where there are
            binaries, with these held. NaN in slots without local trade, where there is no common price, and
            all NaN if the time was up first.
        binaries: how many binaries the problem has.
        seconds: time it took [s].
    """

    objective_eur: float
    lower_bound_eur: float
    net_kwh: Array
    stored_kwh: tuple[tuple[Array, ...], ...]
    start_slots: tuple[tuple[int, ...], ...]
    price_eur_per_kwh: Array
    binaries: int
    seconds: float

    @property
    def gap_eur(self) -> float:
        """By how much a better plan could be cheaper, at most [EUR]."""
        return self.objective_eur - self.lower_bound_eur

    @property
    def proven(self) -> bool:
        """Whether the plan is optimal within the solver's tolerance."""
        return self.gap_eur <= 10 * _GAP_TOLERANCE * max(1.0, abs(self.objective_eur))


def optimise(
    residual_load_kwh: ArrayLike,
    stores: Sequence[Sequence[Store]],
    tariff: CommunityTariff,
    *,
    appliances: Sequence[Sequence[Appliance]] | None = None,
    time_limit_s: float = 60.0,
    relative_gap: float = _GAP_TOLERANCE,
) -> Optimum:
    """Least cost of a community whose stores and appliances are run together.

    Args:
        residual_load_kwh: load − production, shape (members, slots) [kWh].
        stores: each member's stores, any number.
        tariff: the community's prices and limits.
        appliances: each member's loads that run once; none without it.
        time_limit_s: after it the best plan so far is returned with the bound so far; prices may take a
            little longer [s].
        relative_gap: a plan that can be bettered by no more than this share of its cost is good enough.

    Returns:
        The plan, its cost, and how good it can be at most.

    Raises:
        InputError: a store whose bounds cannot be kept, or arrays that do not fit each other.
        OptimumTimeoutError: the time was up before there was any plan.
    """
    began = time.perf_counter()
    residual = np.asarray(residual_load_kwh, dtype=np.float64)
    if residual.shape != (len(stores), tariff.slots) or not np.isfinite(residual).all():
        raise InputError(
            f"residual_load_kwh: found shape {residual.shape}, expected finite numbers of shape "
            f"({len(stores)}, {tariff.slots}), one row a member"
        )
    appliances = [[] for _ in stores] if appliances is None else appliances
    for number, (own, loads) in enumerate(zip(stores, appliances, strict=True)):
        for store in own:
            store.check(f"member {number}")
        for load in loads:
            if load.latest_start_slot + len(load.energy_kwh) > tariff.slots:
                raise InputError(
                    f"member {number}: found {load.name!r} starting in slot {load.latest_start_slot} for "
                    f"{len(load.energy_kwh)} slots, expected it to end within {tariff.slots} slots"
                )
    program = CommunityProgram(residual, stores, appliances, tariff)
    model = program.model
    if not model.columns:
        # nothing to be decided, and no slot with trade that had a price
        plan = program.plan_of(np.zeros(0))
        return _optimum(plan, plan.cost_eur, np.full(tariff.slots, np.nan), 0, began)

    def left_s() -> float:
        return time_limit_s - (time.perf_counter() - began)

    try:
        relaxed = model.solve_relaxed(left_s())
        if relaxed is None:
            raise OptimumTimeoutError(f"no plan for the community within {time_limit_s:g} s")
        plan, bound_eur = program.plan_of(relaxed.values), relaxed.bound + program.constant_eur
        if plan.cost_eur - bound_eur > relative_gap * max(1.0, abs(bound_eur)) and model.whole.any():
            whole = model.solve_whole(left_s(), relative_gap) if left_s() > 0 else None
            if whole is not None:
                bound_eur = max(bound_eur, whole.bound + program.constant_eur)
                plan = min(plan, program.plan_of(whole.values), key=lambda p: p.cost_eur)
            # with the binaries held, the rest is linear: exact, and it has prices
            relaxed = model.solve_relaxed(max(left_s(), _LEAST_POLISH_S), program.binaries_of(plan))
            if relaxed is not None:
                plan = min(plan, program.plan_of(relaxed.values), key=lambda p: p.cost_eur)
    except InfeasibleError as error:
        raise InputError(f"stores: no plan keeps all bounds ({error})") from None
    prices = program.prices_of(relaxed)
    return _optimum(plan, min(bound_eur, plan.cost_eur), prices, int(model.whole.sum()), began)


def _optimum(plan: Plan, bound_eur: float, prices: Array, binaries: int, began: float) -> Optimum:
    seconds = time.perf_counter() - began
    return Optimum(
        objective_eur=plan.cost_eur,
        lower_bound_eur=bound_eur,
        net_kwh=plan.net_kwh,
        stored_kwh=plan.stored_kwh,
        start_slots=plan.start_slots,
        price_eur_per_kwh=prices,
        binaries=binaries,
        seconds=seconds,
    )

"""The coordinated optimum of a session that has passed: what its metered loads and production allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordinator.costs import CommunityTariff
from runtime.devices import Appliance
from runtime.records import MemberRecord, SessionRecord
from runtime.results.reading import session_of

RELATIVE_GAP = 1e-5
"""How near to the bound the optimum is searched: well below what indicators show."""


@dataclass(frozen=True)
class Reference:
    """Cost of the coordinated optimum [EUR], and what no plan could cost less than [EUR]."""

    cost_eur: float
    bound_eur: float


def reference_optimum(
    names: Sequence[str],
    session: SessionRecord,
    records: Mapping[str, MemberRecord],
    time_limit_s: float,
) -> Reference | None:
    """Find the coordinated optimum of a session's metered loads and production, known beforehand.

    Batteries, vehicles and appliances are all run together, whatever strategy their owners had.

    Args:
        names: the community's members.
        session: the coordinator's record of the session.
        records: the members' own records.
        time_limit_s: time to search [s].

    Returns:
        Its cost, or None if a member left no record of the session, what it has is not known, or the time was
        up before there was any plan.

    Raises:
        InputError: arrays that do not cover the horizon.
    """
    # loads SciPy, which a run without sessions does not need
    from coordinator.optimum import OptimumTimeoutError, Store, battery_store, optimise, vehicle_store

    tariff = CommunityTariff.of_record(session)
    residual: list[NDArray[np.float64]] = []
    stores: list[list[Store]] = []
    appliances: list[tuple[Appliance, ...]] = []
    for name in names:
        record = records.get(name)
        own = session_of(record, session) if record else None
        if record is None or own is None:
            return None
        if record.battery is None and record.battery_capacity_kwh is not None:
            return None  # written before records told all of a battery
        names_of_loads = [v.name for v in own.vehicles] + [a.name for a in own.appliances]
        if set(own.flexible_kwh) != set(names_of_loads):
            return None  # likewise of vehicles and appliances
        residual.append(np.subtract(own.inflexible_load_kwh, own.pv_kwh))
        batteries = [] if record.battery is None else [battery_store(record.battery, tariff.slot_hours)]
        stores.append([*batteries, *(vehicle_store(v, tariff.slot_hours) for v in own.vehicles)])
        appliances.append(own.appliances)
    if not names:
        return Reference(0.0, 0.0)
    try:
        found = optimise(
            np.array(residual),
            stores,
            tariff,
            appliances=appliances,
            time_limit_s=time_limit_s,
            relative_gap=RELATIVE_GAP,
        )
    except OptimumTimeoutError:
        return None
    return Reference(found.objective_eur, found.lower_bound_eur)

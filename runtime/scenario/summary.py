"""What was understood of a scenario, for people and for programs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from runtime.configuration import strategy_in
from runtime.conventions import FloatArray
from runtime.devices import PvArray
from runtime.horizon import Horizon
from runtime.scenario.grid import DEFAULT_EXCESS_PRICE_EUR_PER_KWH
from runtime.scenario.resolved import MemberSeries, ResolvedScenario
from runtime.wording import counted


def notices(resolved: ResolvedScenario) -> list[str]:
    """What a person should know before a run: days of odd length, slots without local trade, assumptions.

    Returns:
        One sentence each, in the order of sessions.
    """
    found = []
    above, suspended = resolved.export_above_import_slots(), resolved.suspended_slots()
    rolling = resolved.scenario.horizon.replan_every_slots is not None
    for number, (horizon, higher, slots) in enumerate(
        zip(resolved.operated_horizons, above, suspended, strict=True), start=1
    ):
        higher, slots = ([slot for slot in those if slot < horizon.slots] for those in (higher, slots))
        session = f"session {number} ({horizon.local(0):%Y-%m-%d})"
        if horizon.local(0).utcoffset() != horizon.local(horizon.slots).utcoffset():
            found.append(
                f"{session}: clocks change in {horizon.zone}; it has {horizon.slots} slots, "
                f"{_hours(horizon)} h, from {horizon.local(0).isoformat()} "
                f"to {horizon.local(horizon.slots).isoformat()}"
            )
        elif horizon.slot_minutes * horizon.slots != 1440 and not rolling:
            long = counted(horizon.slots, "slot")
            found.append(f"{session}: it has {long}, {_hours(horizon)} h, not 24 h")
        dear = [slot for slot in slots if slot not in higher]
        for those, reason in (
            (higher, "the feed-in tariff is above the import price"),
            (dear, "what neighbours spare by trading does not cover the local fee"),
        ):
            if those:
                times = ", ".join(f"{horizon.local(slot):%H:%M}" for slot in those[:4])
                more = ", ..." if len(those) > 4 else ""
                found.append(
                    f"{session}: in {len(those)} of {horizon.slots} slots (at {times}{more}) {reason}: local "
                    "trade is suspended there, and everybody is settled at the grid's tariffs"
                )
    grid = resolved.scenario.grid
    if resolved.setting != "community" and (grid.has_limit or grid.local_fee_eur_per_kwh):
        found.append(
            f"setting {resolved.setting}: members are alone at the grid, so the community's local fee and "
            "connection limit do not apply"
        )
    elif grid.has_limit and grid.excess_price_eur_per_kwh is None:
        found.append(
            f"grid.excess_price_eur_per_kwh: not given; energy above the connection's limit is charged at "
            f"{DEFAULT_EXCESS_PRICE_EUR_PER_KWH:g} EUR/kWh"
        )
    return found


def describe(resolved: ResolvedScenario) -> dict[str, Any]:
    """The scenario in numbers, ready for JSON: energies [kWh] by member and session, prices [EUR/kWh]."""
    scenario = resolved.scenario
    coordinator = resolved.coordinator_config()
    return {
        "scenario": resolved.name,
        "community": scenario.community.name,
        "setting": resolved.setting,
        "mechanism": coordinator.mechanism,
        "parameters": coordinator.parameters,
        "communities": {part.name: part.members for part in coordinator.communities},
        "seed": scenario.seed,
        "clock": scenario.clock.model_dump(mode="json"),
        "grid": {name: None if value is None else float(value) for name, value in resolved.grid_terms},
        "sessions": [
            {
                "start": horizon.local(0).isoformat(),
                "end": horizon.local(horizon.slots).isoformat(),
                "zone": horizon.zone,
                "slot_minutes": horizon.slot_minutes,
                "slots": horizon.slots,
                "import_price_eur_per_kwh": _extremes(asks[: horizon.slots]),
                "export_price_eur_per_kwh": _extremes(pays[: horizon.slots]),
            }
            for horizon, asks, pays in zip(
                resolved.operated_horizons,
                resolved.import_price_eur_per_kwh,
                resolved.export_price_eur_per_kwh,
                strict=True,
            )
        ],
        "members": [
            {
                "name": member.name,
                "kind": member.kind,
                "strategy": strategy_in(resolved.setting, member.strategy),
                "battery_kwh": member.battery.capacity_kwh if member.battery else None,
                "vehicles": [vehicle.model_dump(mode="json") for vehicle in member.vehicles],
                "appliances": [appliance.model_dump(mode="json") for appliance in member.appliances],
                "pv_area_m2": member.pv.array.area_m2 if member.pv and member.pv.array else None,
                "load_kwh": [
                    _total(series.first(horizon.slots).load_kwh)
                    for series, horizon in zip(
                        resolved.series[member.name], resolved.operated_horizons, strict=True
                    )
                ],
                "pv_kwh": [
                    _pv_total(series.first(horizon.slots), member.pv.array if member.pv else None, horizon)
                    for series, horizon in zip(
                        resolved.series[member.name], resolved.operated_horizons, strict=True
                    )
                ],
            }
            for member in scenario.members
        ],
        "notices": notices(resolved),
    }


def _hours(horizon: Horizon) -> str:
    return f"{timedelta(minutes=horizon.slot_minutes * horizon.slots) / timedelta(hours=1):g}"


def _extremes(prices: list[Decimal]) -> dict[str, float]:
    return {"least": float(min(prices)), "greatest": float(max(prices))}


def _total(values: FloatArray | None) -> float | None:
    return None if values is None else float(np.sum(values))


def _pv_total(series: MemberSeries, array: PvArray | None, horizon: Horizon) -> float | None:
    """Production through a session [kWh]: as given, or of an array by eq. 4 times the slot's length."""
    if array is None or series.ghi_w_per_m2 is None:
        return _total(series.pv_production_kwh)
    power_kw = float(np.sum(series.ghi_w_per_m2)) * array.area_m2 * array.efficiency / 1000
    return power_kw * horizon.slot_hours

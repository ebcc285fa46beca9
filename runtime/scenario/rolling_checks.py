"""What a scenario's sessions have room for: the end SOC, and what a rolling horizon cannot have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.devices import Battery
from runtime.scenario.reach import reachable_end_kwh
from runtime.scenario.when import SessionSpan


def check_rolling(mechanism: str, parameters: Mapping[str, Any], demand_charge_eur_per_kw: float) -> None:
    """See that nothing is charged or shared by the session where sessions are parts of a day.

    Raises:
        ValueError: the field, what was found and what is expected.
    """
    beside = "beside horizon.replan_every_slots"
    if demand_charge_eur_per_kw:
        raise ValueError(
            f"tariff.demand_charge_eur_per_kw: found {demand_charge_eur_per_kw:g} {beside}, expected none: "
            "a peak is charged once, not with each new plan"
        )
    if mechanism == "bill-sharing" and parameters.get("period") == "day":
        raise ValueError(
            f'mechanism.period: found "day" {beside}, expected "slot": a session is no whole day'
        )


def check_end_soc(place: str, battery: Battery, spans: Sequence[SessionSpan]) -> None:
    """See that a battery can reach its end SOC in every session, wherever the session before left it.

    A session that plans to the same end as the one before keeps what that one saw to.

    Raises:
        ValueError: the field, what was found and what is expected.
    """
    if battery.soc_end_min is None:
        return
    planned_end = None
    for span in spans:
        horizon, earlier_end = span.horizon, planned_end
        planned_end = horizon.slot_start(horizon.slots)
        if span.continues and planned_end == earlier_end:
            continue
        name, soc = ("soc_min", battery.soc_min) if span.continues else ("soc_start", battery.soc_start)
        begun = battery.model_copy(update={"soc_start": soc})
        reachable = reachable_end_kwh(begun, horizon.slots, horizon.slot_hours) / battery.capacity_kwh
        if reachable < battery.soc_end_min - 1e-9:
            raise ValueError(
                f"{place} battery.soc_end_min: found {battery.soc_end_min}, expected at most {reachable:.4f}"
                f": from {name} {soc} the battery reaches no more in {horizon.slots} slots of "
                f"{horizon.slot_minutes} min"
            )

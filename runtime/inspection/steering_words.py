"""What a battery was told in a slot, and what became of it, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DONE = {
    "written": "the device was told to {power}",
    "dry-run": "dry run: the device would have been told to {power}",
    "scheduled": "to be given to the device later: {power}",
    "failed": "the device did not take it",
    "returned": "the device had control again",
}


def steering_lines(bodies: list[dict[str, Any]]) -> Iterator[str]:
    """Say what a slot's set-point was and what its controller did.

    Args:
        bodies: of the ``setpoint`` and every ``setpoint-outcome`` of the slot, in the log's order.
    """
    for body in bodies:
        if body["type"] == "setpoint":
            yield f"asked its battery to {_power(body)} and to hold {body['stored_kwh']:.3f} kWh at the end"
            continue
        said = _DONE.get(body["outcome"], body["outcome"]).format(power=_power(body))
        yield said + (f": {body['reason']}" if body.get("reason") else "")
        if body.get("wrote"):
            yield f"  {body['wrote']}"


def _power(body: dict[str, Any]) -> str:
    if body["charge_kw"] > 0:
        return f"charge with {body['charge_kw']:.6g} kW"
    return f"discharge with {body['discharge_kw']:.6g} kW" if body["discharge_kw"] > 0 else "rest"

"""What a controller has worked out off its event loop, and how its log keeps that: moments, and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from agents.setpoints.moments import Moment
from agents.setpoints.target import Order, SetpointTarget
from runtime.errors import PeerwattError
from runtime.protocol.machine import Kept
from runtime.protocol.setpoint_bodies import Setpoint


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing to a device.

    Attributes:
        done: whether the device took it, or would have been given it.
        power_kw: what it has been told, discharge > 0 [kW]; None: control is its own, or it failed.
        wrote: what was written, in its own terms.
        reason: why it failed; empty if it did not.
        over: whether the slot had ended, so that nothing was tried.
    """

    done: bool
    power_kw: float | None = None
    wrote: str = ""
    reason: str = ""
    over: bool = False


def write(
    target: SetpointTarget,
    member: str,
    setpoint: Setpoint,
    power_kw: float,
    moment: Callable[[Setpoint], Moment],
    margin_s: float,
    dry_run: bool,
) -> Written:
    """Give a device the power of a set-point, unless its slot has ended by now.

    Args:
        target: the device.
        member: whose it is.
        setpoint: what its prosumer wants, and when.
        power_kw: what is to be written of it, discharge > 0 [kW].
        moment: where now is beside the slot.
        margin_s: so much longer than its slot it counts [s].
        dry_run: whether nothing is written, only worked out.
    """
    left_s = moment(setpoint).ends_s
    if left_s <= 0:
        return Written(False, reason=f"slot {setpoint.slot} ended {-left_s:.0f} s ago", over=True)
    order = Order(
        member, power_kw, left_s + margin_s, setpoint.slot_start, setpoint.slot_end, setpoint.stored_kwh
    )
    return _carried_out(target, order, dry_run)


def give_back(target: SetpointTarget, member: str) -> Written:
    """Give a device control again."""
    return _carried_out(target, Order(member, None), False)


def _carried_out(target: SetpointTarget, order: Order, dry_run: bool) -> Written:
    try:
        carried = target.carry_out(order, dry_run=dry_run)
    except PeerwattError as error:
        return Written(False, reason=str(error))
    except Exception as error:  # a target is anybody's code, and its failure no reason to leave
        return Written(False, reason=f"the target failed: {type(error).__name__}: {error}")
    return Written(True, carried.power_kw, carried.wrote)


KEPT_WRITTEN = Kept(lambda written: json.dumps(asdict(written)), lambda text: Written(**json.loads(text)))
"""A write is not repeated by a replay: its result is in the log."""

KEPT_MOMENT = Kept(lambda moment: json.dumps(asdict(moment)), lambda text: Moment(**json.loads(text)))
"""A moment passes: what it was is in the log."""

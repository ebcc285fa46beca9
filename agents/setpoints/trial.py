"""Tries a target once, without a fleet: what a power would be for the device, or is, and control back.

Prints JSON lines: ``dry-run``, or ``written`` and then ``returned``.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from datetime import UTC, datetime, timedelta

from agents.setpoints.target import Order, TargetError, open_target
from runtime.errors import FleetError

MEMBER = "test"
"""Member that a trial's payload names."""


def print_trial(target_url: str, power_kw: float, seconds: float, write: bool) -> None:
    """Try a target and print what comes of it.

    Args:
        target_url: the target.
        power_kw: power to be tried, discharge > 0, charge < 0 [kW].
        seconds: how long it is held before control is given back [s].
        write: whether it is really written.

    Raises:
        InputError: the target cannot be opened.
        FleetError: the device was not reached, or did not take it.
    """
    target = open_target(target_url)
    now = datetime.now(UTC)
    order = Order(MEMBER, power_kw, seconds, now, now + timedelta(seconds=seconds), 0.0)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        carried = target.carry_out(order, dry_run=not write)
    except TargetError as error:
        if write:  # it may have got half of it
            with contextlib.suppress(TargetError):
                target.carry_out(Order(MEMBER, None), dry_run=False)
        raise FleetError(str(error)) from error
    _print("written" if write else "dry-run", carried.power_kw, carried.wrote)
    if not write:
        return
    over.wait(seconds)
    try:
        _print("returned", None, target.carry_out(Order(MEMBER, None), dry_run=False).wrote)
    except TargetError as error:
        raise FleetError(f"control was not given back: {error}") from error


def _print(event: str, power_kw: float | None, wrote: str) -> None:
    print(json.dumps({"event": event, "power_kw": power_kw, "wrote": wrote}), flush=True)

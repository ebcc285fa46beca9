"""Reads a source for a while without attaching it, and prints what comes as JSON lines.

Events: ``up``, ``sample`` (raw value, unit, instant, kW or kWh), ``refused``, ``note``, ``down``, ``slot``
(the energy of a slot as a meter would tell it).
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.meters.energy import SlotEnergy
from agents.meters.live import LiveSource
from agents.meters.process import meter_of
from agents.meters.source import MeterSource, ReadingError, open_source, roles_to_measure
from runtime.configuration import ClockConfig, MeterConfig, MetersConfig
from runtime.errors import FleetError, InputError
from runtime.rundir import RunDirectory

Tell = Callable[[str, dict[str, Any]], None]


def print_trial(
    source_url: str, seconds: float, slot_seconds: float | None, run_path: Path | None, member: str | None
) -> None:
    """Read a source and print what comes.

    Args:
        source_url: the source.
        seconds: how long a device is listened to.
        slot_seconds: length of the slots whose energy is told; all of the time if None.
        run_path: a run's folder, for sources that play its series or follow its slots.
        member: the member whose series they are.

    Raises:
        InputError: the source cannot be opened, or needs a run and a member.
        FleetError: nothing came.
    """

    def tell(event: str, detail: dict[str, Any]) -> None:
        print(json.dumps({"event": event, **detail}), flush=True)

    meter = _meter(run_path, member)
    if meter is None and source_url.partition(":")[0].lower() in ("simulated", "csv"):
        raise InputError(f"source {source_url!r}: follows a run's slots: name one with --run and --member")
    source = open_source(source_url, meter or MeterConfig(member="test", roles=["load", "pv"], sessions=[]))
    if isinstance(source, LiveSource):
        asyncio.run(_listen(source, seconds, slot_seconds or seconds, tell))
    elif meter is None:
        raise InputError(f"source {source_url!r}: is asked slot by slot: name a run with --run and --member")
    else:
        _read_first_session(source, source_url, meter, tell)


def _meter(run_path: Path | None, member: str | None) -> MeterConfig | None:
    if run_path is None or member is None:
        return None
    path = RunDirectory(run_path).meters_config
    return meter_of(MetersConfig.load(path), member, path)


async def _listen(source: LiveSource, seconds: float, slot_s: float, tell: Tell) -> None:
    """Listen for ``seconds`` or until a signal; then the slots from the first sample on."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    troubles: list[str] = []

    def hear(event: str, detail: dict[str, Any]) -> None:
        if event in ("down", "refused"):
            troubles.append(detail["reason"])
        tell(event, detail)

    logging.getLogger("peerwatt.meters").disabled = True  # what it would log is printed
    source.start(ClockConfig(kind="real-time"), hear)
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        pass
    finally:
        await source.close()
    span_s = source.span_s
    if span_s is None:
        raise FleetError(f"nothing came within {seconds:g} s" + (f": {troubles[-1]}" if troubles else ""))
    start_s, last_s = span_s
    while start_s < last_s:
        end_s = min(start_s + slot_s, last_s)
        _tell_slot(tell, start_s, end_s, source.energy_between(start_s, end_s, slot_s))
        start_s = end_s


def _tell_slot(tell: Tell, start_s: float, end_s: float, energy: SlotEnergy) -> None:
    detail: dict[str, Any] = {
        "start": datetime.fromtimestamp(start_s, UTC).isoformat(timespec="milliseconds"),
        "seconds": round(end_s - start_s, 3),
        "energy_kwh": None if energy.energy_kwh is None else round(energy.energy_kwh, 9),
        "quality": "missing" if energy.energy_kwh is None else energy.quality,
    }
    tell("slot", {**detail, "reason": energy.reason} if energy.reason else detail)


def _read_first_session(source: MeterSource, name: str, meter: MeterConfig, tell: Tell) -> None:
    horizon = meter.sessions[0].horizon
    for role in roles_to_measure(source, name, meter):
        for slot in range(horizon.slots):
            detail: dict[str, Any] = {"role": role, "start": horizon.local(slot).isoformat()}
            try:
                energy = source.read(0, slot, horizon, role)
            except ReadingError as error:
                tell("slot", {**detail, "energy_kwh": None, "quality": "missing", "reason": str(error)})
                continue
            if not isinstance(energy, SlotEnergy):
                energy = SlotEnergy(energy, "metered", 0.0)
            tell("slot", {**detail, "energy_kwh": energy.energy_kwh, "quality": energy.quality})

"""``peerwatt meter test``: reads a source without attaching it, and prints what comes."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from runtime.cli.runs import find_run_with_meters
from runtime.cli.told_events import told_events
from runtime.errors import InputError


def try_source(
    source: Annotated[str, typer.Option(help="The source, as for attach.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a device is listened to [s].")] = 30.0,
    slot_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Length of the slots told [s]; all of the time by default.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="A run's folder or name, for simulated: and csv:, with --member.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Name of the run's member.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object a line as it comes.")
    ] = False,
) -> None:
    """Read a source and print values, units, instants and slot energies, without attaching it."""
    command = [sys.executable, "-m", "agents", "read", "--source", source, "--seconds", str(seconds)]
    if slot_seconds is not None:
        command += ["--slot-seconds", str(slot_seconds)]
    if (run is None) != (member is None):
        raise InputError("--run and --member go together: found one of them")
    if run is not None and member is not None:
        command += ["--run", str(find_run_with_meters(run).path), "--member", member]
    for event in told_events(command, "the source"):
        typer.echo(json.dumps(event) if as_json else in_words(event))


def in_words(event: dict[str, Any]) -> str:
    """One line about an event."""
    match event["event"]:
        case "sample":
            value = f"{event['raw']:.10g} {event['unit']}"
            in_kw = (
                f"{event['power_kw']:.6g} kW" if "power_kw" in event else f"{event['register_kwh']:.10g} kWh"
            )
            return f"{event['instant']}  {value}" + (f" = {in_kw}" if in_kw != value else "")
        case "slot":
            energy = event["energy_kwh"]
            told = "no value" if energy is None else f"{energy:.9g} kWh"
            role = f" {event['role']}" if "role" in event else ""
            length = f" + {event['seconds']:g} s" if "seconds" in event else ""
            why = f" ({event['reason']})" if "reason" in event else ""
            return f"slot{role} {event['start']}{length}: {told}, {event['quality']}{why}"
        case "up":
            return "connected"
        case "down":
            return f"lost: {event['reason']}"
        case "note":
            return f"note: {event['note']}"
        case _:
            return f"refused: {event['reason']}"

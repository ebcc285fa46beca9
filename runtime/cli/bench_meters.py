"""``peerwatt bench meters``: many meters through the embedded server."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import FleetError

if TYPE_CHECKING:
    from runtime.bench.meters import MeterFigures


def meters(
    meters: Annotated[int, typer.Option(min=1, max=2000, help="How many meters.")] = 500,
    interval_s: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Between two readings of a meter [s].")
    ] = 10.0,
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="How long they are read [s].")] = 60.0,
    processes: Annotated[
        int, typer.Option(min=1, max=16, help="That meters are spread over, and prosumers over as many.")
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Read many meters through the embedded server and count what comes; exit code 1 if a reading is lost."""
    from runtime.bench.meters import measure_meters

    load = os.getloadavg()[0]
    figures = measure_meters(meters, interval_s, seconds, min(processes, meters), _say)
    if as_json:
        facts = {**asdict(figures), "readings_lost": figures.readings_lost}
        typer.echo(json.dumps({"cores": os.cpu_count(), "load_before": load, **facts}, indent=1))
    else:
        typer.echo(text_of(figures))
        typer.echo(f"{os.cpu_count()} cores, load before: {load:.1f}")
    if figures.readings_lost or figures.readings_wrong:
        raise FleetError(f"{figures.readings_lost} readings lost, {figures.readings_wrong} wrong")


def text_of(figures: MeterFigures) -> str:
    """The figures for a person."""
    latency = ", ".join(f"{name} {value:.0f}" for name, value in figures.latency_ms.items())
    spread = f"{figures.meter_processes} processes, prosumers in {figures.prosumer_processes}"
    return "\n".join(
        (
            f"{figures.meters} meters in {spread}, each with its connection and log, a reading every "
            f"{figures.interval_s:g} s for {figures.seconds:g} s",
            f"  all logged in and attached [s]        {figures.connected_s:.1f}",
            f"  readings asked, received, lost        {figures.readings_asked}, {figures.readings_received}, "
            f"{figures.readings_lost}",
            f"  wrong readings, requests resent       {figures.readings_wrong}, {figures.requests_resent}",
            f"  from request to reading [ms]          {latency}",
            f"  server: share of a core, RSS [MiB]    {figures.server_cpu_share:.2f}, "
            f"{figures.server_rss_mib:.0f}",
            f"  meters, prosumers: share of a core    {figures.meters_cpu_share:.2f}, "
            f"{figures.prosumers_cpu_share:.2f}",
            f"  one more meter in a process, USS [KiB] {figures.meter_uss_kib:.0f}",
        )
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

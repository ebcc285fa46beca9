"""``peerwatt bench soak``: whether a fleet that runs for days stays as it is."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import FleetError, InputError
from runtime.mechanisms import check_mechanism

if TYPE_CHECKING:
    from runtime.bench.soak import SoakFigures

_KINDS = {
    "prosumer": "prosumers, each",
    "coordinator": "coordinator",
    "meters": "all meters",
    "server": "XMPP server",
}


def soak(
    days: Annotated[int, typer.Option(min=1, max=366, help="Simulated days.")] = 7,
    members: Annotated[int, typer.Option(min=2, max=300, help="Members, a process each.")] = 20,
    slots: Annotated[int, typer.Option(min=2, max=1440, help="Slots of a day.")] = 96,
    replan_every_slots: Annotated[
        int | None,
        typer.Option(min=1, help="A rolling horizon: sessions operate so many slots; else a day each."),
    ] = None,
    mechanism: Annotated[str, typer.Option(help="Of the market.")] = "admm",
    keep: Annotated[Path | None, typer.Option(help="New folder to keep the run in.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Run a fleet for days of simulated time; exit code 1 if memory or files grow, or anything is lost."""
    from runtime.bench.soak import measure_soak

    if replan_every_slots is not None and (replan_every_slots > slots or (days * slots) % replan_every_slots):
        raise InputError(
            f"--replan-every-slots: found {replan_every_slots}, expected at most {slots}, and a divisor of "
            f"the {days * slots} slots of all days"
        )
    if keep is not None and keep.exists():
        raise InputError(f"--keep: found {keep}, expected a folder that is not there yet")
    check_mechanism(mechanism, {}, "--mechanism")
    load = os.getloadavg()[0]
    figures = measure_soak(members, days, slots, replan_every_slots, mechanism, _say, keep)
    failures = figures.failures()
    if as_json:
        flat = {kind: each.flat for kind, each in figures.growth.items()}
        found = {**asdict(figures), "flat": flat, "failures": failures, "load_before": load}
        typer.echo(json.dumps(found, indent=1))
    else:
        typer.echo(text_of(figures))
        typer.echo(f"{os.cpu_count()} cores, load before: {load:.1f}")
    if failures:
        raise FleetError("; ".join(failures[:5]))


def text_of(figures: SoakFigures) -> str:
    """The figures for a person."""
    lines = [
        f"{figures.members} members, {figures.days:g} days in {figures.sessions} sessions, {figures.slots} "
        f"slots: {figures.whole_s:.0f} s, {figures.log_mb:.0f} MB of logs",
        f"  messages, repeated, arrived twice, refused   {figures.messages}, {figures.repeated}, "
        f"{figures.duplicates}, {figures.refused}",
        f"  answers late, deliveries missing, restarts   {figures.late}, {figures.missing}, "
        f"{figures.restarts}",
        f"  ledger                                       "
        f"{figures.imbalance or 'balanced, to the last decimal'}",
        f"  verify                                       {'proven' if figures.proven else 'NOT PROVEN'}",
    ]
    if not figures.growth:
        return "\n".join([*lines, "  too short to tell whether memory grows"])
    lines.append(
        f"\n{'memory, USS [MiB]':<18}{'at first':>10}{'half way':>10}{'at the end':>12}{'a day':>9}"
        f"{'at most':>9}   open files"
    )
    for kind, each in figures.growth.items():
        lines.append(
            f"{_KINDS[kind]:<18}{each.first_mib:>10.1f}{each.half_mib:>10.1f}{each.last_mib:>12.1f}"
            f"{each.mib_per_day:>+9.3f}{each.limit_mib_per_day:>9.2f}"
            f"   {each.files_first} → {each.files_last}{'' if each.flat else '   GROWS'}"
        )
    lines.append(
        "A day: median slope over the second half, without the one greatest step, as a busier day may need;\n"
        "of several processes that which grows most."
    )
    lines.append("\nday      " + "".join(f"{_KINDS[kind]:>18}" for kind in figures.growth))
    looks = figures.looks
    for look in looks[:: max(1, len(looks) // 14)]:
        greatest = "".join(f"{max(look.uss_mib[kind]):>18.1f}" for kind in figures.growth)
        lines.append(f"{look.day:<9.2f}{greatest}")
    return "\n".join(lines)


def _say(agent: str, phase: str, detail: dict[str, Any]) -> None:
    match agent, phase:
        case "soak", "look":
            text = f"  day {detail['day']:.2f} of {detail['days']:g}"
        case "fleet", "ready":
            text = f"all connected after {detail['seconds']:.1f} s"
        case "bench", "verify":
            text = "checking what the logs prove"
        case _, "restarted":
            text = f"  {agent} {detail['after']}; started again"
        case _:
            return
    print(text, file=sys.stderr, flush=True)

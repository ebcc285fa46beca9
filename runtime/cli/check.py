"""``peerwatt check``: what was understood of a scenario, or what is wrong with it; nothing is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.scenario.resolve import resolve
from runtime.scenario.summary import describe
from runtime.wording import counted

MOST_SESSIONS_SHOWN = 3
"""Of more, the table has sums: two columns for each would not fit a terminal."""
MOST_NOTICES_SHOWN = 12


def check(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with the data that the scenario reads.")
    ] = None,
    setting: Annotated[
        str | None, typer.Option("--setting", help="As for `run`; overrides the scenario.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Read a scenario with all its series and say what was understood."""
    summary = describe(resolve(scenario, data=data, setting=setting))
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        _print(summary)


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{summary['community']}: {counted(len(summary['members']), 'member')}, "
        f"setting {summary['setting']}, "
        f"mechanism {summary['mechanism']}, seed {summary['seed']}, {summary['clock']['kind']} clock",
        markup=False,
    )
    sessions = summary["sessions"]
    for words in _sessions(sessions):
        console.print(words, markup=False)
    for words in _grid(summary["grid"]):
        console.print(words, markup=False)
    for name, members in summary["communities"].items():
        console.print(f"Community {name}: {', '.join(members)}", markup=False)
    table = Table("member", "kind", "battery kWh", "PV m²")
    table.columns[0].no_wrap = True
    each = len(sessions) <= MOST_SESSIONS_SHOWN
    for number in range(1, len(sessions) + 1 if each else 2):
        suffix = f" {number}" if each and len(sessions) > 1 else ""
        table.add_column(f"load kWh{suffix}", justify="right")
        table.add_column(f"PV kWh{suffix}", justify="right")
    for member in summary["members"]:
        pairs = list(zip(member["load_kwh"], member["pv_kwh"], strict=True))
        if not each:
            pairs = [(_sum(member["load_kwh"]), _sum(member["pv_kwh"]))]
        energies = [_number(value) for pair in pairs for value in pair]
        table.add_row(
            member["name"],
            member["kind"],
            _number(member["battery_kwh"]),
            _number(member["pv_area_m2"]),
            *energies,
        )
    console.print(table)
    for member in summary["members"]:
        for words in _flexible_loads(member):
            console.print(words, markup=False)
    notices = summary["notices"]
    for notice in notices[:MOST_NOTICES_SHOWN]:
        console.print(f"Notice: {notice}", markup=False)
    if len(notices) > MOST_NOTICES_SHOWN:
        console.print(f"and {counted(len(notices) - MOST_NOTICES_SHOWN, 'notice')} more (--json has all)")


def _sessions(sessions: list[dict[str, Any]]) -> list[str]:
    """The sessions, a line each; of many, the first and the last."""
    lines = [
        f"Session {number}: {session['start']} to {session['end']} ({session['zone']}), "
        f"{counted(session['slots'], 'slot')} of {session['slot_minutes']} min; "
        f"import {_span(session['import_price_eur_per_kwh'])}, "
        f"export {_span(session['export_price_eur_per_kwh'])} EUR/kWh"
        for number, session in enumerate(sessions, start=1)
    ]
    if len(lines) <= MOST_SESSIONS_SHOWN:
        return lines
    total = counted(sum(session["slots"] for session in sessions), "slot")
    return [lines[0], "...", lines[-1], f"{len(lines)} sessions, {total}; energies below are of all of them"]


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _flexible_loads(member: dict[str, Any]) -> list[str]:
    """A member's vehicles and appliances, a line each; they come on top of its load."""
    lines = [
        f"{member['name']}: {vehicle['name']} takes {vehicle['energy_kwh']:g} kWh at up to "
        f"{vehicle['charge_limit_kw']:g} kW between {vehicle['arrival'][:5]} and {vehicle['departure'][:5]}"
        for vehicle in member["vehicles"]
    ]
    return lines + [
        f"{member['name']}: {appliance['name']} runs once between {appliance['earliest'][:5]} and "
        f"{appliance['latest'][:5]}"
        for appliance in member["appliances"]
    ]


def _grid(terms: dict[str, float | None]) -> list[str]:
    """What the grid asks beside its tariffs, a line each."""
    lines = []
    if fee := terms["local_fee_eur_per_kwh"]:
        lines.append(f"Local fee: {fee:g} EUR on each kWh traded between members, half on either side")
    limits = [
        f"{limit_kw:g} kW {way}"
        for limit_kw, way in ((terms["import_limit_kw"], "in"), (terms["export_limit_kw"], "out"))
        if limit_kw is not None
    ]
    if limits:
        price = terms["excess_price_eur_per_kwh"]
        lines.append(f"Connection: at most {' and '.join(limits)}; {price:g} EUR/kWh above")
    if charge := terms["demand_charge_eur_per_kw"]:
        lines.append(f"Demand charge: {charge:g} EUR/kW on each member's greatest import of a session")
    return lines


def _span(prices: dict[str, float]) -> str:
    least, greatest = prices["least"], prices["greatest"]
    return f"{least:g}" if least == greatest else f"{least:g} to {greatest:g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

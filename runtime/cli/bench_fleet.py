"""``peerwatt bench fleet``: how fast and how large a fleet is on this machine, beside other systems."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.server_choice import NODES_HELP, OWN_XMPP_HELP, check_nodes, own_server_kind
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.bench.turns import System

LARGEST = 1000

PROCESSES, PACKED = "4,20,100,300", "1000"


def fleet(
    members: Annotated[
        str | None,
        typer.Option(
            help=f"Sizes of community, a process each member. [default: {PROCESSES}]", show_default=False
        ),
    ] = None,
    packed: Annotated[
        str | None,
        typer.Option(
            help=f"Sizes whose members share processes and have no battery. [default: {PACKED}, none beside "
            "--members]",
            show_default=False,
        ),
    ] = None,
    members_per_process: Annotated[int, typer.Option(help="Members that one process serves in those.")] = 250,
    slots: Annotated[int, typer.Option(min=1, max=1440, help="Slots of a session.")] = 24,
    beside: Annotated[
        str,
        typer.Option(help="What carries the same load to be compared with: plain (slixmpp), mango, or ''."),
    ] = "plain,mango",
    turns: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=20,
            help="How often fleet and others take turns. [default: 3, from 201 members on 1]",
            show_default=False,
        ),
    ] = None,
    xmpp: Annotated[str, typer.Option(help=OWN_XMPP_HELP)] = "embedded",
    xmpp_nodes: Annotated[int, typer.Option(help=NODES_HELP)] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Lorient data, to run that day itself.")
    ] = None,
    day: Annotated[bool, typer.Option("--day/--no-day", help="Run a day of 4 members and 144 slots.")] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure fleets of several sizes: start, rounds, slots, memory, beside plain slixmpp and mango."""
    from runtime.bench.aims import aims_of
    from runtime.bench.day import run_day
    from runtime.bench.size import measure_packed, measure_size
    from runtime.cli.bench_table import as_dict, busy_note, print_figures
    from runtime.fleet.servers import ServerChoice

    sizes = sizes_of(PROCESSES if members is None and packed is None else members, "--members")
    shared = sizes_of(PACKED if members is None and packed is None else packed, "--packed")
    if not sizes and not shared:
        raise InputError("--members, --packed: found no size, expected at least one")
    check_packed(shared, members_per_process)
    systems = systems_of(beside)
    check_nodes(xmpp, xmpp_nodes)
    server = ServerChoice(kind=own_server_kind(xmpp), nodes=xmpp_nodes)
    if data is not None and not data.is_dir():
        raise InputError(f"--data: found no folder {data}, expected the one with the Lorient data")
    if plot is not None and (plot.suffix != ".png" or not plot.absolute().parent.is_dir()):
        raise InputError(f"--plot: found {plot}, expected a .png file in a folder that is there")
    load = os.getloadavg()[0]
    figures = [measure_size(size, slots, turns, systems, server, _say) for size in sizes]
    figures += [
        measure_packed(size, members_per_process, slots, turns, systems, server, _say) for size in shared
    ]
    day_s: float | None = None
    if day:
        print("a day of 4 members and 144 slots", file=sys.stderr, flush=True)
        day_s = run_day(data)
    aims = aims_of(figures, day_s)
    if plot is not None:
        from runtime.bench.picture import draw

        draw(figures, plot)
    if as_json:
        found = as_dict(figures, day_s, aims)
        typer.echo(json.dumps({"cores": os.cpu_count(), "load_before": load, **found}, indent=1))
        return
    print_figures(figures, aims, xmpp if xmpp_nodes == 1 else f"{xmpp}, {xmpp_nodes} nodes")
    if day_s is not None:
        name = "The Lorient day" if data else "A synthetic day as large as Lorient's"
        typer.echo(f"{name}, peerwatt run from command to results: {day_s:.1f} s")
    typer.echo("\nAims on two cores that do nothing else:")
    for aim in aims:
        typer.echo(
            f"  {'met    ' if aim.met else 'not met'} {aim.what}: {aim.found:.2f}, at most {aim.limit:g}"
        )
    if note := busy_note(load):
        typer.echo(note)


def sizes_of(text: str | None, option: str) -> list[int]:
    """Sizes that a person asks for with an option; none where it is left out or empty.

    Raises:
        InputError: not numbers from 1 to ``LARGEST``.
    """
    if not text:
        return []
    expected = f"numbers from 1 to {LARGEST} separated by commas"
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option}: found {text!r}, expected {expected}") from None
    if not all(1 <= size <= LARGEST for size in sizes):
        raise InputError(f"{option}: found {text!r}, expected {expected}")
    return sizes


def check_packed(packed: list[int], members_per_process: int) -> None:
    """See that members can be packed so.

    Raises:
        InputError: fewer than two members, or fewer than two a process: then nothing is shared.
    """
    if members_per_process < 2:
        raise InputError(f"--members-per-process: found {members_per_process}, expected at least 2")
    for members in packed:
        if members < 2:
            raise InputError(f"--packed: found {members}, expected at least 2 members")


def systems_of(text: str) -> list[System]:
    """Other systems that a person asks for.

    Raises:
        InputError: not known, or not installed.
    """
    from runtime.bench.mango_fleet import check_mango_installed
    from runtime.bench.turns import SYSTEMS

    wanted = [part for part in text.split(",") if part]
    for name in wanted:
        if name not in SYSTEMS:
            raise InputError(f"--beside: found {name!r}, expected {' and '.join(SYSTEMS)}, or one of them")
    if "mango" in wanted:
        check_mango_installed()
    return [system for system in SYSTEMS if system in wanted]


def _say(agent: str, phase: str, detail: dict[str, Any]) -> None:
    """Tell a person where the measurement is."""
    turn = f", turn {detail['turn']} of {detail['turns']}" if "turn" in detail else ""
    match agent, phase:
        case "bench", "planning":
            text = f"{detail['members']} members: with planning"
        case "bench", "fleet":
            text = f"{detail['members']} members{turn}: without batteries"
        case "bench", "plain":
            text = f"{detail['members']} members{turn}: plain slixmpp"
        case "bench", "mango":
            text = f"{detail['members']} members{turn}: mango over TCP"
        case "bench", "alone":
            text = f"{detail['members']} members without batteries, a process each: what a worker takes"
        case _, "restarted":
            text = f"  {agent} {detail['after']}; started again: the figures are not worth much"
        case "fleet", "ready":
            text = f"  all connected after {detail['seconds']:.1f} s"
        case _:
            return
    print(text, file=sys.stderr, flush=True)

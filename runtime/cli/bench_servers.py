"""``peerwatt bench servers``: rounds on several XMPP servers, beside each other."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.tables import table_console
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.bench.servers import ServerFigures


def servers(
    names: Annotated[
        str, typer.Option("--servers", help="embedded, prosody, ejabberd or ejabberd:NODES, by commas.")
    ] = "prosody,ejabberd,ejabberd:2",
    members: Annotated[str, typer.Option(help="Sizes of community.")] = "4,20,100,300",
    turns: Annotated[int, typer.Option(min=1, max=20, help="How often all servers take their turn.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure rounds between plain slixmpp clients on one server after the other, each of them in turns.

    On one machine servers and clients share its cores: the processor time of a message is what tells what a
    server needs, and a second node can only make rounds shorter where cores are idle.
    """
    from runtime.bench.servers import measure_server, parse_server
    from runtime.cli.bench_fleet import sizes_of
    from runtime.cli.bench_table import busy_note

    sizes = sizes_of(members, "--members")
    wanted = [name for name in names.split(",") if name]
    if not sizes or not wanted:
        raise InputError("--members, --servers: expected at least one size and one server")
    choices = {name: parse_server(name) for name in wanted}
    load = os.getloadavg()[0]
    figures: list[ServerFigures] = []
    for turn in range(turns):
        for name in wanted[turn % len(wanted) :] + wanted[: turn % len(wanted)]:
            figures += measure_server(name, choices[name], sizes, _say)
    if as_json:
        found = {
            "cores": os.cpu_count(),
            "load_before": load,
            "figures": [each.as_dict() for each in figures],
        }
        typer.echo(json.dumps(found, indent=1))
        return
    _print(figures, sizes, wanted)
    if note := busy_note(load):
        typer.echo(note)


def _print(figures: list[ServerFigures], sizes: list[int], names: list[str]) -> None:
    from rich.table import Table

    from runtime.cli.bench_table import WIDTH

    table = Table(box=None, pad_edge=False)
    table.add_column("members", no_wrap=True)
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)

    def of(name: str, size: int) -> list[ServerFigures]:
        return [each for each in figures if (each.server, each.members) == (name, size)]

    for name in names:
        rounds = [
            f"{1e3 * median(each.round_s.median for each in of(name, size)):.0f} "
            f"({1e3 * min(each.round_s.lower for each in of(name, size)):.0f}–"
            f"{1e3 * max(each.round_s.upper for each in of(name, size)):.0f})"
            for size in sizes
        ]
        table.add_row(f"round on {name} [ms]", *rounds)
    rows: list[tuple[str, int, Callable[[ServerFigures], float]]] = [
        ("server's CPU a message on {} [µs]", 0, lambda each: each.server_cpu_us_per_message),
        ("logged in on {} [s]", 1, lambda each: each.login_s),
        ("memory of {}, USS [MiB]", 0, lambda each: each.server_uss_mib),
    ]
    for title, digits, value in rows:
        for name in names:
            cells = [f"{median(value(each) for each in of(name, size)):.{digits}f}" for size in sizes]
            table.add_row(title.format(name), *cells)
    console = table_console(WIDTH)
    console.print(table)
    typer.echo(
        "\nTimes of a round: median of turns (least and greatest of their middle halves). Bodies of 1500\n"
        "bytes, members' clients in 2 processes, all on this machine."
    )


def _say(agent: str, phase: str, detail: dict[str, Any]) -> None:
    """Tell a person where the measurement is."""
    if (agent, phase) == ("bench", "server"):
        print(f"{detail['server']}: {detail['members']} members", file=sys.stderr, flush=True)

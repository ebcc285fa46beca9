"""``peerwatt bench``: how fast and how large a fleet is on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.bench_log import log
from runtime.cli.bench_meters import meters
from runtime.cli.bench_packed import check_packed, packed_as_dict, packed_rows
from runtime.cli.bench_plan import plan
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.bench.aims import Aim
    from runtime.bench.packed import PackedFigures
    from runtime.bench.size import SizeFigures
    from runtime.bench.timings import Spread

LARGEST = 1000

BUSY_LOAD = 0.5
"""Load of the machine before the measurement, above which its times say little."""

app = typer.Typer(help="Measure on this machine.", no_args_is_help=True)

WIDTH = 120
"""Characters a line of a table that goes to a file or a pipe."""


@app.callback()
def bench() -> None:
    """Measure on this machine."""


@app.command()
def fleet(
    members: Annotated[
        str, typer.Option(help="Sizes of community to measure, separated by commas.")
    ] = "4,10,20,100",
    packed: Annotated[
        str, typer.Option(help="Further sizes, whose members share processes and have no battery.")
    ] = "",
    members_per_process: Annotated[int, typer.Option(help="Members that one process serves in those.")] = 250,
    slots: Annotated[int, typer.Option(min=1, max=1440, help="Slots of a session.")] = 24,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Lorient data, to run that day itself.")
    ] = None,
    day: Annotated[bool, typer.Option("--day/--no-day", help="Run a day of 4 members and 144 slots.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure fleets on the embedded server: start, rounds, slots, memory, beside plain slixmpp clients."""
    from runtime.bench.aims import aims_of
    from runtime.bench.day import run_day
    from runtime.bench.packed import measure_packed
    from runtime.bench.size import measure_size

    packed_sizes = sizes_of(packed, "--packed") if packed else []
    check_packed(packed_sizes, members_per_process)
    sizes = sizes_of(members) if members or not packed_sizes else []
    load = os.getloadavg()[0]
    if data is not None and not data.is_dir():
        raise InputError(f"--data: found no folder {data}, expected the one with the Lorient data")
    figures = [measure_size(size, slots, _say) for size in sizes]
    shared = [measure_packed(size, members_per_process, slots, _say) for size in packed_sizes]
    day_s: float | None = None
    if day:
        print("a day of 4 members and 144 slots", file=sys.stderr, flush=True)
        day_s = run_day(data)
    aims = aims_of(figures, day_s, shared)
    if as_json:
        typer.echo(json.dumps(as_dict(figures, shared, day_s, aims, load), indent=1))
    else:
        _print(
            figures,
            shared,
            day_s,
            aims,
            "The Lorient day" if data else "A synthetic day as large as Lorient's",
        )
        if load > BUSY_LOAD:
            typer.echo(
                f"Others kept the machine busy (load {load:.1f} at the start): take times as too long."
            )


def sizes_of(text: str, option: str = "--members") -> list[int]:
    """Sizes that a person asks for with an option.

    Raises:
        InputError: not numbers from 1 to ``LARGEST``.
    """
    expected = f"numbers from 1 to {LARGEST} separated by commas"
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option}: found {text!r}, expected {expected}") from None
    if not all(1 <= size <= LARGEST for size in sizes):
        raise InputError(f"{option}: found {text!r}, expected {expected}")
    return sizes


def as_dict(
    figures: list[SizeFigures],
    packed: list[PackedFigures],
    day_s: float | None,
    aims: list[Aim],
    load: float,
) -> dict[str, Any]:
    """All figures, for machines to read."""
    sizes = [
        {
            **asdict(size),
            "messages_per_s": size.messages_per_s,
            "plain_messages_per_s": size.plain_messages_per_s,
            "times_plain": size.times_plain,
        }
        for size in figures
    ]
    return {
        "cores": os.cpu_count(),
        "load_before": load,
        "sizes": sizes,
        "packed": [packed_as_dict(each) for each in packed],
        "day_s": day_s,
        "aims": [{**asdict(aim), "met": aim.met} for aim in aims],
    }


def _say(agent: str, phase: str, detail: dict[str, Any]) -> None:
    """Tell a person where the measurement is."""
    match agent, phase:
        case "bench", "planning":
            text = f"{detail['members']} members: with planning"
        case "bench", "at-rest":
            text = f"{detail['members']} members: without batteries"
        case "bench", "plain":
            text = f"{detail['members']} members: plain slixmpp"
        case "bench", "alone":
            text = f"{detail['members']} members without batteries, a process each: what a worker takes"
        case "bench", "packed":
            text = f"{detail['members']} members without batteries, {detail['members_per_process']} a process"
        case _, "restarted":
            text = f"  {agent} {detail['after']}; started again: the figures are not worth much"
        case "fleet", "ready":
            text = f"  all connected after {detail['seconds']:.1f} s"
        case _:
            return
    print(text, file=sys.stderr, flush=True)


def _milliseconds(spread: Spread) -> str:
    return f"{1000 * spread.median:.0f} / {1000 * spread.max:.0f}"


def _seconds(spread: Spread) -> str:
    return f"{spread.median:.1f} / {spread.max:.1f}"


def _mebibytes(spread: Spread) -> str:
    if spread.median == spread.max:
        return f"{spread.median:.0f}"
    return f"{spread.median:.0f} / {spread.max:.0f}"


def _times_plain(size: SizeFigures) -> str:
    return f"{size.times_plain:.2f} / {max(size.times_plain_by_turn):.2f}"


def _memory_rows(kind: str, name: str) -> list[tuple[str, Callable[[SizeFigures], str]]]:
    return [
        (f"{name}, USS [MiB]", lambda size: _mebibytes(size.memory[kind].uss_mib)),
        ("  RSS [MiB]", lambda size: _mebibytes(size.memory[kind].rss_mib)),
    ]


_ROWS: list[tuple[str, Callable[[SizeFigures], str]]] = [
    ("connected and ready [s]", lambda size: _seconds(size.ready_s)),
    ("price round [ms]", lambda size: _milliseconds(size.round_s)),
    ("  a member plans in it [ms]", lambda size: _milliseconds(size.solving_s)),
    ("  round without solving [ms]", lambda size: _milliseconds(size.messaging_round_s)),
    ("  plain slixmpp [ms]", lambda size: _milliseconds(size.plain_round_s)),
    ("  messages per second", lambda size: f"{size.messages_per_s:.0f}"),
    ("  plain slixmpp", lambda size: f"{size.plain_messages_per_s:.0f}"),
    ("  times plain slixmpp (turn by turn)", _times_plain),
    ("slot [ms]", lambda size: _milliseconds(size.slot_s)),
    ("  messages per second", lambda size: f"{size.slot_messages_per_s:.0f}"),
    ("in all, start to stop [s]", lambda size: f"{size.whole_s:.1f}"),
    *_memory_rows("prosumer", "prosumer"),
    *_memory_rows("coordinator", "coordinator"),
    *_memory_rows("meters", "all meters"),
    *_memory_rows("server", "XMPP server"),
    ("restarts, messages resent", lambda size: f"{size.restarts}, {size.resent}"),
]


def _print(
    figures: list[SizeFigures],
    packed: list[PackedFigures],
    day_s: float | None,
    aims: list[Aim],
    day_name: str,
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, soft_wrap=True, width=WIDTH)
    if figures:
        table = Table(box=None, pad_edge=False, title="Fleet on the embedded server (median / greatest)")
        table.add_column("members", no_wrap=True)
        for size in figures:
            table.add_column(str(size.members), justify="right", no_wrap=True)
        for name, text in _ROWS:
            table.add_row(name, *(text(size) for size in figures))
        console.print(table)
        size = figures[0]
        console.print(
            f"\nPlain slixmpp: one connection sends {size.call_bytes} bytes to each member's, in a process "
            f"of its own, which answers {size.proposal_bytes}; same server, no SPADE, no log, no check."
        )
    if packed:
        sharing = Table(box=None, pad_edge=False, title="Members that share processes (median / greatest)")
        sharing.add_column("members, a process", no_wrap=True)
        for each in packed:
            sharing.add_column(f"{each.members}, {each.members_per_process}", justify="right", no_wrap=True)
        for (name, *_), *texts in zip(packed_rows(packed[0]), *map(packed_rows, packed), strict=True):
            sharing.add_row(name, *(text for _, text in texts))
        console.print(sharing)
    if day_s is not None:
        console.print(f"{day_name}, peerwatt run from command to results: {day_s:.1f} s")
    console.print("\nAims on two cores that do nothing else:")
    for aim in aims:
        console.print(
            f"  {'met    ' if aim.met else 'not met'} {aim.what}: {aim.found:.2f}, at most {aim.limit:g}"
        )


app.command()(plan)
app.command()(meters)
app.command()(log)

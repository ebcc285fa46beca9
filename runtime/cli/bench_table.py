"""What ``peerwatt bench fleet`` prints: a column a size, and how each figure grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runtime.bench.growth import exponent_of
from runtime.cli.tables import table_console

if TYPE_CHECKING:
    from runtime.bench.aims import Aim
    from runtime.bench.size import SizeFigures
    from runtime.bench.timings import Spread
    from runtime.bench.turns import System

WIDTH = 140
"""Characters a line of a table that goes to a file or a pipe."""

BUSY_LOAD = 0.5
"""Load of the machine before a measurement, above which its times say little."""

NAMES: dict[System, str] = {"plain": "plain slixmpp", "mango": "mango over TCP"}

Text = Callable[["SizeFigures"], str]
Figure = Callable[["SizeFigures"], float]


def growing(systems: Sequence[System]) -> list[tuple[str, Figure]]:
    """Figures whose growth with the number of members is told: key, and how it is read of a size."""
    rows: list[tuple[str, Figure]] = [
        ("ready_s", lambda size: size.ready_s.median),
        ("round_s", lambda size: size.round_s.median),
        ("slot_s", lambda size: size.slot_s.median),
        ("messages_per_s", lambda size: size.messages_per_s()),
        ("member_uss_mib", lambda size: size.member_uss_mib),
        ("coordinator_uss_mib", lambda size: size.memory["coordinator"].uss_mib.median),
        ("meters_uss_mib", lambda size: size.memory["meters"].uss_mib.median),
        ("server_uss_mib", lambda size: size.memory["server"].uss_mib.median),
    ]
    for system in systems:
        rows += [
            (f"{system}_ready_s", lambda size, of=system: size.beside[of].ready_s.median),  # type: ignore[misc]
            (f"{system}_round_s", lambda size, of=system: size.beside[of].round_s.median),  # type: ignore[misc]
            (f"{system}_slot_s", lambda size, of=system: size.beside[of].slot_s.median),  # type: ignore[misc]
            (f"{system}_messages_per_s", lambda size, of=system: size.messages_per_s(of)),  # type: ignore[misc]
            (f"{system}_member_uss_mib", lambda size, of=system: size.other_member_uss_mib(of)),  # type: ignore[misc]
        ]
    return rows


def growth_of(figures: Sequence[SizeFigures]) -> dict[str, float]:
    """The power of members that each figure grows with, over sizes with a process each member."""
    sizes = [size for size in figures if not size.packed]
    found: dict[str, float] = {}
    if not sizes:
        return found
    members = [size.members for size in sizes]
    for key, figure in growing([*sizes[0].beside]):
        power = exponent_of(members, [figure(size) for size in sizes])
        if power is not None:
            found[key] = power
    planned = [size.planned for size in sizes]
    whole = exponent_of(members, [each.round_s.median for each in planned if each is not None])
    if whole is not None:
        found["planned_round_s"] = whole
    return found


def as_dict(figures: Sequence[SizeFigures], day_s: float | None, aims: Sequence[Aim]) -> dict[str, Any]:
    """All figures, for machines to read."""

    def rates(size: SizeFigures, system: System | None = None) -> dict[str, float]:
        return {
            "messages_per_s": size.messages_per_s(system),
            "slot_messages_per_s": size.slot_messages_per_s(system),
        }

    def one(size: SizeFigures) -> dict[str, Any]:
        beside = {
            system: {
                **asdict(each),
                **rates(size, system),
                "fleet_times": each.fleet_times,
                "member_uss_mib": size.other_member_uss_mib(system),
            }
            for system, each in size.beside.items()
        }
        return {**asdict(size), "processes": size.processes, **rates(size), "beside": beside}

    return {
        "sizes": [one(size) for size in figures if not size.packed],
        "packed": [one(size) for size in figures if size.packed],
        "grows_with_members_to_the_power": growth_of(figures),
        "day_s": day_s,
        "aims": [{**asdict(aim), "met": aim.met} for aim in aims],
    }


def milliseconds(spread: Spread) -> str:
    """Median, and between which the middle half lies."""
    found = [1000 * each for each in (spread.median, spread.lower, spread.upper)]
    middle, lower, upper = (f"{each:.1f}" if each < 9.95 else f"{each:.0f}" for each in found)
    return f"{middle} ({lower}–{upper})"


def seconds(spread: Spread) -> str:
    """Median and greatest."""
    return f"{spread.median:.1f} / {spread.max:.1f}"


def _mebibytes(spread: Spread) -> str:
    return (
        f"{spread.median:.0f}" if spread.median == spread.max else f"{spread.median:.0f} / {spread.max:.0f}"
    )


def _times(size: SizeFigures, system: System) -> str:
    each = size.beside[system]
    by_turn = each.fleet_times_by_turn
    return f"{each.fleet_times:.2f} ({min(by_turn):.2f}–{max(by_turn):.2f})"


def _rows(systems: Sequence[System]) -> list[tuple[str, Text, str | None]]:
    """Name with unit, text of a size, and the key of its growth."""

    def others(key: str, text: Callable[[SizeFigures, System], str]) -> list[tuple[str, Text, str | None]]:
        return [
            (f"  {NAMES[system]}", lambda size, of=system: text(size, of), f"{system}_{key}")  # type: ignore[misc]
            for system in systems
        ]

    def uss(kind: str, name: str, key: str | None) -> tuple[str, Text, str | None]:
        return name, lambda size: _mebibytes(size.memory[kind].uss_mib), key

    return [
        ("connected and ready [s]", lambda size: seconds(size.ready_s), "ready_s"),
        *others("ready_s", lambda size, of: seconds(size.beside[of].ready_s)),
        ("round without solving [ms]", lambda size: milliseconds(size.round_s), "round_s"),
        *others("round_s", lambda size, of: milliseconds(size.beside[of].round_s)),
        *((f"  in rounds of {NAMES[of]}", lambda size, of=of: _times(size, of), None) for of in systems),
        ("  messages per second", lambda size: f"{size.messages_per_s():.0f}", "messages_per_s"),
        *others("messages_per_s", lambda size, of: f"{size.messages_per_s(of):.0f}"),
        ("slot [ms]", lambda size: milliseconds(size.slot_s), "slot_s"),
        *others("slot_s", lambda size, of: milliseconds(size.beside[of].slot_s)),
        (
            "round with planning [ms]",
            lambda size: "–" if size.planned is None else milliseconds(size.planned.round_s),
            "planned_round_s",
        ),
        (
            "  a member plans in it [ms]",
            lambda size: "–" if size.planned is None else milliseconds(size.planned.solving_s),
            None,
        ),
        (
            "session, start to stop [s]",
            lambda size: "–" if size.planned is None else f"{size.planned.whole_s:.1f}",
            None,
        ),
        ("each member, USS [MiB]", lambda size: f"{size.member_uss_mib:.2f}", "member_uss_mib"),
        *others("member_uss_mib", lambda size, of: f"{size.other_member_uss_mib(of):.2f}"),
        uss("prosumer", "prosumers' processes, USS [MiB]", None),
        uss("coordinator", "coordinator, USS [MiB]", "coordinator_uss_mib"),
        uss("meters", "all meters, USS [MiB]", "meters_uss_mib"),
        uss("server", "XMPP server, USS [MiB]", "server_uss_mib"),
        ("restarts, messages resent", lambda size: f"{size.restarts}, {size.resent}", None),
    ]


def busy_note(load: float) -> str | None:
    """What is to be said of times that were measured on a machine of such a load; None if nothing is."""
    if load <= BUSY_LOAD:
        return None
    return f"Others kept the machine busy (load {load:.1f} at the start): take times as too long."


def print_figures(figures: Sequence[SizeFigures], aims: Sequence[Aim], server: str) -> None:
    """Print the table and what its figures are."""
    from rich.table import Table

    console = table_console(WIDTH)
    growth = growth_of(figures)
    table = Table(box=None, pad_edge=False, title="", title_justify="left")
    table.add_column(f"members (on {server})", no_wrap=True)
    for size in figures:
        heading = f"{size.members} in {size.processes}" if size.packed else str(size.members)
        table.add_column(heading, justify="right", no_wrap=True)
    if growth:
        table.add_column("grows as", justify="right", no_wrap=True)
    systems = [*figures[0].beside]
    for name, text, key in _rows(systems):
        power = [f"n^{growth[key]:.2f}" if key in growth else ""] if growth else []
        table.add_row(name, *(text(size) for size in figures), *power)
    console.print(table)
    notes = [
        '\nTimes: median (middle half), or median / greatest. Members "in" so many processes share these.'
    ]
    if growth:
        notes.append("n: members, over the sizes with a process each.")
    if systems:
        size = figures[0]
        notes.append(
            f"The others carry the fleet's load: messages as long ({size.call_bytes} bytes a call, "
            f"{size.proposal_bytes} an answer, …), as many, in the same\norder, after the same pauses, "
            "between as many processes, in turns with it. Plain slixmpp: same server, TLS and accounts,\n"
            "no SPADE, log, check, repetition. Mango: its agents' TCP containers; no server, accounts, TLS."
        )
    console.print("\n".join(notes))

"""The figures of fleets of several sizes, drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from runtime.bench.aims import FURTHER_USS_LIMIT_MIB, PACKED_ROUND_LIMIT_S, READY_LIMIT_S, USS_LIMIT_MIB
from runtime.bench.size import SizeFigures
from runtime.bench.turns import System

mpl.use("Agg")

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_LOOKS = {
    None: ("Peerwatt", "#1b6e4f", "o"),
    "plain": ("plain slixmpp", "#7a7f87", "s"),
    "mango": ("mango over TCP", "#c9822b", "^"),
}

Read = Callable[[SizeFigures, System | None], float]
Limit = Callable[[SizeFigures], float | None]


def draw(figures: Sequence[SizeFigures], path: Path) -> None:
    """Draw start, round, rate and memory over the number of members, for fleet and others, as PNG.

    Members that share processes are hollow marks.

    Raises:
        OSError: the file cannot be written.
    """
    panels: list[tuple[str, Read, Limit]] = [
        (
            "Until all are ready [s]",
            lambda size, of: (size.beside[of] if of else size).ready_s.median,
            lambda size: None if size.packed else READY_LIMIT_S.get(size.members),
        ),
        (
            "A round without solving [ms]",
            lambda size, of: 1000 * (size.beside[of] if of else size).round_s.median,
            lambda size: 1000 * PACKED_ROUND_LIMIT_S if size.packed else None,
        ),
        ("Messages per second in a round", lambda size, of: size.messages_per_s(of), lambda _: None),
        (
            "Memory of a member, USS [MiB]",
            lambda size, of: size.other_member_uss_mib(of) if of else size.member_uss_mib,
            lambda size: FURTHER_USS_LIMIT_MIB if size.packed else USS_LIMIT_MIB,
        ),
    ]
    systems: list[System | None] = [None, *figures[0].beside]
    picture = Figure(figsize=(10, 7), layout="constrained")
    for axes, (title, read, limit) in zip(picture.subplots(2, 2).flat, panels, strict=True):
        for system in systems:
            _line(axes, figures, read, system)
        aims = [(size.members, limit(size)) for size in figures if limit(size) is not None]
        axes.plot(
            [members for members, _ in aims],
            [at_most for _, at_most in aims],
            color="#b3261e",
            marker="_",
            markersize=14,
            markeredgewidth=1.8,
            linestyle="none",
            label="Peerwatt's aim, at most",
        )
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = sorted({size.members for size in figures})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("members")
        axes.grid(visible=True, which="major", color="#e3e3e3", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    packed = [size for size in figures if size.packed]
    note = f"; hollow: {packed[0].members_per_process} members a process" if packed else ""
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        title=f"Same load{note}",
    )
    picture.savefig(path, dpi=120, format="png")


def _line(axes: Any, figures: Sequence[SizeFigures], read: Read, system: System | None) -> None:  # noqa: ANN401
    name, colour, mark = _LOOKS[system]
    own = [size for size in figures if not size.packed] or list(figures)
    axes.plot(
        [size.members for size in own],
        [read(size, system) for size in own],
        color=colour,
        marker=mark,
        label=name,
        markersize=6,
        linewidth=1.6,
    )
    packed = [size for size in figures if size.packed]
    axes.plot(
        [size.members for size in packed],
        [read(size, system) for size in packed],
        color=colour,
        marker=mark,
        linestyle="none",
        markerfacecolor="white",
        markersize=7,
    )

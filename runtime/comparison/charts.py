"""The comparison's own charts: savings, prices and flows of each way, and what was varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from runtime.comparison.sheet import Sheet, Way
from runtime.records import CoordinatorRecord
from runtime.results.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    VERMILION,
    save_figure,
    tick_local_time,
)
from runtime.results.reading import read_records
from runtime.results.series import community_series, time_axis

COLUMNS = 3
SHORT_SHARE = 0.1
"""A bar shorter than so much of the longest has no room for its number."""

LINES: tuple[tuple[str, str, str], ...] = tuple(
    (colour, marker, style)
    for style in ("-", "--")
    for colour, marker in zip(
        (BLUE, VERMILION, GREEN, ORANGE, PURPLE, BLACK), ("o", "s", "^", "D", "v", "P"), strict=True
    )
)
"""Colour, marker and dash of the first, second, … line, told apart with any colour vision."""

SWEPT = {
    "battery": "battery capacity, times the scenario's",
    "pv": "photovoltaics, times the scenario's",
    "members": "number of members",
}


def write_charts(folder: Path, sheet: Sheet, runs: Path) -> dict[str, Path]:
    """Draw the charts of a comparison.

    Args:
        folder: where they go; made if missing.
        sheet: what was compared.
        runs: folder with the run of each way.

    Returns:
        Chart's name to its SVG file: ``savings``, ``prices``, ``flows`` and ``sweep-…`` of each kind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    with mpl.rc_context(cast(Any, STYLE)):
        if sheet.markets:
            figures["savings"] = savings_chart(sheet)
            records = {way.title: read_records(runs / way.key)[0] for way in sheet.markets}
            figures["prices"] = prices_chart(records)
            figures["flows"] = flows_chart(records)
        for kind in dict.fromkeys(way.sweep[0] for way in sheet.sweeps if way.sweep):
            figures[f"sweep-{kind}"] = sweep_chart(kind, sheet.sweeps)
        return {name: save_figure(figure, folder / name)[1] for name, figure in figures.items()}


def savings_chart(sheet: Sheet) -> Figure:
    """What each market saves against each member alone, and how much could be saved at most."""
    ways = sorted(sheet.markets, key=lambda way: way.community["saving_eur"] or 0.0)
    savings = [way.community["saving_eur"] or 0.0 for way in ways]
    height = 1.0 + 0.34 * len(ways)
    figure = Figure(figsize=(8.0, height))
    panel = figure.subplots()
    figure.subplots_adjust(left=0.34, right=0.93, top=1 - 0.3 / height, bottom=0.55 / height)
    bars = panel.barh([way.title for way in ways], savings, color=GREEN, height=0.66)
    longest = max(map(abs, savings))
    for bar, saving in zip(bars, savings, strict=True):
        # Black reads on the bar and beside it; what does not fit into a bar is beside it.
        inside = abs(saving) > SHORT_SHARE * longest
        x_eur, beside = (saving / 2, "center") if inside else (max(saving, 0.0), "left")
        panel.annotate(
            f"{saving:.2f}", (x_eur, bar.get_y() + bar.get_height() / 2), (0 if inside else 3, 0),
            textcoords="offset points", ha=beside, va="center", color=BLACK,
        )  # fmt: skip
    panel.axvline(0, color=BLACK, lw=0.6)
    best = [
        alone - optimum
        for way in ways
        if (alone := way.community.get("alone_cost_eur")) is not None
        and (optimum := way.community.get("optimum_cost_eur")) is not None
    ]
    if best:
        panel.axvline(max(best), color=BLACK, lw=1.0, ls=(0, (4, 2)))
        panel.annotate(
            "all that could be saved", (max(best), 1.0), (0, 3), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center",
        )  # fmt: skip
    panel.margins(x=0.06)
    panel.set_xlabel("saved against each member alone [EUR]")
    panel.tick_params(axis="y", length=0)
    return figure


def prices_chart(records: dict[str, CoordinatorRecord]) -> Figure:
    """The price among neighbours over the day, a panel a market."""
    figure, panels = _panels(len(records), "price [ct/kWh]")
    low = 0.0
    for panel, (title, record) in zip(panels, records.items(), strict=True):
        axis, series = time_axis(record), community_series(record)
        for price, style in (
            (series.grid_import_price_eur_per_kwh, "-"),
            (series.grid_export_price_eur_per_kwh, ":"),
        ):
            panel.stairs(100 * price, axis.edges_hours, baseline=None, color=BLACK, lw=0.8, ls=style)
        middle = (axis.edges_hours[:-1] + axis.edges_hours[1:]) / 2
        panel.plot(
            middle, 100 * series.local_price_eur_per_kwh, color=GREEN, ls="", marker=".", ms=3, alpha=0.9
        )
        panel.set_title(title, loc="left", pad=3)
        low = min(low, 100 * float(series.grid_export_price_eur_per_kwh.min(initial=0.0)))
        tick_local_time(panel, axis, 5)
    for panel in panels:
        panel.set_ylim(bottom=low)
    handles = [
        Line2D([], [], color=BLACK, lw=0.8, label="the grid asks"),
        Line2D([], [], color=BLACK, lw=0.8, ls=":", label="the grid pays"),
        Line2D([], [], color=GREEN, ls="", marker=".", label="among neighbours"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False)
    return figure


def flows_chart(records: dict[str, CoordinatorRecord]) -> Figure:
    """Traded among neighbours, bought from and sold to the grid over the day, a panel a market."""
    figure, panels = _panels(len(records), "mean power in the slot [kW]")
    for panel, (title, record) in zip(panels, records.items(), strict=True):
        axis, series = time_axis(record), community_series(record)
        panel.stairs(series.local_kw, axis.edges_hours, fill=True, color=GREEN, alpha=0.6)
        panel.stairs(
            series.local_kw + series.import_kw, axis.edges_hours, baseline=series.local_kw, fill=True,
            color=BLUE, alpha=0.5,
        )  # fmt: skip
        panel.stairs(-series.export_kw, axis.edges_hours, fill=True, color=VERMILION, alpha=0.5)
        panel.axhline(0, color=BLACK, lw=0.4)
        panel.set_title(title, loc="left", pad=3)
        tick_local_time(panel, axis, 5)
    handles = [
        Patch(color=GREEN, alpha=0.6, label="among neighbours"),
        Patch(color=BLUE, alpha=0.5, label="bought from the grid"),
        Patch(color=VERMILION, alpha=0.5, label="sold to the grid (below zero)"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False)
    return figure


def sweep_chart(kind: str, ways: Sequence[Way]) -> Figure:
    """What a quantity that was varied does to saving, self-sufficiency and peak: a panel each."""
    lines: dict[str, list[tuple[float, Way]]] = {}
    for way in ways:
        if way.sweep is not None and way.sweep[0] == kind and way.failure is None:
            lines.setdefault(way.title, []).append((way.sweep[1], way))
    figure = Figure(figsize=(9.0, 3.4))
    panels = list(figure.subplots(1, 3).flat)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.9, bottom=0.36, wspace=0.3)
    for panel, (key, title, factor) in zip(
        panels,
        (
            ("bill_eur", "all members pay [EUR]", 1.0),
            ("boundary_self_sufficiency", "self-sufficiency [%]", 100.0),
            ("peak_import_kw", "highest import [kW]", 1.0),
        ),
        strict=True,
    ):
        for (name, points), (colour, marker, style) in zip(lines.items(), _styles(len(lines)), strict=True):
            at = [value for value, way in points if way.community.get(key) is not None]
            of = [
                factor * float(way.community[key] or 0)
                for _, way in points
                if way.community.get(key) is not None
            ]
            panel.plot(at, of, color=colour, marker=marker, ms=3.5, lw=1.0, ls=style, label=name)
        panel.set_title(title, loc="left", pad=3)
        panel.set_xlabel(SWEPT[kind])
        panel.grid(axis="y", lw=0.3, color=GREY)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=min(len(labels), 4), frameon=False)
    return figure


def _styles(count: int) -> list[tuple[str, str, str]]:
    return [LINES[number % len(LINES)] for number in range(count)]


def _panels(count: int, ylabel: str) -> tuple[Figure, list[Axes]]:
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    height = 1.75 * rows + 0.6
    figure = Figure(figsize=(9.0, height))
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)).flat
    panels = list(axes)
    figure.subplots_adjust(
        left=0.075, right=0.985, top=1 - 0.25 / height, bottom=0.75 / height, wspace=0.1, hspace=0.32
    )
    figure.text(0.012, 0.5, ylabel, rotation="vertical", va="center", ha="left")
    for index, panel in enumerate(panels):
        if index >= count:
            panel.set_axis_off()
        panel.tick_params(labelbottom=index + columns >= count, length=2, width=0.5)
    return figure, panels[:count]

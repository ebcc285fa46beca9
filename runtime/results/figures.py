"""The paper's figures 3 to 7 for a run, and one of prices and exchange, as PNG and SVG.

Energy per slot is drawn as mean power, so that days with other slot lengths compare. Up to
``PANELS`` members get a panel each; more are drawn as rows of heat maps. Colours are from
M. Okabe and K. Ito, *Color Universal Design* (2008), told apart with any colour vision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.series import (
    Array,
    Axis,
    CommunitySeries,
    MemberSeries,
    community_series,
    member_series,
    time_axis,
)

PANELS = 24
"""Most members that get a panel of their own."""

BLACK, ORANGE, BLUE, VERMILION, GREEN, PURPLE, GREY = (
    "#000000",
    "#E69F00",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#BBBBBB",
)

SETTINGS = {
    "pv-only": (3, 0, "PV only, each alone at the grid"),
    "pv-battery-rule": (4, 5, "PV + battery by rule, each alone at the grid"),
    "pv-battery-optimised": (6, 7, "PV + battery optimised, each alone at the grid"),
    "community": (6, 7, "community market"),
}
"""Setting to the paper's figure of the exchange, that of the batteries (0: none), and words for it."""

STYLE = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "peerwatt",
    "path.simplify": True,
}


def write_figures(
    folder: Path, coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]
) -> list[Path]:
    """Draw all figures of a run.

    Args:
        folder: where the pictures go; made if missing.
        coordinator: the coordinator's record.
        members: the members' own records by name.

    Returns:
        The files written; none if no slot was settled.
    """
    axis = time_axis(coordinator)
    if not axis.starts:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    exchange, storage, words = SETTINGS.get(coordinator.setting, (6, 7, coordinator.setting))
    series = member_series(coordinator, members)
    batteries = [s for s in series if s.soc is not None and not np.all(np.isnan(s.soc))]
    heading = f"{coordinator.community}: {words}"
    files = []
    with mpl.rc_context(cast(Any, STYLE)):
        many = len(series) > PANELS
        figure = (_exchange_maps if many else exchange_panels)(heading, axis, series)
        files += save_figure(figure, folder / f"figure-{exchange}-consumption-production-import")
        if storage and batteries:
            many = len(batteries) > PANELS
            figure = (_storage_map if many else storage_panels)(heading, axis, batteries)
            files += save_figure(figure, folder / f"figure-{storage}-state-of-charge")
        figure = _prices(heading, axis, community_series(coordinator), coordinator.setting == "community")
        files += save_figure(figure, folder / "figure-prices-and-exchange")
    return files


def exchange_panels(heading: str, axis: Axis, series: Sequence[MemberSeries]) -> Figure:
    """Consumption, production, import and export of each member in a panel of its own."""
    figure, panels = _grid(f"Consumption, production, import and export\n{heading}", axis, len(series))
    for panel, member in zip(panels, series, strict=True):
        _shade(panel, axis, member.unmetered)
        _area(panel, axis, np.maximum(member.net_kw, 0), BLUE)
        _area(panel, axis, np.minimum(member.net_kw, 0), VERMILION)
        panel.stairs(member.pv_kw, axis.edges_hours, baseline=None, color=ORANGE, lw=1.1)
        panel.stairs(member.load_kw, axis.edges_hours, baseline=None, color=BLACK, lw=0.8)
        panel.axhline(0, color=BLACK, lw=0.4)
        panel.set_title(member.name, loc="left", pad=3)
        panel.locator_params(axis="y", nbins=4)
    handles: list[Any] = [
        Line2D([], [], color=BLACK, lw=1, label="consumption"),
        Line2D([], [], color=ORANGE, lw=1.3, label="production"),
        Patch(color=BLUE, alpha=0.45, label="import at the meter"),
        Patch(color=VERMILION, alpha=0.45, label="export at the meter (below zero)"),
    ]
    if any(member.unmetered.any() for member in series):
        handles.append(Patch(color=GREY, alpha=0.6, label="estimated or missing"))
    _finish(figure, handles, "mean power in the slot [kW]", axis)
    return figure


def storage_panels(
    heading: str, axis: Axis, series: Sequence[MemberSeries], at: str = "at the end of the slot"
) -> Figure:
    """State of charge of each battery in a panel of its own; ``at``: when it was read."""
    figure, panels = _grid(f"State of charge of the batteries\n{heading}", axis, len(series))
    for panel, member in zip(panels, series, strict=True):
        assert member.soc is not None
        ends = axis.edges_hours[1:]
        # a gap, so that no line leads from one day to another months later
        gaps = np.searchsorted(ends, axis.breaks_hours, side="right")
        panel.plot(
            np.insert(ends, gaps, np.nan), np.insert(100 * member.soc, gaps, np.nan), color=GREEN, lw=1.2
        )
        panel.set_ylim(0, 100)
        panel.set_yticks([0, 20, 40, 60, 80, 100])
        panel.grid(axis="y", lw=0.3, color=GREY)
        panel.set_title(f"{member.name}  ({member.capacity_kwh:g} kWh)", loc="left", pad=3)
    _finish(figure, [], f"state of charge {at} [%]", axis)
    return figure


def _exchange_maps(heading: str, axis: Axis, series: Sequence[MemberSeries]) -> Figure:
    net = np.array([member.net_kw for member in series])
    limit = _robust_peak(np.abs(net))
    return _maps(
        f"Consumption, production, import and export\n{heading}",
        axis,
        [member.name for member in series],
        [
            ("consumption [kW]", np.array([m.load_kw for m in series]), "viridis", None),
            ("production [kW]", np.array([m.pv_kw for m in series]), "viridis", None),
            ("net at the meter [kW]: import > 0, export < 0", net, "PuOr_r", (-limit, limit)),
        ],
    )


def _storage_map(heading: str, axis: Axis, series: Sequence[MemberSeries]) -> Figure:
    soc = np.array([100 * m.soc for m in series if m.soc is not None])
    return _maps(
        f"State of charge of the batteries\n{heading}",
        axis,
        [member.name for member in series],
        [("state of charge at the end of the slot [%]", soc, "viridis", (0.0, 100.0))],
    )


def _prices(heading: str, axis: Axis, community: CommunitySeries, market: bool) -> Figure:
    figure = Figure(figsize=(9.0, 6.2))
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.subplots_adjust(left=0.08, right=0.77, top=0.90, bottom=0.09, hspace=0.18)
    figure.suptitle(f"Prices and exchange of the community\n{heading}", fontsize=10, y=0.985)
    edges = axis.edges_hours

    def line(values: Array, colour: str, label: str, width: float, style: str = "-") -> None:
        upper.stairs(100 * values, edges, baseline=None, color=colour, label=label, lw=width, ls=style)

    line(community.grid_import_price_eur_per_kwh, BLACK, "grid: import tariff", 1.4)
    line(community.grid_export_price_eur_per_kwh, BLACK, "grid: feed-in tariff", 1.4, ":")
    if market:
        taken, given = community.import_price_eur_per_kwh, community.export_price_eur_per_kwh
        if np.allclose(taken, given, rtol=0.0, atol=1e-9, equal_nan=True):
            line(given, VERMILION, "agreed among members", 1.1)  # one would hide the other
        else:
            line(taken, BLUE, "agreed: for energy taken", 1.1)
            line(given, VERMILION, "agreed: for energy given", 1.1)
        middle = (edges[:-1] + edges[1:]) / 2
        upper.plot(
            middle,
            100 * community.local_price_eur_per_kwh,
            color=GREEN,
            ls="",
            marker=".",
            ms=3.5,
            label="settled: local trade",
        )
    upper.set_ylabel("price [ct/kWh]")
    if not np.any(community.grid_export_price_eur_per_kwh < 0):
        upper.set_ylim(bottom=0)
    lower.stairs(
        community.local_kw, edges, fill=True, color=GREEN, alpha=0.55, label="traded between members"
    )
    lower.stairs(
        community.local_kw + community.import_kw,
        edges,
        baseline=community.local_kw,
        fill=True,
        color=BLUE,
        alpha=0.5,
        label="bought from the grid",
    )
    lower.stairs(-community.export_kw, edges, fill=True, color=VERMILION, alpha=0.5, label="sold to the grid")
    lower.axhline(0, color=BLACK, lw=0.4)
    lower.set_ylabel("mean power in the slot [kW]")
    for panel in (upper, lower):
        _shade(panel, axis, community.suspended)
        if community.suspended.any() and panel is upper:
            panel.fill_between([], [], color=GREY, alpha=0.6, label="trade suspended")
        tick_local_time(panel, axis, 12)
        panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    lower.set_xlabel(f"local time ({axis.zone})")
    return figure


def _grid(title: str, axis: Axis, count: int) -> tuple[Figure, list[Axes]]:
    columns = min(max(math.ceil(math.sqrt(count * 0.9)), 1), 5)
    rows = math.ceil(count / columns)
    width = max(2.6 * columns, 7.2)
    height = (2.4 if count <= 4 else 1.65) * rows + 1.7
    figure = Figure(figsize=(width, height))
    panels = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    figure.subplots_adjust(
        left=0.65 / width,
        right=1 - 0.15 / width,
        top=1 - 0.85 / height,
        bottom=0.85 / height,
        wspace=0.25,
        hspace=0.32,
    )
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height, va="top")
    for index, panel in enumerate(panels):
        if index >= count:
            panel.set_axis_off()
        else:
            tick_local_time(panel, axis, 8 if columns <= 2 else 4)
            panel.tick_params(labelbottom=index + columns >= count, length=2, width=0.5)
    return figure, panels[:count]


def _maps(
    title: str,
    axis: Axis,
    names: Sequence[str],
    maps: Sequence[tuple[str, Array, str, tuple[float, float] | None]],
) -> Figure:
    height = 1.2 + len(maps) * max(2.5, 0.085 * len(names) + 0.6)
    figure = Figure(figsize=(9.5, height))
    panels = figure.subplots(len(maps), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.14, right=1.0, top=1 - 0.9 / height, bottom=0.5 / height, hspace=0.15)
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height, va="top")
    every = math.ceil(len(names) / 34)
    for panel, (label, values, colours, limits) in zip(panels, maps, strict=True):
        low, high = limits or (0.0, _robust_peak(values))
        mesh = panel.pcolormesh(
            axis.edges_hours,
            np.arange(len(names) + 1),
            np.ma.masked_invalid(values),
            cmap=colours,
            # square root, so that a house is seen beside a school
            norm=PowerNorm(1.0 if limits else 0.5, vmin=low, vmax=high),
            rasterized=True,
        )
        panel.set_facecolor(GREY)
        panel.invert_yaxis()
        panel.set_yticks(np.arange(0, len(names), every) + 0.5, names[::every], fontsize=6)
        figure.colorbar(mesh, ax=panel, pad=0.01, label=label, extend="neither" if limits else "max")
        tick_local_time(panel, axis, 12)
    panels[-1].set_xlabel(f"local time ({axis.zone})")
    return figure


def tick_local_time(panel: Axes, axis: Axis, most: int) -> None:
    """Tick whole hours of local time, at most about ``most``; the date is under the first of each day."""
    hours = float(axis.edges_hours[-1])
    step = next((s for s in (1, 2, 3, 4, 6, 8, 12, 24) if round(hours / s, 6) <= most), 24)
    at = [
        (x, start)
        for x, start in zip(axis.edges_hours[:-1], axis.starts, strict=True)
        if start.minute == 0 and start.hour % step == 0
    ] or [(float(axis.edges_hours[0]), axis.starts[0])]
    at = at[:: max(math.ceil(len(at) / (most + 1)), 1)]
    labels, day = [], None
    several = axis.starts[0].date() != axis.starts[-1].date()
    for _, start in at:
        date = f"\n{start:%d %b}" if several and start.date() != day else ""
        labels.append(f"{start:%H:%M}{date}")
        day = start.date()
    panel.set_xlim(axis.edges_hours[0], hours)
    panel.set_xticks([x for x, _ in at], labels)
    for x in axis.breaks_hours:
        panel.axvline(x, color=BLACK, lw=0.8, ls=(0, (4, 2)))


def _area(panel: Axes, axis: Axis, values: Array, colour: str) -> None:
    panel.stairs(np.nan_to_num(values), axis.edges_hours, fill=True, color=colour, alpha=0.45, lw=0)


def _shade(panel: Axes, axis: Axis, where: NDArray[np.bool_]) -> None:
    """Grey bands over runs of slots."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    for first, after in zip(change[::2], change[1::2], strict=True):
        panel.axvspan(axis.edges_hours[first], axis.edges_hours[after], color=GREY, alpha=0.6, lw=0, zorder=0)


def _robust_peak(values: Array) -> float:
    """Top of a colour scale that a single large member does not wash out."""
    found = values[np.isfinite(values)]
    return max(float(np.quantile(found, 0.98)), 0.1) if found.size else 1.0


def _finish(figure: Figure, handles: Sequence[Any], ylabel: str, axis: Axis) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.5, 0.36 / height, f"local time ({axis.zone})", va="center", ha="center")
    figure.text(0.12 / width, 0.5, ylabel, rotation="vertical", va="center", ha="left")
    if handles:
        figure.legend(
            handles=list(handles), loc="lower center", ncols=len(handles) if width > 7 else 3, frameon=False
        )


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG, the same bytes for the same figure; returns both files."""
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    FigureCanvasAgg(figure).print_figure(png, dpi=130)
    # no date and a fixed salt for ids: the same run gives the same file
    FigureCanvasSVG(figure).print_figure(svg, metadata={"Date": None})
    return [png, svg]

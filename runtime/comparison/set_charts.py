"""Small multiples of a comparison over a set: a row a mechanism, a column for what communities differ in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from runtime.comparison.set_table import DIMENSIONS, SetSheet
from runtime.results.figures import BLACK, BLUE, GREY, STYLE, VERMILION, save_figure

CHARTS = {
    "score": ("score", "of all that could be saved [%]", 100.0),
    "saving": ("saving_percent", "saved against each alone [%]", 1.0),
    "self-sufficiency": ("boundary_self_sufficiency", "self-sufficiency of the community [%]", 100.0),
}
"""Chart to indicator, words and factor."""

HEADINGS = {"place": "place", "season": "season", "size": "members", "tariff": "tariff"}

JITTER = 0.16


def write_set_charts(folder: Path, sheet: SetSheet) -> dict[str, Path]:
    """Draw the charts of a comparison over a set.

    Args:
        folder: where they go; made if missing.
        sheet: what was compared.

    Returns:
        Chart's name to its SVG file, for each indicator that any run has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    with mpl.rc_context(cast(Any, STYLE)):
        for name, (key, words, factor) in CHARTS.items():
            if any(run.values.get(key) is not None for run in sheet.runs):
                made[name] = save_figure(multiples(sheet, key, words, factor), folder / f"set-{name}")[1]
    return made


def multiples(sheet: SetSheet, key: str, words: str, factor: float) -> Figure:
    """Every community as a dot, by what it is, with the mean of each kind as a bar.

    Args:
        sheet: what was compared.
        key: the indicator.
        words: for the axis.
        factor: from the indicator to what is shown.
    """
    columns = [dimension for dimension in DIMENSIONS if dimension != "all"]
    rows = len(sheet.mechanisms)
    height = 1.15 * rows + 0.75
    figure = Figure(figsize=(9.0, height))
    widths = [1 + len(sheet.values(dimension)) for dimension in columns]
    axes = figure.subplots(rows, len(columns), sharex="col", sharey=True, squeeze=False, width_ratios=widths)
    figure.subplots_adjust(
        left=0.07, right=0.99, top=1 - 0.42 / height, bottom=0.36 / height, wspace=0.06, hspace=0.42
    )
    figure.text(0.008, 0.5, words, rotation="vertical", va="center", ha="left")
    shown = [factor * float(value) for run in sheet.runs if (value := run.values.get(key)) is not None]
    low, high = _limits(shown)
    for row, mechanism in enumerate(sheet.mechanisms):
        runs = [run for run in sheet.runs if run.mechanism == mechanism.key]
        for column, dimension in enumerate(columns):
            panel = axes[row, column]
            kinds = sheet.values(dimension)
            for at, kind in enumerate(kinds):
                own = [run for run in runs if str(getattr(run, dimension)) == kind]
                values = np.array(
                    [factor * float(v) for run in own if (v := run.values.get(key)) is not None]
                )
                if not len(values):
                    continue
                places = at + np.linspace(-JITTER, JITTER, len(values)) * (len(values) > 1)
                inside = np.clip(values, low, high)
                panel.plot(places, inside, ls="", marker="o", ms=2.2, color=BLUE, alpha=0.55, mew=0)
                below = values < low
                panel.plot(places[below], inside[below], ls="", marker="v", ms=3.5, color=VERMILION, mew=0)
                panel.hlines(np.clip(values.mean(), low, high), at - 0.32, at + 0.32, color=BLACK, lw=1.4)
            panel.axhline(0, color=GREY, lw=0.5, zorder=0)
            panel.set_xlim(-0.6, len(kinds) - 0.4)
            panel.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
            panel.set_xticks(range(len(kinds)), kinds)
            panel.tick_params(length=0, labelbottom=row == rows - 1)
            if row == 0:
                panel.annotate(
                    HEADINGS[dimension], (0.5, 1), (0, 17), xycoords="axes fraction",
                    textcoords="offset points", ha="center", fontweight="bold",
                )  # fmt: skip
        axes[row, 0].set_title(mechanism.title, loc="left", pad=3)
    return figure


def _limits(values: list[float]) -> tuple[float, float]:
    """Where the axis ends: at the extremes, unless a few lie so far below that they flatten the rest."""
    ordered = np.array(values)
    low, high = float(ordered.min()), float(ordered.max())
    middle = float(np.percentile(ordered, 5))
    span = max(high - middle, 1e-9)
    low = max(low, middle - 1.5 * span)
    low = min(low, 0.0)
    return (low, high) if high > low else (low - 1.0, high + 1.0)

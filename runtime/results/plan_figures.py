"""Pictures of a member's plan and of the front of its plans, as PNG and SVG."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runtime.planned import PlanAnswer, PlannedDay
from runtime.preferences import OBJECTIVE_UNITS, Objective
from runtime.results.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    STYLE,
    VERMILION,
    save_figure,
    tick_local_time,
)
from runtime.results.series import Axis

_NAMES: dict[Objective, str] = {
    "cost": "cost",
    "import": "energy imported",
    "peak": "peak import",
    "wear": "battery wear",
}


def write_plan_figures(folder: Path, answer: PlanAnswer) -> list[Path]:
    """Draw the plan to be shown, where there is one, and the front, where there are several plans.

    Args:
        folder: where to; made if missing.
        answer: what was planned.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with mpl.rc_context(cast(Any, STYLE)):
        if answer.shown is not None:
            files += save_figure(_plan_figure(answer, answer.shown), folder / "plan")
        if len(answer.plans) > 1:
            files += save_figure(_front_figure(answer), folder / "front")
    return files


def _plan_figure(answer: PlanAnswer, plan: PlannedDay) -> Figure:
    axis = _axis(answer)
    with_battery = answer.battery_capacity_kwh is not None
    figure = Figure(figsize=(9.0, 6.6 if with_battery else 4.8))
    heights = [1.0, 1.7, 1.0] if with_battery else [1.0, 1.7]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    figure.subplots_adjust(left=0.08, right=0.79, top=0.9, bottom=0.08, hspace=0.16)
    figure.suptitle(
        f"{answer.member}: plan alone at the grid's tariffs\n{_summary(answer, plan)}", fontsize=10
    )
    _draw_prices(panels[0], axis, answer)
    _draw_power(panels[1], axis, answer, plan)
    if with_battery:
        _draw_charge(panels[2], axis, answer, plan)
    for panel in panels:
        tick_local_time(panel, axis, 12)
        panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    panels[-1].set_xlabel(f"local time ({axis.zone})")
    return figure


def _draw_prices(panel: Axes, axis: Axis, answer: PlanAnswer) -> None:
    for prices, style, label in (
        (answer.import_price_eur_per_kwh, "-", "import price"),
        (answer.export_price_eur_per_kwh, ":", "export price"),
    ):
        cents = 100 * np.array(prices)
        panel.stairs(cents, axis.edges_hours, baseline=None, color=BLACK, ls=style, lw=1.2, label=label)
    panel.set_ylabel("price [ct/kWh]")
    if min(answer.import_price_eur_per_kwh + answer.export_price_eur_per_kwh) >= 0:
        panel.set_ylim(bottom=0)


def _draw_power(panel: Axes, axis: Axis, answer: PlanAnswer, plan: PlannedDay) -> None:
    hours = answer.horizon.slot_hours
    net = np.array(plan.net_kwh) / hours
    imported, exported = np.maximum(net, 0), np.minimum(net, 0)
    panel.stairs(imported, axis.edges_hours, fill=True, color=BLUE, alpha=0.45, lw=0, label="import")
    panel.stairs(
        exported, axis.edges_hours, fill=True, color=VERMILION, alpha=0.45, lw=0, label="export (< 0)"
    )
    idle = np.array(answer.idle.net_kwh) / hours
    panel.stairs(
        idle, axis.edges_hours, baseline=None, color=GREY, lw=1.0, label="net with the battery\nleft alone"
    )
    flexible = np.array(list(plan.flexible_kwh.values())).reshape(-1, net.size).sum(axis=0)
    load, pv = (np.array(answer.load_kwh) + flexible) / hours, np.array(answer.pv_kwh) / hours
    panel.stairs(load, axis.edges_hours, baseline=None, color=BLACK, lw=0.8, label="load")
    panel.stairs(pv, axis.edges_hours, baseline=None, color=ORANGE, lw=1.1, label="PV")
    panel.axhline(0, color=BLACK, lw=0.4)
    panel.set_ylabel("mean power [kW]")


def _draw_charge(panel: Axes, axis: Axis, answer: PlanAnswer, plan: PlannedDay) -> None:
    assert answer.battery_capacity_kwh is not None
    soc = 100 * np.array(plan.stored_energy_kwh) / answer.battery_capacity_kwh
    panel.plot(axis.edges_hours[1:], soc, color=GREEN, lw=1.2, label="state of charge")
    panel.set_ylim(0, 100)
    panel.grid(axis="y", lw=0.3, color=GREY)
    panel.set_ylabel("state of charge [%]")


def _front_figure(answer: PlanAnswer) -> Figure:
    pairs = list(combinations(answer.objectives, 2))
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    width, height = 3.6 * columns + 0.8, 3.1 * rows + 1.0
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(
        f"{answer.member}: {len(answer.plans)} plans, none better than another in everything", fontsize=10
    )
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, (first, second) in zip(panels, pairs, strict=False):
        other = next((name for name in answer.objectives if name not in (first, second)), None)
        x, y = _values(answer, first), _values(answer, second)
        if other:
            dots = panel.scatter(x, y, c=_values(answer, other), cmap="viridis", s=9, lw=0)
            figure.colorbar(dots, ax=panel, label=_label(other))
        else:
            panel.scatter(x, y, color=BLUE, s=9, lw=0)
        _mark(panel, answer, first, second)
        panel.set_xlabel(_label(first))
        panel.set_ylabel(_label(second))
        panel.ticklabel_format(useOffset=False)
        panel.locator_params(nbins=6)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _mark(panel: Axes, answer: PlanAnswer, first: Objective, second: Objective) -> None:
    """The chosen plan, and the battery left alone where it is near enough not to squeeze the front."""
    limits = panel.get_xlim(), panel.get_ylim()
    idle = answer.idle.value(first), answer.idle.value(second)
    spans = [high - low for low, high in limits]
    near = all(
        low - span <= at <= high + span for at, (low, high), span in zip(idle, limits, spans, strict=True)
    )
    label = "battery left alone" if near else "battery left alone (outside)"
    at = ([idle[0]], [idle[1]]) if near else ([], [])
    panel.scatter(*at, marker="x", color=BLACK, s=36, label=label)
    if answer.chosen is not None:
        chosen = answer.plans[answer.chosen]
        panel.scatter(
            [chosen.value(first)],
            [chosen.value(second)],
            marker="*",
            s=130,
            color=VERMILION,
            edgecolor=BLACK,
            lw=0.6,
            zorder=3,
            label="chosen",
        )


def _values(answer: PlanAnswer, objective: Objective) -> list[float]:
    return [plan.value(objective) for plan in answer.plans]


def _label(objective: Objective) -> str:
    return f"{_NAMES[objective]} [{OBJECTIVE_UNITS[objective]}]"


def _summary(answer: PlanAnswer, plan: PlannedDay) -> str:
    share = answer.self_sufficiency(plan)
    parts = [f"{answer.horizon.local(0):%d %b %Y}", f"{plan.cost_eur:.2f} EUR"]
    parts += [] if share is None else [f"self-sufficiency {share:.1%}"]
    parts += [f"peak {plan.peak_import_kw:.2f} kW", f"wear {plan.wear_eur:.2f} EUR"]
    return " · ".join(parts)


def _axis(answer: PlanAnswer) -> Axis:
    horizon = answer.horizon
    edges = horizon.slot_hours * np.arange(horizon.slots + 1, dtype=np.float64)
    return Axis(edges, [horizon.local(slot) for slot in range(horizon.slots)], [], horizon.zone)

"""Figures 3 to 7 by the paper's accounting, and those of the corrected runs beside them, as PNG and SVG."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import matplotlib as mpl
import numpy as np

from runtime.horizon import Horizon
from runtime.replication.accounting import PUBLISHED, Day
from runtime.replication.paper_case import PaperCase
from runtime.replication.replicate import WorkedOut
from runtime.results.figures import STYLE, exchange_panels, save_figure, storage_panels
from runtime.results.series import Axis, MemberSeries
from runtime.rundir import RunDirectory


class PaperFigure(NamedTuple):
    """A figure of the paper.

    Attributes:
        number: in the paper.
        title: as the paper has it.
        setting: of the run that it belongs to.
        corrected: name of the corrected figure in that run's ``figures/``, without ending.
    """

    number: int
    title: str
    setting: str
    corrected: str

    @property
    def published_stem(self) -> str:
        """Name of the published figure, without ending."""
        return f"figure-{self.number}-published"

    @property
    def corrected_stem(self) -> str:
        """Name of the corrected figure, without ending."""
        return f"figure-{self.number}-corrected"


_EXCHANGE, _STATE = "Consumption, production and import", "State of the battery"

PAPER_FIGURES = tuple(
    PaperFigure(
        number,
        f"{_STATE if number in (5, 7) else _EXCHANGE} for the {scenario} scenario",
        setting,
        f"figure-{number}-" + ("state-of-charge" if number in (5, 7) else "consumption-production-import"),
    )
    for number, scenario, setting in (
        (3, "PV only", "pv-only"),
        (4, "PV + battery", "pv-battery-rule"),
        (5, "PV + battery", "pv-battery-rule"),
        (6, "optimisation", "pv-battery-optimised"),
        (7, "optimisation", "pv-battery-optimised"),
    )
)

MARKET_FIGURES = {
    "figure-6-consumption-production-import": "market-consumption-production-import",
    "figure-7-state-of-charge": "market-state-of-charge",
    "figure-prices-and-exchange": "market-prices-and-exchange",
}
"""Figures of the community's run, and what they are called beside the others."""


def write_published_figures(folder: Path, worked_out: WorkedOut, horizon: Horizon) -> list[Path]:
    """Draw figures 3 to 7 by the paper's accounting.

    Energies are drawn as mean power in the slot, as the corrected figures have them, so that both compare;
    the paper's axis is in Wh per slot of ten minutes, of which 1 kW is 166.7.

    Args:
        folder: where the pictures go; made if missing.
        worked_out: how the batteries were run.
        horizon: the day.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = {
        "pv-only": worked_out.day("pv-only", PUBLISHED),
        "pv-battery-rule": worked_out.day("pv-battery-rule", PUBLISHED),
        "pv-battery-optimised": worked_out.genetic_day(PUBLISHED),
    }
    axis = Axis(
        edges_hours=np.arange(horizon.slots + 1, dtype=np.float64) * horizon.slot_hours,
        starts=[horizon.local(slot) for slot in range(horizon.slots)],
        breaks_hours=[],
        zone=horizon.zone,
    )
    files = []
    with mpl.rc_context(cast(Any, STYLE)):
        for figure in PAPER_FIGURES:
            series = day_series(worked_out.case, days[figure.setting])
            heading = f"figure {figure.number} by the paper's own accounting"
            drawn = (
                exchange_panels(heading, axis, series)
                if figure.title.startswith(_EXCHANGE)
                else storage_panels(heading, axis, series, "when the slot was collected")
            )
            files += save_figure(drawn, folder / figure.published_stem)
    return files


def copy_run_figures(folder: Path, runs: Path) -> list[Path]:
    """Put the figures of the corrected runs beside the published ones.

    Args:
        folder: where to.
        runs: folder of the runs, each named after its setting.

    Returns:
        The copies.
    """
    wanted = [(RunDirectory(runs / f.setting), f.corrected, f.corrected_stem) for f in PAPER_FIGURES]
    wanted += [(RunDirectory(runs / "community"), stem, name) for stem, name in MARKET_FIGURES.items()]
    return [
        Path(shutil.copyfile(run.figures_dir / f"{stem}{ending}", folder / f"{name}{ending}"))
        for run, stem, name in wanted
        for ending in (".png", ".svg")
    ]


def day_series(case: PaperCase, day: Day) -> Sequence[MemberSeries]:
    """A day's lines of each building, as the figures of a run have them."""
    hours = case.slot_hours
    return [
        MemberSeries(
            name=name,
            load_kw=day.load_kwh[:, place] / hours,
            pv_kw=day.pv_kwh[:, place] / hours,
            net_kw=day.net_kwh[:, place] / hours,
            soc=None if day.stored_kwh is None else day.stored_kwh[:, place] / case.capacity_kwh[place],
            capacity_kwh=float(case.capacity_kwh[place]),
            unmetered=np.zeros(case.slots, dtype=bool),
        )
        for place, name in enumerate(case.members)
    ]

"""The replication as one HTML page that stands alone: for a reader of the paper, in plain words."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from runtime.files import write_text_atomically
from runtime.pages import picture, render_page
from runtime.replication.figures import MARKET_FIGURES, PAPER_FIGURES
from runtime.replication.paper_case import PAPER_GENERATIONS, PAPER_SCENARIOS, TABLE_III
from runtime.replication.table import Increment, Replication
from runtime.replication.wording import CHANGES

TEMPLATE = Path(__file__).with_name("page.html.template")

MARKET_TITLES = (
    "Consumption, production and import as a community market",
    "State of the batteries as a community market",
    "Prices and exchange of the community market",
)


def write_page(folder: Path, replication: Replication) -> Path:
    """Write ``replication.html``.

    Args:
        folder: the replication's folder, with its ``figures/``.
        replication: all its figures.

    Returns:
        The page.
    """
    path = folder / "replication.html"
    write_text_atomically(path, render(replication, folder / "figures"))
    return path


def render(replication: Replication, figures: Path) -> str:
    """The page as HTML.

    Args:
        replication: all figures of the replication.
        figures: folder with the pictures.

    Raises:
        FileNotFoundError: a picture is missing.
    """
    return render_page(
        TEMPLATE,
        r=replication,
        row={row.key: row for row in replication.rows},
        step={step.key: step for step in replication.increments},
        changes=CHANGES,
        scenarios=PAPER_SCENARIOS,
        paper=TABLE_III,
        paper_generations=PAPER_GENERATIONS,
        differences=differences(replication.increments),
        figures=[
            (
                figure,
                picture(figures / f"{figure.published_stem}.svg"),
                picture(figures / f"{figure.corrected_stem}.svg"),
            )
            for figure in PAPER_FIGURES
        ],
        market_figures=[
            (title, picture(figures / f"{name}.svg"))
            for title, name in zip(MARKET_TITLES, MARKET_FIGURES.values(), strict=True)
        ],
    )


def differences(increments: list[Increment]) -> dict[str, dict[str, tuple[float, float]]]:
    """By change and scenario: how much self-sufficiency [points] and cost [EUR] move from the step before."""
    moved: dict[str, dict[str, tuple[float, float]]] = {}
    for before, after in pairwise(increments):
        moved[after.key] = {
            scenario: (
                figures.self_sufficiency_percent - before.so_far[scenario].self_sufficiency_percent,
                figures.cost_eur - before.so_far[scenario].cost_eur,
            )
            for scenario, figures in after.so_far.items()
        }
    return moved

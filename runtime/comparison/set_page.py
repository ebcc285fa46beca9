"""A comparison over a reference set as one HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtime.comparison.page import FAMILIES
from runtime.comparison.set_table import Dimension, Figure, Group, SetSheet
from runtime.comparison.sheet import Row
from runtime.files import write_text_atomically
from runtime.pages import number, percent, picture, render_page

TEMPLATE = Path(__file__).with_name("set.html.template")

WORDS: dict[Dimension, str] = {
    "place": "By climate",
    "season": "By season",
    "size": "By number of members",
    "tariff": "By tariff world",
}

COUNTS = {"members_worse_off": 2, "rounds": 1}
"""Decimals of the means of what is counted."""

CHART_WORDS = {
    "score": "Of all that could be saved",
    "saving": "Saving against each alone",
    "self-sufficiency": "Self-sufficiency of the community",
}


def write_set_page(folder: Path, sheet: SetSheet, charts: Mapping[str, Path], command: str) -> Path:
    """Write ``set-comparison.html``.

    Args:
        folder: the comparison's folder.
        sheet: what was compared.
        charts: the charts' files by name.
        command: the command that made it, as a person would type it.

    Returns:
        The page.
    """
    page = render_page(
        TEMPLATE,
        sheet=sheet,
        families=FAMILIES,
        dimensions=WORDS,
        charts={name: picture(path) for name, path in charts.items()},
        chart_words=CHART_WORDS,
        failures=[run for run in sheet.runs if run.failure is not None],
        mean=mean,
        worst=worst,
        best=lambda row, dimension, value: best(sheet, row, dimension, value),
        findings=set_findings(sheet),
        command=command,
    )
    path = folder / "set-comparison.html"
    write_text_atomically(path, page)
    return path


def mean(row: Row, figure: Figure) -> str:
    """The mean as the table shows it."""
    if row.percent:
        return percent(figure.mean, row.digits)
    return number(figure.mean, COUNTS.get(row.key, row.digits))


def worst(row: Row, figure: Figure) -> str:
    """The worst as the table shows it."""
    return percent(figure.worst, row.digits) if row.percent else number(figure.worst, row.digits)


def best(sheet: SetSheet, row: Row, dimension: Dimension = "all", value: str = "all") -> list[str]:
    """Keys of the mechanisms whose mean is best in a group, as shown; none where all are alike."""
    shown: dict[str, float] = {}
    for mechanism in sheet.mechanisms:
        figure = sheet.group(mechanism.key, dimension, value).figures[row.key]
        if figure.mean is not None:
            shown[mechanism.key] = round(
                figure.mean, row.digits + 2 if row.percent else COUNTS.get(row.key, row.digits)
            )
    if not row.better or len(shown) < 2:
        return []
    top = (max if row.better == "higher" else min)(shown.values())
    found = [key for key, mean in shown.items() if mean == top]
    return found if len(found) < len(shown) else []


def set_findings(sheet: SetSheet) -> list[str]:
    """What the figures say, in a few sentences."""
    titles = {mechanism.key: mechanism.title for mechanism in sheet.mechanisms}
    families = {mechanism.key: mechanism.family for mechanism in sheet.mechanisms}
    whole: list[Group] = [sheet.group(key, "all") for key in titles]
    found = []
    scored = [(group, group.score_of_all) for group in whole if group.score_of_all is not None]
    ranked = sorted(scored, key=lambda pair: -pair[1])
    own = [pair for pair in ranked if families[pair[0].mechanism] != "coordinated"]
    if own:
        score = own[0][1]
        alike = [titles[group.mechanism] for group, each in own if percent(each, 1) == percent(score, 1)]
        found.append(
            f"Over all communities together, {' and '.join(alike)} saves {percent(score, 1)} of what "
            "perfect coordination could, the most of the ways in which members keep their devices to "
            "themselves."
        )
        if len(own) > len(alike):
            group, score = own[-1]
            found.append(f"Least is saved under {titles[group.mechanism]}: {percent(score, 1)} of it.")
    dearer = [group for group in whole if (group.figures["score"].worst or 0.0) < 0]
    if dearer:
        words = ", ".join(
            f"{titles[group.mechanism]} ({group.figures['score'].worst_community})" for group in dearer
        )
        found.append(f"In some community the members together pay more than alone under {words}.")
    harmed = [group for group in whole if (group.figures["members_worse_off"].worst or 0) > 0]
    if harmed:
        words = ", ".join(
            f"{titles[group.mechanism]} (up to {number(group.figures['members_worse_off'].worst, 0)} in one)"
            for group in harmed
        )
        found.append(f"Somebody pays more than alone under {words}.")
    elif any(group.failed < group.runs for group in whole):
        found.append("Nobody pays more than alone in any community under any of them.")
    return found

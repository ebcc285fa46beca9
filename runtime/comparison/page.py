"""The decision sheet as one HTML page that stands alone, for those who choose how to trade."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtime.comparison.sheet import Row, Sheet, Way
from runtime.files import write_text_atomically
from runtime.pages import number, percent, picture, render_page

TEMPLATE = Path(__file__).with_name("page.html.template")

AGAINST_ALONE = frozenset({"saving_eur", "score", "members_worse_off", "saving_min_eur", "saving_max_eur"})
"""Rows that compare with being alone: they say nothing of those who are."""

FAMILIES = {
    "none": "no trade",
    "community": "community market: a coordinator tells prices, members decide",
    "auction": "auction: members send orders, the auctioneer matches them",
    "decentralised": "decentralised: members bargain with each other",
    "hybrid": "hybrid: communities that trade with each other",
    "coordinated": "coordinated: one hand plans for all",
}


def write_page(folder: Path, sheet: Sheet, charts: Mapping[str, Path], command: str) -> Path:
    """Write ``comparison.html``.

    Args:
        folder: the comparison's folder, with the runs in it.
        sheet: what was compared.
        charts: the charts' files by name.
        command: the command that made it, as a person would type it.

    Returns:
        The page.
    """
    figures = {
        way.key: [picture(path) for path in sorted((folder / way.key / "figures").glob("figure-[3-7]*.svg"))]
        for way in sheet.done
    }
    page = render_page(
        TEMPLATE,
        sheet=sheet,
        groups=list(dict.fromkeys(row.group for row in sheet.rows)),
        families=FAMILIES,
        charts={name: picture(path) for name, path in charts.items()},
        figures=figures,
        shown=shown,
        shade=lambda saving: shade(saving, sheet),
        findings=findings(sheet),
        command=command,
    )
    path = folder / "comparison.html"
    write_text_atomically(path, page)
    return path


def shown(row: Row, way: Way) -> str:
    """A value as the table shows it."""
    value = way.community.get(row.key) if way.market or row.key not in AGAINST_ALONE else None
    return percent(value, row.digits) if row.percent else number(value, row.digits)


def shade(saving_eur: float | int | None, sheet: Sheet) -> str:
    """Background of a saving: green for a gain, orange for a loss, stronger for more."""
    largest = max(
        (abs(values.get("saving_eur") or 0.0) for way in sheet.markets for values in way.members.values()),
        default=0.0,
    )
    if saving_eur is None or largest == 0 or abs(saving_eur) < 0.005:
        return ""
    strength = 0.08 + 0.42 * (abs(saving_eur) / largest) ** 0.5
    return f"background: rgba(var(--{'gain' if saving_eur > 0 else 'loss'}), {strength:.2f})"


def findings(sheet: Sheet) -> list[str]:
    """What the figures say, in a few sentences."""
    markets = [way for way in sheet.markets if way.community.get("saving_eur") is not None]
    if not markets:
        return []
    found = []
    first = markets[0].community
    alone = float(first["alone_cost_eur"] or 0.0)
    ranked = sorted(markets, key=lambda way: -float(way.community["saving_eur"] or 0.0))
    best, least = ranked[0], ranked[-1]
    pay = "pay" if alone >= 0 else "receive"
    saves = (
        f"Under “{best.title}” trading saves {_saving(best)}."
        if len(ranked) == 1
        else f"Trading saves between {_saving(least)} (“{least.title}”) and {_saving(best)} (“{best.title}”)."
    )
    found.append(
        f"Each alone, with batteries planned at the grid's tariffs, the members {pay} "
        f"{number(abs(alone))} EUR. {saves}"
    )
    own = [way for way in ranked if way.family != "coordinated"]
    scores = {way.title: score for way in own if (score := way.community.get("score")) is not None}
    if scores:
        best_score = percent(max(scores.values()), 1)
        reaching = [title for title, score in scores.items() if percent(score, 1) == best_score]
        found.append(
            f"Of all that perfect coordination could save, {_list(reaching)} "
            f"reach{'es' if len(reaching) == 1 else ''} {best_score} while members keep their devices to "
            "themselves."
        )
    worse = {way.title: int(way.community.get("members_worse_off") or 0) for way in markets}
    none = [title for title, count in worse.items() if count == 0]
    some = [title for title, count in worse.items() if count]
    if not some:
        found.append(f"Nobody pays more than alone under {'any of them' if len(worse) > 1 else 'it'}.")
    else:
        found.append(
            f"Somebody pays more than alone under {_list(some)}; nobody under {_list(none) or 'any other'}."
        )
    told = {
        way.title: number(numbers, 1)
        for way in sorted(own, key=lambda way: float(way.community.get("disclosed_numbers_per_slot") or 0.0))
        if (numbers := way.community.get("disclosed_numbers_per_slot")) is not None
    }
    if len(told) > 1:
        title, numbers_told = next(iter(told.items()))
        found.append(f"Least is told under {_list([title])}: {numbers_told} numbers per member and slot.")
    return found


def _saving(way: Way) -> str:
    saving, share = way.community["saving_eur"], way.community.get("saving_percent")
    part = "" if share is None else f", {number(share, 1)} %"
    return f"{number(saving)} EUR{part}"


def _list(words: list[str]) -> str:
    quoted = [f"“{word}”" for word in words]
    return ", ".join(quoted[:-1]) + (" and " if len(quoted) > 1 else "") + quoted[-1] if quoted else ""

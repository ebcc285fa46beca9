"""What the decision sheet says in sentences, from ways of trading by hand."""

from __future__ import annotations

from runtime.comparison.page import findings
from runtime.comparison.sheet import Sheet, Way


def way(title: str, saving_eur: float, alone_cost_eur: float) -> Way:
    return Way(
        key=title,
        title=title,
        family="community",
        summary="",
        discloses="",
        community={
            "alone_cost_eur": alone_cost_eur,
            "saving_eur": saving_eur,
            "saving_percent": 100 * saving_eur / abs(alone_cost_eur),
            "score": 0.5,
            "members_worse_off": 0,
            "disclosed_numbers_per_slot": 8.0,
        },
    )


def sheet(*ways: Way) -> Sheet:
    return Sheet(
        scenario="day", community="Day", members={}, days=[], slots=4, tariff="", rows=[], ways=list(ways)
    )


def test_a_community_that_is_paid_alone_receives() -> None:
    first = findings(sheet(way("One", 1.5, -5.87), way("Other", 1.2, -5.87)))[0]
    assert "the members receive 5.87 EUR." in first
    assert "the members pay 5.87 EUR." in findings(sheet(way("One", 1.5, 5.87), way("Other", 1.2, 5.87)))[0]


def test_one_way_is_not_compared_with_itself() -> None:
    said = " ".join(findings(sheet(way("One", 1.5, 5.87))))
    assert "Under “One” trading saves 1.50 EUR, 25.6 %." in said
    assert "Nobody pays more than alone under it." in said
    assert "between" not in said
    assert "Least is told" not in said
    two = " ".join(findings(sheet(way("One", 1.5, 5.87), way("Other", 1.2, 5.87))))
    assert "between 1.20 EUR, 20.4 % (“Other”) and 1.50 EUR" in two
    assert "Least is told" in two

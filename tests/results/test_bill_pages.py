"""Bills as pages: right figures, plain words, one file that needs nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from html import unescape
from pathlib import Path

import pytest
from synthetic import make_run
from test_ledger_charges import GOOD

from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.bill_charts import exchange_chart, share_bar
from runtime.results.bill_pages import member_bill, period_words, write_bill_pages

COORDINATOR, MEMBERS = make_run(5, 2, slots=24, slot_minutes=60, estimated=(("house-1", 3),))


def indicators_of(coordinator: CoordinatorRecord, alone_eur: float | None = 3.0) -> dict[str, object]:
    return {"run": {"members": {name: {"alone_cost_eur": alone_eur} for name in coordinator.members}}}


def pages(
    folder: Path, coordinator: CoordinatorRecord, members: dict[str, MemberRecord], alone: float | None = 3.0
) -> dict[str, str]:
    files = write_bill_pages(folder, coordinator, members, indicators_of(coordinator, alone))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.S)).split())


def amounts(page: str) -> list[Decimal]:
    """The last column of the bill's table, the sum at its end."""
    table = page[
        page.index('<table class="bill">') : page.index("</table>", page.index('<table class="bill">'))
    ]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    return [Decimal(re.findall(r'class="n">([^<]*)</td>', row)[-1].replace("−", "-")) for row in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return pages(tmp_path_factory.mktemp("run"), COORDINATOR, MEMBERS)


def test_there_is_a_page_for_each_member_and_one_that_leads_to_them(written: dict[str, str]) -> None:
    assert list(written) == ["bills", *COORDINATOR.members]
    for member in COORDINATOR.members:
        assert f'href="bills/{member}.html"' in written["bills"]
        others = set(COORDINATOR.members) - {member}
        assert not [other for other in others if other in written[member]], "a bill is about one member only"


def test_the_lines_add_up_to_the_amount_and_the_amount_is_the_bills(written: dict[str, str]) -> None:
    for member in COORDINATOR.members:
        owed = sum(b.amount_eur for s in COORDINATOR.sessions for b in s.bills if b.member == member)
        *lines, total = amounts(written[member])
        assert len(lines) >= 1
        assert sum(lines) == total == owed
        words = f"You pay {owed} EUR" if owed > 0 else f"You receive {-owed} EUR"
        assert words in text_of(written[member])


def test_a_page_needs_nothing_else(written: dict[str, str]) -> None:
    for page in written.values():
        assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page)
        for svg in re.findall(r"<svg.*?</svg>", page, re.S):
            ET.fromstring(svg)
        for tag in ("table", "div", "ul", "figure", "svg", "thead", "tbody", "tr", "h2", "p"):
            assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag
        assert "prefers-color-scheme: dark" in page
        assert "@media print" in page
        assert 'name="viewport"' in page


def test_what_came_in_is_what_went_out_and_is_told(written: dict[str, str]) -> None:
    for member in COORDINATOR.members:
        bill = member_bill(member, COORDINATOR, MEMBERS[member], {})
        assert sum(f.energy_kwh for f in bill.incoming) == pytest.approx(
            sum(f.energy_kwh for f in bill.outgoing), abs=0.02
        )
        own = MEMBERS[member].sessions
        by_colour = {flow.colour: flow.energy_kwh for flow in [*bill.incoming, *bill.outgoing]}
        assert by_colour.get("use", 0) == pytest.approx(sum(sum(s.load_kwh) for s in own))
        assert by_colour.get("roof", 0) == pytest.approx(sum(sum(s.pv_kwh) for s in own))
        taken = sum(
            float(b.grid_import_kwh) for s in COORDINATOR.sessions for b in s.bills if b.member == member
        )
        assert by_colour.get("from-grid", 0) == pytest.approx(taken)
        for flow in [*bill.incoming, *bill.outgoing]:
            assert f"{flow.energy_kwh:.1f} kWh {flow.words}" in text_of(written[member]).replace("\u202f", "")
    consumer = next(name for name in COORDINATOR.members if name.startswith("consumer"))
    assert {flow.colour for flow in member_bill(consumer, COORDINATOR, MEMBERS[consumer], {}).outgoing} == {
        "use"
    }


def test_it_is_compared_with_being_alone(tmp_path: Path) -> None:
    member = "house-1"
    owed = float(sum(b.amount_eur for s in COORDINATOR.sessions for b in s.bills if b.member == member))
    found = pages(tmp_path, COORDINATOR, MEMBERS, alone=owed + 1.25)
    assert "1.25 EUR better for you than without the community" in text_of(found[member])
    assert "1.25 EUR more than your plan" in text_of(
        pages(tmp_path, COORDINATOR, MEMBERS, alone=owed - 1.25)[member]
    )
    assert "it would have been the same" in text_of(pages(tmp_path, COORDINATOR, MEMBERS, alone=owed)[member])
    unknown = pages(tmp_path, COORDINATOR, MEMBERS, alone=None)
    assert "without the community" not in text_of(unknown[member]).lower()
    assert "– –" in text_of(unknown["bills"])


def test_readings_that_lacked_and_plans_kept_to_are_told(tmp_path: Path) -> None:
    first = COORDINATOR.sessions[0].model_copy(update={"opted_out": ["office-2"]})
    record = COORDINATOR.model_copy(update={"sessions": [first, COORDINATOR.sessions[1]]})
    found = pages(tmp_path, record, MEMBERS)
    assert "2 times your meter could not be read" in text_of(found["house-1"])
    assert "could not be read" not in text_of(found["office-2"])
    assert "On 21 June 2024 your own plan was the better one" in text_of(found["office-2"])
    assert "your own plan was" not in text_of(found["house-1"])


def test_every_kind_of_line_has_its_words(tmp_path: Path) -> None:
    found = pages(tmp_path, GOOD, {})
    buyer, seller = text_of(found["m0"]), text_of(found["m1"])
    for words in (
        "Bought from neighbours, as agreed with them 17.50 ct/kWh 1.00 17.50 0.1",
        "Bought from the grid",
        "Network fee on what you traded with neighbours",
        "above the limit of its connection",
        "Charge for the highest power you drew highest: 6.00 kW",
        "Evened out among all members",
    ):
        assert words in buyer
    assert "What neighbours agreed with each other counts first" in buyer
    assert "What neighbours can still cover among themselves" in buyer
    assert "Sold to neighbours, as agreed with them" in seller
    assert "Sold to the grid" in seller
    assert "your own system left no record" in buyer
    assert "own roof" not in buyer
    for member, bill in zip(GOOD.members, GOOD.sessions[0].bills, strict=True):
        *lines, total = amounts(found[member])
        assert len(lines) == len(bill.items)
        assert sum(lines) == total == bill.amount_eur


def test_alone_at_the_grid_there_are_no_neighbours(tmp_path: Path) -> None:
    record, members = make_run(2, setting="pv-only")
    for name, page in pages(tmp_path, record, members).items():
        assert "with neighbours" not in text_of(page)
        assert "without the community" not in text_of(page)
        assert name == "bills" or "You are alone with the grid" in text_of(page)


def test_many_sessions_are_drawn_day_by_day(tmp_path: Path) -> None:
    record, members = make_run(3, 6, slots=24, slot_minutes=60)
    page = pages(tmp_path, record, members)["house-1"]
    assert page.count('<svg class="chart"') == 1
    assert "Over the days" in page
    assert period_words(record.sessions) == "21 June 2024 to 26 June 2024, 6 days"
    assert period_words(record.sessions[:2]) == "21 June 2024 and 22 June 2024"
    for day in range(21, 27):
        assert f"{day} June 2024" in text_of(page)


def test_how_it_is_settled_is_told_as_it_was(tmp_path: Path, written: dict[str, str]) -> None:
    pooled = text_of(written["house-1"])
    assert "What neighbours can cover among themselves is traded at the community's price." in pooled
    assert "agreed with each other" not in pooled
    sessions = [s.model_copy(update={"local_price_eur_per_kwh": [None] * 24}) for s in COORDINATOR.sessions]
    apart = pages(tmp_path, COORDINATOR.model_copy(update={"sessions": sessions}), MEMBERS)["house-1"]
    assert "cover among themselves" not in text_of(apart)
    assert "you get the rest from the grid at its price" in text_of(apart)


def test_names_are_escaped(tmp_path: Path) -> None:
    record = COORDINATOR.model_copy(update={"community": "<b>A & B</b>"})
    for page in pages(tmp_path, record, MEMBERS).values():
        assert "<b>A" not in page
        assert "&lt;b&gt;A &amp; B" in page


# -- figures -------------------------------------------------------------------------------------------


def columns(svg: str, name: str) -> list[tuple[float, float, float]]:
    """Left edge, where it begins, and how far it goes (downwards > 0) of each column of a class."""
    path = ET.fromstring(svg).find(f"path[@class='{name}']")
    assert path is not None
    found = re.findall(r"M([-\d.]+) ([-\d.]+)h[-\d.]+v([-\d.]+)", path.attrib["d"])
    return [(float(x), float(y), float(height)) for x, y, height in found]


def test_columns_are_as_high_as_their_values_and_stand_on_each_other() -> None:
    svg = exchange_chart(
        {"a": [1.0, 2.0, 0.0], "b": [1.0, 0.0, 0.5]}, {"c": [0.0, 0.0, 4.0]}, {1: "noon"}, "kW", "t"
    )
    a, b, c = (columns(svg, name) for name in "abc")
    unit = -a[0][2]
    assert a[1][2] == pytest.approx(-2 * unit, abs=0.02)
    assert b[0][:2] == pytest.approx((a[0][0], a[0][1] - unit), abs=0.11)
    assert c[0][2] == pytest.approx(4 * unit, abs=0.05)
    zero = ET.fromstring(svg).find("line[@class='zero']")
    assert zero is not None
    assert a[0][1] == c[0][1] == pytest.approx(float(zero.attrib["y1"]))
    lowest = max(y + max(height, 0) for y, height in [(y, h) for _, y, h in c])
    highest = min(y + height for _, y, height in a + b)
    assert highest >= 0
    assert lowest <= 210
    texts = [each.text for each in ET.fromstring(svg).findall("text")]
    assert "noon" in texts
    assert "kW" in texts
    assert {"0", "2", "4"} <= set(texts)


def test_a_chart_of_nothing_is_a_line() -> None:
    svg = exchange_chart({"a": [0.0] * 3}, {"b": [0.0] * 3}, {}, "kW", "t")
    assert "<path" not in svg
    assert 'class="zero"' in svg
    assert [each.text for each in ET.fromstring(svg).findall("text")] == ["0", "0.5", "kW"]


def test_a_bar_is_shared_in_proportion() -> None:
    bar = ET.fromstring(share_bar({"a": 3.0, "b": 0.0, "c": 1.0}, 5.0))
    rects = [(r.attrib["class"], float(r.attrib["x"]), float(r.attrib["width"])) for r in bar]
    assert rects == [("a", 0.0, 60.0), ("c", 60.0, 20.0)]
    assert len(ET.fromstring(share_bar({"a": 0.0}, 0.0))) == 0

"""Amounts on the pages that households read are those that follow from the messages."""

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.verification.command import verification
from runtime.grid_terms import GridTerms
from runtime.pages.numbers import number
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.bill_pages import write_bill_pages
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    grid = GridTerms(local_fee_eur_per_kwh=Decimal("0.011"), demand_charge_eur_per_kw=Decimal("0.07"))
    community = Community(seed=5, members=3, slots=8, grid=grid)
    run = leave_behind(community, tmp_path_factory.mktemp("pages") / "village")
    record = CoordinatorRecord.load(run.coordinator_record)
    own = {name: MemberRecord.load(run.member_record(name)) for name in record.members}
    write_bill_pages(run.path, record, own, {"run": {"members": {}}})
    return run


def found_in(run: RunDirectory) -> list[str]:
    findings: list[str] = verification(run.path)["findings"]
    return findings


def amount_on(page: Path) -> str:
    """The sum of a member's bill, as its page has it."""
    return page.read_text().split("<tfoot>")[1].split('<td class="n">')[1].split("</td>")[0]


def test_pages_that_say_what_follows_are_counted(billed: RunDirectory) -> None:
    verdict = verification(billed.path)
    assert verdict["findings"] == []
    assert verdict["proof"]["pages"] == 4


@pytest.mark.parametrize("place", ["due", "line", "sum", "row", "peak", "overview"])
def test_a_page_that_says_something_else_is_named_with_its_line(
    billed: RunDirectory, tmp_path: Path, place: str
) -> None:
    run = RunDirectory(shutil.copytree(billed.path, tmp_path / "village"))
    page = run.bills_html if place == "overview" else run.bill_html("m1")
    text = page.read_text()
    amount = amount_on(run.bill_html("m1"))
    lines = text.splitlines()
    within: dict[str, Callable[[str], bool]] = {
        "due": lambda line: line.startswith("You ") and "<b>" in line,
        "line": lambda line: line.startswith('<td class="n wide-only">') and line[24].isdigit(),
        "sum": lambda line: line.startswith("<tfoot>"),
        "row": lambda line: line.startswith("<tr><th") and "ct/kWh" in line,
        "peak": lambda line: line.startswith("<tr><th") and " kW<" in line,
        "overview": lambda line: "bills/m1.html" in line,
    }
    changed = next(n for n, line in enumerate(lines) if within[place](line))
    old, new = {
        "due": ("<b>", "<b>9"),
        "line": ('<td class="n wide-only">', '<td class="n wide-only">9'),
        "sum": (f'<td class="n">{amount}', '<td class="n">77.00'),
        "row": (" ct/kWh", "5 ct/kWh"),
        "peak": (" kW<", "5 kW<"),
        "overview": (f"<td>{amount}", "<td>77.00"),
    }[place]
    assert old in lines[changed]
    lines[changed] = lines[changed].replace(old, new, 1)
    page.write_text("\n".join(lines))
    (finding,) = found_in(run)
    assert finding.startswith(f"{page.relative_to(run.path)}, line {changed + 1}: found ")


def test_a_line_that_is_missing_is_found(billed: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(billed.path, tmp_path / "village"))
    page = run.bill_html("m2")
    text = page.read_text()
    first, last = text.index('<tr><th scope="row">'), text.index("<tfoot>")
    page.write_text(text[:first] + "</tbody>" + text[last:])
    assert any(finding.startswith("bills/m2.html: found ") for finding in found_in(run))


def test_pages_that_are_not_here_say_nothing_wrong(billed: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(billed.path, tmp_path / "village"))
    shutil.rmtree(run.bill_html("m1").parent)
    assert found_in(run) == []


def test_a_large_figure_has_its_spaces(tmp_path: Path, billed: RunDirectory) -> None:
    """A peak of thousands of kilowatts is one figure, however it is written."""
    run = RunDirectory(shutil.copytree(billed.path, tmp_path / "village"))
    page = run.bill_html("m1")
    text = page.read_text()
    peak = text.split("highest: ")[1].split(" kW")[0]
    large = f"{number(12345.6)} kW"
    page.write_text(text.replace(f"highest: {peak} kW", f"highest: {large}"))
    (finding,) = found_in(run)
    assert finding.endswith(f": found {large!r}, expected '{peak} kW'")

"""The amounts on a run's bill pages, held against the bills that follow."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from coordinator.verification.findings import Findings
from runtime.pages.numbers import number
from runtime.records import CoordinatorRecord
from runtime.results.bill_pages import MemberBill, member_bill
from runtime.rundir import RunDirectory

_FIGURE = re.compile(r"\d[\d.\u202f]* (?:ct/kWh|kW)(?!\w)")
"""A price or a power as pages have them, with narrow spaces between thousands."""

Figure = tuple[int, str]
"""The line of a page that a cell begins in, and what the cell says."""


def check_bill_pages(directory: RunDirectory, record: CoordinatorRecord, findings: Findings) -> int:
    """Compare energies, prices and amounts on the pages with what follows; pages that are not here are not.

    What pages say of a member's own use, and of what it would have paid alone, no message tells.

    Args:
        directory: the run.
        record: the coordinator's record, as it should be.
        findings: where differences go.

    Returns:
        How many pages were compared.
    """
    pages = 0
    bills = [member_bill(name, record, None, {}) for name in record.members]
    whole_eur = sum(float(bill.amount_eur) for bill in bills)
    amounts = [["", number(float(bill.amount_eur))] for bill in bills]
    pages += _check(directory.bills_html, directory, [*amounts, ["", number(whole_eur)]], findings)
    for bill in bills:
        pages += _check(directory.bill_html(bill.member), directory, _lines(bill), findings)
    return pages


def _lines(bill: MemberBill) -> list[list[str]]:
    """What is due, then heading's figures, energy [kWh], price [ct/kWh] and amount [EUR] of each line."""
    due_eur = float(bill.amount_eur)
    rows = [[f"{number(abs(due_eur))} EUR"]]
    for line in bill.lines:
        price = "" if line.price_ct_per_kwh is None else number(line.price_ct_per_kwh)
        peak = "" if line.peak_kw is None else f"{number(line.peak_kw)} kW"
        energy = "" if line.energy_kwh is None else number(line.energy_kwh)
        heading = " ".join(part for part in (peak, f"{price} ct/kWh" if price else "") if part)
        rows.append([heading, energy, price, number(float(line.amount_eur))])
    return [*rows, ["", "", "", number(due_eur)]]


def _check(path: Path, directory: RunDirectory, expected: list[list[str]], findings: Findings) -> int:
    if not path.is_file():
        return 0
    name = path.relative_to(directory.path)
    reader = _FirstTable()
    reader.feed(path.read_text(encoding="utf-8"))
    found = [row for row in reader.rows if row]
    for row, figures in zip(found, expected, strict=False):
        for (line, one), other in zip(row, figures, strict=False):
            if one != other:
                findings.add(f"{name}, line {line}: found {one!r}, expected {other!r}")
    if len(found) != len(expected):
        findings.add(f"{name}: found {len(found)} amounts, expected {len(expected)}")
    return 1


class _FirstTable(HTMLParser):
    """Reads what is bold before a page's first table, and the table: of rows' headings their figures only."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[Figure]] = []
        self._tables = 0
        self._in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._tables += 1
        kind = (tag, self._tables)
        if kind in (("b", 0), ("tr", 1)):
            self.rows.append([])
        if kind in (("b", 0), ("td", 1)) or (kind == ("th", 1) and ("scope", "row") in attrs):
            self.rows[-1].append((self.getpos()[0], ""))
            self._in = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = None
        elif tag == "table":
            self._tables += 1  # what follows is in no first table

    def handle_data(self, data: str) -> None:
        if self._in is not None:
            line, text = self.rows[-1][-1]
            said = " ".join(_FIGURE.findall(data)) if self._in == "th" else data.strip()
            self.rows[-1][-1] = line, f"{text} {said}".strip()

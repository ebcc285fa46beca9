"""A run's tables, as files and in its database, held against what they should be."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from coordinator.verification.findings import Findings
from runtime.differences import same
from runtime.results.table import Cell, Table
from runtime.results.tables import csv_text

T = TypeVar("T", bound=Hashable)


def check_csv(path: Path, table: Table, findings: Findings) -> int:
    """Compare a table's file line by line; numbers of ``REAL`` columns may differ by rounding.

    Returns:
        The number of rows compared.
    """
    found, lines = path.read_text("utf-8").splitlines(), csv_text(table).splitlines()
    kinds = list(table.columns.values())
    for place, one, other in _differing(found, lines):
        if one is None or other is None or not _alike(_cells(one), _cells(other), kinds):
            findings.add(f"{path.name}, line {place + 1}: {_against(one, other, 'line')}")
    return len(lines) - 1


def check_database(path: Path, tables: Iterable[Table], findings: Findings) -> int:
    """Compare tables in a run's database row by row, as ``check_csv``.

    Returns:
        The number of rows compared.
    """
    rows = 0
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            for table in tables:
                rows += _check_rows(database, path.name, table, findings)
    except sqlite3.Error as error:
        findings.add(f"{path.name}: cannot be read: {error}")
    return rows


def _check_rows(database: sqlite3.Connection, file: str, table: Table, findings: Findings) -> int:
    columns, keys = list(table.columns), ", ".join(table.key)
    places = [columns.index(name) for name in table.key]
    expected = sorted(table.rows, key=lambda row: [(row[place] is not None, row[place]) for place in places])
    found = database.execute(f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {keys}").fetchall()
    kinds = list(table.columns.values())
    for _, one, other in _differing(found, expected):
        if one is None or other is None or not _alike(one, other, kinds):
            row = one if other is None else other
            about = ", ".join(f"{columns[place]} {row[place]}" for place in places) if row else ""
            findings.add(f"{file}, table {table.name}, {about}: {_against(one, other, 'row')}")
    return len(expected)


def _against(found: object, expected: object, what: str) -> str:
    if found is None:
        return f"found no such {what}, expected {expected!r}"
    return f"found {found!r}, expected " + (f"no such {what}" if expected is None else repr(expected))


def _differing(found: Sequence[T], expected: Sequence[T]) -> Iterator[tuple[int, T | None, T | None]]:
    """Where what was found differs from what was expected, those that are missing or were added apart.

    Yields:
        Place in ``found``, what is there (None where something is missing), and what was expected (None for
        something added).
    """
    here = there = 0
    places: dict[T, int] = {}
    while here < len(found) and there < len(expected):
        one, other = found[here], expected[there]
        if one == other:
            here, there = here + 1, there + 1
            continue
        places = places or {each: place for place, each in enumerate(expected)}
        ahead = places.get(one)
        if ahead is None and found[here + 1 : here + 2] != [other]:
            yield here, one, other
            here, there = here + 1, there + 1
        elif ahead is None or ahead < there:
            yield here, one, None
            here += 1
        else:
            yield here, None, other
            there += 1
    yield from ((here + place, one, None) for place, one in enumerate(found[here:]))
    yield from ((len(found), None, other) for other in expected[there:])


def _cells(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line)), [])


def _alike(found: Sequence[Cell], expected: Sequence[Cell], kinds: Sequence[str]) -> bool:
    if not len(found) == len(expected) == len(kinds):
        return False
    return all(
        one == other or (kind == "REAL" and _close(one, other))
        for one, other, kind in zip(found, expected, kinds, strict=True)
    )


def _close(found: Cell, expected: Cell) -> bool:
    try:
        return same(float(str(found)), float(str(expected)))
    except ValueError:
        return False

"""A run's tables, as files and in its database, held against what they should be."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from coordinator.verification.findings import Findings
from runtime.differences import same
from runtime.results.table import Cell, Table
from runtime.results.tables import csv_text


def check_csv(path: Path, table: Table, findings: Findings) -> int:
    """Compare a table's file line by line; numbers of ``REAL`` columns may differ by rounding.

    Returns:
        The number of rows compared.
    """
    found, lines = path.read_text("utf-8").splitlines(), csv_text(table).splitlines()
    kinds = list(table.columns.values())
    for number, (one, other) in enumerate(zip(found, lines, strict=False), 1):
        if one != other and not _alike(_cells(one), _cells(other), kinds):
            findings.add(f"{path.name}, line {number}: found {one!r}, expected {other!r}")
    if len(found) != len(lines):
        findings.add(f"{path.name}: found {len(found)} lines, expected {len(lines)}")
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
    for one, other in zip(found, expected, strict=False):
        if one != other and not _alike(one, other, kinds):
            about = ", ".join(f"{columns[place]} {other[place]}" for place in places)
            findings.add(f"{file}, table {table.name}, {about}: found {one!r}, expected {other!r}")
    if len(found) != len(expected):
        findings.add(f"{file}, table {table.name}: found {len(found)} rows, expected {len(expected)}")
    return len(expected)


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

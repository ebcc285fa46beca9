"""Reading one column of numbers, with or without stamps, from a text file; every error names its line.

The standard library's csv does here: these are plain files, errors must name lines, and a run should not
wait a second for pandas to load.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from runtime.conventions import FloatArray
from runtime.errors import InputError
from runtime.scenario.series import FileSeries

MISSING = frozenset({"", "-", "n/a", "n/e", "nan", "na", "null"})
"""What files write where nothing was measured (compared in lower case)."""


@dataclass(frozen=True)
class Column:
    """One column of a file.

    Attributes:
        path: the file.
        sha256: digest of its bytes.
        values: shape (n,); NaN where the file says that nothing was measured.
        stamps: as written, without or with offset, length n; None without a time column.
        lines: line number of each value in the file, from 1 on, length n.
    """

    path: Path
    sha256: str
    values: FloatArray
    stamps: list[datetime] | None
    lines: list[int]


def read_column(series: FileSeries, path: Path) -> Column:
    """Read the column that ``series`` describes.

    Raises:
        InputError: unreadable, no such column, a value that is no number or is infinite, a bad stamp.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: found bytes that are not UTF-8, expected a text file; `peerwatt import` reads other "
            "encodings"
        ) from error
    if content.startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: found a workbook or an archive, expected text: save the sheet as CSV")
    times = [series.time] if isinstance(series.time, str) else (series.time or [])
    header: list[str] = []
    rows = _rows(text, series, path)
    if times or isinstance(series.column, str):
        header = [name.strip() for name in next(rows, (0, []))[1]]
    value_at = _find(series.column, header, path, "column", series.separator)
    times_at = [_find(name, header, path, "time", series.separator) for name in times]
    values: list[float] = []
    stamps: list[datetime] = []
    lines: list[int] = []
    for line, cells in rows:
        if not cells or (len(cells) == 1 and not cells[0].strip() and header):
            continue
        if max([value_at, *times_at]) >= len(cells):
            raise InputError(
                f"{path}: line {line}: found {len(cells)} columns, expected at least "
                f"{max([value_at, *times_at]) + 1} (separator {series.separator!r})"
            )
        if header and any(cell.strip() for cell in cells[len(header) :]):
            raise InputError(
                f"{path}: line {line}: found {len(cells)} columns, expected {len(header)} as in the header "
                f"(separator {series.separator!r})"
            )
        values.append(_number(cells[value_at], series.decimal, path, line, str(series.column)))
        if times:
            stamps.append(_stamp(" ".join(cells[at].strip() for at in times_at), series, path, line))
        lines.append(line)
    if not values:
        raise InputError(f"{path}: found no values in column {series.column!r}, expected at least one")
    return Column(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        values=np.array(values, dtype=np.float64),
        stamps=stamps if times else None,
        lines=lines,
    )


def _rows(text: str, series: FileSeries, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number, from 1 on, and cells of each line after those skipped.

    Raises:
        InputError: a quotation mark that is not closed, or a cell longer than 128 KiB.
    """
    reader = csv.reader(text.splitlines()[series.skip_lines :], delimiter=series.separator, strict=True)
    begins = series.skip_lines + 1
    try:
        for cells in reader:
            yield reader.line_num + series.skip_lines, cells
            begins = reader.line_num + series.skip_lines + 1
    except csv.Error as error:
        raise InputError(
            f"{path}: line {begins}: {error}; expected cells that end at {series.separator!r}, and quotation "
            "marks in pairs"
        ) from error


def _find(column: str | int, header: list[str], path: Path, field: str, separator: str) -> int:
    if isinstance(column, int):
        return column
    if column not in header:
        raise InputError(
            f"{path}: {field}: found columns {', '.join(header) or 'none'}, expected {column!r}"
            f"{_other_separator(header, separator)}"
        )
    if header.count(column) > 1:
        raise InputError(
            f"{path}: {field}: found {header.count(column)} columns {column!r}, expected one; "
            "a number, from 0 on, tells them apart"
        )
    return header.index(column)


def _other_separator(header: list[str], separator: str) -> str:
    """What a header that was not split at all hints at."""
    others = [] if len(header) != 1 else [mark for mark in ";\t|," if mark in header[0] and mark != separator]
    if not others:
        return ""
    written = others[0].replace("\t", "\\t")
    return f'; is it separator = "{written}"? (as it is, columns end at {separator!r})'


def _number(cell: str, decimal: str, path: Path, line: int, column: str) -> float:
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    try:
        value = float(text.replace(decimal, "."))
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(
            f"{path}: line {line}, column {column}: found {_short(text)}, expected a finite number"
            f"{_other_mark(text, decimal)}"
        )
    return value


def _short(text: str) -> str:
    """What was found, of bounded length."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _other_mark(text: str, decimal: str) -> str:
    """What a number hints at that would be one with the other decimal mark."""
    other = "," if decimal == "." else "."
    whole, found, part = text.lstrip("+-").partition(other)
    if not (found and whole.isdecimal() and part.isdecimal()):
        return ""
    return f'; is it decimal = "{other}"? (as it is, the decimal mark is {decimal!r})'


def _stamp(text: str, series: FileSeries, path: Path, line: int) -> datetime:
    try:
        if series.time_format is not None:
            return datetime.strptime(text, series.time_format)
        return datetime.fromisoformat(text)
    except ValueError as error:
        expected = f"the format {series.time_format!r}" if series.time_format else "ISO 8601 (or time_format)"
        raise InputError(f"{path}: line {line}, time: found {_short(text)}, expected {expected}") from error

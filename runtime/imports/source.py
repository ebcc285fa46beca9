"""A file to import, as bytes, text, lines of cells or JSON; and what the person says beside it."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from runtime.conventions import ConventionError, PeriodLabel, Unit
from runtime.errors import InputError

MISSING = frozenset({"", "-", "–", "—", "n/a", "n/e", "na", "nan", "null", "none", "#n/a"})
"""What files write where nothing was measured (compared in lower case)."""


@dataclass(frozen=True)
class Options:
    """What a person says of a file; None and empty: as the format says, or as the content shows.

    Attributes:
        column: header of the column of values, or a part of it that only one header has.
        time: headers of the columns of stamps, joined by a space (``csv``).
        time_format: format of stamps as in strptime (``csv``).
        date: day of stamps that are times without a day, ``YYYY-MM-DD`` (``csv``).
        unit: unit of the values.
        label: what of its period a stamp names.
        zone: IANA zone of stamps without offset where the format does not say; days are counted in it.
        separator: between columns (``csv``).
        decimal: decimal mark.
        skip_lines: lines before the header (``csv``).
        select: value by header: only rows that have it there.
        quantity: what the values are, where the unit allows several (``load`` or ``pv``).
    """

    column: str | None = None
    time: tuple[str, ...] = ()
    time_format: str | None = None
    date: str | None = None
    unit: Unit | None = None
    label: PeriodLabel | None = None
    zone: str | None = None
    separator: str | None = None
    decimal: str | None = None
    skip_lines: int | None = None
    select: dict[str, str] = field(default_factory=dict)
    quantity: str | None = None


@dataclass(frozen=True)
class SourceFile:
    """A file to import, decoded.

    Attributes:
        path: the file.
        text: its content without byte-order mark.
        encoding: in which it was read.
        sha256: digest of its bytes.
    """

    path: Path
    text: str
    encoding: str
    sha256: str

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return re.split(r"\r\n|\n|\r", self.text)

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Its content where it is JSON; else None."""
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    def at(self, line: int) -> str:
        """How errors name a line, counted from 1 on."""
        return f"{self.path}: line {line}"


def open_source(path: Path) -> SourceFile:
    """Read a file: UTF-8 with or without mark, UTF-16 with mark, else Windows-1252 (which has Latin-1).

    Raises:
        InputError: not there, not readable, empty, or no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if content.startswith(b"PK\x03\x04"):
        raise InputError(
            f"{path}: found a ZIP archive or an Excel workbook, expected text: unpack it, or save the "
            "sheet as CSV"
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in content:
        raise InputError(f"{path}: found bytes that are no text, expected CSV, JSON or XML")
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not text.strip():
            raise InputError(f"{path}: found an empty file, expected CSV, JSON or XML")
        return SourceFile(path=path, text=text, encoding=encoding.removesuffix("-sig"), sha256=digest)
    raise InputError(f"{path}: found bytes that are no text, expected CSV, JSON or XML")


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header.

    Attributes:
        file: where they are.
        header: names of the columns, stripped.
        rows: cells, as many as the header has or more.
        lines: line of each row in the file, from 1 on.
    """

    file: SourceFile
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def cells(self, name: str) -> list[str]:
        """The cells of a column, stripped.

        Raises:
            InputError: no such column.
        """
        if name not in self.header:
            raise InputError(f"{self.file.path}: found columns {_listed(self.header)}, expected {name!r}")
        at = self.header.index(name)
        return [row[at].strip() for row in self.rows]

    def places(self) -> list[str]:
        """How errors name each row."""
        return [self.file.at(line) for line in self.lines]

    def selected(self, select: dict[str, str]) -> Table:
        """Only the rows that have these values in these columns.

        Raises:
            InputError: no such column, or no row left.
        """
        kept = self
        for name, value in select.items():
            cells = kept.cells(name)
            among = [row for row, cell in enumerate(cells) if cell == value]
            if not among:
                raise InputError(
                    f"{self.file.path}: --select {name}: found {_listed(sorted(set(cells)))}, expected "
                    f"{value!r}"
                )
            kept = Table(
                self.file, self.header, [kept.rows[r] for r in among], [kept.lines[r] for r in among]
            )
        return kept

    def sole(self, name: str) -> str | None:
        """The one value that a column has in all rows; None without such a column.

        Raises:
            InputError: it has several.
        """
        if name not in self.header:
            return None
        values = sorted(set(self.cells(name)))
        if len(values) > 1:
            raise InputError(
                f"{self.file.path}: column {name!r}: found {_listed(values)}, expected one; "
                f"choose with --select '{name}={values[0]}'"
            )
        return values[0] if values else None


def table(file: SourceFile, separator: str, header_at: int = 0, until_blank: bool = False) -> Table:
    """The rows under a header line.

    Args:
        file: the file.
        separator: between columns.
        header_at: index of the header in ``file.lines``.
        until_blank: whether a blank line ends the rows (a legend or another table follows); else skipped.

    Raises:
        InputError: a row with fewer cells than the header has, or no rows.
    """
    reader = csv.reader(file.lines[header_at:], delimiter=separator)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = [name.strip() for name in next(reader)]
        while header and not header[-1]:  # lines that end with a separator
            header.pop()
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                if until_blank and rows:
                    break
                continue
            line = header_at + reader.line_num
            if len(cells) < len(header):
                raise InputError(
                    f"{file.at(line)}: found {len(cells)} columns, expected {len(header)}: {_listed(header)}"
                )
            rows.append(cells)
            lines.append(line)
    except csv.Error as error:
        raise InputError(f"{file.at(header_at + reader.line_num)}: {error}") from error
    if not rows:
        raise InputError(f"{file.path}: found no rows under line {header_at + 1}, expected one or more")
    return Table(file, header, rows, lines)


def chosen(found: Sequence[str], wanted: str | None, path: Path, what: str) -> str:
    """The one of several headers that is wanted: equal, or the only one that has the words in it.

    Raises:
        InputError: none, or several.
    """
    if wanted is None:
        among = list(found)
    else:
        among = [name for name in found if name == wanted] or [
            name for name in found if wanted.lower() in name.lower()
        ]
    if len(among) != 1:
        asked = f", expected one of them as {wanted!r}" if wanted else "; choose with --column"
        raise InputError(f"{path}: {what}: found {_listed(among or found)}{asked}")
    return among[0]


def decimal_mark(cells: Sequence[str]) -> str:
    """The decimal mark of a column: a comma where some value has one and none has a point."""
    commas = any(re.fullmatch(r"[+-]?\d*,\d+", cell.strip()) for cell in cells)
    return "," if commas and not any("." in cell for cell in cells) else "."


def number(text: str, decimal: str, place: str, column: str) -> float:
    """A value, NaN where a file says that there is none; groups of thousands may be marked.

    Raises:
        InputError: no finite number.
    """
    cleaned = text.strip().replace("\u202f", "").replace("\u00a0", "")
    if cleaned.lower() in MISSING:
        return math.nan
    mark = "." if decimal == "," else ","
    if re.fullmatch(rf"[+-]?\d{{1,3}}(\{mark}\d{{3}})+(\{decimal}\d+)?", cleaned):
        cleaned = cleaned.replace(mark, "")
    try:
        if "_" in cleaned or mark in cleaned:
            raise ValueError
        value = float(cleaned.replace(decimal, "."))
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(
            f"{place}, column {column!r}: found {text.strip()!r}, expected a number with decimal mark "
            f"{decimal!r}"
        )
    return value


def iso_stamp(text: str, place: str, column: str) -> datetime:
    """A stamp in ISO 8601, with or without offset.

    Raises:
        InputError: another form.
    """
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(
            f"{place}, column {column!r}: found {text!r}, expected a time in ISO 8601, or its form by "
            "--time-format"
        ) from error


def stamp(text: str, formats: Sequence[str], place: str, column: str) -> datetime:
    """A stamp in the first of several strptime formats that fits.

    Raises:
        InputError: none does.
    """
    for form in formats:
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise InputError(f"{place}, column {column!r}: found {text!r}, expected a time as {' or '.join(formats)}")


def duration_s(text: str, place: str) -> int:
    """Seconds of an ISO 8601 duration of days to seconds: ``PT30M``.

    Raises:
        InputError: another form, or not above 0.
    """
    parts = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text.strip())
    counts = [int(count or 0) for count in parts.groups()] if parts else [0]
    seconds = sum(count * size for count, size in zip(counts, (86400, 3600, 60, 1), strict=False))
    if seconds <= 0:
        raise InputError(f"{place}: found the duration {text!r}, expected one such as 'PT30M'")
    return seconds


def no_unit(error: ConventionError, place: str) -> InputError:
    """The error of a unit that is not known, with its place."""
    return InputError(f"{place}: {error}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12]) or "none"
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"

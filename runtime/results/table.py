"""What a table of results is: written as a CSV file and to the database alike."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table of results.

    Attributes:
        name: of the database table; the CSV file is ``name.csv``.
        columns: column name to SQL type. Exact decimals are ``TEXT``.
        key: columns of the primary key.
        optional: columns that may be empty.
        rows: the rows, cells in the columns' order.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    optional: frozenset[str] = frozenset()

"""All results of a run in one SQLite file.

Exact decimals are kept as text; the views turn them into numbers for reading, so a sum over a view is a
floating-point sum. For exact money sum the text, or read ``bills``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.results.table import Table

VIEWS = """
CREATE VIEW bill_by_member AS
SELECT member, COUNT(*) AS sessions,
       SUM(CAST(local_purchase_kwh AS REAL)) AS local_purchase_kwh,
       SUM(CAST(local_sale_kwh AS REAL)) AS local_sale_kwh,
       SUM(CAST(grid_import_kwh AS REAL)) AS grid_import_kwh,
       SUM(CAST(grid_export_kwh AS REAL)) AS grid_export_kwh,
       ROUND(SUM(CAST(local_fee_eur AS REAL)), 2) AS local_fee_eur,
       ROUND(SUM(CAST(excess_charge_eur AS REAL)), 2) AS excess_charge_eur,
       ROUND(SUM(CAST(demand_charge_eur AS REAL)), 2) AS demand_charge_eur,
       SUM(CAST(exact_eur AS REAL)) AS exact_eur,
       ROUND(SUM(CAST(amount_eur AS REAL)), 2) AS amount_eur
FROM bills GROUP BY member;

CREATE VIEW exchange_by_slot AS
SELECT session, slot, slot_start,
       SUM(CAST(energy_kwh AS REAL) * (kind IN ('local-sale', 'contract'))) AS local_trade_kwh,
       SUM(CAST(energy_kwh AS REAL) * (kind = 'contract')) AS contract_kwh,
       SUM(CAST(energy_kwh AS REAL) * (kind = 'grid-import')) AS grid_import_kwh,
       SUM(CAST(energy_kwh AS REAL) * (kind = 'grid-export')) AS grid_export_kwh,
       SUM(CAST(energy_kwh AS REAL) * (kind = 'excess-charge')) AS excess_kwh,
       MAX(CASE WHEN kind = 'local-sale' THEN CAST(price_eur_per_kwh AS REAL) END) AS local_price_eur_per_kwh,
       SUM(CAST(amount_eur AS REAL) * ((credit = 'grid') - (debit = 'grid'))) AS paid_to_grid_eur,
       SUM(CAST(amount_eur AS REAL) * (credit = 'network')) AS paid_to_network_eur
FROM ledger GROUP BY session, slot, slot_start;

CREATE VIEW quality_by_member AS
SELECT member, quality, COUNT(*) AS slots FROM deliveries GROUP BY member, quality;
"""

INDICATOR_TABLES = """
CREATE TABLE indicator_definitions (
    name TEXT PRIMARY KEY, unit TEXT NOT NULL, explanation TEXT NOT NULL, source TEXT NOT NULL,
    better TEXT NOT NULL   -- higher, lower, or empty
) WITHOUT ROWID;
CREATE TABLE indicators (
    session INTEGER,   -- NULL: the whole run
    member TEXT,       -- NULL: the community
    name TEXT NOT NULL REFERENCES indicator_definitions (name),
    value REAL,        -- NULL: the indicator has no meaning here
    UNIQUE (session, member, name)
);
"""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}
"""What SQLite says of a disk that takes nothing more."""


def write_database(path: Path, all_tables: Sequence[Table], indicators: Mapping[str, Any]) -> Path:
    """Write all tables, the indicators and views over them to an SQLite file, whole or not at all.

    Args:
        path: the file; what was there is replaced once the new one is complete.
        all_tables: from ``runtime.results.tables.tables``.
        indicators: content of ``indicators.json``.

    Returns:
        ``path``.

    Raises:
        OSError: the folder cannot be written to, or has no room left.
        sqlite3.Error: rows break a primary key.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        with contextlib.closing(sqlite3.connect(temporary)) as database:
            # a crash loses only the temporary file, so neither journal nor sync is needed
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            for table in all_tables:
                _fill(database, table)
            database.executescript(INDICATOR_TABLES)
            definitions = indicators["definitions"]
            database.executemany(
                "INSERT INTO indicator_definitions VALUES (?, ?, ?, ?, ?)",
                [
                    (name, d["unit"], d["explanation"], d["source"], d["better"])
                    for name, d in definitions.items()
                ],
            )
            database.executemany("INSERT INTO indicators VALUES (?, ?, ?, ?)", _indicator_rows(indicators))
            database.executescript(VIEWS)
            database.commit()
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode in _FULL:
            raise OSError(errno.ENOSPC, str(error), str(path)) from error
        raise
    return path


def _fill(database: sqlite3.Connection, table: Table) -> None:
    columns = ", ".join(
        f"{name} {kind}" + ("" if name in table.optional else " NOT NULL")
        for name, kind in table.columns.items()
    )
    key = ", ".join(table.key)
    database.execute(f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
    marks = ", ".join("?" * len(table.columns))
    database.executemany(f"INSERT INTO {table.name} VALUES ({marks})", table.rows)


def _indicator_rows(
    indicators: Mapping[str, Any],
) -> Iterator[tuple[int | None, str | None, str, float | None]]:
    scopes = [(None, indicators["run"]), *((s["session"], s) for s in indicators["sessions"])]
    for session, scope in scopes:
        for name, value in scope["community"].items():
            yield session, None, name, value
        for member, values in scope["members"].items():
            for name, value in values.items():
                yield session, member, name, value

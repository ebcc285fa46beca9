"""Tables and database: exact, complete, the same bytes for the same records."""

from __future__ import annotations

import csv
import json
import sqlite3
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from synthetic import make_run

from coordinator.indicators.command import indicators
from runtime.bookkeeping import AgreedContract
from runtime.horizon import Horizon
from runtime.results.database import write_database
from runtime.results.money_tables import AMOUNT_COLUMNS, decimal_text
from runtime.results.table import Table
from runtime.results.tables import csv_text, tables, write_tables

COORDINATOR, MEMBERS = make_run(5, 2, slots=24, slot_minutes=60, estimated=(("house-1", 3),))
TABLES = {table.name: table for table in tables(COORDINATOR, MEMBERS)}


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(csv_text(TABLES[name]).splitlines()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E-9", "0.000000001"),
        ("1E+3", "1000"),
        ("-0.00", "0.00"),
        ("0.10", "0.10"),
        ("-123456789012345678901234567890.000000001", "-123456789012345678901234567890.000000001"),
    ],
)
def test_decimals_are_printed_digit_by_digit(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text


def test_ledger_and_bills_hold_the_exact_money() -> None:
    recorded = [entry for session in COORDINATOR.sessions for entry in session.ledger]
    written = rows("ledger")
    assert len(written) == len(recorded)
    for row, entry in zip(written, recorded, strict=True):
        assert Decimal(row["amount_eur"]) == entry.amount_eur
        assert Decimal(row["energy_kwh"]) * Decimal(row["price_eur_per_kwh"]) == entry.amount_eur
        assert "E" not in row["amount_eur"].upper()
    for member in COORDINATOR.members:
        owed = sum(
            Decimal(r["amount_eur"]) * (1 if r["debit"] == f"member:{member}" else -1)
            for r in written
            if r["member"] == member
        )
        own = [r for r in rows("bills") if r["member"] == member]
        assert owed == sum(Decimal(r["exact_eur"]) for r in own)
        for row in own:
            lines = sum(Decimal(row[column]) for column in AMOUNT_COLUMNS.values())
            assert lines == Decimal(row["amount_eur"])


def test_bills_name_their_period_and_every_line() -> None:
    row = rows("bills")[len(COORDINATOR.members)]
    assert (row["session"], row["period_start"]) == ("1", "2024-06-22T00:00:00+02:00")
    assert row["period_end"] == "2024-06-23T00:00:00+02:00"
    bill = COORDINATOR.sessions[1].bills[0]
    assert bill.items
    for item in bill.items:
        assert Decimal(row[AMOUNT_COLUMNS[item.kind]]) == item.amount_eur


def test_contracts_are_listed_where_there_are_any() -> None:
    assert "contracts" not in TABLES
    agreed = AgreedContract(
        seller="house-1",
        buyer="office-2",
        energy_kwh=[Decimal("0.5"), *[Decimal(0)] * 23],
        price_eur_per_kwh=[Decimal("0.2"), *[Decimal(0)] * 23],
    )
    first = COORDINATOR.sessions[0].model_copy(update={"contracts": [agreed]})
    record = COORDINATOR.model_copy(update={"sessions": [first, COORDINATOR.sessions[1]]})
    (table,) = [table for table in tables(record, MEMBERS) if table.name == "contracts"]
    assert table.rows == [(0, 0, 0, "2024-06-21T00:00:00+02:00", "house-1", "office-2", "0.5", "0.2")]


def test_equal_records_give_equal_bytes_and_lf_line_ends(tmp_path: Path) -> None:
    # through JSON and back, as a second run would read them
    again = type(COORDINATOR).model_validate_json(COORDINATOR.model_dump_json())
    own = {n: type(m).model_validate_json(m.model_dump_json()) for n, m in MEMBERS.items()}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write_tables(tmp_path / "a", list(TABLES.values()))
    second = write_tables(tmp_path / "b", tables(again, own))
    assert [f.name for f in first] == [f"{name}.csv" for name in TABLES]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"\r" not in one.read_bytes()


def test_rows_are_complete_and_energies_are_non_negative_pairs() -> None:
    members, slots, rounds, sessions = 5, 24, 4, 2
    assert len(rows("positions")) == members * slots * rounds * sessions
    assert len(rows("prices")) == slots * rounds * sessions
    assert len(rows("deliveries")) == len(rows("profiles")) == members * slots * sessions
    with_battery = sum(m.battery_capacity_kwh is not None for m in MEMBERS.values())
    assert len(rows("batteries")) == with_battery * slots * sessions
    for name in ("positions", "deliveries", "profiles"):
        for row in rows(name):
            taken, given = Decimal(row["grid_import_kwh"]), Decimal(row["grid_export_kwh"])
            assert taken >= 0
            assert given >= 0
            assert taken * given == 0
    net = {(r["session"], r["slot"], r["member"]): r for r in rows("deliveries")}
    for session in COORDINATOR.sessions:
        for delivery in session.deliveries:
            row = net[str(session.session), str(delivery.slot), delivery.member]
            assert Decimal(row["grid_import_kwh"]) - Decimal(row["grid_export_kwh"]) == delivery.net_kwh


def test_state_of_charge_is_a_fraction_of_the_capacity() -> None:
    for row in rows("batteries"):
        capacity = MEMBERS[row["member"]].battery_capacity_kwh
        assert capacity
        assert float(row["soc"]) == pytest.approx(float(row["stored_kwh"]) / capacity)
        assert 0.2 - 1e-9 <= float(row["soc"]) <= 0.8 + 1e-9


def test_slot_starts_are_local_with_offset_through_a_clock_change() -> None:
    horizon = Horizon(
        start=datetime(2024, 10, 27, tzinfo=ZoneInfo("Europe/Paris")),
        zone="Europe/Paris",
        slot_minutes=60,
        slots=24,
    )
    session = COORDINATOR.sessions[0].model_copy(update={"horizon": horizon})
    changed = tables(COORDINATOR.model_copy(update={"sessions": [session]}), {})
    prices = next(t for t in changed if t.name == "prices")
    assert [row[3] for row in prices.rows[1:5]] == [
        "2024-10-27T01:00:00+02:00",
        "2024-10-27T02:00:00+02:00",
        "2024-10-27T02:00:00+01:00",
        "2024-10-27T03:00:00+01:00",
    ]


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    computed = indicators(COORDINATOR, MEMBERS)
    return sqlite3.connect(write_database(tmp_path / "results.sqlite", list(TABLES.values()), computed))


def test_database_has_every_row_of_every_table(database: sqlite3.Connection) -> None:
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for name, table in TABLES.items():
        found = database.execute(f"SELECT * FROM {name} ORDER BY {', '.join(table.key)}").fetchall()
        assert sorted(found) == sorted(table.rows), name
    amounts = database.execute("SELECT amount_eur FROM ledger").fetchall()
    assert sum(Decimal(a) for (a,) in amounts) == sum(
        e.amount_eur for s in COORDINATOR.sessions for e in s.ledger
    )


def test_views_add_up(database: sqlite3.Connection) -> None:
    bills = dict(database.execute("SELECT member, amount_eur FROM bill_by_member"))
    for member in COORDINATOR.members:
        assert bills[member] == pytest.approx(
            float(sum(b.amount_eur for s in COORDINATOR.sessions for b in s.bills if b.member == member))
        )
    paid = database.execute("SELECT SUM(paid_to_grid_eur) FROM exchange_by_slot").fetchone()[0]
    assert paid == pytest.approx(float(sum(b.exact_eur for s in COORDINATOR.sessions for b in s.bills)))
    assert ("house-1", "estimated", 2) in database.execute("SELECT * FROM quality_by_member").fetchall()


def test_indicators_are_in_the_database(database: sqlite3.Connection) -> None:
    computed = indicators(COORDINATOR, MEMBERS)
    query = "SELECT value FROM indicators WHERE session IS ? AND member IS ? AND name = ?"
    of_run = database.execute(query, (None, None, "bill_eur")).fetchone()[0]
    assert of_run == computed["run"]["community"]["bill_eur"]
    of_member = database.execute(query, (1, "house-1", "saving_eur")).fetchone()[0]
    assert of_member == computed["sessions"][1]["members"]["house-1"]["saving_eur"]
    units = dict(database.execute("SELECT name, unit FROM indicator_definitions"))
    assert units["self_sufficiency"] == "1"
    assert units["bill_eur"] == "EUR"


def test_a_database_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    computed = indicators(COORDINATOR, MEMBERS)
    write_database(path, list(TABLES.values()), computed)
    before = path.read_bytes()
    bills = TABLES["bills"]
    doubled = Table("bills", bills.columns, bills.key, [*bills.rows, bills.rows[0]])
    with pytest.raises(sqlite3.IntegrityError):
        write_database(path, [doubled], computed)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["results.sqlite"]
    write_database(path, list(TABLES.values()), json.loads(json.dumps(computed)))
    assert path.read_bytes() == before, "same records, same file"

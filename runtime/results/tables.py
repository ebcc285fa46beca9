"""The tables of a run, defined once for the CSV files and the database.

Decimals are printed digit by digit and never pass through floating point; columns, rows and line ends are
fixed: identical records give identical bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from runtime.files import write_text_atomically
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.exchange_table import exchange_table
from runtime.results.flexible_loads import flexible_table
from runtime.results.money_tables import decimal_text, money_tables, slot_starts
from runtime.results.plan_certificates import plans_table
from runtime.results.reading import session_of
from runtime.results.table import Cell, Table


def tables(coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]) -> list[Table]:
    """All tables of a run: the negotiation, what was metered and done, plans, and those of money.

    Args:
        coordinator: the coordinator's record.
        members: the members' own records by name.

    Raises:
        InputError: an array of a record does not cover its horizon.
    """
    at = {"session": "INTEGER", "round": "INTEGER", "slot": "INTEGER", "slot_start": "TEXT", "member": "TEXT"}
    slot = {"session": "INTEGER", "slot": "INTEGER", "slot_start": "TEXT"}
    of_member = {**slot, "member": "TEXT"}
    member_slot = ("session", "slot", "member")
    return [
        Table(
            "positions",
            {**at, "grid_import_kwh": "REAL", "grid_export_kwh": "REAL"},
            ("session", "round", "slot", "member"),
            list(_positions(coordinator)),
        ),
        Table(
            "prices",
            {
                "session": "INTEGER",
                "round": "INTEGER",
                "slot": "INTEGER",
                "slot_start": "TEXT",
                "import_price_eur_per_kwh": "REAL",
                "export_price_eur_per_kwh": "REAL",
                "grid_import_price_eur_per_kwh": "TEXT",
                "grid_export_price_eur_per_kwh": "TEXT",
            },
            ("session", "round", "slot"),
            list(_prices(coordinator)),
        ),
        Table(
            "deliveries",
            {
                **of_member,
                "grid_import_kwh": "TEXT",
                "grid_export_kwh": "TEXT",
                "quality": "TEXT",
                "meters": "TEXT",
                "settled_import_kwh": "TEXT",
                "settled_export_kwh": "TEXT",
                "settled_quality": "TEXT",
            },
            member_slot,
            list(_deliveries(coordinator)),
        ),
        Table(
            "profiles",
            {
                **of_member,
                "load_kwh": "REAL",
                "pv_kwh": "REAL",
                "grid_import_kwh": "REAL",
                "grid_export_kwh": "REAL",
                "planned_import_kwh": "REAL",
                "planned_export_kwh": "REAL",
                "alone_import_kwh": "REAL",
                "alone_export_kwh": "REAL",
                "quality": "TEXT",
                "meter": "TEXT",
            },
            member_slot,
            list(_profiles(coordinator, members)),
        ),
        Table(
            "batteries",
            {
                **of_member,
                "charge_kwh": "REAL",
                "discharge_kwh": "REAL",
                "stored_kwh": "REAL",
                "soc": "REAL",
            },
            member_slot,
            list(_batteries(coordinator, members)),
        ),
        flexible_table(coordinator, members),
        plans_table(coordinator, members),
        *money_tables(coordinator),
        *([] if (exchanges := exchange_table(coordinator)) is None else [exchanges]),
    ]


def csv_text(table: Table) -> str:
    """The table as CSV (RFC 4180 quoting, header line, lines ending in LF)."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return buffer.getvalue()


def write_tables(run: Path, all_tables: Sequence[Table]) -> list[Path]:
    """Write each table to ``NAME.csv`` in the run's directory.

    Returns:
        The files, in the tables' order.
    """
    files = []
    for table in all_tables:
        path = run / f"{table.name}.csv"
        write_text_atomically(path, csv_text(table))
        files.append(path)
    return files


def _pair(net_kwh: float) -> tuple[float, float]:
    return (net_kwh, 0.0) if net_kwh > 0 else (0.0, -net_kwh + 0.0)


def _positions(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for negotiated in session.rounds:
            for slot, start in enumerate(starts):
                for member in coordinator.members:
                    if member in negotiated.net_kwh:
                        pair = _pair(negotiated.net_kwh[member][slot])
                        yield session.session, negotiated.number, slot, start, member, *pair


def _prices(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        tariffs = [
            (decimal_text(taken), decimal_text(given))
            for taken, given in zip(
                session.grid_import_price_eur_per_kwh, session.grid_export_price_eur_per_kwh, strict=True
            )
        ]
        for negotiated in session.rounds:
            for slot, start in enumerate(starts):
                yield (
                    session.session,
                    negotiated.number,
                    slot,
                    start,
                    negotiated.import_price_eur_per_kwh[slot],
                    negotiated.export_price_eur_per_kwh[slot],
                    *tariffs[slot],
                )


def _deliveries(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for delivery in session.deliveries:
            settled = delivery.as_settled
            yield (
                session.session,
                delivery.slot,
                starts[delivery.slot],
                delivery.member,
                *_exact_pair(delivery.net_kwh),
                delivery.quality,
                " ".join(delivery.meters),
                *_exact_pair(settled.net_kwh),
                settled.quality,
            )


def _exact_pair(net_kwh: Decimal) -> tuple[str, str]:
    zero = Decimal(0)
    return decimal_text(max(net_kwh, zero)), decimal_text(max(-net_kwh, zero))


def _profiles(
    coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]
) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for member, record in members.items():
            own = session_of(record, session)
            if own is None:
                continue
            for slot, start in enumerate(starts):
                yield (
                    session.session,
                    slot,
                    start,
                    member,
                    own.load_kwh[slot],
                    own.pv_kwh[slot],
                    *_pair(own.net_kwh[slot]),
                    *_pair(own.planned_net_kwh[slot]),
                    *_pair(own.alone_net_kwh[slot]),
                    own.quality[slot],
                    own.meter[slot],
                )


def _batteries(
    coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]
) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        for member, record in members.items():
            own = session_of(record, session)
            if own is None or not own.stored_kwh or not record.battery_capacity_kwh:
                continue
            for slot, start in enumerate(starts):
                yield (
                    session.session,
                    slot,
                    start,
                    member,
                    own.battery_charge_kwh[slot],
                    own.battery_discharge_kwh[slot],
                    own.stored_kwh[slot],
                    own.stored_kwh[slot] / record.battery_capacity_kwh,
                )

"""The coordinator's record, the tables and the bill pages of a run, held against what was settled again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coordinator.verification.community import Recomputation
from coordinator.verification.findings import Findings
from coordinator.verification.page_figures import check_bill_pages
from coordinator.verification.settled import SETTLED_FIELDS, Settled
from coordinator.verification.table_files import check_csv, check_database
from runtime.differences import differences
from runtime.errors import InputError
from runtime.packed_records import packed_path, packed_paths, read_packed
from runtime.record_base import Record
from runtime.records import CoordinatorRecord, SessionRecord
from runtime.results.tables import tables
from runtime.rundir import RunDirectory

MONEY_TABLES = ("deliveries", "ledger", "contracts", "bills", "exchanges")
"""Tables that follow from what was settled."""
NEGOTIATION_TABLES = ("positions", "prices")
"""Tables that follow from what was negotiated."""


def check_records(
    directory: RunDirectory,
    record: CoordinatorRecord,
    result: Recomputation,
    retraced: CoordinatorRecord | None = None,
) -> list[str]:
    """Compare record and tables with what was made again; differences go to the result's findings.

    Args:
        directory: the run.
        record: the coordinator's record.
        result: its sessions settled again.
        retraced: the record as the market's machine makes it from the log; None if that is not known:
            prices and positions are not compared then.

    Returns:
        Names of files that are not here, and so were not compared.
    """
    findings = result.findings
    recorded = {session.session: session for session in record.sessions}
    for number in sorted(result.settled.keys() ^ recorded.keys()):
        where = "the messages" if number in result.settled else "the record"
        findings.add(f"session {number}: is in {where} only")
    sessions = []
    for number, session in recorded.items():
        settled = result.settled.get(number)
        if settled is None:
            sessions.append(session)
            continue
        _check_session(session, settled, findings, _name(directory))
        sessions.append(settled.in_place_of(session))
    if retraced is not None:
        _check_negotiation(record, retraced, findings, _name(directory))
        sessions = [_negotiated(session, retraced) for session in sessions]
    names = MONEY_TABLES + (NEGOTIATION_TABLES if retraced is not None else ())
    settled_record = record.model_copy(update={"sessions": sessions})
    expected = [table for table in tables(settled_record, {}) if table.name in names]
    missing = []
    for table in expected:
        path = directory.path / f"{table.name}.csv"
        if path.is_file():
            result.proof.rows += check_csv(path, table, findings)
        else:
            missing.append(path.name)
    if directory.results_sqlite.is_file():
        result.proof.rows += check_database(directory.results_sqlite, expected, findings)
    else:
        missing.append(directory.results_sqlite.name)
    result.proof.pages += check_bill_pages(directory, settled_record, findings)
    return missing


def check_closed(directory: RunDirectory, result: Recomputation) -> int:
    """Compare what bills are made from while a run goes on; differences go to the result's findings.

    Args:
        directory: the run.
        result: its sessions settled again. One that is under way may have been closed since its log was read:
            it is not compared.

    Returns:
        How many sessions were compared.
    """
    compared = 0
    for path in packed_paths(directory.closed_dir()):
        name = str(path.relative_to(directory.path))
        try:
            session = read_packed(SessionRecord, path)
        except ValueError as error:
            result.findings.add(f"{name}: not a record: {str(error).splitlines()[0]}")
            continue
        if path != packed_path(directory.closed_dir(), session.session):
            result.findings.add(f"{name}: found the record of session {session.session}")
        elif session.session != result.unfinished and session.session in result.settled:
            _check_session(session, result.settled[session.session], result.findings, name)
            compared += 1
    return compared


def _check_negotiation(
    record: CoordinatorRecord, retraced: CoordinatorRecord, findings: Findings, file: str
) -> None:
    """Compare all that was not settled: rounds, prices, agreements, who took part."""
    found, expected = record.model_dump(mode="json"), retraced.model_dump(mode="json")
    theirs, others = found.pop("sessions"), expected.pop("sessions")
    for text in differences(found, expected):
        findings.add(f"{file}: {text}")
    for session, other in zip(theirs, others, strict=False):
        for name in SETTLED_FIELDS:
            session.pop(name), other.pop(name)
        for text in differences(session, other):
            findings.add(f"{file}, session {session['session']}: {text}")


def _negotiated(session: SessionRecord, retraced: CoordinatorRecord) -> SessionRecord:
    """The session with the rounds that the market's machine makes of the log."""
    for other in retraced.sessions:
        if other.session == session.session:
            return session.model_copy(update={"rounds": other.rounds})
    return session


def load_record(directory: RunDirectory) -> CoordinatorRecord | None:
    """The coordinator's record; None as long as the run has not ended.

    Raises:
        InputError: it is damaged.
    """
    path = directory.coordinator_record
    if not path.is_file():
        return None
    try:
        return CoordinatorRecord.load(path)
    except ValueError as error:
        first = str(error).splitlines()
        raise InputError(f"{path}: not a record: {' '.join(first[1:3]) or first[0]}") from error


def _name(directory: RunDirectory) -> str:
    return str(directory.coordinator_record.relative_to(directory.path))


def _check_session(session: SessionRecord, settled: Settled, findings: Findings, file: str) -> None:
    where = f"{file}, session {session.session}"
    for name in SETTLED_FIELDS:
        _check_list(f"{where}, {name}", getattr(session, name), getattr(settled, name), findings)
    findings.compare(where, {"apart": session.apart}, {"apart": settled.apart})
    for slot, (found, expected) in enumerate(
        zip(session.local_price_eur_per_kwh, settled.local_price_eur_per_kwh, strict=False)
    ):
        findings.compare(f"{where}, slot {slot}", {"local price": found}, {"local price": expected})


def _check_list(where: str, found: Iterable[Record], expected: Iterable[Record], findings: Findings) -> None:
    here, there = list(found), list(expected)
    for place, (one, other) in enumerate(zip(here, there, strict=False)):
        if one != other:
            findings.compare(f"{where}[{place}] ({_about(one)})", one.model_dump(), _changed(one, other))
    if len(here) != len(there):
        findings.add(f"{where}: found {len(here)} entries, expected {len(there)}")


def _changed(one: Record, other: Record) -> Mapping[str, Any]:
    found, expected = one.model_dump(), other.model_dump()
    return {name: value for name, value in expected.items() if found[name] != value}


def _about(record: Record) -> str:
    known = record.model_dump()
    parts = [
        f"{name} {known[name]}" for name in ("slot", "member", "seller", "buyer", "kind") if name in known
    ]
    return ", ".join(parts)

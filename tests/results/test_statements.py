"""Bills by month: the same to the cent as those of the whole run, while it goes on and when it has ended."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from synthetic import make_run, save_run
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.errors import InputError
from runtime.packed_records import PackedRecords, packed_path
from runtime.records import CoordinatorRecord, SessionRecord
from runtime.results.bill_words import period_words
from runtime.results.closed_sessions import read_books
from runtime.results.money_tables import bills_table
from runtime.results.statements import months_of, write_statement
from runtime.results.tables import csv_text
from runtime.rundir import SECOND_COORDINATOR, RunDirectory
from tests.machines.communities import Community
from tests.machines.network import Network

HOURS_A_SESSION = 6
PARIS = ZoneInfo("Europe/Paris")


def rolled(start: datetime, sessions: int) -> CoordinatorRecord:
    """A run of sessions of six hours, one after the other; ``start`` is local."""
    record, _ = make_run(4, sessions, slots=HOURS_A_SESSION, slot_minutes=60)
    first = start.replace(tzinfo=PARIS).astimezone(UTC)
    moved = []
    for session in record.sessions:
        begins = first + timedelta(hours=HOURS_A_SESSION * session.session)
        horizon = session.horizon.model_copy(update={"start": begins})
        moved.append(session.model_copy(update={"horizon": horizon}))
    return record.model_copy(update={"sessions": moved})


def going_on(run: Path, record: CoordinatorRecord, closed: int) -> Path:
    """A run's folder as its coordinator leaves it when so many sessions are closed."""
    directory = RunDirectory(run)
    packed = PackedRecords(SessionRecord, directory.closed_dir())
    for session in record.sessions[:closed]:
        packed.append(session)
    record.model_copy(update={"sessions": []}).save(directory.begun_record())
    return run


def written(run: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of ``bills.csv`` by month."""
    books = read_books(run)
    found = {}
    for month in months_of(books):
        write_statement(RunDirectory(run).statements_dir / month, books, month)
        with (run / "statements" / month / "bills.csv").open(newline="") as file:
            found[month] = [*csv.DictReader(file)]
    return found


@pytest.mark.parametrize("ended", [False, True])
def test_all_months_together_are_the_whole_to_the_cent(tmp_path: Path, ended: bool) -> None:
    record = rolled(datetime(2024, 9, 28, 4), 150)
    run = save_run(tmp_path, record, {}) if ended else going_on(tmp_path, record, 150)
    months = written(run)
    assert [*months] == ["2024-09", "2024-10", "2024-11"]
    owed_eur: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for session in record.sessions:
        for bill in session.bills:
            owed_eur[bill.member, "amount_eur"] += bill.amount_eur
            owed_eur[bill.member, "exact_eur"] += bill.exact_eur
            owed_eur[bill.member, "grid_import_kwh"] += bill.grid_import_kwh
    billed_eur: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for rows in months.values():
        for row in rows:
            for column in ("amount_eur", "exact_eur", "grid_import_kwh"):
                billed_eur[row["member"], column] += Decimal(row[column])
            lines = [
                name for name in row if name.endswith("_eur") and name not in ("exact_eur", "amount_eur")
            ]
            assert sum(Decimal(row[name]) for name in lines) == Decimal(row["amount_eur"])
    assert billed_eur == owed_eur
    text = "".join(
        "".join((run / "statements" / month / "sessions.csv").read_text().splitlines(keepends=True)[1:])
        for month in months
    )
    assert text == csv_text(bills_table(record)).partition("\n")[2]


def test_a_month_is_that_in_which_sessions_begin_by_the_communitys_clock(tmp_path: Path) -> None:
    # From the 30th of September, 16:00 on; the clock goes back on the 27th of October.
    record = rolled(datetime(2024, 9, 30, 16), 130)
    books = read_books(going_on(tmp_path, record, 130))
    assert [*months_of(books)] == ["2024-09", "2024-10", "2024-11"]
    september, october, november = (
        write_statement(tmp_path / "statements" / month, books, month) for month in months_of(books)
    )
    assert september.start.isoformat() == "2024-09-30T16:00:00+02:00"
    assert september.sessions == 2  # at 16:00 and 22:00
    assert september.end == october.start
    assert october.start.isoformat() == "2024-10-01T04:00:00+02:00"
    assert october.end.isoformat() == "2024-11-01T03:00:00+01:00"
    assert october.sessions == 124
    assert november.sessions == 4
    assert (september.final, october.final, november.final) == (True, True, False)
    page = (tmp_path / "statements" / "2024-10" / "bills.html").read_text("utf-8")
    assert "October 2024: from 1 October 2024, 04:00 to 1 November 2024, 03:00, 31 days" in page
    assert "November 2024 so far" in (tmp_path / "statements/2024-11/bills.html").read_text("utf-8")


def test_what_is_final_stays_to_the_byte(tmp_path: Path) -> None:
    record = rolled(datetime(2024, 9, 28, 4), 150)
    going_on(tmp_path, record, 20)
    written(tmp_path)
    before = files_of(tmp_path / "statements" / "2024-09")
    assert len(before) == 2 + 1 + 4
    provisional = (tmp_path / "statements/2024-10/bills.csv").read_text()
    going_on(tmp_path, record, 150)
    months = written(tmp_path)
    assert files_of(tmp_path / "statements" / "2024-09") == before
    assert (tmp_path / "statements/2024-10/bills.csv").read_text() != provisional
    assert {row["state"] for row in months["2024-10"]} == {"final"}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_several_sessions_of_a_day_are_one_day_on_the_page(tmp_path: Path) -> None:
    record = rolled(datetime(2024, 9, 1, 0), 20)
    assert period_words(record.sessions) == "1 September 2024 to 5 September 2024, 5 days"
    books = read_books(going_on(tmp_path, record, 20))
    write_statement(tmp_path / "statements/2024-09", books, "2024-09")
    page = (tmp_path / "statements/2024-09/bills/consumer-4.html").read_text("utf-8")
    assert len(re.findall(r"<th scope=\"row\">\d September 2024</th>", page)) == 5
    bills = [bill for session in record.sessions for bill in session.bills if bill.member == "consumer-4"]
    first_eur = sum(bill.amount_eur for bill in bills[:4])
    assert first_eur
    assert re.search(rf"1 September 2024</th><td[^>]*>{str(first_eur).replace('-', '−')}</td>", page)
    assert "keeps that to itself as long as the run goes on" in page
    assert "What you took" in page
    overview = (tmp_path / "statements/2024-09/bills.html").read_text("utf-8")
    assert 'href="bills/consumer-4.html"' in overview
    assert "alone [EUR]" not in overview


def test_an_ended_run_says_what_being_alone_would_have_cost(tmp_path: Path) -> None:
    record = rolled(datetime(2024, 9, 28, 4), 30)
    save_run(tmp_path, record, {})
    sessions = [
        {"session": number, "members": {name: {"alone_cost_eur": 0.5} for name in record.members}}
        for number in range(30)
    ]
    write_statement(tmp_path / "statements/2024-09", read_books(tmp_path), "2024-09", {"sessions": sessions})
    september = sum(each.horizon.local(0).month == 9 for each in record.sessions)
    page = (tmp_path / "statements/2024-09/bills.html").read_text("utf-8")
    assert f"<td>{september * 0.5:.2f}</td>" in page
    assert "alone [EUR]" in page


def test_what_meters_did_not_tell_and_what_was_corrected_is_counted(tmp_path: Path) -> None:
    record = rolled(datetime(2024, 9, 1, 0), 2)
    first = record.sessions[0].deliveries[0]
    late = first.model_copy(
        update={"settled_net_kwh": first.net_kwh, "settled_quality": "estimated", "settled_meters": []}
    )
    missing = record.sessions[1].deliveries[0].model_copy(update={"quality": "missing"})
    sessions = [
        session.model_copy(update={"deliveries": [changed, *session.deliveries[1:]]})
        for session, changed in zip(record.sessions, (late, missing), strict=True)
    ]
    books = read_books(going_on(tmp_path, record.model_copy(update={"sessions": sessions}), 2))
    (own, *others) = write_statement(tmp_path / "statements/2024-09", books, "2024-09").members
    assert (own.member, own.unread_slots, own.corrected_slots) == (first.member, 1, 1)
    assert {(each.unread_slots, each.corrected_slots) for each in others} == {(0, 0)}


def test_a_coordinator_leaves_what_is_closed_where_bills_are_made_from(tmp_path: Path) -> None:
    """Bills between two sessions, made from what the machine saved, are those of its record in the end."""
    community = Community(1, sessions=3)
    directory = RunDirectory(tmp_path)
    network = Network()
    community.put_on(network, directory.begun_record())
    network.run()
    record = network.saved[Path("coordinator.json")]
    begun = network.saved[directory.begun_record()]
    assert isinstance(record, CoordinatorRecord)
    assert begun == record.model_copy(update={"sessions": []})
    begun.save(directory.begun_record())
    months = written(tmp_path)
    assert [*months] == ["2025-01", "2025-02", "2025-03"]
    for rows, session in zip(months.values(), record.sessions, strict=True):
        assert {row["member"]: Decimal(row["amount_eur"]) for row in rows} == {
            bill.member: bill.amount_eur for bill in session.bills
        }
    assert {row["state"] for row in months["2025-02"]} == {"final"}
    assert {row["state"] for row in months["2025-03"]} == {"so far"}
    record.save(directory.coordinator_record)
    assert {row["state"] for row in written(tmp_path)["2025-03"]} == {"final"}


def test_the_command_tells_months_and_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = rolled(datetime(2024, 9, 30, 16), 20)
    going_on(tmp_path / "runs" / "village", record, 20)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["bills", "village"])
    assert shown.exit_code == 0
    assert re.search(r"2024-09 +final +2 ", shown.output)
    assert re.search(r"2024-10 +so far +18 ", shown.output)
    one = CliRunner().invoke(app, ["bills", "village", "--month", "2024-09"])
    bills = [bill for session in record.sessions[:2] for bill in session.bills]
    owed_eur = sum(bill.amount_eur for bill in bills if bill.member == "consumer-4")
    assert owed_eur
    assert re.search(rf"consumer-4 .* {owed_eur:.2f} EUR", one.output)
    told = json.loads(CliRunner().invoke(app, ["bills", "village", "--json"]).output)
    assert [month["month"] for month in told["months"]] == ["2024-09", "2024-10"]
    assert told["months"][0]["members"][3]["amount_eur"] == str(owed_eur)
    assert (tmp_path / "runs/village/statements/2024-10/bills.html").is_file()
    CliRunner().invoke(app, ["bills", "village", "--month", "2024-10", "--out", "elsewhere"])
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["2024-10"]
    (tmp_path / "file").touch()
    nowhere = CliRunner().invoke(app, ["bills", "village", "--out", "file"]).exception
    assert isinstance(nowhere, InputError)
    assert "file: cannot be written to: Not a directory; `--out DIR` names another folder" in str(nowhere)
    other = CliRunner().invoke(app, ["bills", "village", "--month", "2024-12"])
    assert isinstance(other.exception, InputError)
    assert "expected one with a closed session: 2024-09, 2024-10" in str(other.exception)


def test_what_cannot_be_billed_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no session is closed yet"):
        read_books(tmp_path)
    record = rolled(datetime(2024, 9, 30, 16), 4)
    run = going_on(tmp_path / "run", record, 4)
    folder = RunDirectory(run).closed_dir()
    damaged = packed_path(folder, 1)
    damaged.write_bytes(b"{}")
    with pytest.raises(InputError, match=r"000001\.json\.gz: not the record of a closed session"):
        [*read_books(run).sessions]
    damaged.unlink()
    with pytest.raises(InputError, match=r"found 000002\.json\.gz, expected 000001\.json\.gz"):
        read_books(run)
    two = going_on(tmp_path / "two", record, 4)
    RunDirectory(two).closed_dir(SECOND_COORDINATOR).mkdir(parents=True)
    with pytest.raises(InputError, match="two communities bill together when the run has ended"):
        read_books(two)

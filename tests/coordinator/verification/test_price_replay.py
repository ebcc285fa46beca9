"""Prices and allocations made again from the coordinator's log: whoever told others is found."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.verification.command import verification
from runtime.configuration import CoordinatorConfig
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import body_of, forge, forge_bodies, leave_behind

MEMBERS = ["m0", "m1", "m2", "m3"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "village"
    leave_behind(Community(seed=11, members=4, slots=5, sessions=2, mechanism="admm"), path)
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finished, tmp_path / "village"))


def findings(run: RunDirectory) -> list[str]:
    found: list[str] = verification(run.path)["findings"]
    return found


@pytest.mark.parametrize(
    ("mechanism", "parameters"),
    [
        ("admm", {}),
        ("block-tariff", {}),
        ("mid-market-rate", {}),
        ("supply-demand-ratio", {}),
        ("bill-sharing", {"period": "day"}),
        ("double-auction", {}),
        ("pay-as-bid", {}),
        ("bilateral", {}),
        ("coordinated", {}),
        ("grid-only", {}),
    ],
)
def test_every_mechanism_makes_the_same_again(
    tmp_path: Path, mechanism: str, parameters: dict[str, Any]
) -> None:
    community = Community(seed=2, members=4, slots=4, mechanism=mechanism, parameters=parameters)
    run = leave_behind(community, tmp_path)
    answer = verification(run.path)
    assert (answer["findings"], answer["unchecked"]) == ([], [])
    said = [json.loads(line) for line in run.log(COORDINATOR).read_bytes().splitlines()]
    assert answer["proof"]["retraced_messages"] == sum(record["kind"] == "out" for record in said)
    assert answer["proof"]["rounded_messages"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_loss_repetition_and_deadlines_are_made_again(tmp_path: Path, seed: int) -> None:
    run = leave_behind(Community(seed=seed, members=3, slots=4), tmp_path, loss=0.3, doubling=0.2)
    records = [json.loads(line) for line in run.log(COORDINATOR).read_bytes().splitlines()]
    assert any(record.get("note") for record in records)
    assert findings(run) == []


def test_a_price_of_a_round_that_its_mechanism_does_not_make_is_named_first(run: RunDirectory) -> None:
    """Told to one member, and written alike to both logs: no bill line shows it."""

    def cheaper(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        told = (body["type"], body.get("session"), body.get("round"))
        if told != ("price-signal", 1, 2) or not fields["to"].startswith("m2@"):
            return False
        body["import_price_eur_per_kwh"][3] -= 0.01
        return True

    assert forge_bodies(run, [COORDINATOR, "m2"], cheaper) == 2
    (found,) = findings(run)
    assert found.startswith("coordinator.jsonl, record ")
    assert ", price-signal '" in found
    assert "to m2@village.test: import_price_eur_per_kwh[3]: found 0." in found


def test_an_allocation_that_its_mechanism_does_not_make_is_named(run: RunDirectory) -> None:
    def more(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if (body["type"], body.get("session")) != ("agreement", 0) or not fields["to"].startswith("m1@"):
            return False
        body["grid_import_kwh"][2] += 0.5
        return True

    assert forge_bodies(run, [COORDINATOR, "m1"], more) == 2
    assert "agreement" in findings(run)[0]
    assert "grid_import_kwh[2]" in findings(run)[0]


def test_a_coordinator_with_other_terms_than_published_is_found(tmp_path: Path) -> None:
    """It runs honestly by rules that are not those the community agreed on; all its messages agree."""
    run = leave_behind(Community(seed=4, members=3, slots=4, mechanism="mid-market-rate"), tmp_path)
    config = CoordinatorConfig.load(run.coordinator_config)
    assert findings(run) == []
    config.model_copy(update={"mechanism": "supply-demand-ratio"}).save(run.coordinator_config)
    first = findings(run)[0]
    assert "admission" in first
    assert "mechanism: found mid-market-rate, expected supply-demand-ratio" in first
    assert any("price-signal" in text or "agreement" in text for text in findings(run))


Edit = Callable[[list[dict[str, Any]]], None]


def place_of(records: list[dict[str, Any]], kind: str, number: int) -> int:
    return [place for place, fields in enumerate(records) if body_of(fields).get("type") == kind][number]


def drop_position(records: list[dict[str, Any]]) -> None:
    """As if a member had not answered in the round."""
    del records[place_of(records, "position", 5)]


def swap_positions(records: list[dict[str, Any]]) -> None:
    """A member's position of a round in the place of the one before."""
    one, other = (place_of(records, "position", number) for number in (3, 7))
    records[one]["body"], records[other]["body"] = records[other]["body"], records[one]["body"]


def forge_deadline(records: list[dict[str, Any]]) -> None:
    """As if the round had been over before the members answered."""
    event = {"at": records[0]["at"], "kind": "event", "name": "timer", "data": {"name": "round"}}
    records.insert(place_of(records, "position", 1), event)


def forge_timer(records: list[dict[str, Any]]) -> None:
    event = {"at": records[0]["at"], "kind": "event", "name": "timer", "data": {"name": "closing"}}
    records.insert(place_of(records, "position", 1), event)


def ignore_delivery(records: list[dict[str, Any]]) -> None:
    records[place_of(records, "delivery", 3)]["note"] = "duplicate"


def say_twice(records: list[dict[str, Any]]) -> None:
    place = place_of(records, "bill-line", 2)
    records.insert(place + 1, {**records[place], "id": "99999"})


def resend_what_was_never_sent(records: list[dict[str, Any]]) -> None:
    place = place_of(records, "bill-line", 2)
    records.insert(place + 1, {**records[place], "id": "99999", "note": "resent"})


def drop_bill_line(records: list[dict[str, Any]]) -> None:
    del records[place_of(records, "bill-line", 2)]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (drop_position, "was sent, but nothing that is in the log before led to it"),
        (swap_positions, "price-signal"),
        (forge_deadline, "price-signal"),
        (forge_timer, "the timer 'closing' ran out, but it was not running"),
        (ignore_delivery, "noted as 'duplicate', expected: new"),
        (say_twice, "bill-line '99999'"),
        (resend_what_was_never_sent, "bill-line '99999'"),
        (drop_bill_line, "expected bill-line"),
    ],
)
def test_what_cannot_have_happened_is_found_in_the_coordinators_log_alone(
    run: RunDirectory, edit: Edit, expected: str
) -> None:
    forge(run.log(COORDINATOR), edit)
    found = findings(run)
    assert any(expected in text for text in found), found[:3]


def test_numbers_equal_but_for_rounding_are_no_fault(run: RunDirectory) -> None:
    def rounded(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "price-signal" or body["round"] != 1:
            return False
        body["import_price_eur_per_kwh"][0] += 1e-9
        return True

    forge_bodies(run, [COORDINATOR, *MEMBERS], rounded)
    answer = verification(run.path)
    assert answer["findings"] == []
    assert answer["proof"]["rounded_messages"] == 8


# -- tables and database -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["prices", "positions", "deliveries", "ledger", "bills"])
def test_a_changed_cell_of_a_table_is_named_by_its_line(run: RunDirectory, table: str) -> None:
    path = run.path / f"{table}.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    column = next(place for place, name in enumerate(rows[0]) if name.endswith(("_eur_per_kwh", "_kwh")))
    rows[4][column] = "7.25"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    (found,) = findings(run)
    assert found.startswith(f"{table}.csv, line 5: found ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE prices SET import_price_eur_per_kwh = 9 WHERE session = 1 AND round = 1 AND slot = 2",
         "results.sqlite, table prices, session 1, round 1, slot 2: found"),
        ("UPDATE bills SET amount_eur = '0.00' WHERE session = 0 AND member = 'm1'",
         "results.sqlite, table bills, session 0, member m1: found"),
        ("DELETE FROM ledger WHERE entry = 3", "results.sqlite, table ledger, entry 3: found no such row"),
        ("DELETE FROM ledger WHERE entry = (SELECT MAX(entry) FROM ledger)",
         "results.sqlite, table ledger, entry "),
    ],
)  # fmt: skip
def test_a_changed_row_of_the_database_is_named(run: RunDirectory, change: str, expected: str) -> None:
    with sqlite3.connect(run.results_sqlite) as database:
        assert database.execute(change).rowcount == 1
    database.close()
    (found,) = findings(run)
    assert found.startswith(expected)


def test_a_round_changed_in_the_record_is_named(run: RunDirectory) -> None:
    record = json.loads(run.coordinator_record.read_text())
    record["sessions"][0]["rounds"][1]["net_kwh"]["m3"][2] += 1.0
    run.coordinator_record.write_text(json.dumps(record))
    assert findings(run)[0].startswith("records/coordinator.json, session 0: rounds[1].net_kwh.m3[2]: found")


def test_tables_that_are_not_here_are_said_not_to_be_checked(run: RunDirectory) -> None:
    (run.path / "prices.csv").unlink()
    run.results_sqlite.unlink()
    answer = verification(run.path)
    assert answer["findings"] == []
    assert answer["unchecked"] == ["prices.csv: is not here", "results.sqlite: is not here"]


def test_a_mechanism_that_is_not_installed_is_said_not_to_be_checked(run: RunDirectory) -> None:
    config = CoordinatorConfig.load(run.coordinator_config)
    config.model_copy(update={"mechanism": "somebody-elses"}).save(run.coordinator_config)
    answer = verification(run.path)
    assert answer["findings"] == []
    (said,) = answer["unchecked"]
    assert said.startswith("prices: ")
    assert "somebody-elses" in said
    assert answer["proof"]["lines"] == 40

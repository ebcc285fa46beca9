"""What is proven of members' plans: in the table, in the database, in one line of the summary."""

import csv
import sqlite3
from pathlib import Path

import pytest
from synthetic import make_run

from coordinator.indicators.command import indicators
from runtime.records import AgreedPlan
from runtime.results.database import write_database
from runtime.results.plan_certificates import certificates, certificates_line
from runtime.results.tables import csv_text, tables

SLOTS = 24


def plan(loss, certificate, export=0.05, **changes) -> AgreedPlan:
    described = {
        "round": 2,
        "residual_load_kwh": [1.0] * SLOTS,
        "stored_kwh": [2.0] * SLOTS,
        "import_price_eur_per_kwh": [0.2] * SLOTS,
        "export_price_eur_per_kwh": [export] * SLOTS,
        "cost_eur": 1.5,
        "objective_eur": 1.75,
        "lower_bound_eur": None if loss is None else 1.25,
        "certified_loss": loss,
        "certificate": certificate,
    }
    return AgreedPlan(**(described | changes))


PLANS = {
    "house-1": plan(0.0, "optimal"),
    "office-2": plan(0.125, "bounded", export=0.3),
    "school-3": plan(None, "none"),
    "consumer-4": plan(0.0, "optimal", stored_kwh=None),
    "producer-5": None,
}


def planned_run():
    coordinator, members = make_run(5, slots=SLOTS, slot_minutes=60)
    for name, agreed in PLANS.items():
        session = members[name].sessions[0].model_copy(update={"plan": agreed})
        changes = {"sessions": [session], "strategy": "rule" if name == "school-3" else "optimised"}
        members[name] = members[name].model_copy(update=changes)
    return coordinator, members


def test_the_table_has_a_row_a_member_and_empty_cells_where_nothing_is_known(tmp_path: Path) -> None:
    coordinator, members = planned_run()
    all_tables = tables(coordinator, members)
    (table,) = (table for table in all_tables if table.name == "plans")
    rows = {row["member"]: row for row in csv.DictReader(csv_text(table).splitlines())}
    assert list(rows) == list(PLANS)
    office = rows["office-2"]
    assert (office["session"], office["round"], office["certificate"]) == ("0", "2", "bounded")
    assert (office["cost_eur"], office["objective_eur"], office["lower_bound_eur"]) == ("1.5", "1.75", "1.25")
    assert float(office["certified_loss"]) == 0.125
    own = members["office-2"].sessions[0]
    assert float(office["planning_seconds"]) == own.planning_seconds
    assert int(office["rounds_planned"]) == own.rounds_planned
    assert rows["school-3"]["certified_loss"] == rows["school-3"]["lower_bound_eur"] == ""
    assert rows["producer-5"]["round"] == rows["producer-5"]["certificate"] == ""
    path = write_database(tmp_path / "r.sqlite", all_tables, indicators(coordinator, members))
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT member FROM plans WHERE certified_loss IS NULL").fetchall()
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("UPDATE plans SET planning_seconds = NULL")
    assert [member for (member,) in found] == ["producer-5", "school-3"]


def test_the_line_counts_what_is_proven_and_says_why_not() -> None:
    found = certificates(planned_run()[1])
    assert found == {
        "optimal": 1,
        "bounded": 1,
        "none": 1,
        "worst_certified_loss": 0.125,
        "bounded_by_tariff": 1,
        "uncertified_strategies": ["rule"],
    }
    assert certificates_line(found) == (
        "Battery plans: 1 proven optimal; 1 bounded, worst certified loss 12.5 % of the battery's value "
        "(no tight certificate where the feed-in tariff exceeds the import price); "
        "1 without certificate (rule)."
    )


def test_a_bound_below_the_import_price_needs_no_excuse() -> None:
    _, members = planned_run()
    bounded = members["office-2"].sessions[0].model_copy(update={"plan": plan(0.0005, "bounded")})
    members = {"office-2": members["office-2"].model_copy(update={"sessions": [bounded]})}
    line = certificates_line(certificates(members))
    assert line == "Battery plans: 1 bounded, worst certified loss 0.05 % of the battery's value."


def test_without_planned_batteries_there_is_no_line() -> None:
    _, members = planned_run()
    assert certificates_line(certificates({"consumer-4": members["consumer-4"]})) is None

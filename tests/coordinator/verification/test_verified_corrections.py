"""Corrections of settled slots are proven from the logs, and told by ``why``; forged ones are found."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordinator.verification.command import verification
from runtime.cli import app
from runtime.records import CoordinatorRecord
from runtime.rundir import RunDirectory
from tests.machines.logged import forge_bodies, leave_behind
from tests.machines.test_meters_of_a_member import LOAD, Late, community


def corrected_run(path: Path) -> RunDirectory:
    made = community()
    put_on = made.put_on

    def with_late_meter(network) -> None:
        put_on(network)
        network.add(Late(2, ["load"], {"load": LOAD}))

    made.put_on = with_late_meter  # type: ignore[method-assign]
    directory = leave_behind(made, path)
    for config in made.member_configs:
        config.save(directory.member_config(config.name))
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return corrected_run(tmp_path_factory.mktemp("late") / "village")


def test_corrections_are_proven_from_the_coordinators_and_the_members_logs(run: RunDirectory) -> None:
    whole = verification(run.path)
    assert whole["findings"] == []
    assert whole["proof"]["corrections"] == 2
    own = verification(run.path, "m0")
    assert own["findings"] == []
    assert own["proof"]["corrections"] == 2
    assert verification(run.path, "m1")["proof"]["corrections"] == 0


def test_a_forged_adjustment_is_found(tmp_path: Path) -> None:
    directory = corrected_run(tmp_path / "village")

    def dearer(fields, body) -> bool:
        if body.get("type") != "adjustment-line":
            return False
        body["amount_eur"] = str(Decimal(body["amount_eur"]) + Decimal("0.01"))
        return True

    assert forge_bodies(directory, ["coordinator", "m0"], dearer) == 4
    for member in (None, "m0"):
        findings = verification(directory.path, member)["findings"]
        assert any("adjustment-line" in each and "amount_eur" in each for each in findings)


def test_a_forged_correction_is_found(tmp_path: Path) -> None:
    directory = corrected_run(tmp_path / "village")

    def less(fields, body) -> bool:
        if body.get("type") != "delivery-correction":
            return False
        body["grid_import_kwh"], body["grid_export_kwh"] = "0.5", "0"
        return True

    assert forge_bodies(directory, ["coordinator", "m0"], less) == 4
    assert any("corrected_net_kwh" in each for each in verification(directory.path)["findings"])


def test_why_tells_what_was_corrected(run: RunDirectory) -> None:
    said = CliRunner().invoke(app, ["why", str(run.path), "m0", "1"])
    assert said.exit_code == 0, said.output
    assert "m0.meter2@village.test told later that it was load 7.500000 kWh (metered)" in said.stdout
    assert "corrected later: taken" in said.stdout
    assert "corrected later to" in said.stdout
    told = json.loads(CliRunner().invoke(app, ["why", str(run.path), "m0", "1", "--json"]).stdout)
    record = CoordinatorRecord.load(run.coordinator_record).sessions[0]
    entries = [e for e in record.ledger if (e.slot, e.kind) == (1, "correction")]
    assert Decimal(told["adjustment"]["amount_eur"]) == sum(e.paid_eur("m0") for e in entries)


def test_the_tables_show_quality_meters_and_what_was_settled_first(run: RunDirectory) -> None:
    deliveries = (run.path / "deliveries.csv").read_text().splitlines()
    header = deliveries[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in deliveries[1:]]
    (row,) = [each for each in rows if (each["member"], each["slot"]) == ("m0", "1")]
    assert (row["quality"], row["settled_quality"]) == ("metered", "estimated")
    assert "m0.meter2" in row["meters"]
    assert row["grid_import_kwh"] != row["settled_import_kwh"] or row["grid_export_kwh"] != "0"
    ledger = (run.path / "ledger.csv").read_text()
    assert "correction" in ledger
    assert "correction_eur" in (run.path / "bills.csv").read_text().splitlines()[0]

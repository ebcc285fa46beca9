"""``peerwatt prepare``: a run laid out for processes that somebody else starts."""

import json
from datetime import datetime, timedelta

from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.scenario import when
from tests.scenario.scenarios import write

SERVER = ["--domain", "a.test", "--inside", "xmpp", "--outside", "192.0.2.7:15222"]


def prepare(scenario, run, *more):
    arguments = ["prepare", str(scenario), "--run", str(run), *SERVER, *more]
    return CliRunner().invoke(app, arguments)


def test_every_process_finds_its_configuration_and_the_server(tmp_path):
    run = tmp_path / "run"
    assert prepare(write(tmp_path), run).exit_code == 0
    seen_by_operator = Connection.load(run / "connection.json")
    assert (seen_by_operator.domain, seen_by_operator.host, seen_by_operator.port) == (
        "a.test",
        "192.0.2.7",
        15222,
    )
    handout = run / "deployment" / "handouts" / "prosumer-school"
    seen_by_school = Connection.load(handout / "connection.json")
    assert (seen_by_school.host, seen_by_school.port) == ("xmpp", 5222)
    assert seen_by_school.password_for("school") == seen_by_operator.password_for("school")
    assert seen_by_school.ca_file.read_bytes() == seen_by_operator.ca_file.read_bytes()
    assert (handout / "config" / "members" / "school.json").is_file()
    members = {path.stem for path in (run / "config" / "members").iterdir()}
    assert members == {"house", "school"}
    assert "school.meter2" in json.loads((run / "config" / "accounts.json").read_text())


def test_a_domain_that_is_none_is_refused(tmp_path):
    result = prepare(write(tmp_path), tmp_path / "run", "--domain", "a test")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("--domain: found 'a test', expected a domain")
    assert not (tmp_path / "run").exists()


def test_a_run_is_taken_up_again_but_not_with_another_scenario_or_setting(tmp_path):
    run = tmp_path / "run"
    scenario = write(tmp_path)
    assert prepare(scenario, run).exit_code == 0
    assert prepare(scenario, run).exit_code == 0
    before = (run / "run.json").read_bytes()
    refused = prepare(scenario, run, "--setting", "pv-only").exception
    assert isinstance(refused, InputError)
    assert "another scenario or setting" in str(refused)
    changed = prepare(write(tmp_path, ("export = 0.10", "export = 0.11")), run).exception
    assert isinstance(changed, InputError)
    assert (run / "run.json").read_bytes() == before


def test_a_run_that_begins_now_keeps_its_start_when_it_is_prepared_again(tmp_path, monkeypatch):
    run, scenario = tmp_path / "run", write(tmp_path, ("start = 2024-06-18", 'start = "now"\nslots = 24'))
    assert prepare(scenario, run).exit_code == 0
    before = (run / "run.json").read_bytes()
    files = {path: path.read_bytes() for path in (run / "config").rglob("*.json")}
    next_slot_start = when.next_slot_start
    later = timedelta(hours=7)
    monkeypatch.setattr(when, "next_slot_start", lambda now, *slot: next_slot_start(now + later, *slot))
    assert prepare(scenario, run).exit_code == 0
    assert (run / "run.json").read_bytes() == before
    assert {path: path.read_bytes() for path in (run / "config").rglob("*.json")} == files
    assert prepare(scenario, tmp_path / "another").exit_code == 0
    starts = [
        datetime.fromisoformat(json.loads((folder / "run.json").read_text())["sessions"][0]["start"])
        for folder in (run, tmp_path / "another")
    ]
    assert starts[1] - starts[0] in (later, later + timedelta(hours=1))


def test_a_run_that_another_version_began_is_not_taken_up(tmp_path):
    run, scenario = tmp_path / "run", write(tmp_path)
    assert prepare(scenario, run).exit_code == 0
    there = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**there, "peerwatt_version": "0.0.1"}))
    refused = prepare(scenario, run).exception
    assert isinstance(refused, InputError)
    assert "peerwatt_version: found 0.0.1" in str(refused)
    assert "a run goes on with the version that began it" in str(refused)
    assert json.loads((run / "run.json").read_text())["peerwatt_version"] == "0.0.1"


def test_series_that_have_changed_since_a_run_began_are_of_the_next_one(tmp_path):
    series = tmp_path / "load.csv"
    series.write_text("kwh\n" + "0.5\n" * 24)
    load = 'load = { file = "load.csv", column = "kwh", unit = "kWh" }'
    scenario = write(tmp_path, ('load = { constant = 0.5, unit = "kW" }', load))
    assert prepare(scenario, tmp_path / "run").exit_code == 0
    config = tmp_path / "run" / "config" / "members" / "house.json"
    before = config.read_bytes()
    series.write_text("kwh\n" + "0.6\n" * 24)
    assert prepare(scenario, tmp_path / "run").exit_code == 0
    assert config.read_bytes() == before
    assert prepare(scenario, tmp_path / "another").exit_code == 0
    assert (tmp_path / "another" / "config" / "members" / "house.json").read_bytes() != before


def test_a_configuration_that_was_changed_is_refused(tmp_path):
    run, scenario = tmp_path / "run", write(tmp_path)
    assert prepare(scenario, run).exit_code == 0
    config = run / "config" / "coordinator.json"
    config.write_text(config.read_text() + " ")
    refused = prepare(scenario, run).exception
    assert isinstance(refused, InputError)
    assert f"{config}: was changed since the run began" in str(refused)

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

runner = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("verify") / "village"
    return leave_behind(Community(seed=5, members=3, slots=4), path)


def test_a_good_run_is_proven_in_words_and_as_json(run: RunDirectory) -> None:
    said = runner.invoke(app, ["verify", str(run.path)])
    assert said.exit_code == 0
    assert "proven from the logs" in said.stdout
    assert "12 bill lines and 3 bills" in said.stdout
    told = json.loads(runner.invoke(app, ["verify", str(run.path), "--json"]).stdout)
    assert told["proven"] is True
    assert told["logs"]["logs"] == 7
    assert told["settlement"]["proof"]["deliveries"] == 12


def test_a_member_verifies_its_own_bills(run: RunDirectory) -> None:
    said = runner.invoke(app, ["verify", str(run.path), "--member", "m1"])
    assert said.exit_code == 0, said.stdout
    assert "1 bills of m1" in said.stdout


def test_a_member_without_a_log_is_bad_input(run: RunDirectory) -> None:
    said = runner.invoke(app, ["verify", str(run.path), "--member", "nobody"])
    assert isinstance(said.exception, InputError)
    assert "found no log" in str(said.exception)


def test_what_breaks_it_is_named_first_with_exit_code_1(run: RunDirectory) -> None:
    log = run.log("m1")
    whole = log.read_bytes()
    try:
        log.write_bytes(whole.replace(b"delivery", b"deliverx", 1))
        said = runner.invoke(app, ["verify", str(run.path)])
    finally:
        log.write_bytes(whole)
    assert said.exit_code == 1
    first, *_, last = said.stdout.splitlines()
    assert first.startswith(f"chain: {log}, line ")
    assert last.startswith("NOT PROVEN")


def test_a_folder_of_logs_alone_is_no_run(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "m1.jsonl").write_bytes(run.log("m1").read_bytes())
    said = runner.invoke(app, ["verify", str(tmp_path / "some")])
    assert isinstance(said.exception, InputError)

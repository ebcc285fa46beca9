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
    assert "1 bill of m1" in said.stdout


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


def collected(run: RunDirectory, folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jsonl").write_bytes(run.log(name).read_bytes())
    return folder


def test_collected_logs_are_checked_as_far_as_they_go_and_the_exit_code_tells(
    run: RunDirectory, tmp_path: Path
) -> None:
    some = collected(run, tmp_path / "some", "m1", "m2", "coordinator")
    said = runner.invoke(app, ["verify", str(some)])
    assert said.exit_code == 3, said.stdout
    assert "as far as could be checked" in said.stdout
    assert "the published terms, is not here" in said.stdout
    assert "m0@village.test: no log of it is here" in said.stdout
    told = json.loads(runner.invoke(app, ["verify", str(some), "--json"]).stdout)
    assert len(told["unchecked"]) == 4  # the terms, m0 and two meters
    every = [path.stem for path in run.logs_dir.glob("*.jsonl")]
    whole = collected(run, tmp_path / "whole", *every)
    terms = ["--terms", str(run.coordinator_config)]
    said = runner.invoke(app, ["verify", str(whole), *terms])
    assert said.exit_code == 3
    assert "12 bill lines and 3 bills" in said.stdout
    assert "made again by its mechanism" in said.stdout
    assert "NOT CHECKED:\n    ledger and tables: the coordinator's record is not here" in said.stdout


def test_what_is_wrong_in_collected_logs_outweighs_what_could_not_be_checked(
    run: RunDirectory, tmp_path: Path
) -> None:
    some = collected(run, tmp_path / "some", "m1", "coordinator")
    lines = (some / "m1.jsonl").read_bytes().splitlines(keepends=True)
    (some / "m1.jsonl").write_bytes(b"".join(lines[:7] + lines[8:]))
    said = runner.invoke(app, ["verify", str(some)])
    assert said.exit_code == 1
    assert said.stdout.startswith(f"chain: {some / 'm1.jsonl'}, line 8: expected record 7, found record 8")


def test_missing_terms_are_bad_input(run: RunDirectory) -> None:
    said = runner.invoke(app, ["verify", str(run.path), "--terms", "nowhere.json"])
    assert isinstance(said.exception, InputError)
    assert "--terms: found no file nowhere.json" in str(said.exception)

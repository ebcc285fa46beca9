import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import forge_bodies, leave_behind

runner = CliRunner()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("members") / "village"
    community = Community(seed=8, members=3, slots=4, sessions=2, mechanism="admm")
    directory = leave_behind(community, path)
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finished, tmp_path / "village"))


def verdict(run: RunDirectory) -> dict[str, Any]:
    said = runner.invoke(app, ["verify", str(run.path), "--members", "--json"])
    found: dict[str, Any] = json.loads(said.stdout)
    assert said.exit_code == (1 if found["findings"] else 3 if found["unchecked"] else 0)
    return found


def test_members_plans_make_their_messages_again(run: RunDirectory) -> None:
    found = verdict(run)
    assert (found["proven"], found["unchecked"]) == (True, [])
    sent = sum(
        json.loads(line)["kind"] == "out"
        for name in ("m0", "m1", "m2")
        for line in run.log(name).read_bytes().splitlines()
    )
    assert (found["members"]["members"], found["members"]["messages"]) == (3, sent)
    said = runner.invoke(app, ["verify", str(run.path), "--members"])
    assert f"{sent} messages of 3 members, made again" in said.stdout


def test_a_position_that_a_members_own_plan_does_not_make_is_named(run: RunDirectory) -> None:
    def other(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        said = (body["type"], body.get("session"), body.get("round"))
        if said != ("position", 1, 0) or not fields["from"].startswith("m1@"):
            return False
        body["grid_import_kwh"][2] += 0.25
        return True

    assert forge_bodies(run, [COORDINATOR, "m1"], other) == 2
    found = verdict(run)
    assert any(
        text.startswith("m1.jsonl, record ") and "position" in text and "grid_import_kwh[2]: found" in text
        for text in found["findings"]
    )


def test_a_members_changed_record_is_named(run: RunDirectory) -> None:
    record = json.loads(run.member_record("m2").read_text())
    record["sessions"][0]["planning_seconds"] += 1
    run.member_record("m2").write_text(json.dumps(record))
    assert verdict(run)["findings"] == []
    record["sessions"][1]["net_kwh"][3] += 0.5
    run.member_record("m2").write_text(json.dumps(record))
    (found,) = verdict(run)["findings"]
    assert found.startswith("records/members/m2.json: sessions[1].net_kwh[3]: found ")


def test_members_without_configuration_are_said_not_to_be_checked(run: RunDirectory) -> None:
    shutil.rmtree(run.config_dir / "members")
    (said,) = verdict(run)["unchecked"]
    assert said.startswith("members' own messages: found no configuration in ")


def test_one_members_bills_and_all_members_messages_are_two_questions(run: RunDirectory) -> None:
    said = runner.invoke(app, ["verify", str(run.path), "--members", "--member", "m1"])
    assert isinstance(said.exception, InputError)

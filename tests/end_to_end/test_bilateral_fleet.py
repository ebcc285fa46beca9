"""Members that bargain as processes over XMPP: on the paper's case, once with a member killed on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.scenario.load import BUILTIN
from tests.end_to_end.fleets import call, fleet, records_of

MEMBERS = ["building-1", "building-2", "building-3", "building-4"]


@pytest.fixture(scope="module")
def runs(lorient_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same scenario twice; in one run a member is killed while it bargains."""
    folder = tmp_path_factory.mktemp("bilateral")
    text = (BUILTIN / "lorient.toml").read_text(encoding="utf-8")
    scenario = folder / "lorient-bilateral.toml"
    scenario.write_text(text.replace('mechanism = "admm"', 'mechanism = "bilateral"'), "utf-8")
    for name in ("calm", "crash"):
        with fleet(scenario, folder, "--data", lorient_folder, "--json", name=name) as run:
            if name == "crash":
                run.await_logged("building-3", lambda record: bargaining_round(record) == 4, "round 4")
                run.kill("building-3")
            run.succeed()
    return {name: folder / name for name in ("calm", "crash")}


def bargaining_round(record: dict[str, object]) -> int | None:
    """Round of a proposal that an agent sent; None for another record."""
    if record["kind"] == "out" and record.get("protocol") == "bargaining":
        number = json.loads(str(record["body"])).get("round")
        return None if number is None else int(number)
    return None


def test_the_community_reaches_99_percent_of_the_achievable_saving(runs: dict[str, Path]) -> None:
    indicators = json.loads((runs["calm"] / "indicators.json").read_bytes())["run"]["community"]
    assert indicators["score"] >= 0.99
    (session,) = json.loads((runs["calm"] / "records" / "coordinator.json").read_bytes())["sessions"]
    assert session["bargaining_rounds"] <= 40
    assert session["contracts"]


def test_members_speak_with_each_other_and_every_message_arrived_once(runs: dict[str, Path]) -> None:
    for name, run in runs.items():
        for member in MEMBERS:
            told = {
                record["to"].partition("@")[0]
                for record in records_of(run, member)
                if bargaining_round(record) is not None
            }
            assert told == set(MEMBERS) - {member}
        assert not [each for each in records_of(run, "coordinator") if each.get("protocol") == "bargaining"]
        checked = call("messages", run, "--verify")
        assert (checked.returncode, checked.stderr) == (0, ""), name
        assert "unchanged" in checked.stdout


def test_a_member_killed_while_it_bargains_goes_on_and_the_ledger_is_the_same(runs: dict[str, Path]) -> None:
    names = [record.get("name") for record in records_of(runs["crash"], "building-3")]
    assert "log-continued" in names
    for table in ("ledger.csv", "bills.csv", "contracts.csv"):
        assert (runs["crash"] / table).read_bytes() == (runs["calm"] / table).read_bytes()

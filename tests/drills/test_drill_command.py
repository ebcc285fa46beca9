"""``peerwatt drill`` on real fleets: what it prints, and that it finds harm where there is some."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from runtime.drills.drill import Drill, run_worker
from runtime.drills.faults import FAULTS
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve
from runtime.scenario.write import write_configs
from tests.end_to_end.fleets import call

COMMUNITY = Path(__file__).parents[2] / "runtime" / "drills" / "community.toml"


def test_a_drill_kills_and_silences_and_says_what_came_of_it(tmp_path: Path) -> None:
    faults = "kill-coordinator,kill-fleet,cut,silent,drop-last"
    done = call(
        *("drill", "--faults", faults, "--phases", "operating", "--keep", tmp_path / "kept", "--json"),
        timeout_s=600.0,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert not told["harmed"]
    killed, gone, cut, silent, dropped = told["cases"]
    assert dropped["judgement"]["ledger"] == "equal"
    assert dropped["judgement"]["findings"] == [], "no bill line is missing in any log"
    assert dropped["judgement"]["repeated"] >= 8, "the last bill lines and the bills, once more each"
    assert killed["restarts"] == {"coordinator": 1}
    assert killed["judgement"]["ledger"] == "equal"
    assert gone["resumed"]
    assert gone["broken_off"] == "its process was killed by signal 9"
    assert gone["judgement"]["ledger"] == "equal"
    assert gone["judgement"]["cost_eur"] == told["undisturbed"]["cost_eur"]
    assert cut["judgement"]["ledger"] == "equal"
    assert cut["judgement"]["reconnects"] >= 5
    assert told["undisturbed"]["reconnects"] == 0
    assert silent["judgement"]["ledger"] == "by rule"
    assert len(silent["judgement"]["missing"]) >= 2
    assert {each.split()[0] for each in silent["judgement"]["missing"]} == {silent["hit"]}
    ledgers = {
        name: (tmp_path / "kept" / name / "ledger.csv").read_bytes()
        for name in ("undisturbed", "kill-coordinator-operating", "kill-fleet-operating", "silent-operating")
    }
    assert len({*ledgers.values()}) == 2
    events = [
        json.loads(line)
        for line in (tmp_path / "kept" / "kill-coordinator-operating" / "logs" / "coordinator.jsonl").open()
    ]
    assert [event["name"] for event in events if event["kind"] == "event"].count("log-continued") == 1


def test_harm_is_found(tmp_path: Path) -> None:
    """The undisturbed run is made another one: the fault's must be reported as different."""
    drill = Drill(resolve(COMMUNITY), tmp_path, seed=1, deadline_s=2.0)
    drill.run_undisturbed()
    ledger = RunDirectory(tmp_path / "undisturbed").ledger_csv
    with ledger.open(newline="", encoding="utf-8") as lines:
        rows = [*csv.reader(lines)]
    rows[1][-1] += "1"
    with ledger.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows(rows)
    case = drill.run_case(FAULTS["kill-member"], "operating")
    assert case.judgement is not None
    assert case.judgement.ledger == "wrong"
    assert case.failures == ["ledger or bills differ without a late, missing or estimated member"]


def test_a_run_that_cannot_start_is_told_with_its_reason(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    write_configs(resolve(COMMUNITY), run)
    run.member_config("farm").unlink()
    heard = run_worker(run.path)
    assert heard.failure is not None
    assert "farm gave up" in heard.failure
    assert not heard.rounds


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    for arguments, words in (
        (("--faults", "fire"), "--faults: found 'fire', expected some of kill-member"),
        (("--phases", "joining"), "--phases: found 'joining', expected negotiating or operating"),
        (("--faults", "cut,sever"), "--faults: found sever, expected two communities (hybrid)"),
        (("--faults", "kill-node"), "--faults: found kill-node, expected a server of several nodes"),
        (("--xmpp-nodes", "2"), "--xmpp-nodes: found 2 with --xmpp embedded, expected 1"),
        (("--keep", tmp_path), "cannot be made: File exists"),
    ):
        done = call("drill", *arguments)
        assert done.returncode == 2
        assert words in done.stderr

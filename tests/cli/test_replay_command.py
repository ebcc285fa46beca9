import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coordinator.replaying import market_state, waited_for
from coordinator.session import MarketMachine
from runtime.cli import app
from runtime.errors import InputError
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import DOMAIN, Community
from tests.machines.logged import body_of, leave_behind
from tests.machines.two_communities import TwoCommunities

runner = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("replay") / "village"
    community = Community(seed=5, members=3, slots=4, sessions=2)
    directory = leave_behind(community, path)
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


def told(run: RunDirectory, *options: str) -> dict[str, Any]:
    said = runner.invoke(app, ["replay", str(run.path), "--json", *options])
    assert said.exit_code == 0, said.output
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def records(run: RunDirectory, agent: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log(agent).read_bytes().splitlines()]


def find(run: RunDirectory, agent: str, kind: str, number: int = 0, **body: Any) -> dict[str, Any]:
    """The record of a message of a type whose body says so."""
    return [
        fields
        for fields in records(run, agent)
        if body_of(fields).get("type") == kind and body.items() <= body_of(fields).items()
    ][number]


def test_who_is_waited_for_in_a_round_shrinks_with_every_answer(run: RunDirectory) -> None:
    asked = [find(run, COORDINATOR, "price-signal", place, session=0, round=1) for place in range(3)]
    moment = told(run, "--until", asked[2]["id"])
    state = moment["state"]
    assert (state["phase"], state["session"], state["negotiation"]["round"]) == ("negotiating", 0, 1)
    assert moment["record"] == asked[2]["seq"]
    assert state["waiting_for"] == ["m0", "m1", "m2"]
    prices = body_of(asked[0])["import_price_eur_per_kwh"]
    assert state["negotiation"]["prices"]["import_price_eur_per_kwh"] == pytest.approx(prices, abs=1e-8)
    assert list(moment["timers"]) == ["round"]
    answer = find(run, COORDINATOR, "position", session=0, round=1)
    sender = answer["from"].partition("@")[0]
    state = told(run, "--until", f"{sender}:{answer['id']}")["state"]
    assert state["waiting_for"] == [name for name in ("m0", "m1", "m2") if name != sender]
    body = body_of(answer)
    net = [a - b for a, b in zip(body["grid_import_kwh"], body["grid_export_kwh"], strict=True)]
    assert state["negotiation"]["positions_kwh"][sender] == net
    assert state["negotiation"]["position_round"][sender] == 1


def test_ledger_so_far_is_the_sum_of_the_bill_lines_told(run: RunDirectory) -> None:
    last = find(run, COORDINATOR, "bill-line", -1, session=0, slot=2)
    moment = told(run, "--until", last["id"])
    state = moment["state"]
    assert (state["phase"], state["operation"]["slot"]) == ("operating", 3)
    lines = [
        body_of(fields)
        for fields in records(run, COORDINATOR)[: last["seq"] + 1]
        if body_of(fields).get("type") == "bill-line" and fields["to"].startswith("m1@")
    ]
    assert len(lines) == 3
    owed = sum(float(line["amount_eur"]) for line in lines)
    assert float(state["operation"]["owed_eur"]["m1"]) == pytest.approx(owed)
    member = told(run, "--agent", "m1", "--until", f"coordinator:{find_told(run, 'm1', 0, 2)['id']}")["state"]
    assert (member["bill_lines"], member["passed_slots"]) == (3, 3)
    assert float(member["bill_lines_eur"]) == pytest.approx(owed)


def find_told(run: RunDirectory, member: str, session: int, slot: int) -> dict[str, Any]:
    return find(run, member, "bill-line", session=session, slot=slot)


def test_at_the_end_all_is_done(run: RunDirectory) -> None:
    state = told(run)["state"]
    assert (state["phase"], state["waiting_for"]) == ("done", [])
    bills = [closed["bills_eur"] for closed in state["closed_sessions"]]
    record = json.loads(run.coordinator_record.read_text())
    assert bills == [
        {bill["member"]: bill["amount_eur"] for bill in session["bills"]} for session in record["sessions"]
    ]
    assert told(run, "--agent", "m0")["state"]["closed_sessions"] == 2
    words = runner.invoke(app, ["replay", str(run.path)]).stdout.splitlines()
    assert words[1] == "  done: 2 sessions of village, mechanism mid-market-rate"


def test_a_member_asking_its_meter(run: RunDirectory) -> None:
    asked = find(run, "m2", "reading-request", session=1, slot=1)
    moment = told(run, "--agent", "m2", "--until", asked["id"])
    assert (moment["state"]["session"], moment["state"]["passed_slots"]) == (1, 1)
    assert [each["type"] for each in moment["unanswered"]] == ["reading-request"]
    assert moment["state"]["planned_net_kwh"] is not None


def test_a_record_number_and_words(run: RunDirectory) -> None:
    said = runner.invoke(app, ["replay", str(run.path), "--record", "1"])
    assert said.exit_code == 0
    head, phase, *_ = said.stdout.splitlines()
    assert head.startswith("coordinator after record 1 of its log, ")
    assert phase == "  joining: session 1 of 2 of village, mechanism mid-market-rate"
    whole = runner.invoke(
        app, ["replay", str(run.path), "--until", find(run, COORDINATOR, "bill-line")["id"]]
    )
    assert "price among neighbours" in whole.stdout
    assert "slot 1 of 4: 3 deliveries settled" in whole.stdout
    member = runner.invoke(app, ["replay", str(run.path), "--agent", "m0", "--record", "40"])
    assert "the plan that runs" in member.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--until", "no-such"], "--until: found 'no-such', which is not in"),
        (["--record", "999999"], "--record: found 999999"),
        (["--record", "1", "--until", "1"], "found both"),
        (["--agent", "nobody"], "--agent: found 'nobody', expected coordinator or one of m0, m1, m2"),
    ],
)
def test_what_is_not_there_is_named(run: RunDirectory, options: list[str], complaint: str) -> None:
    said = runner.invoke(app, ["replay", str(run.path), *options])
    assert isinstance(said.exception, InputError)
    assert complaint in str(said.exception)


def test_a_changed_log_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(tmp_path / "copy")
    copy.logs_dir.mkdir(parents=True)
    copy.config_dir.mkdir()
    copy.coordinator_config.write_bytes(run.coordinator_config.read_bytes())
    lines = run.log(COORDINATOR).read_bytes().splitlines(keepends=True)
    copy.log(COORDINATOR).write_bytes(b"".join(lines[:8] + lines[9:]))
    said = runner.invoke(app, ["replay", str(copy.path)])
    assert said.exit_code != 0
    assert "line 9: expected record 8, found record 9" in str(said.exception)


def test_of_two_communities_each_coordinator_waits_for_its_own_members() -> None:
    config = TwoCommunities(2, members=5).coordinator_config
    for part in config.communities:
        machine = MarketMachine(config, f"{part.coordinator}@{DOMAIN}", Path("record.json"))
        machine.start()
        assert waited_for(machine) == part.members
        assert market_state(machine)["absent"] == part.members

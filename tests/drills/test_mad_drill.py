"""A mad member in a real fleet: refused by all, and told of; nonsense that passes is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.drills.drill import Drill
from runtime.drills.faults import FAULTS
from runtime.drills.mad.__main__ import Madness, make_mad
from runtime.drills.mad.nonsense import NONSENSE
from runtime.drills.madness import refused_of
from runtime.drills.table import drill_lines
from runtime.inspection.follower import RunFollower
from runtime.messagelog.writer import MessageLog
from runtime.messaging.carrier import MachineCarrier
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve

COMMUNITY = Path(__file__).parents[2] / "runtime" / "drills" / "community.toml"


def test_a_mad_member_is_refused_by_all_and_told_of(tmp_path: Path) -> None:
    drill = Drill(resolve(COMMUNITY), tmp_path, seed=0, deadline_s=1.0)
    undisturbed = drill.run_undisturbed()
    case = drill.run_case(FAULTS["mad"], "operating")
    assert case.failures == []
    assert case.judgement is not None
    assert case.nonsense is not None
    assert case.nonsense.refused == case.nonsense.said > 300
    assert {each.split()[0] for each in case.judgement.missing} == {case.hit}
    assert case.judgement.ledger in ("equal", "by rule")
    assert f"{case.nonsense.said} of {case.nonsense.said}" in "\n".join(drill_lines(undisturbed, [case]))
    run = RunDirectory(tmp_path / "mad-operating")
    follower = RunFollower(run.path, run.logs_dir)
    follower.look(60.0)
    state = json.loads(json.dumps(follower.snapshot(), allow_nan=False))
    assert state["alarm_count"] > 300
    assert any(f"to {case.hit}, refuse: " in alarm["text"] for alarm in state["alarms"])


def refused(tmp_path: Path) -> list[str]:
    """What passed of three pieces of nonsense, of which two were refused."""
    mad, coordinator = "m1@x", "coordinator@x"
    with MessageLog.open(tmp_path / "m1.jsonl", "m1") as log:
        said = [["mad-1", coordinator, "NaN"], ["mad-2", coordinator, "a join"], ["", coordinator, "no form"]]
        log.append_event(NONSENSE, {"said": said})
    with MessageLog.open(tmp_path / "coordinator.jsonl", "coordinator") as log:
        no = Envelope(coordinator, mad, Performative.REFUSE, "market", "s", "1", "{}", in_reply_to="mad-1")
        log.append_out(no)
        log.append_event("malformed", {"sender": mad, "reason": "no form"})
    told = refused_of(tmp_path, "m1")
    assert (told.said, told.refused) == (3, 2)
    return told.passed


def test_nonsense_that_nobody_refused_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path) == ['coordinator did not refuse "mad-2": a join']


def test_only_the_mad_member_is_mad_and_only_while_its_flag_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Envelope] = []
    monkeypatch.setattr(MachineCarrier, "_send", lambda _, envelopes: sent.extend(envelopes))
    flag = tmp_path / "on"
    make_mad(Madness(member="m1", others=("m0",), coordinators=("coordinator",), flag=flag))
    body = '{"type":"position","session":0,"round":1,"grid_import_kwh":[1.0],"grid_export_kwh":[0.0]}'
    answer = Envelope("m1@x", "coordinator@x", Performative.PROPOSE, "market", "session-0", "4", body)
    for local_part in ("m0", "m1"):
        carrier = MachineCarrier()
        carrier.local_part = local_part
        carrier._send([answer])
    assert sent == [answer] * 2

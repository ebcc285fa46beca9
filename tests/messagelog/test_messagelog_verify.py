import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.messagelog.pairing import pair
from runtime.messagelog.reader import merge
from runtime.messagelog.verify import FindingKind, verify

BODY = {"type": "acknowledged"}


def kinds(run: Any) -> list[str]:
    return [str(finding.kind) for finding in verify(run.paths)]


def test_pair_lists_each_message_once_with_its_delay(run: Any) -> None:
    pairing = pair(merge(run.paths))
    assert [trace.envelope.message_id for trace in pairing.messages] == [f"m{n}" for n in range(1, 9)]
    assert [trace.delay_s for trace in pairing.messages] == [pytest.approx(0.002)] * 8
    assert pairing.agents == {"coordinator", "school", "office", "school.meter", "office.meter"}
    assert {(len(each.sent), len(each.received)) for each in pairing.messages} == {(1, 1)}


def test_pair_tells_resends_duplicates_and_losses(new_run: Any) -> None:
    run = new_run("bad")
    lost = run.envelope("school", "coordinator", "inform", BODY)
    again = run.envelope("school", "coordinator", "inform", BODY)
    twice = run.envelope("school", "coordinator", "inform", BODY)
    forged = run.envelope("school", "coordinator", "inform", BODY)
    for envelope, note in ((lost, None), (again, None), (again, "resent"), (twice, None)):
        run.log("school").append_out(envelope, note)
        run.wait(1)
    for envelope, note in (
        (again, None), (again, "duplicate"), (twice, None), (twice, None), (forged, None),
    ):  # fmt: skip
        run.log("coordinator").append_in(envelope, note)
    pairing = pair(merge(run.paths))
    assert [each.envelope for each in pairing.messages if not each.received] == [lost]
    assert [each.envelope for each in pairing.messages if len(each.effective) > 1] == [twice]
    assert [each.envelope for each in pairing.messages if not each.sent] == [forged]
    trace = pairing.messages[1]
    assert (trace.resends, len(trace.received), trace.notes) == (1, 2, ["resent", "duplicate"])
    assert trace.delay_s == pytest.approx(3)
    assert kinds(run) == ["not-received", "two-effects", "not-sent"]


def test_two_senders_may_use_one_id(new_run: Any) -> None:
    run = new_run("ids")
    run.say("school", "coordinator", "inform", BODY, message_id="1")
    run.say("office", "coordinator", "inform", BODY, message_id="1")
    assert len(pair(merge(run.paths)).messages) == 2
    assert kinds(run) == []


def test_a_good_run_has_no_findings(run: Any) -> None:
    assert verify(run.paths) == []


def test_resends_with_note_and_marked_duplicates_are_fine(new_run: Any) -> None:
    run = new_run("resent")
    envelope = run.say("school", "coordinator", "inform", BODY)
    run.log("school").append_out(envelope, "resent")
    run.log("coordinator").append_in(envelope, "duplicate: answered again")
    assert kinds(run) == []


def test_a_refused_message_has_been_received(new_run: Any) -> None:
    run = new_run("refused")
    envelope = run.envelope("school", "coordinator", "propose", BODY)
    run.log("school").append_out(envelope)
    run.log("coordinator").append_in(envelope, "refused: round 3 is over")
    assert kinds(run) == []


def test_unmarked_resend_is_found(new_run: Any) -> None:
    run = new_run("unmarked")
    envelope = run.say("school", "coordinator", "inform", BODY)
    run.log("school").append_out(envelope)
    assert kinds(run) == ["unmarked-resend"]


def test_message_whose_every_receipt_is_a_duplicate_is_found(new_run: Any) -> None:
    run = new_run("no-effect")
    envelope = run.envelope("school", "coordinator", "inform", BODY)
    run.log("school").append_out(envelope)
    run.log("coordinator").append_in(envelope, "duplicate")
    assert kinds(run) == ["no-effect"]


def test_a_message_changed_on_the_way_is_found_with_the_fields(new_run: Any) -> None:
    run = new_run("altered")
    sent = run.envelope("school", "coordinator", "inform", {"a": 1}, message_id="x")
    arrived = run.envelope("school", "coordinator", "inform", {"a": 2}, message_id="x", protocol="join")
    run.log("school").append_out(sent)
    run.wait(1)
    run.log("coordinator").append_in(arrived)
    (finding,) = verify(run.paths)
    assert finding.kind is FindingKind.ALTERED
    assert finding.text.endswith("record 1 of coordinator differs in protocol, body")


def test_message_in_a_strangers_log_is_found(new_run: Any) -> None:
    run = new_run("stranger")
    envelope = run.say("school", "coordinator", "inform", BODY)
    run.log("office").append_in(envelope, "duplicate")
    assert kinds(run) == ["wrong-log"]


def test_agents_without_log_are_named_once(run: Any) -> None:
    run.dir.log("school.meter").unlink()
    (finding,) = verify(run.paths)
    assert finding.kind is FindingKind.NO_LOG
    assert finding.text.startswith("school.meter@host: no log of it is here; 1 message to it and 1 from it")


def test_two_logs_of_one_agent_are_found(run: Any) -> None:
    shutil.copy(run.dir.log("office"), run.dir.log("copy"))
    assert FindingKind.SAME_AGENT in {finding.kind for finding in verify(run.paths)}


def test_an_empty_log_is_found(run: Any) -> None:
    run.dir.log("empty").write_bytes(b"")
    (finding,) = verify(run.paths)
    assert finding.text.endswith("empty.jsonl: is empty")


def test_cut_off_end_shows_in_the_other_ends_log(run: Any) -> None:
    path = run.dir.log("school")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert kinds(run) == ["not-received"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found_and_blamed_on_its_log_alone(run: Any, data: st.DataObject) -> None:
    path = run.dir.log(data.draw(st.sampled_from(["school", "coordinator", "office.meter"])))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    try:
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        (finding,) = verify(run.paths)
    finally:
        path.write_bytes(whole)
    assert finding.kind in (FindingKind.CHAIN, FindingKind.TORN)
    assert str(path) in finding.text
    assert verify(run.paths) == []


def test_a_wholly_rewritten_log_is_found_by_the_other_ends(run: Any, tmp_path: Path) -> None:
    """A forger who writes all hashes anew passes the chain, not the comparison with the others."""
    path = run.dir.log("school")
    from runtime.messagelog.reader import read_log
    from runtime.messagelog.writer import MessageLog
    from runtime.protocol.envelope import Envelope

    forged = tmp_path / "forged.jsonl"
    times = iter([record.at for record in read_log(path)])
    with MessageLog.open(forged, "school", now=lambda: next(times)) as log:
        for record in list(read_log(path))[1:]:
            envelope = record.envelope
            assert envelope is not None
            body = json.loads(envelope.body)
            if "grid_import_kwh" in body:
                body["grid_import_kwh"] = [0.0, 0.0]
            changed = {name: getattr(envelope, name) for name in Envelope.__dataclass_fields__}
            changed["body"] = json.dumps(body)
            (log.append_in if record.kind == "in" else log.append_out)(Envelope(**changed))
    forged.replace(path)
    assert kinds(run) == ["altered"]

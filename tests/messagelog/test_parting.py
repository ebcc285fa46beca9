"""What is not received as somebody had left is told, with when; what was lost before is a finding."""

import json
from typing import Any

import pytest

from runtime.cli.message_statistics import statistics_of, statistics_text
from runtime.inspection.index.query import MessageQuery
from runtime.inspection.index.store import open_index
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.record import EVENT_LEFT, instant_text
from runtime.messagelog.verify import check_logs

CLOSED = {"type": "session-closed", "session": 0, "amount_eur": "1.5", "last": True}
THANKS = {"type": "acknowledged"}


def leave(run: Any, agent: str) -> str:
    since = instant_text(run.now)
    run.wait(0.1)
    run.log(agent).append_event(EVENT_LEFT, {"since": since, "finished": True})
    return since


def judged(run: Any) -> tuple[list[str], list[str]]:
    checked = check_logs(run.paths, speakers=False)
    return [str(finding.kind) for finding in checked.findings], checked.undelivered


def test_what_was_sent_to_one_who_had_left_is_said_to_be_so(run: Any) -> None:
    since = leave(run, "school")
    run.wait(4)
    late = run.envelope("school.meter", "school", "confirm", THANKS)
    run.log("school.meter").append_out(late)
    at = instant_text(run.now)
    kinds, (text,) = judged(run)
    assert kinds == []
    assert text == (
        f"confirm 'm9' of {at} from school.meter@host to school@host: school@host had left at {since}"
    )
    run.wait(8)
    run.log("school.meter").append_out(late, "resent")
    assert judged(run) == (kinds, [text])


@pytest.mark.parametrize(("before_s", "found"), [(0.5, []), (1.5, ["not-received"])])
def test_what_was_sent_before_is_lost_unless_it_may_have_been_under_way(
    run: Any, before_s: float, found: list[str]
) -> None:
    lost = run.envelope("school.meter", "school", "confirm", THANKS)
    run.log("school.meter").append_out(lost)
    run.wait(before_s)
    leave(run, "school")
    run.wait(5)
    run.log("school.meter").append_out(lost, "resent")
    assert judged(run)[0] == found


def test_who_came_back_has_not_left(run: Any) -> None:
    leave(run, "school")
    run.wait(2)
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    run.log("school").append_event("log-continued", {"agent": "school", "format": 1})
    assert judged(run) == (["not-received"], [])


def test_who_said_something_after_it_has_not_left(run: Any) -> None:
    leave(run, "school")
    run.wait(2)
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    run.say("school", "coordinator", "confirm", THANKS)
    assert judged(run) == (["not-received"], [])


@pytest.mark.parametrize("since", ["yesterday", 7, None, "2026-06-01T10:00:00"])
def test_who_does_not_say_when_it_left_has_not_left(run: Any, since: object) -> None:
    run.log("school").append_event(EVENT_LEFT, {"since": since})
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    assert judged(run) == (["not-received"], [])


def last_word(run: Any, *again_s: float, leaves: bool = True) -> tuple[list[str], list[str]]:
    """A member's confirmation of the close is lost; the coordinator asks again so long after it left."""
    asked = run.say("coordinator", "school", "inform", CLOSED, expects_reply=True)
    confirm = run.envelope("school", "coordinator", "confirm", THANKS, in_reply_to=asked.message_id)
    run.log("school").append_out(confirm)
    left = run.now
    if leaves:
        leave(run, "school")
    for seconds in again_s:
        run.wait(seconds - (run.now - left).total_seconds())
        run.log("coordinator").append_out(asked, "resent")
    return judged(run)


def test_a_last_answer_that_was_lost_is_said_to_be_so_where_nobody_was_there_to_repeat_it(run: Any) -> None:
    kinds, texts = last_word(run, 2, 6)
    assert kinds == []
    (text,) = texts
    assert "school@host to coordinator@host: lost on the way; school@host, who could have repeated it" in text


def test_it_is_a_finding_where_nobody_asked_again_or_its_sender_was_still_there(run: Any) -> None:
    assert last_word(run) == (["not-received"], [])


def test_it_is_a_finding_where_its_sender_has_not_left(run: Any) -> None:
    assert last_word(run, 2, leaves=False) == (["not-received"], [])


def test_it_is_a_finding_where_it_was_asked_for_again_before_its_sender_left(run: Any) -> None:
    asked = run.say("coordinator", "school", "inform", CLOSED, expects_reply=True)
    confirm = run.envelope("school", "coordinator", "confirm", THANKS, in_reply_to=asked.message_id)
    run.log("school").append_out(confirm)
    run.wait(2)
    run.log("coordinator").append_out(asked, "resent")
    run.wait(2)
    leave(run, "school")
    run.wait(2)
    run.log("coordinator").append_out(asked, "resent")
    assert judged(run) == (["not-received"], [])


def test_the_command_tells_them_and_the_run_is_proven_all_the_same(run: Any) -> None:
    from runtime.cli.verify import _undelivered_lines
    from runtime.inspection.proof import Verdict

    leave(run, "school")
    run.wait(2)
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    verdict = Verdict([], 0, check_logs(run.paths), None)
    assert verdict.proven
    heading, line = _undelivered_lines(verdict)
    assert heading == "    but for 1 message, as somebody had left by then:"
    assert line.startswith("      confirm 'm9' of 2026-06-01")
    assert json.loads(json.dumps(verdict.as_json()))["undelivered"] == verdict.logs.undelivered


# -- counted ---------------------------------------------------------------------------------------------


def not_received(run: Any) -> tuple[int, int, int]:
    """How many messages ``messages --stats`` counts: lost, parted, to who has no log."""
    with MessageQuery(open_index(run.dir.logs_dir, lambda *_: None)) as query:
        counts = statistics_of(query.messages(MessageFilter()), query)
    return counts.not_received, counts.had_left, counts.without_log


def test_statistics_tell_apart_what_was_sent_to_one_who_had_left(run: Any) -> None:
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    run.wait(5)
    leave(run, "school")
    run.wait(5)
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    run.log("school.meter").append_out(run.envelope("school.meter", "nobody", "confirm", THANKS))
    assert not_received(run) == (1, 1, 1)
    run.log("school").append_event("log-continued", {"agent": "school", "format": 1})
    assert not_received(run) == (2, 0, 1)


@pytest.mark.parametrize(
    ("again_s", "leaves", "counted"),
    [((2, 6), True, (0, 1, 0)), ((), True, (1, 0, 0)), ((2,), False, (1, 0, 0))],
)
def test_statistics_agree_about_last_answers_that_were_lost(
    run: Any, again_s: tuple[int, ...], leaves: bool, counted: tuple[int, int, int]
) -> None:
    kinds, texts = last_word(run, *again_s, leaves=leaves)
    assert not_received(run) == counted
    assert (len(kinds), len(texts)) == counted[:2]


def test_statistics_say_it_in_words(run: Any) -> None:
    leave(run, "school")
    run.wait(4)
    run.log("school.meter").append_out(run.envelope("school.meter", "school", "confirm", THANKS))
    run.log("school.meter").append_out(run.envelope("school.meter", "nobody", "confirm", THANKS))
    with MessageQuery(open_index(run.dir.logs_dir, lambda *_: None)) as query:
        lines = statistics_text(statistics_of(query.messages(MessageFilter()), query)).splitlines()
    assert lines[:3] == [
        "10 messages; 0 resends, 0 duplicates, 0 not received",
        "1 more not received, as somebody had left by then",
        "1 to agents whose logs are not here",
    ]

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import LogError
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.reader import follow, in_order_of_time, merge, read_log
from runtime.messagelog.record import EVENT_OPENED, LogRecord, RecordKind


def ids(records: Any) -> list[str]:
    return [record.envelope.message_id for record in records if record.envelope]


def event(agent: str, seq: int, at: str) -> LogRecord:
    return LogRecord(agent, seq, at, RecordKind.EVENT, None, None, "e", {}, "", "")


def test_read_log_gives_the_agents_own_account(run: Any) -> None:
    records = list(read_log(run.dir.log("school")))
    assert {record.agent for record in records} == {"school"}
    assert [str(record.kind) for record in records] == ["event", "in", "out", "out", "in"]
    assert ids(records) == ["m1", "m2", "m5", "m6"]


def test_unchecked_hashes_let_a_changed_body_pass_and_checked_ones_do_not(run: Any) -> None:
    path = run.dir.log("school")
    path.write_bytes(path.read_bytes().replace(b"1.5", b"9.5"))
    assert len(list(read_log(path, check_hashes=False))) == 5
    with pytest.raises(LogError, match=r"school\.jsonl, line 3: its hash does not match"):
        list(read_log(path))


def test_a_line_being_written_is_left_out(run: Any) -> None:
    path = run.dir.log("school")
    path.write_bytes(path.read_bytes()[:-30])
    assert ids(read_log(path)) == ["m1", "m2", "m5"]


def test_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"none\.jsonl: cannot read"):
        list(read_log(tmp_path / "none.jsonl"))


def test_records_longer_than_a_block_are_read(new_run: Any) -> None:
    run = new_run("long")
    for _ in range(3):
        run.say("school", "coordinator", "inform", {"text": "x" * 190_000})
    assert ids(read_log(run.dir.log("school"))) == ["m1", "m2", "m3"]


def test_merge_is_in_order_of_time(run: Any) -> None:
    records = list(merge(run.paths))
    assert len(records) == 16 + 5
    assert [r.at for r in records] == sorted(r.at for r in records)
    assert ids(records) == [f"m{n}" for n in range(1, 9) for _ in range(2)]


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=4))
def test_merge_keeps_each_logs_order_when_clocks_go_back(clocks: list[list[int]]) -> None:
    logs = [
        [event(f"a{place}", seq, f"2026-06-01T10:00:0{second}.000000Z") for seq, second in enumerate(seconds)]
        for place, seconds in enumerate(clocks)
    ]
    merged = list(in_order_of_time(logs))
    for place, log in enumerate(logs):
        assert [record for record in merged if record.agent == f"a{place}"] == log
    if all(seconds == sorted(seconds) for seconds in clocks):
        assert merged == sorted(itertools.chain(*logs), key=lambda record: record.at)


def test_follow_yields_growth_new_logs_and_half_lines_once_whole(new_run: Any) -> None:
    run = new_run("live")
    met: list[tuple[str, Any]] = []
    half: list[bytes] = []

    def first_messages() -> None:
        run.log("school").append_event("awake", {})

    def a_new_agent() -> None:
        run.log("school").append_event("again", {})
        run.wait(1)
        run.log("office").append_event("hello", {})

    def half_a_line() -> None:
        path = run.dir.log("school")
        before = path.read_bytes()
        run.log("school").append_event("slow", {})
        half.append(path.read_bytes())
        path.write_bytes(half[0][: len(before) + 9])

    def the_other_half() -> None:
        run.dir.log("school").write_bytes(half[0])

    steps = iter([first_messages, a_new_agent, half_a_line, the_other_half])
    told = [False]

    def sleep(_: float) -> None:
        met.append(("slept", None))
        step = next(steps, None)
        if step is None:
            told[0] = True
        else:
            step()

    met += [(r.agent, r.name) for r in follow(run.dir.logs_dir, lambda: told[0], sleep=sleep)]
    assert [entry for entry in met if entry[0] != "slept"] == [
        ("school", EVENT_OPENED),
        ("school", "awake"),
        ("school", "again"),
        ("office", EVENT_OPENED),
        ("office", "hello"),
        ("school", "slow"),
    ]
    assert met.count(("slept", None)) == 5


def test_follow_yields_what_is_there_when_told_to_end_at_once(run: Any) -> None:
    paths = [run.dir.log("school"), run.dir.log("not-yet")]
    assert ids(follow(paths, lambda: True)) == ["m1", "m2", "m5", "m6"]


def test_follow_refuses_a_log_that_was_cut(run: Any) -> None:
    path = run.dir.log("school")

    def cut(_: float) -> None:
        path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(LogError, match=r"school\.jsonl: became shorter"):
        list(follow([path], lambda: False, sleep=cut))


CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ({"agent": "school"}, [1, 2, 5, 6]),
    ({"agent": "school@host"}, [1, 2, 5, 6]),
    ({"agent": "school", "peer": "coordinator"}, [1, 2]),
    ({"peer": "coordinator"}, [1, 2, 3, 4]),
    ({"agent": "school", "direction": "out"}, [2, 5]),
    ({"agent": "school", "direction": "in"}, [1, 6]),
    ({"agent": "school", "peer": "coordinator", "direction": "in"}, [1]),
    ({"performative": "propose"}, [2, 4]),
    ({"protocol": "metering"}, [5, 6, 7, 8]),
    ({"body_type": "position"}, [2, 4]),
    ({"session": "1"}, [1, 2, 3, 4, 5, 7]),
    ({"session": "session-0"}, [1, 2, 3, 4]),
    ({"session": "None"}, []),
    ({"round": 3}, [1, 2, 3, 4]),
    ({"round": 0}, []),
    ({"slot": 7}, [5, 7]),
    ({"text": "OFFICE.meter"}, [7, 8]),
    ({"text": "0.25"}, [2, 4]),
    ({"since": "2026-06-01T10:00:03.000000Z"}, [4, 5, 6, 7, 8]),
    ({"until": "2026-06-01T10:00:03.000000Z"}, [1, 2, 3]),
]


@pytest.mark.parametrize(("criteria", "expected"), CASES, ids=lambda case: str(case))
def test_filter_chooses_messages(run: Any, criteria: dict[str, Any], expected: list[int]) -> None:
    chosen = MessageFilter(**criteria)
    messages = [(r.envelope, r.at) for r in merge(run.paths) if r.kind is RecordKind.OUT and r.envelope]
    assert [e.message_id for e, at in messages if chosen.accepts(e, at)] == [f"m{n}" for n in expected]


def chosen_records(run: Any, **criteria: Any) -> Iterator[str]:
    chosen = MessageFilter(**criteria)
    for record in merge(run.paths):
        if chosen.accepts_record(record):
            yield f"{record.agent}:{record.envelope.message_id if record.envelope else record.name}"


def test_filter_chooses_records_as_seen_by_the_logs_agent(run: Any) -> None:
    assert list(chosen_records(run, agent="school", direction="in")) == ["school:m1", "school:m6"]
    assert list(chosen_records(run, agent="school", peer="school.meter")) == ["school:m5", "school:m6"]
    assert list(chosen_records(run, peer="coordinator", round=3)) == [
        "school:m1", "school:m2", "office:m3", "office:m4",
    ]  # fmt: skip


def test_filter_shows_events_unless_only_messages_can_match(run: Any) -> None:
    run.log("school").append_event("restarted", {"why": "Crash"})
    assert list(chosen_records(run, agent="school", text="crash")) == ["school:restarted"]
    assert "school:restarted" in chosen_records(run, agent="school@host")
    assert "school:restarted" not in chosen_records(run, agent="office")
    assert "school:restarted" not in chosen_records(run, round=3)

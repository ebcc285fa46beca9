"""``messages --follow`` asks the index for what there is, and the logs only for what comes."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from runtime.cli.message_rows import EventRow, Row
from runtime.cli.messages import _rows_from_now_on
from runtime.inspection.index.store import INDEX_NAME
from runtime.messagelog import chain
from runtime.messagelog.filters import MessageFilter


def shown(row: Row) -> tuple[str, ...]:
    if isinstance(row, EventRow):
        return ("event", row.record.name or "")
    place = "" if row.facts.round is None else f"round {row.facts.round}"
    return (row.envelope.message_id, place, "; ".join(row.notes))


def test_what_was_there_is_shown_once_and_what_comes_in_its_light(run: Any) -> None:
    asked = run.say("coordinator", "school", "accept-proposal", {"type": "agreement", "round": 4})
    on_its_way = run.envelope("school", "coordinator", "inform", {"type": "delivery", "slot": 1})
    run.log("school").append_out(on_its_way)
    rows = _rows_from_now_on(run.dir.logs_dir, MessageFilter(), events=False)
    there = [shown(row)[0] for row in itertools.islice(rows, 10)]
    assert there == [f"m{number}" for number in range(1, 11)]
    assert (run.dir.logs_dir / INDEX_NAME).is_file()
    run.log("coordinator").append_in(on_its_way)
    run.wait(1)
    body = {"type": "acknowledged"}
    answer = run.say("school", "coordinator", "confirm", body, in_reply_to=asked.message_id)
    run.log("school").append_out(on_its_way, "resent")
    assert [shown(next(rows)) for _ in range(2)] == [
        (answer.message_id, "round 4", ""),
        (on_its_way.message_id, "", "resent"),
    ]


def test_no_line_that_was_indexed_is_read_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows_from_now_on(run.dir.logs_dir, MessageFilter(agent="office"), events=True)
    while shown(next(rows))[0] != "m8":
        pass
    read: list[bytes] = []
    feed = chain.ChainCheck.feed

    def noted(self: chain.ChainCheck, line: bytes) -> Any:
        read.append(line)
        return feed(self, line)

    monkeypatch.setattr(chain.ChainCheck, "feed", noted)
    run.log("office").append_event("log-continued", {})
    assert shown(next(rows)) == ("event", "log-continued")
    assert [json.loads(line)["kind"] for line in read] == ["event"]


def test_a_run_that_has_no_log_yet(new_run: Any) -> None:
    run = new_run("empty")
    rows = _rows_from_now_on(Path(run.dir.logs_dir), MessageFilter(), events=False)
    said = run.envelope("school", "coordinator", "inform", {"type": "delivery", "slot": 1})
    run.dir.logs_dir.mkdir(parents=True)
    generator = iter(rows)
    run.log("school").append_out(said)
    assert shown(next(generator))[0] == said.message_id

"""The newest messages: the same whether logs are indexed, were once, or have grown since."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import LogError
from runtime.inspection import history
from runtime.inspection.history import MessageHistory, Page
from runtime.inspection.index.as_left import open_index_as_left
from runtime.inspection.index.store import INDEX_NAME, open_index
from runtime.inspection.tail import written_at
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.reader import log_paths
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

FILTERS = [
    MessageFilter(),
    MessageFilter(agent="m2", body_type="delivery"),
    MessageFilter(agent="coordinator", performative="cfp"),
    MessageFilter(session="1", slot=3),
    MessageFilter(text="metering-ended"),
    MessageFilter(text="no such text"),
    MessageFilter(agent="nobody"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    community = Community(seed=11, members=5, slots=8, sessions=2)
    return leave_behind(community, tmp_path_factory.mktemp("run") / "village").logs_dir


@pytest.fixture
def logs(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "logs"))


def cut(logs: Path, whole: Path, share: float) -> None:
    """Logs as they were when a share of all lines had been written, and half of each log's next."""
    written = {path: path.read_bytes().splitlines(keepends=True) for path in log_paths(whole)}
    instants = sorted(written_at(line) for lines in written.values() for line in lines)
    until = instants[int(share * len(instants))] if share < 1 else "9"
    for path, lines in written.items():
        there = [line for line in lines if written_at(line) < until]
        torn = lines[len(there)][:40] if there and len(there) < len(lines) else b""
        (logs / path.name).write_bytes(b"".join(there) + torn)


def index(logs: Path) -> None:
    open_index(logs, lambda *_: None).close()


def pages(logs: Path, criteria: MessageFilter, limit: int, **more: Any) -> Iterator[Page]:
    before = ""
    looking = MessageHistory(logs)
    while True:
        page = looking.page(criteria, limit=limit, before=before, **more)
        yield page
        if page.complete:
            return
        before = page.reached


def listed(logs: Path, criteria: MessageFilter, limit: int = 10_000) -> list[dict[str, Any]]:
    return [row for page in pages(logs, criteria, limit) for row in page.rows]


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["at"], row["from"], row["id"]) for row in rows]


@pytest.fixture(params=["no index", "whole index", "index of a part", "index of less"])
def prepared(request: pytest.FixtureRequest, logs: Path, whole: Path) -> Path:
    share = {"no index": 0.0, "whole index": 1.0, "index of a part": 0.7, "index of less": 0.2}[request.param]
    if share:
        cut(logs, whole, share)
        index(logs)
        cut(logs, whole, 1.0)
    return logs


@pytest.mark.parametrize("criteria", FILTERS)
@pytest.mark.parametrize("limit", [3, 1000])
def test_every_message_is_listed_once_the_newest_first(
    prepared: Path, criteria: MessageFilter, limit: int
) -> None:
    rows = listed(prepared, criteria, limit)
    assert len(set(keys(rows))) == len(rows)
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    expected = 0
    for path in log_paths(prepared):
        for line in path.read_bytes().splitlines():
            sent = b'"kind":"out"' in line[:90]
            if criteria == MessageFilter():
                expected += sent
            elif criteria.text is not None:
                expected += sent and criteria.text.encode() in line
            elif criteria.body_type is not None:
                expected += sent and b'"from":"m2@' in line and b'\\"type\\":\\"delivery\\"' in line
            elif criteria.performative is not None:
                expected += sent and b'"performative":"cfp"' in line
    if criteria.slot is None:
        assert len(rows) == expected
    else:
        assert {row["slot"] for row in rows} == {3}


def test_pages_are_of_the_length_that_was_asked_for(prepared: Path) -> None:
    found = list(pages(prepared, MessageFilter(agent="m2", body_type="delivery"), 5))
    rows = [row for page in found for row in page.rows]
    assert [len(page.rows) for page in found] == [5, 5, 5, 1]
    assert [(row["session"], row["slot"]) for row in rows] == [
        (s, n) for s in (1, 0) for n in range(7, -1, -1)
    ]


def test_what_is_newer_than_what_is_known(prepared: Path) -> None:
    everything = listed(prepared, MessageFilter())
    for place in (0, 1, 17, len(everything) - 1):
        page = MessageHistory(prepared).page(MessageFilter(), limit=10_000, after=everything[place]["at"])
        assert page.complete
        assert keys(page.rows) == keys(everything[:place])


def test_an_agents_messages_are_all_that_it_has_to_do_with(prepared: Path, whole: Path) -> None:
    rows = listed(prepared, MessageFilter(agent="m2"))
    lines = (whole / "m2.jsonl").read_bytes().splitlines()
    assert len(rows) == sum(b'"kind":"event"' not in line for line in lines)
    assert {row["to"] for row in rows} == {"m2", "m2.meter", "coordinator"}


def test_a_search_whose_time_is_up_goes_on_where_it_was(prepared: Path) -> None:
    found, before, looks = [], "", 0
    looking = MessageHistory(prepared)
    while True:
        budget_s = 0.0 if looks < 3 else 60
        page = looking.page(MessageFilter(text="join"), limit=100, before=before, budget_s=budget_s)
        found += page.rows
        looks += 1
        if page.complete:
            break
        before = page.reached
    assert looks > 1
    assert [row["type"] for row in found].count("join") == 5


def test_messages_of_one_microsecond_are_on_one_page(tmp_path: Path) -> None:
    now = "2026-06-01T10:00:00.000125Z"
    with MessageLog.open(tmp_path / "m0.jsonl", "m0", now=lambda: now) as log:
        for number in range(7):
            log.append_out(
                Envelope("m0@h", "m1@h", Performative.INFORM, "market", "session-0", str(number), "{}")
            )
    assert [len(page.rows) for page in pages(tmp_path, MessageFilter(), 3)] == [7]
    index(tmp_path)
    assert [len(page.rows) for page in pages(tmp_path, MessageFilter(), 3)] == [7]


def test_notes_are_told(tmp_path: Path) -> None:
    said = Envelope("m0@h", "m1@h", Performative.INFORM, "market", "session-0", "1", "{}")
    with MessageLog.open(tmp_path / "m0.jsonl", "m0") as log:
        log.append_out(said)
        log.append_out(said, "resent")
    with MessageLog.open(tmp_path / "m1.jsonl", "m1") as log:
        log.append_in(said, "refused: the round is over")
    told = {row["note"] for row in listed(tmp_path, MessageFilter())}
    assert told == {None, "resent", "refused: the round is over"}
    index(tmp_path)
    assert [row["note"] for row in listed(tmp_path, MessageFilter())] == [
        "resent; refused: the round is over"
    ]


def test_a_message_that_was_changed_since_is_not_shown(logs: Path) -> None:
    index(logs)
    path = logs / "m2.jsonl"
    data, stat = path.read_bytes(), path.stat()
    path.write_bytes(data.replace(b"metered", b"m-tered"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(LogError, match=r"m2\.jsonl, byte \d+: its hash does not match"):
        listed(logs, MessageFilter(agent="m2", body_type="delivery"))


# -- keeping the index up to date ----------------------------------------------------------------------


def waited(condition: Callable[[], bool]) -> bool:
    ends_s = time.monotonic() + 60
    while not condition() and time.monotonic() < ends_s:
        time.sleep(0.05)
    return condition()


def indexed_bytes(logs: Path) -> int:
    store = open_index_as_left(logs)
    if store is None:
        return 0
    try:
        return sum(state.read_bytes for state in store.states)
    finally:
        store.close()


def test_much_that_is_new_is_indexed_beside(logs: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MUCH_BYTES", 20_000)
    monkeypatch.setattr(history, "MUCH_SHARE", 0.5)
    cut(logs, whole, 0.3)
    looking = MessageHistory(logs)
    expected = keys(looking.page(MessageFilter(), limit=10_000).rows)
    begun = looking._indexing
    assert begun is not None
    assert begun.wait(60) == 0
    whole_lines = sum(path.read_bytes().rfind(b"\n") + 1 for path in log_paths(logs))
    assert indexed_bytes(logs) == whole_lines
    assert keys(looking.page(MessageFilter(), limit=10_000).rows) == expected
    cut(logs, whole, 0.31)
    looking.page(MessageFilter(), limit=1)
    assert looking._indexing is None  # too little to be worth it
    cut(logs, whole, 1.0)
    looking.page(MessageFilter(), limit=1)
    assert waited(lambda: indexed_bytes(logs) == sum(path.stat().st_size for path in log_paths(whole)))
    looking.close()


def test_what_cannot_be_indexed_is_not_tried_again_and_again(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MUCH_BYTES", 20_000)
    path = logs / "m2.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))
    looking = MessageHistory(logs)
    looking.page(MessageFilter(), limit=1)
    begun = looking._indexing
    assert begun is not None
    assert begun.wait(60) == 1
    looking.page(MessageFilter(), limit=1)
    assert looking._indexing is None
    looking.close()


def test_an_index_under_way_is_ended_with_the_rest(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MUCH_BYTES", 1)
    looking = MessageHistory(logs)
    looking.page(MessageFilter(), limit=1)
    begun = looking._indexing
    assert begun is not None
    looking.close()
    assert begun.returncode is not None


def test_an_index_that_is_none_or_of_other_logs_is_not_asked(logs: Path, whole: Path) -> None:
    index(logs)
    expected = keys(listed(logs, MessageFilter()))
    (logs / INDEX_NAME).write_bytes(b"nothing of an index" * 500)
    assert open_index_as_left(logs) is None
    assert keys(listed(logs, MessageFilter())) == expected
    (logs / INDEX_NAME).unlink()
    index(logs)
    (logs / "m2.jsonl").unlink()
    assert open_index_as_left(logs) is None

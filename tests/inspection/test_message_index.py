"""The index of message logs gives what pairing all records gives, however the logs grew."""

import itertools
import json
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runtime.errors import LogError
from runtime.inspection.index import build, ngrams
from runtime.inspection.index.lines import at_number, at_text, body_place, message_line
from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.inspection.index.store import INDEX_NAME, TEXT_NAME, open_index
from runtime.messagelog.facts import ConversationFacts, body_facts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.pairing import pair
from runtime.messagelog.reader import log_paths, merge
from runtime.messagelog.record import RecordKind, encode_message, instant_text
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative

AGENTS = ["coordinator", "school", "school.meter", "office"]
WORDS = ["Ein Öl-Fass", 'naïve "quoted"', "back\\slash", "0.123456789", "tab\there", "plain words", "{}"]


class Talk:
    """Random talk, logged by agents some of whom have no log; their clocks differ."""

    def __init__(self, folder: Path, seed: int, logged: list[str]) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.now = datetime(2026, 6, 1, 10, tzinfo=UTC)
        self.logs = {
            name: MessageLog.open(folder / f"{name}.jsonl", name, now=self._clock(number))
            for number, name in enumerate(logged)
        }
        self.ids = itertools.count(1)
        self.said: list[Envelope] = []
        self.held: list[Envelope] = []
        self.heard: list[Envelope] = []

    def _clock(self, skew_ms: int) -> Callable[[], str]:
        return lambda: instant_text(self.now + timedelta(milliseconds=4 * skew_ms))

    def out(self, envelope: Envelope, note: str | None = None) -> None:
        if (log := self.logs.get(envelope.sender.partition("@")[0])) is not None:
            log.append_out(envelope, note)

    def into(self, envelope: Envelope, note: str | None = None) -> None:
        self.heard.append(envelope)
        if (log := self.logs.get(envelope.recipient.partition("@")[0])) is not None:
            log.append_in(envelope, note)

    def go_on(self, steps: int) -> None:
        rng = self.rng
        for _ in range(steps):
            self.now += timedelta(milliseconds=rng.randint(1, 9))
            chance = rng.random()
            if chance < 0.1 and self.said:
                again = rng.choice(self.said)
                self.out(again, "resent")
                self.into(again, "duplicate")
            elif chance < 0.2 and self.held:
                self.into(self.held.pop(rng.randrange(len(self.held))))
            elif chance < 0.25:
                self.logs[rng.choice(list(self.logs))].append_event("timer", {"name": rng.choice(WORDS)})
            else:
                self._say()

    def _say(self) -> None:
        rng = self.rng
        sender, recipient = rng.sample(AGENTS, 2)
        ends = (f"{recipient}@host", f"{sender}@host")
        asked = next((e for e in self.heard[::-1] if (e.sender, e.recipient) == ends), None)
        body: Any = {"type": rng.choice(["position", "reading", "acknowledged"]), "text": rng.choice(WORDS)}
        for name, most in (("session", 1), ("round", 3), ("slot", 5)):
            if rng.random() < 0.3:
                body[name] = rng.randint(0, most)
        envelope = Envelope(
            sender=f"{sender}@host",
            recipient=f"{recipient}@host",
            performative=rng.choice(list(Performative)),
            protocol=rng.choice(["market", "metering"]),
            conversation=rng.choice(["session-0", "session-1", "m"]),
            message_id=str(next(self.ids)),
            body=rng.choice([json.dumps(body), json.dumps(body, ensure_ascii=False), "no JSON: Öl"]),
            in_reply_to=asked.message_id if asked is not None and rng.random() < 0.5 else None,
        )
        self.said.append(envelope)
        self.out(envelope)
        if rng.random() < 0.8:
            self.into(envelope)
        else:
            self.held.append(envelope)

    def close(self) -> None:
        for log in self.logs.values():
            log.close()


def expected(folder: Path, criteria: MessageFilter) -> list[tuple[Any, ...]]:
    """All messages that a filter lets through, by pairing all records in memory."""
    conversation = ConversationFacts()
    messages = pair(merge(log_paths(folder))).messages
    known = {}
    for trace in sorted(messages, key=lambda message: int(message.envelope.message_id)):
        known[trace.envelope.message_id] = conversation.of(trace.envelope)
    found = []
    for trace in messages:
        facts = known[trace.envelope.message_id]
        if criteria.accepts(trace.envelope, trace.at, facts):
            sent = [(seen.agent, seen.seq, seen.at, seen.note) for seen in trace.sent]
            received = [(seen.agent, seen.seq, seen.at, seen.note) for seen in trace.received]
            found.append(
                (trace.at, trace.envelope, facts.type, facts.session, facts.round, facts.slot,
                 sorted(sent), sorted(received))
            )  # fmt: skip
    return sorted(found, key=lambda row: (row[0], row[1].sender, row[1].message_id))


def indexed(folder: Path, criteria: MessageFilter) -> list[tuple[Any, ...]]:
    def row(one: IndexedMessage, envelope: Envelope) -> tuple[Any, ...]:
        sent = [(seen.agent, seen.seq, seen.at, seen.note) for seen in one.sent]
        received = [(seen.agent, seen.seq, seen.at, seen.note) for seen in one.received]
        return (
            one.at, envelope, one.type, one.session, one.round, one.slot, sorted(sent), sorted(received),
        )  # fmt: skip

    with MessageQuery(open_index(folder, lambda *_: None)) as query:
        rows = [row(one, envelope) for one, envelope in query.matching(criteria)]
    assert [at for at, *_ in rows] == sorted(at for at, *_ in rows)
    return sorted(rows, key=lambda row: (row[0], row[1].sender, row[1].message_id))


FILTERS = [
    MessageFilter(),
    MessageFilter(agent="school"),
    MessageFilter(agent="school", direction="in"),
    MessageFilter(agent="school@host", peer="office"),
    MessageFilter(peer="coordinator"),
    MessageFilter(performative="inform", protocol="market"),
    MessageFilter(body_type="reading", round=2),
    MessageFilter(session="1"),
    MessageFilter(session="session-1", slot=3),
    MessageFilter(since="2026-06-01T10:00:00.200000Z", until="2026-06-01T10:00:00.400000Z"),
    *(
        MessageFilter(text=word)
        for word in ("öl", 'QUOTED\\"', "naïve", "3456", "slash", "k\\th", "session-1")
    ),
    MessageFilter(text="in no message", agent="school"),
    MessageFilter(agent="nobody"),
]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    logged=st.sampled_from([AGENTS, AGENTS[:2], AGENTS[1:2], AGENTS[::-1]]),
    parts=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    window=st.sampled_from([2, 20_000]),
)
@example(seed=0, logged=AGENTS[:2], parts=[32, 60, 24], window=2)  # a duplicate, then the message itself
def test_any_filter_gives_what_pairing_all_records_gives(
    tmp_path_factory: pytest.TempPathFactory, seed: int, logged: list[str], parts: list[int], window: int
) -> None:
    """Also when the logs were indexed as they grew, and receipts come late or before their sending."""
    folder = tmp_path_factory.mktemp("logs")
    talk = Talk(folder, seed, logged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "WINDOW", window)
        patch.setattr(build, "BLOCK_BYTES", 500)
        for steps in parts:
            talk.go_on(steps)
            indexed(folder, MessageFilter())
        talk.close()
        for criteria in FILTERS:
            assert indexed(folder, criteria) == expected(folder, criteria), criteria


def told(folder: Path) -> list[int]:
    """Bytes that an opening of the index has to read."""
    sizes: list[int] = []
    open_index(folder, lambda size, _: sizes.append(size)).close()
    return sizes


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    talk = Talk(tmp_path / "logs", 5, AGENTS)
    talk.go_on(80)
    return talk


def test_only_what_is_new_is_read(talk: Talk) -> None:
    whole = sum(path.stat().st_size for path in log_paths(talk.folder))
    assert told(talk.folder) == [whole]
    assert told(talk.folder) == []
    talk.go_on(5)
    grown = sum(path.stat().st_size for path in log_paths(talk.folder))
    assert told(talk.folder) == [grown - whole]


def test_it_may_be_deleted_damaged_or_be_of_other_logs(talk: Talk, tmp_path: Path) -> None:
    wanted = indexed(talk.folder, MessageFilter())
    for name in (INDEX_NAME, TEXT_NAME):
        (talk.folder / name).unlink()
        assert indexed(talk.folder, MessageFilter()) == wanted
    (talk.folder / INDEX_NAME).write_bytes(b"nothing of an index" * 500)
    assert indexed(talk.folder, MessageFilter()) == wanted
    other = Talk(tmp_path / "other", 6, AGENTS)
    other.go_on(30)
    for name in (INDEX_NAME, TEXT_NAME):
        shutil.copy(talk.folder / name, other.folder / name)
    assert indexed(other.folder, MessageFilter()) == expected(other.folder, MessageFilter())
    (talk.folder / "office.jsonl").unlink()
    assert indexed(talk.folder, MessageFilter()) == expected(talk.folder, MessageFilter())


def test_many_passes_are_made_one(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.inspection.index.store.MOST_PASSES", 3)
    for _ in range(8):
        talk.go_on(3)
        assert indexed(talk.folder, MessageFilter()) == expected(talk.folder, MessageFilter())
    with MessageQuery(open_index(talk.folder, lambda *_: None)) as query:
        assert query._store.database.execute("SELECT COUNT(*) FROM passes").fetchone()[0] <= 4


def test_a_line_changed_after_it_was_indexed_is_not_shown(talk: Talk) -> None:
    talk.close()
    indexed(talk.folder, MessageFilter())
    path = talk.folder / "school.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"market"', b'"mbrket"', 1))
    with pytest.raises(LogError, match=r"school\.jsonl, line \d+: its hash does not match"):
        indexed(talk.folder, MessageFilter())


def test_a_line_changed_while_a_listing_runs_is_not_shown(talk: Talk) -> None:
    talk.close()
    with MessageQuery(open_index(talk.folder, lambda *_: None)) as query:
        found = next(query.messages(MessageFilter(agent="school", direction="out")))
        path = talk.folder / "school.jsonl"
        with path.open("r+b") as file:
            file.seek(found.offset + found.length // 2)
            file.write(b"#")
        with pytest.raises(LogError, match=r"school\.jsonl, byte \d+: "):
            query.envelope(found)


def test_logs_that_cannot_be_written_beside_are_indexed_elsewhere(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.inspection.index.store._writable", lambda folder: False)
    kept: list[bool] = []
    store = open_index(talk.folder, lambda _, is_kept: kept.append(is_kept))
    folder = store.text_path.parent
    assert (kept, folder != talk.folder, folder.is_dir()) == ([False], True, True)
    store.close()
    assert not folder.exists()
    assert not (talk.folder / INDEX_NAME).exists()


# -- its parts -----------------------------------------------------------------------------------------


@given(
    texts=st.lists(st.text(max_size=40), min_size=1, max_size=5),
    wanted=st.text(max_size=12),
    place=st.integers(0, 4),
)
def test_a_block_that_contains_a_text_is_never_left_out(
    texts: list[str], wanted: str, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts[place % len(texts)] += wanted
    lines = [json.dumps(json.dumps(text, ensure_ascii=False)).encode() for text in texts]
    path = tmp_path_factory.getbasetemp() / "bits"
    path.write_bytes(b"".join(ngrams.block_bits(line) for line in lines))
    found = ngrams.candidate_blocks(path, len(lines), json.dumps(wanted, ensure_ascii=False)[1:-1])
    assert found is None or place % len(texts) in found


def test_a_text_picks_its_block_among_many(tmp_path: Path) -> None:
    blocks = [f"block {number} says {number * number * 7919}".encode() for number in range(2000)]
    (tmp_path / "bits").write_bytes(b"".join(ngrams.block_bits(block) for block in blocks))
    assert list(ngrams.candidate_blocks(tmp_path / "bits", 2000, str(1234 * 1234 * 7919)) or []) == [1234]


@pytest.mark.parametrize(
    "body",
    [
        '{"type":"position","session":2,"round":7,"grid_import_kwh":[1.5]}',
        '{"type":"delivery","session":0,"slot":11}',
        '{"type":"position","session":2,"round":7.5,"slot":1}',
        '{"type":"position","session":2,"round":7,"type":"delivery"}',
        '{"type":"position","session":2,"said":"round","round":3}',
        '{"type":"position","session":2,"sl\\u006ft":3}',
        '{"type":"position","said":{"session":2}}',
        '{"type":"position","session":"2","slot":12345678901}',
        '{"type":"position","session":-1}',
        '{"type":"position","slot":4,"session":2}',
        '{"type": "position", "session": 2, "round": 7}',
        '{"type":"position"}',
        '{"type":["position"]}',
        "[]",
        "no JSON",
    ],
)
def test_a_bodys_place_is_what_a_parser_reads(body: str) -> None:
    envelope = Envelope("a@h", "b@h", Performative.INFORM, "market", "session-0", "1", body)
    line, _ = encode_message(7, "2026-06-01T10:00:00.000125Z", RecordKind.IN, envelope, None, "a" * 64)
    known = message_line(line[:-1])
    facts = body_facts(envelope)
    assert known is not None
    assert body_place(line[:-1], known) == (facts.type, facts.session, facts.round, facts.slot)


@given(at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_instants_as_numbers_come_back_and_sort_alike(at: datetime) -> None:
    text = instant_text(at.replace(tzinfo=UTC))
    assert at_text(at_number(text.encode())) == text
    assert at_number(text.encode()) < at_number(b"2099-12-31T23:59:59.999999Z") + 1


@given(
    name=st.text(max_size=10), body=st.text(max_size=30), note=st.none() | st.text(max_size=8),
    asked=st.none() | st.text(max_size=5), by=st.none() | st.text(max_size=5),
)  # fmt: skip
def test_a_line_is_read_as_the_writer_wrote_it(
    name: str, body: str, note: str | None, asked: str | None, by: str | None
) -> None:
    envelope = Envelope(name, name, Performative.INFORM, name, name, name, body, asked, True, by, "o")
    line, _ = encode_message(7, "2026-06-01T10:00:00.000125Z", RecordKind.IN, envelope, note, "a" * 64)
    known = message_line(line[:-1])
    assert known is not None
    assert json.loads(line[known.body_start : known.end]) == body
    assert (known.seq, known.sent) == (7, False)
    assert (known.note is None) == (note is None)
    assert json.loads(b'"' + known.message_id + b'"') == name

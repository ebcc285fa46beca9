import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.errors import LogError
from runtime.messagelog.record import EVENT_CONTINUED, EVENT_OPENED, EVENT_TORN_LINE, RecordKind
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative

texts = st.text(max_size=30)
envelopes = st.builds(
    Envelope,
    sender=texts,
    recipient=texts,
    performative=st.sampled_from(Performative),
    protocol=texts,
    conversation=texts,
    message_id=texts,
    body=st.text(max_size=200),
    in_reply_to=st.none() | texts,
    expects_reply=st.booleans(),
    reply_by=st.none() | texts,
    ontology=texts,
)
appends = st.lists(st.tuples(st.sampled_from(["in", "out"]), envelopes, st.none() | texts), max_size=6)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def message(message_id: str = "m1", body: str = '{"type":"acknowledged"}') -> Envelope:
    return Envelope("school@host", "coordinator@host", Performative.INFORM, "market", "s0", message_id, body)


def write_three(path: Path) -> bytes:
    with MessageLog.open(path, "school") as log:
        log.append_out(message("m1"))
        log.append_out(message("m2", '{"a":"\\u00e9\\n"}'), note="resent")
    return path.read_bytes()


@many
@given(appends=appends)
def test_what_is_appended_is_read_back_in_order(tmp_path: Path, appends: list) -> None:
    path = tmp_path / "school.jsonl"
    path.unlink(missing_ok=True)
    with MessageLog.open(path, "school") as log:
        for kind, envelope, note in appends:
            (log.append_in if kind == "in" else log.append_out)(envelope, note)
    with MessageLog.open(path, "school") as log:
        first, *rest = log.records()
    assert (first.name, first.data) == (EVENT_OPENED, {"agent": "school", "format": 1})
    assert [(r.kind, r.envelope, r.note) for r in rest] == [tuple(a) for a in appends]
    assert [r.seq for r in rest] == list(range(1, len(appends) + 1))
    assert {r.agent for r in (first, *rest)} == {"school"}


def test_lines_are_ascii_json_with_keys_in_fixed_order(tmp_path: Path) -> None:
    lines = write_three(tmp_path / "school.jsonl").decode("ascii").splitlines()
    assert list(json.loads(lines[1])) == [
        "seq", "at", "kind", "from", "to", "performative", "protocol", "conversation", "id", "re", "by",
        "expects_reply", "ontology", "body", "prev", "hash",
    ]  # fmt: skip
    assert json.loads(lines[2])["prev"] == json.loads(lines[1])["hash"]


def test_appends_return_their_place_and_are_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "school.jsonl"
    with MessageLog.open(path, "school", fsync=True) as log:
        assert [
            log.append_in(message()),
            log.append_out(message()),
            log.append_event("started", {"n": 1}),
        ] == [1, 2, 3]
        last = json.loads(path.read_bytes().splitlines()[-1])
        assert (last["name"], last["data"]) == ("started", {"n": 1})
        assert log.head == (4, last["hash"])


def test_records_gives_what_was_there_at_open_only(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    write_three(path)
    with MessageLog.open(path, "school") as log:
        log.append_out(message("m3"))
        assert [r.envelope.message_id for r in log.records() if r.envelope] == ["m1", "m2"]
    with MessageLog.open(path, "school") as log:
        records = list(log.records())
    assert [r.envelope.message_id for r in records if r.envelope] == ["m1", "m2", "m3"]
    assert [r.name for r in records if r.kind is RecordKind.EVENT] == [EVENT_OPENED, EVENT_CONTINUED]


def test_torn_last_line_is_cut_at_every_byte_and_kept_as_event(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    whole = write_three(path)
    start_of_last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for end in range(start_of_last + 1, len(whole)):
        path.write_bytes(whole[:end])
        with MessageLog.open(path, "school") as log:
            assert [r.seq for r in log.records()] == [0, 1]
            log.append_out(message("m3"))
        with MessageLog.open(path, "school") as log:
            *_, continued, torn, added = log.records()
        assert continued.name == EVENT_CONTINUED
        assert (torn.name, torn.data) == (
            EVENT_TORN_LINE,
            {"bytes": end - start_of_last, "text": whole[start_of_last:end].decode()},
        )
        assert added.envelope == message("m3")


def test_torn_first_line_leaves_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    path.write_bytes(write_three(path)[:20] + b"\x00\xff")
    with MessageLog.open(path, "school") as log:
        assert list(log.records()) == []
    with MessageLog.open(path, "school") as log:
        assert [r.name for r in log.records()] == [EVENT_OPENED, EVENT_TORN_LINE]


@many
@given(data=st.data())
def test_a_changed_byte_in_any_line_but_the_last_newline_is_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "school.jsonl"
    path.unlink(missing_ok=True)
    whole = write_three(path)
    place = data.draw(st.integers(0, len(whole) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    line = whole[:place].count(b"\n") + 1
    with pytest.raises(LogError, match=rf"school\.jsonl, line {line}: "):
        MessageLog.open(path, "school")


@pytest.mark.parametrize("removed", [0, 1])
def test_a_removed_line_is_refused(tmp_path: Path, removed: int) -> None:
    path = tmp_path / "school.jsonl"
    lines = write_three(path).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:removed] + lines[removed + 1 :]))
    with pytest.raises(LogError, match=rf"line {removed + 1}: expected"):
        MessageLog.open(path, "school")


def test_swapped_lines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    first, second, third = write_three(path).splitlines(keepends=True)
    path.write_bytes(first + third + second)
    with pytest.raises(LogError, match="line 2: expected record 1, found record 2"):
        MessageLog.open(path, "school")


def test_a_line_of_another_chain_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "school.jsonl", tmp_path / "other.jsonl"
    lines = write_three(path).splitlines(keepends=True)
    foreign = write_three(other).splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + foreign[2])
    with pytest.raises(LogError, match="line 3: does not follow the line before"):
        MessageLog.open(path, "school")


def test_another_agents_log_is_refused(tmp_path: Path) -> None:
    write_three(tmp_path / "school.jsonl")
    with pytest.raises(LogError, match="is the log of 'school', expected one of 'office'"):
        MessageLog.open(tmp_path / "school.jsonl", "office")


def test_second_writer_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    script = (
        "import sys; from pathlib import Path; from runtime.messagelog.writer import MessageLog\n"
        "MessageLog.open(Path(sys.argv[1]), 'school').append_event('second', {})"
    )
    command = [sys.executable, "-c", script, str(path)]
    with MessageLog.open(path, "school") as log:
        with pytest.raises(LogError, match="another process is writing"):
            MessageLog.open(path, "school")
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert refused.returncode == 1
        assert "another process is writing this message log" in refused.stderr
        log.append_event("first", {})
    subprocess.run(command, check=True, timeout=30)
    with MessageLog.open(path, "school") as log:
        assert [r.name for r in log.records()] == [EVENT_OPENED, "first", EVENT_CONTINUED, "second"]


def test_a_killed_writer_leaves_a_log_to_continue(tmp_path: Path) -> None:
    path = tmp_path / "school.jsonl"
    script = (
        "import os, sys; from pathlib import Path; from runtime.messagelog.writer import MessageLog\n"
        "MessageLog.open(Path(sys.argv[1]), 'school').append_event('last words', {}); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], timeout=30, check=False)
    assert killed.returncode == -9
    with MessageLog.open(path, "school") as log:
        assert [r.name for r in log.records()] == [EVENT_OPENED, "last words"]


def test_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "school.jsonl"
    write = os.write
    with MessageLog.open(path, "school") as log:
        log.append_out(message("m1"))
        room = [10]

        def write_until_full(descriptor: int, data: bytes) -> int:
            if room[0] == 0:
                raise OSError(28, "No space left on device")
            taken, room[0] = min(room[0], len(data)), 0
            return write(descriptor, data[:taken])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_until_full)
            with pytest.raises(LogError, match="cannot write the message log: No space left on device"):
                log.append_out(message("m2"))
        log.append_out(message("m3"))
    with MessageLog.open(path, "school") as log:
        assert [r.envelope.message_id for r in log.records() if r.envelope] == ["m1", "m3"]


def test_messages_sent_together_are_one_write_and_one_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "school.jsonl"
    write, sizes = os.write, []

    def write_and_count(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    with MessageLog.open(path, "school") as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_and_count)
            log.append_sent([message("m1"), message("m2"), message("m3")])
        assert len(sizes) == 1
        assert log.append_out(message("m4")) == 4
    with MessageLog.open(path, "school") as log:
        outs = [r for r in log.records() if r.envelope]
    assert [(r.seq, r.envelope.message_id) for r in outs] == [(1, "m1"), (2, "m2"), (3, "m3"), (4, "m4")]
    assert {r.kind for r in outs} == {RecordKind.OUT}


def test_of_messages_sent_together_a_full_disk_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "school.jsonl"
    write = os.write
    with MessageLog.open(path, "school") as log:
        before = path.read_bytes()
        room = [700]

        def write_until_full(descriptor: int, data: bytes) -> int:
            if room[0] == 0:
                raise OSError(28, "No space left on device")
            taken, room[0] = min(room[0], len(data)), 0
            return write(descriptor, data[:taken])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_until_full)
            with pytest.raises(LogError, match="No space left on device"):
                log.append_sent([message("m1"), message("m2"), message("m3")])
        assert path.read_bytes() == before
        log.append_sent([message("m4")])
    with MessageLog.open(path, "school") as log:
        assert [r.envelope.message_id for r in log.records() if r.envelope] == ["m4"]


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "school.jsonl"
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
        write_three(path)
    with MessageLog.open(path, "school") as log:
        assert [r.seq for r in log.records()] == [0, 1, 2]


def test_event_data_json_cannot_carry_is_refused_and_leaves_the_log_usable(tmp_path: Path) -> None:
    with MessageLog.open(tmp_path / "school.jsonl", "school") as log:
        with pytest.raises(ValueError, match="not JSON compliant"):
            log.append_event("bad", {"x": float("nan")})
        with pytest.raises(TypeError):
            log.append_event("bad", {"x": {1, 2}})
        assert log.append_event("good", {}) == 1


def test_closed_log_takes_no_more(tmp_path: Path) -> None:
    log = MessageLog.open(tmp_path / "school.jsonl", "school")
    log.close()
    log.close()
    with pytest.raises(LogError, match="closed"):
        log.append_out(message())


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=r"school\.jsonl: cannot open the message log"):
        MessageLog.open(tmp_path / "file" / "school.jsonl", "school")


def test_nothing_heavy_is_imported() -> None:
    script = "import sys, runtime.messagelog.writer; print(*sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = {name.partition(".")[0] for name in modules.stdout.split()}
    assert "runtime" in loaded
    assert not loaded & {"pydantic", "numpy", "pandas", "typer", "rich", "spade", "slixmpp", "asyncio"}

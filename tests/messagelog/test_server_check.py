"""Logs and the server's record of real fleets: alike as they are, and each way of changing one is named."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.messagelog.reader import log_paths, read_log
from runtime.messagelog.record import NOTE_DUPLICATE, NOTE_RESENT, LogRecord, RecordKind
from runtime.messagelog.server_check import ServerCheck, check_against_server
from runtime.messagelog.server_record import RECORD_FILE
from runtime.messagelog.verify import check_logs
from runtime.protocol.envelope import Performative
from runtime.rundir import RunDirectory
from tests.messagelog.recorded_fleets import rewritten, run_recorded

runner = CliRunner()
DOMAIN = "peerwatt.localhost"
SCHOOL, FARM, COORDINATOR = (f"{name}@{DOMAIN}" for name in ("school", "farm", "coordinator"))

Line = dict[str, Any]


@pytest.fixture(scope="module", params=["prosody", "embedded"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A fleet that ran to its end."""
    return run_recorded(tmp_path_factory.mktemp(request.param), request.param)


class Copy:
    """A run's logs and record, to be changed."""

    def __init__(self, of: RunDirectory, path: Path) -> None:
        shutil.copytree(of.path, path, ignore=shutil.ignore_patterns("prosody"))
        self.dir = RunDirectory(path)
        self.record = self.dir.server_dir / RECORD_FILE

    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.record.read_bytes().splitlines()]

    def change_record(self, change: Callable[[list[Line]], list[Line]]) -> None:
        self.write(change(self.lines()))

    def write(self, lines: list[Line]) -> None:
        self.record.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def change_log(self, agent: str, change: Callable[[LogRecord], list[LogRecord]]) -> None:
        rewritten(self.dir.log(agent), change)

    def check(self) -> ServerCheck:
        return check_against_server(self.record, check_logs(log_paths(self.dir.logs_dir)).audit.logs)

    def said(self) -> list[str]:
        return [f"{one.kind}: {one.text}" for one in self.check().findings]

    def only(self) -> str:
        (said,) = self.said()
        return said

    def position(self) -> LogRecord:
        """The school's first position, as it logged it."""
        return next(
            record
            for record in read_log(self.dir.log("school"))
            if record.kind is RecordKind.OUT and record.envelope and record.envelope.performative == "propose"
        )


@pytest.fixture
def run(recorded: RunDirectory, tmp_path: Path) -> Copy:
    return Copy(recorded, tmp_path / "copy")


def is_of(line: Line, sender: str, message_id: str) -> bool:
    return line.get("sender", "").startswith(f"{sender}/") and line["fields"]["reply-with"] == message_id


def changed(of: LogRecord, **how: Any) -> Callable[[LogRecord], list[LogRecord]]:
    """Change the records of a message: its envelope's fields."""

    def change(record: LogRecord) -> list[LogRecord]:
        if record.envelope is None or of.envelope is None or not same(record, of):
            return [record]
        return [replace(record, envelope=replace(record.envelope, **how))]

    return change


def same(record: LogRecord, of: LogRecord) -> bool:
    one, other = record.envelope, of.envelope
    return bool(one and other and (one.sender, one.message_id) == (other.sender, other.message_id))


def without(of: LogRecord) -> Callable[[LogRecord], list[LogRecord]]:
    return lambda record: [] if same(record, of) else [record]


def test_a_fleet_and_its_server_tell_the_same(run: Copy) -> None:
    check = run.check()
    assert check.findings == []
    assert check.unchecked() == []
    logged = sum(r.kind is RecordKind.OUT for path in log_paths(run.dir.logs_dir) for r in read_log(path))
    assert check.counts["messages"] == check.counts["carryings"] == logged > 50
    assert (check.counts["with_strangers"], check.counts["unheard"]) == (0, 0)
    assert len(run.lines()) == logged + 1


def test_the_command_proves_it_and_counts(run: Copy) -> None:
    said = runner.invoke(app, ["verify", str(run.dir.path), "--server"])
    assert said.exit_code == 0, said.stdout
    assert "the server's own record: 62 messages, 0 repetitions" in said.stdout
    told = json.loads(runner.invoke(app, ["verify", str(run.dir.path), "--server", "--json"]).stdout)
    assert told["proven"]
    assert told["server"]["messages"] == 62
    elsewhere = run.dir.path.parent / "elsewhere.jsonl"
    run.record.rename(elsewhere)
    without_record = runner.invoke(app, ["verify", str(run.dir.path), "--server"])
    assert isinstance(without_record.exception, InputError)
    assert "found no record of the server" in str(without_record.exception)
    said = runner.invoke(app, ["verify", str(run.dir.path), "--server-record", str(elsewhere)])
    assert said.exit_code == 0, said.stdout


def test_the_command_names_the_first_message_that_differs(run: Copy) -> None:
    position = run.position()
    assert position.envelope is not None
    run.change_record(lambda lines: [x for x in lines if not is_of(x, SCHOOL, position.envelope.message_id)])  # type: ignore[union-attr]
    said = runner.invoke(app, ["verify", str(run.dir.path), "--server"])
    assert said.exit_code == 1
    first = said.stdout.splitlines()[0]
    assert first.startswith(f"not-carried: propose {position.envelope.message_id!r} of ")
    assert f"from {SCHOOL} to {COORDINATOR}: record {position.seq} of " in first


def test_a_message_that_two_agents_made_up_was_never_carried(run: Copy) -> None:
    position = run.position()
    assert position.envelope is not None
    made_up = replace(position, envelope=replace(position.envelope, message_id="7777"))
    run.change_log("school", lambda r: [r, made_up] if same(r, position) else [r])
    heard = replace(made_up, kind=RecordKind.IN)
    run.change_log("coordinator", lambda r: [r, heard] if same(r, position) else [r])
    assert run.only().startswith("not-carried: propose '7777' of ")


@pytest.mark.parametrize("agents", [("school",), ("coordinator",), ("school", "coordinator")])
def test_a_message_that_is_hidden_by_whoever_said_or_heard_it_is_named(
    run: Copy, agents: tuple[str, ...]
) -> None:
    position = run.position()
    for agent in agents:
        run.change_log(agent, without(position))
    said = run.said()
    for text, agent in zip(said, agents, strict=True):
        assert text.startswith(f"carried-not-logged: propose {position.envelope.message_id!r} of ")  # type: ignore[union-attr]
        assert text.endswith(f"the log of {agent}@{DOMAIN} does not have it")


def test_what_both_ends_changed_alike_is_altered(run: Copy) -> None:
    position = run.position()
    assert position.envelope is not None
    body = position.envelope.body.replace("grid_import_kwh", "grid_impost_kwh")
    for agent in ("school", "coordinator"):
        run.change_log(agent, changed(position, body=body))
    assert check_logs(log_paths(run.dir.logs_dir), speakers=False).findings == []
    said = run.said()
    assert len(said) == 2  # a record in either log
    assert all(text.startswith("altered: propose ") and "differs in body from" in text for text in said)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conversation", "another"),
        ("protocol", "another"),
        ("performative", Performative.INFORM),
        ("in_reply_to", "4711"),
        ("reply_by", "2024-01-01T00:00:00.000+00:00"),
        ("expects_reply", True),
    ],
)
def test_every_field_of_a_message_counts(run: Copy, field: str, value: Any) -> None:
    position = run.position()
    run.change_log("school", changed(position, **{field: value}))
    assert f" of school differs in {field} from what the server carried" in run.only()


def test_another_sender_than_the_logs_say_is_named(run: Copy) -> None:
    position = run.position()
    assert position.envelope is not None
    # The farm said it in the school's name: the logs of school and coordinator have it as the school's.
    message_id = position.envelope.message_id
    run.change_record(
        lambda lines: [
            {**x, "sender": f"{FARM}/agent"} if is_of(x, SCHOOL, message_id) else x
            for x in lines
            if not is_of(x, FARM, message_id)
        ]
    )
    for agent in ("farm", "coordinator"):  # what the farm really said with that id is out of the way
        farms = replace(position, envelope=replace(position.envelope, sender=FARM))
        run.change_log(agent, without(farms))
    said = run.only()
    assert said.startswith(f"other-sender: propose {message_id!r} of ")
    assert f"from {SCHOOL} to {COORDINATOR}" in said
    assert f"the server carried it from {FARM}" in said


def test_what_is_in_a_log_in_another_order_is_named(run: Copy) -> None:
    out = [r for r in read_log(run.dir.log("school")) if r.kind is RecordKind.OUT and r.envelope]
    first, second = [r for r in out if r.envelope and r.envelope.recipient == COORDINATOR][1:3]

    def swap(record: LogRecord) -> list[LogRecord]:
        if same(record, first) and record.kind is RecordKind.OUT:
            return [replace(second, at=record.at)]
        if same(record, second) and record.kind is RecordKind.OUT:
            return [replace(first, at=record.at)]
        return [record]

    run.change_log("school", swap)
    assert run.only().startswith("other-order: ")
    assert f"is in the log of {SCHOOL} before one that the server carried earlier" in run.only()


def test_a_repetition_needs_its_record_in_the_senders_log(run: Copy) -> None:
    position = run.position()
    assert position.envelope is not None
    message_id = position.envelope.message_id
    run.change_record(
        lambda lines: [y for x in lines for y in ([x, x] if is_of(x, SCHOOL, message_id) else [x])]
    )
    assert "the server carried it 2 times" in run.only()
    assert run.only().startswith("more-often: ")
    again = replace(position, note=NOTE_RESENT)
    run.change_log("school", lambda r: [r, again] if same(r, position) else [r])
    check = run.check()
    assert check.findings == []
    assert (check.counts["repeated"], check.counts["unheard"]) == (1, 1)
    heard = replace(position, kind=RecordKind.IN, note=NOTE_DUPLICATE)
    run.change_log("coordinator", lambda r: [r, heard] if same(r, position) else [r])
    assert run.check().counts["unheard"] == 0
    run.change_log("coordinator", lambda r: [r, r] if same(r, position) else [r])
    assert "4 times as received, the server carried it 2 times" in run.only()


def test_a_repetition_that_the_server_never_saw_is_no_fault(run: Copy) -> None:
    position = run.position()
    again = replace(position, note=NOTE_RESENT)
    run.change_log("school", lambda r: [r, again, again] if same(r, position) else [r])
    assert run.said() == []


def test_agents_without_a_log_here_are_counted_not_blamed(run: Copy) -> None:
    run.dir.log("farm").unlink()
    check = run.check()
    assert check.findings == []
    assert set(check.strangers) == {FARM}
    assert check.counts["with_strangers"] > 10
    assert check.counts["strangers_only"] == 0
    run.dir.log("farm.meter").unlink()
    assert (
        "messages that the server carried between accounts whose logs are not here"
        in run.check().unchecked()[0]
    )
    said = runner.invoke(app, ["verify", str(run.dir.path), "--server"])
    assert said.exit_code == 3
    assert f"messages with accounts whose logs are not here ({FARM}" in said.stdout


def stranger(**more: Any) -> Line:
    fields = {"performative": "inform", "protocol": "market", "ontology": "peerwatt/1", "reply-with": "1"}
    return {
        "time_unix_s": 4e9, "sender": f"stranger@{DOMAIN}/x", "recipient": SCHOOL, "type": "chat",
        "thread": "t", "fields": fields, "body_bytes": 2, "body_sha256": "0" * 64, **more,
    }  # fmt: skip


def test_a_strangers_message_that_its_recipient_hid_is_named_unless_it_could_not_read_it(run: Copy) -> None:
    run.change_record(lambda lines: [*lines, stranger()])
    assert run.only().endswith(f"the log of {SCHOOL} does not have it")
    unread = LogRecord(
        "school", 0, "2026-06-01T10:00:00.000125Z", RecordKind.EVENT, None, None,
        "malformed", {"sender": f"stranger@{DOMAIN}", "reason": "no"}, "", "",
    )  # fmt: skip
    run.change_log("school", lambda r: [r, unread] if r.seq == 5 else [r])
    assert run.said() == []
    # One that is no message of the market accounts for the event first.
    run.change_record(lambda lines: [*lines, stranger(fields=[])])
    assert run.only().endswith(f"the log of {SCHOOL} does not have it")


def test_what_an_agent_says_outside_the_market_is_named_too(run: Copy) -> None:
    run.change_record(lambda lines: [*lines, stranger(sender=f"{FARM}/agent", fields=[], recipient=SCHOOL)])
    assert run.only().startswith(
        f"carried-not-logged: a message without an id, of 2096-10-02T07:06:40.000000Z from {FARM}"
    )
    run.write([*run.lines()[:-1], stranger(sender=f"{FARM}/agent", type="error")])
    assert run.said() == []
    run.write([*run.lines()[:-1], stranger(sender=f"{FARM}/agent", recipient=f"inspector@{DOMAIN}")])
    assert run.said() == []
    assert run.check().counts["inspection"] == 1


def test_a_last_line_that_is_torn_is_said_and_what_it_told_is_missing(run: Copy) -> None:
    with run.record.open("ab") as file:
        file.write(b'{"time_unix_s":1795389462.8')
    check = run.check()
    assert (check.findings, check.record.torn_lines) == ([], 1)
    said = runner.invoke(app, ["verify", str(run.dir.path), "--server"])
    assert "the server was started 1 time; 1 line of its record cut by a crash" in said.stdout
    whole = run.record.read_bytes()
    run.record.write_bytes(whole.rsplit(b"\n", 2)[0][:-40])
    first, *_ = run.said()
    assert first.startswith("not-carried: ")


def test_half_a_line_in_the_middle_is_a_crash_only_where_the_server_started_next(run: Copy) -> None:
    first, *rest = run.record.read_bytes().splitlines(keepends=True)
    half = b'{"time_unix_s":17953\n'
    run.record.write_bytes(b"".join([first, *rest[:9], half, b'{"opened_unix_s":1795389462.1}\n', *rest[9:]]))
    check = run.check()
    assert (check.findings, check.record.torn_lines, check.record.openings) == ([], 1, 2)
    run.record.write_bytes(b"".join([first, *rest[:9], half, *rest[9:]]))
    assert run.only().startswith(
        f"server-record: {run.record}, line 11: expected a line of a server's record"
    )
    run.record.write_bytes(b"".join([first, *rest, b'{"sender": 5}\n']))
    assert f"{run.record}, line {len(rest) + 2}: expected a line" in run.only()


def test_a_rotated_record_is_read_whole_and_one_without_its_beginning_says_so(run: Copy) -> None:
    lines = run.record.read_bytes().splitlines(keepends=True)
    reopened = b'{"opened_unix_s":%.6f,"reopened":true}\n'
    at = [json.loads(line).get("time_unix_s", 0) for line in lines]
    oldest = run.record.with_name(f"{RECORD_FILE}.2.gz")
    oldest.write_bytes(gzip.compress(b"".join(lines[:20])))
    run.record.with_name(f"{RECORD_FILE}.1").write_bytes(reopened % at[20] + b"".join(lines[20:40]))
    run.record.write_bytes(reopened % at[40] + b"".join(lines[40:]))
    check = run.check()
    assert (check.findings, check.record.files, check.record.openings) == ([], 3, 1)
    oldest.unlink()
    check = run.check()
    assert check.findings == []
    assert check.counts["before_record"] == 19
    assert check.unchecked() == [
        "19 messages from before the server's record begins: its older files are not here"
    ]


def test_a_log_whose_chain_is_broken_is_not_blamed_for_what_is_behind(run: Copy) -> None:
    path = run.dir.log("school")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:12], lines[12].replace(b"20", b"30", 1), *lines[13:]]))
    assert run.said() == []
    # Cut off at its end, with a chain that is whole, it is.
    path.write_bytes(b"".join(lines[:12]))
    said = run.said()
    assert said
    assert all(text.endswith(f"the log of {SCHOOL} does not have it") for text in said)


def test_more_differences_than_can_be_named_are_counted(run: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.messagelog.server_check.MOST_NAMED", 3)
    run.write(run.lines()[:1])
    check = run.check()
    assert (len(check.findings), check.unnamed) == (3, 59)

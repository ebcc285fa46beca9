"""What the quick pass over logs remembers of lines must never stand for lines that say something else."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runtime.messagelog import audit
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import FindingKind, check_logs
from runtime.protocol.envelope import Envelope, Performative
from tests.messagelog.test_canonical_lines import both_ways, chained_anew

BILL = '{"type":"bill-line","session":0}'


def message(sender: str, recipient: str, body: str, message_id: str = "1", **more: Any) -> Envelope:
    performative = more.pop("performative", Performative.INFORM)
    return Envelope(
        f"{sender}@host", f"{recipient}@host", performative, "market", "session-0", message_id, body, **more
    )


def logged(run: Any, envelope: Envelope, arrived: Envelope | None = None, note: str | None = None) -> None:
    run.log(envelope.sender.partition("@")[0]).append_out(envelope)
    run.log(envelope.recipient.partition("@")[0]).append_in(arrived or envelope, note)


def kinds(run: Any) -> list[FindingKind]:
    return [finding.kind for finding in check_logs(run.paths).findings]


@pytest.mark.parametrize(
    "body",
    [
        '{"type":"delivery","type":"bill-line"}',
        '{"type":"delivery","ty\\u0070e":"bill-line"}',
        '{"said":{"type":"delivery"}}',
        '{"said":{"type":"delivery"},"type":"bill-line"}',
        '["type","delivery"]',
        '{"type":["delivery"]}',
        '"delivery"',
    ],
)
def test_a_type_that_is_not_the_bodys_does_not_speak_for_it(new_run: Any, body: str) -> None:
    run = new_run("types")
    logged(run, message("school", "coordinator", '{"type":"delivery","slot":1}', "1"))
    logged(run, message("school", "coordinator", body, "2"))
    assert kinds(run) == [FindingKind.MISSPOKEN]


def test_a_body_that_says_its_type_later_is_heard(new_run: Any) -> None:
    run = new_run("later")
    logged(run, message("school", "coordinator", '{"slot":1,"type":"delivery"}'))
    assert kinds(run) == []


@pytest.mark.parametrize("said_first", ["m-sender", "z-sender"])
@pytest.mark.parametrize("name", ["1", "m1", "m", "0"])
def test_words_that_are_not_the_other_ends_are_judged_for_themselves(
    new_run: Any, said_first: str, name: str
) -> None:
    """Whichever log is read first, what is allowed to be said does not cover what is said besides."""
    run = new_run("besides")
    confirm = Performative.CONFIRM
    allowed = message(said_first, "n-receiver", '{"type":"acknowledged"}', name, performative=confirm)
    besides = message(said_first, "n-receiver", BILL, name, performative=confirm)
    logged(run, allowed, besides)
    assert kinds(run) == [FindingKind.ALTERED, FindingKind.MISSPOKEN]


def test_the_same_words_from_somebody_else_are_judged_anew(new_run: Any) -> None:
    run = new_run("others")
    logged(run, message("coordinator", "school", BILL))
    logged(run, message("office", "school", BILL))
    assert kinds(run) == [FindingKind.MISSPOKEN]


def test_more_routes_than_are_remembered(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = check_logs(run.paths)
    monkeypatch.setattr(audit, "_MOST_ROUTES", 1)
    few = check_logs(run.paths)
    assert few.findings == usual.findings
    assert len(few.audit._routes) == 1
    assert few.audit.tally.counted_ends() == usual.audit.tally.counted_ends()


def test_ids_that_jump_far_and_come_back_are_one_message_each(new_run: Any) -> None:
    run = new_run("ids")
    numbers = ["900000", "3", "70000", "99999999999", "007", "899999", "x7", "65000", "130000", "195000", "0"]
    for number in numbers:
        logged(run, message("school", "coordinator", '{"type":"delivery"}', number))
    for number in reversed(numbers):
        run.log("school").append_out(
            message("school", "coordinator", '{"type":"delivery"}', number), "resent"
        )
    check = check_logs(run.paths)
    assert check.findings == []
    assert (len(check.audit.tally), check.audit.tally.resends) == (len(numbers), len(numbers))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"seq":2,', b'{"seq":02,'),
        (b'{"seq":2,', b'{"seq":2.0,'),
        (b'Z","kind":"in"', b'z","kind":"in"'),
        (b'"kind":"in"', b'"kind":"on"'),
        (b'"at":"2026-', b'"at":"20x6-'),
        (b'"at":"2026-06', b'"at":"2026-13'),
        (b'.000000Z"', b'.00x000Z"'),
        (b'"re":null', b'"re":none'),
        (b'"body":"{', b'"body":"\x01{'),
        (b'"body":"{', b'"body":"\\x{'),
    ],
)
def test_a_line_that_is_no_record_breaks_the_chain_though_its_hashes_follow(
    new_run: Any, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run("forged")
    for number in "12":
        logged(run, message("coordinator", "school", BILL, number))
    path: Path = run.dir.log("school")
    lines = path.read_bytes().split(b"\n")[:-1]
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new)
    path.write_bytes(chained_anew(lines))
    quick, thorough = both_ways(run.dir.logs_dir, monkeypatch)
    assert quick == thorough
    assert [finding.kind for finding in quick[0]] == [FindingKind.CHAIN]


def test_bytes_between_body_and_hash_are_looked_at(new_run: Any) -> None:
    """What stands around the hash before is fixed too, not only that hash."""
    run = new_run("around")
    for number in "12":
        logged(run, message("coordinator", "school", BILL, number))
    path: Path = run.dir.log("school")
    lines = path.read_bytes().split(b"\n")[:-1]
    lines[1] = lines[1].replace(b',"prev":"', b';"prev":"')
    unsealed = lines[1][: lines[1].index(b',"hash":"')]
    lines[1] = unsealed + b',"hash":"' + sha256(unsealed + b"}").hexdigest().encode() + b'"}'
    path.write_bytes(b"\n".join(lines[:2]) + b"\n")
    assert FindingKind.CHAIN in kinds(run)


def test_a_last_line_without_end_is_told_from_a_block_of_them(run: Any, tmp_path: Path) -> None:
    path: Path = run.dir.log("office")
    path.write_bytes(path.read_bytes()[:-1])
    check = check_logs(run.paths)
    (torn,) = [log for log in check.audit.logs if log.torn_bytes]
    assert torn.path == path
    last = path.read_bytes().rpartition(b"\n")[2]
    assert torn.torn_bytes == len(last)
    assert len(log_paths(run.dir.logs_dir)) == len(check.audit.logs)

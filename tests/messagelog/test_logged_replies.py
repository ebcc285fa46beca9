"""A reply that is asked for again is found in the log of who gave it, however many messages ago."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import LogError
from runtime.messagelog import replies
from runtime.messagelog.replies import logged_reply
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative


def envelope(sender: str, recipient: str, number: int, body: str = "{}", **more: object) -> Envelope:
    fields = {"performative": Performative.INFORM, "protocol": "p", "conversation": "c", "body": body}
    return Envelope(sender=sender, recipient=recipient, message_id=str(number), **{**fields, **more})  # type: ignore[arg-type]


def asked(number: int, sender: str = "member@x") -> Envelope:
    return envelope(sender, "coordinator@x", number, expects_reply=True)


def reply(number: int, to: str = "member@x", body: str = "{}") -> Envelope:
    return envelope("coordinator@x", to, 7000 + number, body, in_reply_to=str(number))


@pytest.fixture
def log(tmp_path: Path) -> MessageLog:
    return MessageLog.open(tmp_path / "coordinator.jsonl", "coordinator")


def test_every_reply_is_found_among_hundreds_and_goes_to_who_asked(
    log: MessageLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "_BLOCK_BYTES", 997)  # lines across blocks, and longer than one
    said = {}
    for number in range(1, 200):
        for member in ("member@x", "other@x"):
            log.append_in(asked(number, member))
            said[member, number] = reply(number, member, body=f'"{member} {number} {"." * (13 * number)}"')
            log.append_out(said[member, number])
        log.append_event("timer", {"name": "7", "re": "5", "id": "5"})
    for (member, number), expected in said.items():
        assert logged_reply(log.path, asked(number, member)) == expected
    assert logged_reply(log.path, asked(200)) is None


def test_what_was_not_replied_to_yet_is_looked_for_no_further_than_its_receipt(
    log: MessageLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append_in(asked(5))
    log.append_in(asked(5), "duplicate")
    assert logged_reply(log.path, asked(5)) is None
    log.append_out(reply(5, "other@x"))
    log.append_out(envelope("coordinator@x", "member@x", 5))  # its own fifth message answers nothing
    assert logged_reply(log.path, asked(5)) is None
    log.append_out(reply(5))
    log.append_in(asked(5), "duplicate")
    assert logged_reply(log.path, asked(5)) == reply(5)
    log.append_out(reply(5), "resent")
    assert logged_reply(log.path, asked(5)) == reply(5)


def test_the_receipt_ends_the_search(log: MessageLog) -> None:
    log.append_in(asked(5))
    log.append_out(reply(5))
    log.append_in(asked(5))  # no agent takes in a message twice: what is before it is not looked at
    assert logged_reply(log.path, asked(5)) is None


def test_it_is_looked_for_so_far_back(log: MessageLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append_in(asked(5))
    log.append_out(reply(5))
    since = log.path.stat().st_size
    for number in range(6, 60):
        log.append_out(reply(number, body='"..."'))
    after = log.path.stat().st_size - since
    monkeypatch.setattr(replies, "LOOK_BACK_BYTES", after)
    assert logged_reply(log.path, asked(5)) is None
    monkeypatch.setattr(replies, "LOOK_BACK_BYTES", after + 1000)
    assert logged_reply(log.path, asked(5)) == reply(5)


def test_a_line_that_is_being_written_is_no_line(log: MessageLog) -> None:
    log.append_in(asked(5))
    log.append_out(reply(5))
    with log.path.open("ab") as file:
        file.write(b'{"seq":3,"at":"torn","re":"5",')
    assert logged_reply(log.path, asked(5)) == reply(5)


def test_a_log_that_is_gone_or_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"gone.jsonl: cannot read the message log"):
        logged_reply(tmp_path / "gone.jsonl", asked(5))
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_bytes(b'{"seq":1,"id":"5",}\n')
    with pytest.raises(LogError, match=r"spoilt.jsonl: not a JSON record"):
        logged_reply(spoilt, asked(5))

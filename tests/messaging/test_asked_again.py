"""Who asks again is told again what it may not have, and cannot keep an agent busy with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.messagelog.replies import logged_reply
from runtime.messagelog.writer import MessageLog
from runtime.messaging import asked_again
from runtime.messaging.asked_again import SEARCHES_APART_S, SEARCHES_AT_ONCE, AskedAgain
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.exchange import REPLIES_KEPT, Exchange, Verdict

ME, PEER, OTHER = "clerk@a.test", "customer@a.test", "third@a.test"


def question(number: int, sender: str = PEER) -> Envelope:
    return Envelope(sender, ME, Performative.PROPOSE, "p", "c", f"q{number}", "{}", expects_reply=True)


def answer(asked: Envelope, number: int, *, expects_reply: bool = False) -> Envelope:
    performative = Performative.PROPOSE if expects_reply else Performative.CONFIRM
    return Envelope(
        ME,
        asked.sender,
        performative,
        "p",
        "c",
        str(number),
        "{}",
        in_reply_to=asked.message_id,
        expects_reply=expects_reply,
    )


def again(exchange: Exchange, asked: AskedAgain, envelope: Envelope, now_s: float = 0.0) -> Envelope | None:
    verdict, kept = exchange.received(envelope)
    return asked.reply_to(envelope, kept, now_s) if verdict is Verdict.DUPLICATE else None


def test_a_reply_that_was_answered_is_not_repeated(tmp_path: Path) -> None:
    exchange = Exchange()
    asked = AskedAgain(exchange, tmp_path / "clerk.jsonl")
    reply = answer(question(1), 1, expects_reply=True)
    exchange.received(question(1))
    exchange.sent(reply, 0.0)
    assert again(exchange, asked, question(1)) == reply
    thanks = Envelope(PEER, ME, Performative.CONFIRM, "p", "c", "q2", "{}", in_reply_to="1")
    exchange.received(thanks)
    assert again(exchange, asked, question(1)) is None


def test_along_a_conversation_one_repetition_makes_at_most_one_other(tmp_path: Path) -> None:
    """Two bargain: each proposal answers the other's before; an early one comes again late."""
    ends = {name: Exchange() for name in (ME, PEER)}
    asked = {name: AskedAgain(ends[name], tmp_path / name) for name in ends}
    said: list[Envelope] = []
    for number in range(40):
        sender, recipient = (ME, PEER) if number % 2 else (PEER, ME)
        before = said[-1].message_id if said else None
        envelope = Envelope(
            sender, recipient, Performative.PROPOSE, "p", "c", str(number), "{}", before, expects_reply=True
        )
        ends[sender].sent(envelope, 0.0)
        ends[recipient].received(envelope)
        said.append(envelope)
    carried, under_way = 0, [said[5]]
    while under_way and carried < 100:
        carried += 1
        envelope = under_way.pop()
        reply = again(ends[envelope.recipient], asked[envelope.recipient], envelope)
        under_way += [reply] if reply else []
    assert carried == 1
    assert again(ends[said[38].recipient], asked[said[38].recipient], said[38]) == said[39]


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    senders = []

    def search(path: Path, envelope: Envelope) -> Envelope | None:
        senders.append(envelope.sender)
        return logged_reply(path, envelope)

    monkeypatch.setattr(asked_again, "logged_reply", search)
    return senders


def test_old_replies_come_from_the_log_but_no_sender_has_it_searched_all_the_time(
    tmp_path: Path, searched: list[str]
) -> None:
    exchange = Exchange()
    with MessageLog.open(tmp_path / "clerk.jsonl", "clerk") as log:
        asked = AskedAgain(exchange, log.path)
        for number in range(REPLIES_KEPT + 2):
            log.append_in(question(number))
            exchange.received(question(number))
            log.append_out(answer(question(number), number))
            exchange.sent(answer(question(number), number), 0.0)
        assert again(exchange, asked, question(0), 10.0) == answer(question(0), 0)
        flood = [again(exchange, asked, question(1), 10.0) for _ in range(500)]
        told = SEARCHES_AT_ONCE - 1
        assert flood == [answer(question(1), 1)] * told + [None] * (500 - told)
        assert len(searched) == SEARCHES_AT_ONCE
        again(exchange, asked, question(7, OTHER), 10.0)
        assert again(exchange, asked, question(7, OTHER), 10.0) is None  # searched for, and not replied to
        assert searched[SEARCHES_AT_ONCE:] == [OTHER]
        again(exchange, asked, question(1), 10.0 + SEARCHES_APART_S)
        again(exchange, asked, question(1), 10.0 + SEARCHES_APART_S)
        assert searched[SEARCHES_AT_ONCE + 1 :] == [PEER]
        assert again(exchange, asked, question(REPLIES_KEPT), 10.0) is not None  # from memory

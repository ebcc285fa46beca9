"""Over a channel that loses, doubles and reorders, every message has its effect once."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.exchange import REPLIES_KEPT, Exchange, Verdict
from runtime.protocol.seen import NAMES, NUMBERS


def message(number: object, sender: str = "a", recipient: str = "b", **more: object) -> Envelope:
    fields = {"performative": Performative.REQUEST, "protocol": "p", "conversation": "c", "body": str(number)}
    return Envelope(sender=sender, recipient=recipient, message_id=str(number), **{**fields, **more})  # type: ignore[arg-type]


@dataclass
class Peer:
    """Answers a request with a reply that is to be acknowledged, and that with an acknowledgement."""

    name: str
    exchange: Exchange = field(default_factory=lambda: Exchange(resend_after_s=2.0, resend_cap_s=15.0))
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    said: int = 0

    def say(self, recipient: str, body: str, now_s: float, **more: object) -> Envelope:
        self.said += 1
        envelope = replace(message(self.said, self.name, recipient), body=body, **more)  # type: ignore[arg-type]
        self.exchange.sent(envelope, now_s)
        return envelope

    def take(self, envelope: Envelope, now_s: float) -> list[Envelope]:
        verdict, cached = self.exchange.received(envelope)
        if verdict is not Verdict.NEW:
            return [cached] if cached else []
        self.effects[envelope.sender, envelope.body] += 1
        step, _, number = envelope.body.partition(" ")
        following = {"request": "reply", "reply": "thanks"}.get(step)
        if following is None:
            return []
        answer = self.say(
            envelope.sender,
            f"{following} {number}",
            now_s,
            in_reply_to=envelope.message_id,
            expects_reply=following == "reply",
        )
        return [answer]


class Channel:
    """Carries messages between peers as badly as it is told to."""

    def __init__(self, peers: list[Peer], rng: Random, loss: float, doubling: float) -> None:
        self.peers = {peer.name: peer for peer in peers}
        self.rng, self.loss, self.doubling = rng, loss, doubling
        self.in_flight: list[Envelope] = []
        self.now_s = 0.0

    def post(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            while self.rng.random() >= self.loss:
                self.in_flight.append(envelope)
                if self.rng.random() >= self.doubling:
                    break

    def step(self) -> None:
        if self.in_flight and self.rng.random() < 0.8:
            envelope = self.in_flight.pop(self.rng.randrange(len(self.in_flight)))
            self.post(self.peers[envelope.recipient].take(envelope, self.now_s))
            return
        self.now_s += self.rng.uniform(0, 3)
        for peer in self.peers.values():
            reconnected = self.rng.random() < 0.05
            now_s = self.now_s
            self.post(peer.exchange.unanswered(now_s) if reconnected else peer.exchange.due(now_s))

    def settled(self) -> bool:
        return not self.in_flight and not any(peer.exchange.unanswered(0.0) for peer in self.peers.values())


@settings(max_examples=60, deadline=None)
@given(
    rng=st.randoms(use_true_random=False),
    loss=st.floats(0, 0.6),
    doubling=st.floats(0, 0.5),
    talks=st.integers(1, 12),
)
def test_every_effect_happens_once(rng: Random, loss: float, doubling: float, talks: int) -> None:
    peers = [Peer("a"), Peer("b"), Peer("c")]
    channel = Channel(peers, rng, loss, doubling)
    expected: Counter[tuple[str, str, str]] = Counter()
    for number in range(talks):
        asking, asked = rng.sample(peers, 2)
        channel.post([asking.say(asked.name, f"request {number}", channel.now_s, expects_reply=True)])
        expected[asked.name, asking.name, f"request {number}"] = 1
        expected[asking.name, asked.name, f"reply {number}"] = 1
        expected[asked.name, asking.name, f"thanks {number}"] = 1
        for _ in range(rng.randrange(6)):
            channel.step()
    for _ in range(50_000):
        if channel.settled():
            break
        channel.step()
    assert channel.settled()
    happened = Counter(
        {(peer.name, sender, body): count for peer in peers for (sender, body), count in peer.effects.items()}
    )
    assert happened == expected


def test_repetitions_come_after_twice_the_wait_each_time_up_to_a_limit() -> None:
    exchange = Exchange(resend_after_s=2.0, resend_cap_s=10.0)
    asked = message(1, expects_reply=True)
    exchange.sent(asked, 0.0)
    repeated_at = [now for now in range(40) if exchange.due(float(now))]
    assert repeated_at == [2, 6, 14, 24, 34]
    assert exchange.unanswered(40.0) == [asked]
    assert [now for now in range(40, 50) if exchange.due(float(now))] == [42, 46]


def test_of_many_messages_sent_at_once_the_later_ones_are_given_longer() -> None:
    exchange = Exchange(resend_after_s=2.0, resend_cap_s=10.0)
    asked = [message(number, recipient=f"m{number}", expects_reply=True) for number in range(1000)]
    for each in asked:
        exchange.sent(each, 0.0)
    assert exchange.due(1.99) == []
    assert exchange.due(2.0) == asked[:1]
    assert exchange.due(2.4975) == asked[1:100]
    assert exchange.unanswered(50.0) == asked  # after a new connection: at once, then as if sent anew
    assert exchange.due(52.0) == asked[:1]
    assert exchange.due(52.4975) == asked[1:100]


def test_what_expects_no_reply_or_is_withdrawn_is_not_repeated() -> None:
    exchange = Exchange()
    exchange.sent(message(1), 0.0)
    exchange.sent(message(2, expects_reply=True), 0.0)
    exchange.withdraw("2")
    exchange.withdraw("never sent")
    assert exchange.due(1e6) == []
    assert exchange.unanswered(1e6) == []


def test_a_reply_from_somebody_else_answers_nothing() -> None:
    exchange = Exchange()
    exchange.sent(message(1, expects_reply=True), 0.0)
    forged = message(7, sender="thief", recipient="a", in_reply_to="1")
    assert exchange.received(forged) == (Verdict.UNASKED_REPLY, None)
    assert len(exchange.unanswered(0.0)) == 1
    assert exchange.received(message(7, sender="b", recipient="a", in_reply_to="1")) == (Verdict.NEW, None)
    assert exchange.unanswered(0.0) == []


def test_a_late_reply_has_no_effect_unless_it_waits_for_one_itself() -> None:
    exchange = Exchange()
    late = message(5, sender="b", recipient="a", in_reply_to="1")
    assert exchange.received(late) == (Verdict.UNASKED_REPLY, None)
    asking = message(6, sender="b", recipient="a", in_reply_to="1", expects_reply=True)
    assert exchange.received(asking) == (Verdict.NEW, None)


def test_a_duplicate_is_answered_with_the_reply_of_the_first() -> None:
    exchange = Exchange()
    asked = message(1, sender="b", recipient="a", expects_reply=True)
    assert exchange.received(asked) == (Verdict.NEW, None)
    assert exchange.received(asked) == (Verdict.DUPLICATE, None)
    answer = message(9, in_reply_to="1")
    exchange.sent(answer, 0.0)
    assert exchange.received(asked) == (Verdict.DUPLICATE, answer)
    assert exchange.received(replace(asked, sender="c"))[0] is Verdict.NEW


@pytest.mark.parametrize(("later", "verdict"), [(NAMES - 1, "DUPLICATE"), (NAMES, "NEW")])
def test_so_many_ids_without_a_number_are_remembered_of_a_sender(later: int, verdict: str) -> None:
    exchange = Exchange()
    first = message("first", sender="b", recipient="a")
    exchange.received(first)
    for number in range(later):
        exchange.received(message(f"n-{number}", sender="b", recipient="a"))
        exchange.received(message(f"n-{number}", sender="c", recipient="a"))
    assert exchange.received(first)[0] is Verdict[verdict]


def test_a_number_has_its_effect_once_however_long_ago_it_was() -> None:
    exchange = Exchange()
    for number in range(1, 2 * NUMBERS, NUMBERS // 8):
        assert exchange.received(message(number, sender="b", recipient="a"))[0] is Verdict.NEW
    for number in range(1, 2 * NUMBERS, NUMBERS // 8):
        assert exchange.received(message(number, sender="b", recipient="a"))[0] is Verdict.DUPLICATE


def answered(exchange: Exchange, number: int) -> None:
    exchange.received(message(number, expects_reply=True))
    exchange.sent(message(1000 + number, sender="b", recipient="a", in_reply_to=str(number)), 0.0)


def asked_again(exchange: Exchange, number: int) -> str | None:
    verdict, reply = exchange.received(message(number, expects_reply=True))
    assert verdict is Verdict.DUPLICATE
    return None if reply is None else reply.message_id


def test_the_latest_replies_are_kept_and_those_that_were_asked_for_again() -> None:
    exchange = Exchange()
    for number in range(1, REPLIES_KEPT + 1):
        answered(exchange, number)
    assert asked_again(exchange, 1) == "1001"  # so it counts among the latest
    answered(exchange, REPLIES_KEPT + 1)
    kept = [number for number in range(1, REPLIES_KEPT + 2) if asked_again(exchange, number) is not None]
    assert kept == [1, *range(3, REPLIES_KEPT + 2)]


def test_memory_does_not_grow_with_messages_that_are_answered() -> None:
    exchange = Exchange()
    sizes = []
    for day in range(6):
        for number in range(1 + 500 * day, 501 + 500 * day):
            for sender in ("a", "c"):
                asked = message(number, sender=sender, expects_reply=True)
                exchange.received(asked)
                exchange.sent(message(number, sender="b", recipient=sender, in_reply_to=str(number)), 0.0)
        sizes.append(len(pickle.dumps(exchange)))
    assert sizes[-1] - sizes[1] < 1500, "bytes, of 4000 messages and as many replies"

"""Messages, presence and queries on the embedded server."""

import time

import pytest
from raw_client import RawClient

DOMAIN = "peerwatt.localhost"


@pytest.fixture
def two(connection):
    with RawClient(connection) as a, RawClient(connection) as b:
        a.log_in("a")
        b.log_in("b")
        a.ping()
        b.ping()
        a.received = b.received = b""
        yield a, b


def test_the_sender_is_who_logged_in(two):
    a, b = two
    a.message(f"b@{DOMAIN}", "hello", **{"from": f"c@{DOMAIN}/test"})
    received = b.until("</message>")
    assert f'from="a@{DOMAIN}/test"' in received
    assert f"c@{DOMAIN}" not in received
    assert "<body>hello</body>" in received


def test_messages_wait_until_the_receiver_says_present_and_keep_their_order(connection, two):
    a, _ = two
    for number in range(20):
        a.message(f"c@{DOMAIN}", number)
    a.ping()
    with RawClient(connection) as c:
        c.log_in("c", present=False)
        c.ping()
        assert b"<body>" not in c.received
        c.send("<presence/>")
        assert [f"<body>{n}</body>" in c.until("</message>") for n in range(20)] == [True] * 20
        c.send("<presence type='unavailable'/>")
        c.ping()
        a.message(f"c@{DOMAIN}", "later")
        a.ping()
        c.ping()
        assert b"later" not in c.received
        c.send("<presence/>")
        assert "later" in c.until("</message>")
    with RawClient(connection) as c:
        c.log_in("c")
        c.ping()
        assert b"<message" not in c.received, "stored messages are delivered once"


def test_what_is_sent_straight_before_leaving_is_delivered(connection, two):
    _, b = two
    with RawClient(connection) as c:
        c.log_in("c")
        for number in range(50):
            c.message(f"b@{DOMAIN}", number)
    for number in range(50):
        assert f"<body>{number}</body>" in b.until("</message>")


@pytest.mark.parametrize("resource", ["test", "cellar", ""])
def test_a_second_session_ends_the_first_whatever_it_is_called(connection, two, resource):
    a, b = two
    with RawClient(connection) as second:
        second.log_in("b", resource, present=False)
        assert "<conflict" in b.until_closed()
        second.send("<presence/>")
        second.ping()
        for to in (f"b@{DOMAIN}", f"b@{DOMAIN}/test", f"b@{DOMAIN}/cellar"):
            a.message(to, "for the second")
            assert "for the second" in second.until("</message>")


@pytest.mark.parametrize(
    ("to", "condition"),
    [(f"nobody@{DOMAIN}", "service-unavailable"), ("b@elsewhere.example", "remote-server-not-found")],
)
def test_what_cannot_be_delivered_comes_back_without_its_content(two, to, condition):
    a, _ = two
    a.message(to, "secret", id="m1")
    answer = a.until("</message>")
    assert 'type="error"' in answer
    assert 'id="m1"' in answer
    assert condition in answer
    assert "secret" not in answer


def test_queries_are_answered_or_refused(two):
    a, _ = two
    a.ping()
    for query, mark in [
        (
            f"<iq type='get' id='1' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
            "urn:xmpp:ping",
        ),
        ("<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>", 'type="result" id="2"'),
        (
            "<iq type='set' id='3'><query xmlns='jabber:iq:register'><remove/></query></iq>",
            "service-unavailable",
        ),
        (
            f"<iq type='get' id='4' to='b@{DOMAIN}/test'><query xmlns='jabber:iq:rpc'/></iq>",
            "service-unavailable",
        ),
        ("<iq type='get' id='5'/>", "service-unavailable"),
    ]:
        a.send(query)
        assert mark in a.until(mark)
    a.ping()


def test_another_users_presence_and_subscriptions_are_not_passed_on(two):
    a, b = two
    a.send(f"<presence to='b@{DOMAIN}'/><presence to='b@{DOMAIN}' type='subscribe'/>")
    a.ping()
    b.ping()
    assert b"presence" not in b.received


def test_an_unknown_stanza_or_broken_xml_ends_only_that_stream(connection, two):
    a, b = two
    a.send("<gossip/>")
    assert "unsupported-stanza-type" in a.until_closed()
    with RawClient(connection) as broken:
        broken.log_in("c")
        broken.send("<message><body></message>")
        assert "not-well-formed" in broken.until_closed()
    b.ping()


def test_an_end_of_stream_is_answered_and_frees_the_session(connection, two):
    a, b = two
    b.send("</stream:stream>")
    assert b.until_closed().endswith("</stream:stream>")
    a.message(f"b@{DOMAIN}", "while you were away")
    a.ping()
    with RawClient(connection) as again:
        again.log_in("b")
        assert "while you were away" in again.until("</message>")


def test_a_large_message_passes_quickly(two):
    a, b = two
    since = time.monotonic()
    a.message(f"b@{DOMAIN}", "1" * 250_000)
    assert len(b.until("</message>")) > 250_000
    assert time.monotonic() - since < 5

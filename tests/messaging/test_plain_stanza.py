"""Messages told without a parser: what is taken for one is one, and says what a parser reads in it."""

import random
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.messaging.plain_stanza import SENT, PlainMessage, read_plain
from runtime.messaging.spade_message import message_of_plain, message_of_stanza, stanza_text_of
from runtime.protocol.envelope import Envelope, Performative

STREAM = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
A, B = "member-1@peerwatt.localhost", "coordinator@peerwatt.localhost"
BODY = '{"type":"position","net":[1.5,-0.25],"text":"a <b> & \'c\' \\"d\\" &amp;quot;"}'

token = st.text("abXY019-_./:<&'\" ;>", min_size=1, max_size=30)
envelopes = st.builds(
    Envelope,
    sender=st.just(A),
    recipient=st.just(B),
    performative=st.sampled_from(Performative),
    protocol=token,
    conversation=token,
    message_id=token,
    body=st.just(BODY) | token,
    in_reply_to=st.none() | token,
    expects_reply=st.booleans(),
    reply_by=st.none() | st.just("2026-05-01T12:00:00+00:00"),
)


def said(**changes):
    fields = {
        "sender": A,
        "recipient": B,
        "performative": Performative.PROPOSE,
        "protocol": "market",
        "conversation": "session-0",
        "message_id": "7",
        "body": BODY,
        "in_reply_to": "3",
    }
    return Envelope(**{**fields, **changes})


def as_sent(envelope):
    return stanza_text_of(envelope, "m1").replace(
        f'from="{envelope.sender}"', f'from="{envelope.sender}/agent"'
    )


def as_prosody_gives_it(envelope):
    """Single quotes, and the attributes of the message in an order of its own."""
    single = re.sub(r'="([^"]*)"', r"='\1'", as_sent(envelope))
    tag = f"<message id='m1' from='{A}/agent' to='{B}' xml:lang='en' type='chat'>"
    return tag + single.partition(">")[2]


def as_ejabberd_gives_it(envelope):
    """The form before the body."""
    single = as_prosody_gives_it(envelope)
    body = re.search("<body>.*</body>", single)[0]
    tag = f"<message xml:lang='en' to='{B}' from='{A}/agent' type='chat' id='m1'>"
    return tag + single.partition(">")[2].replace(body, "").replace("</message>", f"{body}</message>")


WAYS = [as_sent, as_prosody_gives_it, as_ejabberd_gives_it]


def parsed(text):
    (stanza,) = ElementTree.fromstring(f"{STREAM}{text}</stream:stream>")
    return stanza


def told(message):
    return str(message.sender), str(message.to), message.thread, message._metadata, message.body


@pytest.mark.parametrize("way", WAYS)
@given(envelope=envelopes, before=token)
def test_a_message_says_what_a_parser_reads_in_it(way, envelope, before):
    text = way(envelope)
    data = before.encode() + text.encode() + b"<message"
    plain, end = read_plain(data, len(before))
    assert end == len(before) + len(text)
    assert told(message_of_plain(plain)) == told(message_of_stanza(parsed(text)))


@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_has_not_come_whole_is_left(way):
    data = way(said()).encode()
    assert all(read_plain(data[:length], 0) is None for length in range(len(data)))
    assert isinstance(read_plain(data, 0)[0], PlainMessage)


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        (A, "Member-1@peerwatt.localhost"),
        (A, "member\u00e9@peerwatt.localhost"),
        ("chat", "error"),
        ("<message ", "<message foo='bar' "),
        ("<message ", "<message type='chat' "),
        ("<body>", "<body><b/>"),
        ("<body>", "<body>&unknown;"),
        ("<body>", "<body>]]>"),
        ("<body>", "<body>\u00e9"),
        ("<body>", "<body>\x07"),
        ("jabber:x:data", "jabber:x:other"),
        ("spade:x:metadata", "another"),
        ("text-single", "text-multi"),
        ("<value>market<", "<value><"),
        ("</x>", "</x><delay xmlns='urn:xmpp:delay' stamp='2026-05-01T12:00:00Z'/>"),
        ("</message>", "</message >"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_another_message_is_left_to_the_parser(way, found, instead):
    text = way(said())
    assert found in text
    assert read_plain(text.replace(found, instead).encode(), 0) is None


def test_one_body_not_two_and_not_none():
    text = as_sent(said())
    body = re.search("<body>.*</body>", text)[0]
    assert read_plain(text.replace(body, "").encode(), 0) is None
    assert read_plain(text.replace("</message>", f"{body}</message>").encode(), 0) is None


def test_nothing_is_taken_for_a_message_that_is_none():
    """Whatever is done to a text: what is still taken is well-formed, and says what a parser reads."""
    chance = random.Random(5)
    pieces = ["<", ">", "&", "'", '"', " ", "&amp;", "]]>", "<body>", "</x>", "id='1' ", "<field ", "=", "a"]
    taken = 0
    for number in range(2000):
        text = WAYS[number % len(WAYS)](said())
        for _ in range(chance.choice([1, 1, 2])):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(pieces) + text[at + chance.choice([0, 0, 1, 5]) :]
        if (plain := read_plain(text.encode(), 0)) is not None:
            taken += 1
            assert plain[1] <= len(text)
            assert told(message_of_plain(plain[0])) == told(message_of_stanza(parsed(text[: plain[1]])))
        if (sent := SENT.match(text.encode())) is not None:
            stanza = parsed(text[: sent.end()])
            assert [stanza.get(name).encode() for name in ("id", "to", "from")] == [*sent.groups()[:3]]
    assert taken > 100

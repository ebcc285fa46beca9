"""Envelope to text fields and back, and what a hostile sender may try."""

import asyncio
import random
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_agent import inform

from runtime.errors import ProtocolError
from runtime.messaging.spade_message import envelope_of_message, message_of, message_of_stanza, stanza_text_of
from runtime.messaging.wire import MAX_FIELD_CHARACTERS, check_sendable, envelope_of, fields_of
from runtime.protocol.envelope import MAX_BODY_BYTES, Envelope, Performative

A, B = "a@peerwatt.localhost", "b@peerwatt.localhost"


def read(envelope, **changes):
    fields = {**fields_of(envelope), **changes}
    fields = {name: value for name, value in fields.items() if value is not None}
    return envelope_of(envelope.sender, envelope.recipient, envelope.conversation, fields, envelope.body)


def test_the_fields_carry_fipas_names():
    cfp = inform(
        A,
        B,
        performative=Performative.CFP,
        message_id="m1",
        in_reply_to="m0",
        reply_by="2026-05-01T12:00:00+00:00",
        expects_reply=True,
    )
    assert fields_of(cfp) == {
        "performative": "cfp",
        "protocol": "market",
        "ontology": "peerwatt/1",
        "reply-with": "m1",
        "in-reply-to": "m0",
        "reply-by": "2026-05-01T12:00:00+00:00",
        "expects-reply": "true",
    }
    assert "expects-reply" not in fields_of(replace(cfp, expects_reply=False))


token = st.text("abcXYZ019-_./:<&'\" é", min_size=1, max_size=40)
envelopes = st.builds(
    Envelope,
    sender=st.just(A),
    recipient=st.just(B),
    performative=st.sampled_from(Performative),
    protocol=token,
    conversation=token,
    message_id=token,
    body=token,
    in_reply_to=st.none() | token,
    expects_reply=st.booleans(),
    reply_by=st.none() | st.just("2026-05-01T12:00:00+00:00"),
)


@given(envelopes)
def test_what_is_written_is_read_back(envelope):
    check_sendable(envelope)
    assert read(envelope) == envelope
    assert envelope_of_message(message_of(envelope), B) == envelope


@pytest.mark.parametrize("name", ["performative", "protocol", "ontology", "reply-with"])
@pytest.mark.parametrize("value", [None, "", "x" * (MAX_FIELD_CHARACTERS + 1)])
def test_a_missing_empty_or_overlong_field_is_named(name, value):
    with pytest.raises(ProtocolError, match=name):
        read(inform(A, B), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("performative", "shout"),
        ("ontology", "peerwatt/2"),
        ("expects-reply", "false"),
        ("expects-reply", ""),
        ("in-reply-to", ""),
        ("reply-by", "tomorrow"),
        ("reply-by", "2026-05-01T12:00:00"),
        ("surprise", "1"),
    ],
)
def test_a_malformed_or_unknown_field_is_named(name, value):
    with pytest.raises(ProtocolError, match=name):
        read(inform(A, B), **{name: value})


@pytest.mark.parametrize("thread", [None, "", "x" * (MAX_FIELD_CHARACTERS + 1)])
def test_a_conversation_is_needed(thread):
    with pytest.raises(ProtocolError, match="conversation"):
        envelope_of(A, B, thread, fields_of(inform(A, B)), "1")


@pytest.mark.parametrize("body", [None, "", "1" * (MAX_BODY_BYTES + 1), "é" * MAX_BODY_BYTES])
def test_a_body_of_allowed_length_is_needed(body):
    with pytest.raises(ProtocolError, match="body"):
        envelope_of(A, B, "s", fields_of(inform(A, B)), body)


@pytest.mark.parametrize(
    "change",
    [
        {"body": ""},
        {"body": "\x07"},
        {"body": "\ud800"},
        {"body": "1" * (MAX_BODY_BYTES + 1)},
        {"body": '"' * 100_000},
        {"message_id": "\x00"},
        {"message_id": ""},
        {"conversation": "x" * (MAX_FIELD_CHARACTERS + 1)},
        {"protocol": "\x1b"},
    ],
)
def test_what_would_end_the_stream_is_not_sent(change):
    with pytest.raises(ProtocolError):
        check_sendable(inform(A, B, **change))


def test_the_size_counts_what_escaping_adds():
    from xml.sax.saxutils import escape

    from runtime.messaging import wire

    chooser = random.Random(7)
    body = "".join(chooser.choice("&<>'\"a1é") for _ in range(4000))
    escaped = len(escape(body, {"'": "&apos;", '"': "&quot;"}).encode())
    envelope = inform(A, B, body=body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "MAX_ESCAPED_BODY_BYTES", escaped)
        check_sendable(envelope)
        patch.setattr(wire, "MAX_ESCAPED_BODY_BYTES", escaped - 1)
        with pytest.raises(ProtocolError, match=f"{escaped} bytes once escaped"):
            check_sendable(envelope)


async def as_spade_writes_it(envelope):
    from slixmpp import ClientXMPP
    from slixmpp.xmlstream.tostring import tostring

    client = ClientXMPP(A, "")
    stanza = message_of(envelope).prepare(client)
    return stanza, tostring(stanza.xml, xmlns=client.default_ns, stream=client, top_level=True)


@given(envelopes)
def test_the_stanza_is_written_as_spade_writes_it(envelope):
    stanza, text = asyncio.run(as_spade_writes_it(envelope))
    assert stanza_text_of(envelope, stanza["id"]) == text


@given(envelopes)
def test_the_stanza_is_read_as_spade_reads_it(envelope):
    from spade.message import Message

    stanza, _ = asyncio.run(as_spade_writes_it(envelope))
    spades, ours = Message.from_node(stanza), message_of_stanza(stanza.xml)
    for name in ("to", "sender", "body", "thread", "_metadata"):
        assert getattr(ours, name) == getattr(spades, name)
    assert envelope_of_message(ours, B) == envelope


@pytest.mark.parametrize(
    "text",
    [
        "<message xmlns='jabber:client' from='@@' to='b@c'><body>1</body></message>",
        "<message xmlns='jabber:client' from='a@c' to='b@c'><body>1</body><x xmlns='jabber:x:data'>"
        "<title>spade:x:metadata</title><field><value>1</value></field></x></message>",
    ],
)
def test_an_unreadable_stanza_is_a_breach_of_the_protocol(text):
    with pytest.raises(ProtocolError):
        message_of_stanza(ElementTree.fromstring(text))

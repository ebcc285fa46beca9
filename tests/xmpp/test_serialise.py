"""Stanzas written as bytes say what they said as elements."""

import random
from xml.etree import ElementTree

import pytest

from runtime.xmpp.serialise import stanza_bytes

STREAM = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>{}</stream:stream>"
)
XML = "http://www.w3.org/XML/1998/namespace"
NAMESPACES = ("jabber:client", "jabber:x:data", "urn:a&b<'\"", XML, "")
SIGNS = "aé☀\U0001f50b&<>'\"\t\n\r ]]>"


def as_received(data):
    """The stanza as the receiving client's parser builds it, within its stream."""
    return ElementTree.fromstring(STREAM.format(data.decode()))[0]


def alike(one, other):
    assert (one.tag, one.attrib, one.text or "") == (other.tag, other.attrib, other.text or "")
    assert len(one) == len(other)
    for child, its in zip(one, other, strict=True):
        assert (child.tail or "") == (its.tail or "")
        alike(child, its)


def some_text(chooser):
    return "".join(chooser.choice(SIGNS) for _ in range(chooser.randrange(6)))


def qualified(chooser, name):
    namespace = chooser.choice(NAMESPACES)
    return f"{{{namespace}}}{name}" if namespace else name


def grown(chooser, depth):
    element = ElementTree.Element(qualified(chooser, f"e{depth}"))
    for number in range(chooser.randrange(4)):
        element.set(qualified(chooser, f"k{number}"), some_text(chooser) * chooser.choice((1, 50)))
    element.text = some_text(chooser)
    for _ in range(chooser.randrange(4) if depth < 4 else 0):
        child = grown(chooser, depth + 1)
        child.tail = some_text(chooser)
        element.append(child)
    return element


@pytest.mark.parametrize("seed", range(50))
def test_any_stanza_arrives_as_it_was_sent(seed):
    stanza = grown(random.Random(seed), 0)
    alike(as_received(stanza_bytes(stanza)), stanza)


def test_a_message_is_written_without_what_a_client_can_do_without():
    text = (
        '<message to="a@x" type="chat"><body>{"n":1} &amp; &lt;</body>'
        '<x xmlns="jabber:x:data" type="form"><field var="f"><value>1</value></field><title/></x></message>'
    )
    assert stanza_bytes(as_received(text.encode())) == text.encode()


def test_what_follows_a_stanza_is_no_part_of_it():
    stanza = ElementTree.fromstring(STREAM.format("<message/>\n\n<message/>"))[0]
    assert stanza.tail == "\n\n"
    assert stanza_bytes(stanza) == b"<message/>"

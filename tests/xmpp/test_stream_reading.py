"""Reading a stream: stanzas whole however they are cut, a message's content as it was written."""

from xml.etree import ElementTree

import pytest

from runtime.xmpp.serialise import WrittenStanza, stanza_bytes
from runtime.xmpp.stream import DEPTH_LIMIT, StreamReader, StreamViolationError

HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='x' xml:lang='en' xmlns:o='urn:o' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
)
FORM = "<x xmlns='jabber:x:data' type='form'><field var='a'><value>1 &gt; 0</value></field></x>"
MESSAGES = (
    "<message to='a@x'><body>x &lt; y &#13; é</body></message>",
    "<message to='a@x' type='chat' id='>' xml:lang=\"de'\"><body><![CDATA[</message>]]></body>"
    + FORM
    + "</message >",
    "<message/>",
    "<message to='a@x'></message>",
    "<message xmlns='jabber:client' to='a'><body>own namespace</body></message>",
    "<message to='b'><q:z xmlns:q='urn:q' q:k='v'/></message>",
)
TAKEN_APART = (
    "<message to='b' xmlns:q='urn:q'><q:z/></message>",
    "<message to='b'><o:z o:k='v'/><body>b</body></message>",
    "<message xmlns='urn:other'><body/></message>",
    "<o:message/>",
    "<presence/>",
    "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
)


class Taker:
    """Stands for what a reader reports to."""

    def __init__(self):
        self.taken = []
        self.ended = False

    def take(self, element):
        self.taken.append(element)

    def end_of_stream(self):
        self.ended = True


def read(text, pieces=1):
    taker = Taker()
    reader = StreamReader(taker)
    data = text.encode()
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return taker


def alike(one, other):
    assert (one.tag, one.attrib, one.text or "") == (other.tag, other.attrib, other.text or "")
    assert len(one) == len(other)
    for child, its in zip(one, other, strict=True):
        assert (child.tail or "") == (its.tail or "")
        alike(child, its)


@pytest.mark.parametrize("pieces", [1, 2, 7, 10_000])
def test_every_stanza_goes_on_as_it_came(pieces):
    texts = [*MESSAGES, *TAKEN_APART]
    whole = HEADER + " \n".join(texts) + "</stream:stream>"
    taker = read(whole, pieces)
    sent = ElementTree.fromstring(whole)
    assert taker.ended
    assert taker.taken[0].tag == sent.tag
    assert taker.taken[0].attrib == sent.attrib
    assert [isinstance(each, WrittenStanza) for each in taker.taken[1:]] == [True for _ in MESSAGES] + [
        False for _ in TAKEN_APART
    ]
    receiving = HEADER.replace("xmlns:o='urn:o' ", "") + "{}</stream:stream>"
    for stanza, its in zip(taker.taken[1:], sent, strict=True):
        alike(ElementTree.fromstring(receiving.format(stanza_bytes(stanza).decode()))[0], its)


@pytest.mark.parametrize(
    "bad",
    [
        "<message><!-- -->",
        "<!-- -->",
        "<message><?php ?>",
        "<message><body><p:q/></body></message>",
        "<message><body>&unknown;</body></message>",
        "<message><body></message>",
        "<message to='a' to='b'/>",
        "<a>" * DEPTH_LIMIT,
    ],
)
def test_what_would_harm_a_receiver_ends_the_stream_after_what_was_whole(bad):
    taker = Taker()
    reader = StreamReader(taker)
    with pytest.raises(Exception, match=r"document type|not well|undefined|mismatched|unbound|duplic|deep"):
        reader.feed((HEADER + MESSAGES[0] + bad).encode())
    assert [each.tag for each in taker.taken[1:]] == ["{jabber:client}message"]


def test_a_document_type_and_another_root_are_refused():
    with pytest.raises(StreamViolationError):
        read("<!DOCTYPE a [<!ENTITY b 'c'>]>" + HEADER)
    with pytest.raises(StreamViolationError, match="no stream header"):
        read("<stream xmlns='jabber:client'>")


def test_what_is_no_stanza_is_not_kept():
    reader = StreamReader(Taker())
    reader.feed(HEADER.encode())
    for _ in range(100):
        reader.feed(b" " * 1000)
        reader.feed(b"<message><body>1</body></message>")
    assert len(reader._buffer) < 100

"""Reading XML streams: what pyjabber's parser and queue lose or choke on.

- A client may send an XML declaration before every stream header, which is illegal inside one document: each
  stream gets a parser of its own.
- What a client sent before it left is still handled: stock pyjabber cancels the work wherever it is.
- Document type declarations, comments and processing instructions, which XMPP forbids (RFC 6120 section
  11.1), end the stream before an entity is expanded.
- Elements are built by the standard library's compiled parser: stock pyjabber builds each in Python. Those of
  a message's content are not built at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax import ContentHandler

from loguru import logger

from runtime.xmpp.parts import QueueBridge, Signal, XMLParser
from runtime.xmpp.serialise import STREAM_NAMESPACE, WrittenStanza

if TYPE_CHECKING:
    from runtime.xmpp.protocol import ClientProtocol

STREAM_TAG = "{http://etherx.jabber.org/streams}stream"

DEPTH_LIMIT = 100
"""Elements in one another, the stream counted; deeper ones end the stream."""


class StreamViolationError(Exception):
    """The client sent what no XMPP client may send; its stream ends."""


Reader: TypeAlias = "ElementTree.XMLPullParser[ElementTree.Element]"

_MESSAGE = f"{STREAM_NAMESPACE}}}message"


class StreamReader:
    """Reads one stream as it arrives: its header at once, then whole stanzas, then its end.

    A message's content is looked through but not taken apart: it goes on as it came.
    """

    def __init__(self, parser: StreamParser) -> None:
        """Report to ``parser``."""
        self._parser = parser
        self._expat = expat.ParserCreate("utf-8", "}")  # RFC 6120 section 11.6, whatever is declared
        self._expat.StartNamespaceDeclHandler = self._declare
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.StartDoctypeDeclHandler = _refuse_markup
        self._expat.CommentHandler = _refuse_markup
        self._expat.ProcessingInstructionHandler = _refuse_markup
        if hasattr(self._expat, "SetReparseDeferralEnabled"):
            self._expat.SetReparseDeferralEnabled(False)  # a stanza that is here is not to wait for the next
        self._buffer = bytearray()  # what may still be part of a stanza
        self._dropped = 0  # bytes of the stream that came before the buffer
        self._depth = 0
        self._header = b""
        self._default: str | None = None  # namespace of the stream
        self._prefixes: list[bytes] = []  # that the stream declares
        self._declared: dict[str | None, str | None] = {}
        self._began = 0
        self._attributes: dict[str, str] | None = None
        self._whole: list[ElementTree.Element | None] = []

    def feed(self, data: bytes) -> None:
        """Read what arrived.

        Raises:
            StreamViolationError: what no XMPP client may send.
            xml.parsers.expat.ExpatError: no well-formed XML.
        """
        self._buffer += data
        problem: Exception | None = None
        try:
            self._expat.Parse(data, False)
        except Exception as error:
            problem = error
        # What was whole before it counts.
        whole, self._whole = self._whole, []
        for element in whole:
            if element is None:
                self._parser.end_of_stream()
            else:
                self._parser.take(element)
        if problem is not None:
            raise problem
        if self._depth == 1:
            # Between stanzas, only the beginning of a tag can be part of the next.
            tag = self._buffer.rfind(b"<")
            self._drop(len(self._buffer) if tag < 0 else tag)

    def _drop(self, length: int) -> None:
        del self._buffer[:length]
        self._dropped += length

    def _declare(self, prefix: str | None, namespace: str | None) -> None:
        """A namespace is declared by the element that is about to start."""
        if self._depth < 2:
            self._declared[prefix] = namespace

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > 2:
            if self._depth > DEPTH_LIMIT:
                raise StreamViolationError(f"elements in one another more than {DEPTH_LIMIT} deep")
            return
        declared, self._declared = self._declared, {}
        if self._depth == 1:
            self._begin(declared)
            return
        self._began = self._expat.CurrentByteIndex
        # A content that needs to know what its stanza declares cannot go on without it.
        default = declared.pop(None, self._default)
        plain = name == _MESSAGE and default == STREAM_NAMESPACE and not declared
        self._attributes = attributes if plain else None

    def _begin(self, declared: dict[str | None, str | None]) -> None:
        start = self._expat.CurrentByteIndex - self._dropped
        self._header = bytes(self._buffer[start : self._end_of_start_tag(start)])
        self._default = declared.pop(None, None)
        self._prefixes = [f"{prefix}:".encode() for prefix in declared]
        reader: Reader = ElementTree.XMLPullParser(("start",))
        reader.feed(self._header)
        ((_, stream),) = _events_of(reader)
        if stream.tag != STREAM_TAG:
            raise StreamViolationError("no stream header")
        self._whole.append(stream)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._depth > 1:
            return
        if self._depth == 0:
            self._whole.append(None)
            return
        start, end = self._began - self._dropped, self._expat.CurrentByteIndex - self._dropped
        after_tag = self._end_of_start_tag(start)
        empty = self._buffer[after_tag - 2 : after_tag] == b"/>"
        if self._attributes is not None:
            content = b"" if empty else bytes(self._buffer[after_tag:end])
            if not any(prefix in content for prefix in self._prefixes):
                attributes = {
                    ("{" + key if "}" in key else key): value for key, value in self._attributes.items()
                }
                self._whole.append(WrittenStanza(f"{{{_MESSAGE}", attributes, content))
                return
        stop = after_tag if empty else self._buffer.index(b">", end) + 1
        self._whole.append(self._taken_apart(bytes(self._buffer[start:stop])))

    def _end_of_start_tag(self, start: int) -> int:
        tag = _START_TAG.match(self._buffer, start)
        assert tag is not None, "the parser has read the tag"
        return tag.end()

    def _taken_apart(self, stanza: bytes) -> ElementTree.Element:
        """A stanza as an element, in the namespaces of the stream."""
        reader: Reader = ElementTree.XMLPullParser(("end",))
        reader.feed(self._header)
        reader.feed(stanza)
        *_, (_, element) = _events_of(reader)
        return element


_START_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
"""A start tag that is known to be well-formed: the values of its attributes may hold its end."""


def _events_of(reader: Reader) -> Iterator[tuple[str, ElementTree.Element]]:
    return cast("Iterator[tuple[str, ElementTree.Element]]", reader.read_events())


def _refuse_markup(*_: object) -> None:
    raise StreamViolationError("document type, comment or processing instruction")


class Bridge(QueueBridge):  # type: ignore[misc]
    """Hands elements to the negotiator and then to the stanza handler, to the last one received."""

    def has_more(self) -> bool:
        """Whether elements wait that were received before now."""
        return not self._queue.empty()

    # pyjabber's attributes, named for the type checker.
    _queue: asyncio.Queue[ElementTree.Element | None]
    _stream_ready: bool
    _stream_handler: Any
    _stanza_handler: Any

    def take(self, element: ElementTree.Element) -> None:
        """Handle a stanza at once, or an element after those before it that wait."""
        if self._stream_ready and self._queue.empty():
            self._stanza_handler.handle(element)
        else:
            self.put(element)

    async def feed(self) -> None:
        """Handle elements until the end of the stream has been put in."""
        while (element := await self._queue.get()) is not None:
            if self._stream_ready:
                await self._stanza_handler.feed(element)
            elif await self._stream_handler.handle_open_stream(element) == Signal.DONE:
                self._stanza_handler = self._stanza_handler_class(self._transport)
                self._stream_handler = None
                self._stream_ready = True


class StreamParser(XMLParser):  # type: ignore[misc]
    """Hands stream headers and stanzas to the negotiator and then the stanza handler."""

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: ClientProtocol,
        negotiator: type,
        stanza_handler: type,
    ) -> None:
        # Not pyjabber's own constructor, which builds its own bridge.
        ContentHandler.__init__(self)
        self._transport = transport
        self._protocol = protocol
        self._peer = transport.get_extra_info("peername")
        self._stream_negotiator = Bridge(transport, protocol, self, negotiator, stanza_handler)
        self._queue_bridge_task = asyncio.create_task(self._stream_negotiator.feed())
        self._queue_bridge_task.add_done_callback(self._bridge_ended)

    def reset_stack(self) -> None:
        """Begin a new stream: expect a whole new document."""
        self._protocol.use_reader(StreamReader(self))

    def cancel_queue_bridge(self) -> None:
        """End the queue after what is already in it."""
        self._stream_negotiator.put(None)

    def take(self, element: ElementTree.Element) -> None:
        """Hand on a stream header or a whole stanza."""
        try:
            self._stream_negotiator.take(element)
        except Exception as error:
            self._failed(error)

    def end_of_stream(self) -> None:
        """Close the connection: the stream has ended."""
        self._protocol.end_of_stream()

    def _bridge_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        logger.error(f"stream of {self._peer} failed: {type(error).__name__}: {error}")
        self._protocol.close()

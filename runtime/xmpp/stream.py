"""Reading XML streams: what pyjabber's parser and queue lose or choke on.

- A client may send an XML declaration before every stream header, which is illegal inside one document: each
  stream gets a parser of its own.
- What a client sent before it left is still handled: stock pyjabber cancels the work wherever it is.
- Document type declarations, which XMPP forbids, end the stream before an entity is expanded.
- Elements are built by the standard library's compiled parser: stock pyjabber builds each in Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree
from xml.sax import ContentHandler

from loguru import logger

from runtime.xmpp.parts import QueueBridge, Signal, XMLParser

if TYPE_CHECKING:
    from runtime.xmpp.protocol import ClientProtocol

STREAM_TAG = "{http://etherx.jabber.org/streams}stream"


class StreamViolationError(Exception):
    """The client sent what no XMPP client may send; its stream ends."""


class StreamReader:
    """Reads one stream as it arrives: its header at once, then whole stanzas, then its end."""

    def __init__(self, parser: StreamParser) -> None:
        """Report to ``parser``."""
        self._parser = parser
        self._pull: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(
            ("start", "end")
        )
        self._prolog = b""
        self._stream: ElementTree.Element | None = None
        self._depth = 0

    def feed(self, data: bytes) -> None:
        """Read what arrived.

        Raises:
            StreamViolationError: what no XMPP client may send.
            ElementTree.ParseError: no well-formed XML.
        """
        if self._stream is None:
            # Before the stream begins, markup that starts so is a document type or a comment.
            self._prolog += data
            if b"<!" in self._prolog.partition(b"<stream")[0]:
                raise StreamViolationError("document type declaration")
        self._pull.feed(data)
        events = cast("Iterator[tuple[str, ElementTree.Element]]", self._pull.read_events())
        for event, element in events:
            if event == "start":
                self._depth += 1
                if self._depth == 1:
                    self._begin(element)
            else:
                self._depth -= 1
                if self._depth == 1:
                    self._take(element)
                elif self._depth == 0:
                    self._parser.end_of_stream()

    def _begin(self, stream: ElementTree.Element) -> None:
        if stream.tag != STREAM_TAG:
            raise StreamViolationError("no stream header")
        self._stream, self._prolog = stream, b""
        self._parser.take(ElementTree.Element(stream.tag, stream.attrib))

    def _take(self, stanza: ElementTree.Element) -> None:
        assert self._stream is not None, "a stanza comes within a stream"
        self._stream.clear()  # it would keep every stanza of the connection
        self._parser.take(stanza)


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

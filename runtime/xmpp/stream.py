"""Reading XML streams: what pyjabber's parser and queue lose or choke on.

- A client may send an XML declaration before every stream header, which is illegal inside one document: each
  stream gets a parser of its own.
- What a client sent before it left is still handled: stock pyjabber cancels the work wherever it is.
- Document type declarations, which XMPP forbids, end the stream before an entity is expanded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from xml import sax
from xml.etree import ElementTree
from xml.sax import expatreader
from xml.sax.handler import LexicalHandler

from loguru import logger

from runtime.xmpp.parts import QueueBridge, Signal, XMLParser

if TYPE_CHECKING:
    from runtime.xmpp.protocol import ClientProtocol

STREAM_TAG = "{http://etherx.jabber.org/streams}stream"


class StreamViolationError(Exception):
    """The client sent what no XMPP client may send; its stream ends."""


class _NoDoctype(LexicalHandler):
    def startDTD(self, name: str, public_id: str | None, system_id: str | None) -> None:  # noqa: N802
        raise StreamViolationError("document type declaration")


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
    """Builds one element per stanza and queues it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: ClientProtocol,
        negotiator: type,
        stanza_handler: type,
    ) -> None:
        # Not pyjabber's own constructor, which builds its own bridge.
        sax.ContentHandler.__init__(self)
        self._stack: list[ElementTree.Element] = []
        self._transport = transport
        self._protocol = protocol
        self._peer = transport.get_extra_info("peername")
        self._stream_negotiator = Bridge(transport, protocol, self, negotiator, stanza_handler)
        self._queue_bridge_task = asyncio.create_task(self._stream_negotiator.feed())
        self._queue_bridge_task.add_done_callback(self._bridge_ended)

    def new_sax_parser(self) -> expatreader.ExpatParser:
        """Return an incremental parser that reports to this handler."""
        parser = expatreader.create_parser()
        parser.setFeature(sax.handler.feature_namespaces, True)
        parser.setFeature(sax.handler.feature_external_ges, False)
        parser.setProperty(sax.handler.property_lexical_handler, _NoDoctype())
        parser.setContentHandler(self)
        return parser

    def reset_stack(self) -> None:
        """Begin a new stream: forget the open header and expect a whole new document."""
        self._stack.clear()
        self._protocol.use_parser(self.new_sax_parser())

    def cancel_queue_bridge(self) -> None:
        """End the queue after what is already in it."""
        self._stream_negotiator.put(None)

    def endElementNS(self, name: tuple[str | None, str], qname: str | None) -> None:  # noqa: N802
        """Queue a finished stanza; close the connection when the stream itself ends."""
        if not self._stack:
            raise StreamViolationError("an end without a beginning")
        element = self._stack.pop()
        if not self._stack:
            self._protocol.end_of_stream()
        elif len(self._stack) == 1:
            self._stream_negotiator.put(element)
        else:
            self._stack[-1].append(element)

    def characters(self, content: str) -> None:
        """Add text to the element it is in; between stanzas it is only a sign of life."""
        if len(self._stack) > 1:
            super().characters(content)

    def _bridge_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error(f"stream of {self._peer} failed: {type(error).__name__}: {error}")
            self._protocol.close()

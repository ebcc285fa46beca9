"""One client's connection to the embedded server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from loguru import logger

from runtime.xmpp.negotiation import Negotiator
from runtime.xmpp.parts import XMLProtocol
from runtime.xmpp.routing import Session
from runtime.xmpp.serialise import stanza_bytes
from runtime.xmpp.stanzas import Stanzas
from runtime.xmpp.stream import StreamParser, StreamReader

if TYPE_CHECKING:
    from runtime.xmpp.server import EmbeddedServer

LOGIN_LIMIT_S = 60.0
"""Connections that have not logged in by then are closed."""


class ClientProtocol(XMLProtocol):  # type: ignore[misc]
    """Carries bytes between a client, its parser and its session; logs no content.

    Attributes:
        server: the server it belongs to.
        local_part: the account, once authenticated.
        session: the session, once bound.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        # Not pyjabber's own constructor, which opens its presence database.
        self.server = server
        self.local_part = ""
        self.session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._parser: StreamParser | None = None
        self._reader: StreamReader | None = None
        self._peer: object = None
        self._login_limit: asyncio.TimerHandle | None = None
        self._to_write: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start reading the first stream."""
        self._transport = transport
        self._peer = transport.get_extra_info("peername")
        self._parser = StreamParser(transport, self, Negotiator, Stanzas)
        self._reader = StreamReader(self._parser)
        self.server.protocols.add(self)
        self._login_limit = asyncio.get_running_loop().call_later(LOGIN_LIMIT_S, self._close_strangers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session; what the client sent before is still handled."""
        self.server.protocols.discard(self)
        if self._login_limit is not None:
            self._login_limit.cancel()
        if self._parser is not None:
            self._parser.cancel_queue_bridge()
        if self.session is not None:
            self.server.router.unbind(self.session)
        self._transport = self._reader = None

    def use_reader(self, reader: StreamReader) -> None:
        """Read what follows as a new document."""
        if self._reader is not None:
            self._reader = reader

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._reader is None:
            return
        try:
            self._reader.feed(data)
        except Exception as error:
            logger.warning(f"{self._peer} sent no XMPP: {type(error).__name__}")
            self.end_with_error("not-well-formed")

    def send(self, stanza: ElementTree.Element) -> None:
        """Send one stanza."""
        self.send_bytes(stanza_bytes(stanza))

    def send_bytes(self, data: bytes) -> None:
        """Send serialised stanzas, if the connection still stands.

        What comes for one client before the event loop goes on takes one encryption and wakes it once.
        """
        if self._transport is None:
            return
        if not self._to_write:
            asyncio.get_running_loop().call_soon(self._write)
        self._to_write.append(data)

    def _write(self) -> None:
        data, self._to_write = b"".join(self._to_write), []
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end_with_error(self, condition: str) -> None:
        """End the stream, saying why (RFC 6120 section 4.9)."""
        detail = f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        self.send_bytes(f"<stream:error>{detail}</stream:error>".encode())
        self.end_of_stream()

    def end_of_stream(self) -> None:
        """Close the stream and then the connection."""
        self.send_bytes(b"</stream:stream>")
        self.close()

    def _close_strangers(self) -> None:
        if self.session is None:
            self.end_with_error("connection-timeout")

    def close(self) -> None:
        """Close the connection once all is sent; nothing more is read."""
        self._reader = None
        if self.session is not None:
            self.server.router.unbind(self.session)
        if self._transport is not None:
            self._write()
            self._transport.close()

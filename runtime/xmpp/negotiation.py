"""Opening a stream: TLS, authentication, resource binding, without pyjabber's races and open doors.

- The response header carries the server's name in ``from``.
- The new stream a fast client sends straight after the TLS handshake is not swallowed.
- Only accounts made beforehand log in; registration, also by a client that sends it unasked, is refused.
- The resource a client asks for is the one it gets.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from typing import TYPE_CHECKING
from uuid import uuid4
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from runtime.xmpp.parts import (
    Signal,
    Stage,
    Stream,
    StreamFeature,
    StreamNegotiator,
    start_tls_proceed_response,
)
from runtime.xmpp.stream import STREAM_TAG, Bridge, StreamParser

if TYPE_CHECKING:
    from runtime.xmpp.protocol import ClientProtocol

_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
HANDSHAKE_LIMIT_S = 20.0


class Negotiator(StreamNegotiator):  # type: ignore[misc]
    """Takes a client from its first stream header to a bound session."""

    def __init__(
        self, transport: asyncio.Transport, protocol: ClientProtocol, parser: StreamParser, handler: Bridge
    ) -> None:
        # Not pyjabber's own constructor, which needs its global configuration.
        self._transport = transport
        self._protocol = protocol
        self._parser = parser
        self._handler = handler
        self._stream_feature = StreamFeature()
        self._ibr_feature = False
        self._stage = Stage.CONNECTED
        self._stages_handlers = {
            Stage.CONNECTED: self._handle_init,
            Stage.OPENED: self._handle_tls,
            Stage.SSL: self._handle_init_ssl,
            Stage.SASL: self._handle_ssl,
            Stage.AUTH: self._handle_init_resource_bind,
            Stage.BIND: self._handle_resource_bind,
        }

    async def handle_open_stream(self, elem: ElementTree.Element) -> Signal | None:
        """Answer one element of the negotiation; anything out of place ends the stream."""
        header_due = self._stage in (Stage.CONNECTED, Stage.SSL, Stage.AUTH)
        if (elem.tag == STREAM_TAG) != header_due:
            return self._refuse("not-authorized")
        if header_due:
            self._transport.write(self._response_header(elem))
            if elem.get("to") != self._protocol.server.domain:
                return self._refuse("host-unknown")
        return await self._stages_handlers[self._stage](elem)

    def _response_header(self, header: ElementTree.Element) -> bytes:
        language = header.get(_LANG, "en")
        to = header.get("from")
        quoted = {"'": "&apos;"}
        return Stream(  # type: ignore[no-any-return]
            from_=self._protocol.server.domain,
            to=None if to is None else escape(to, quoted),
            xml_lang=escape(language, quoted),
        ).open_tag()

    def _refuse(self, condition: str) -> Signal:
        self._protocol.end_with_error(condition)
        return Signal.FORCE_CLOSE

    async def _handle_tls(self, element: ElementTree.Element) -> Signal | None:
        if element.tag != "{urn:ietf:params:xml:ns:xmpp-tls}starttls" or self._handler.has_more():
            # What came in clear text after the request must not be taken for the encrypted stream's.
            return self._refuse("not-authorized")
        # All that belongs to the old stream ends before the client hears that it may go on.
        self._transport.pause_reading()
        self._parser.reset_stack()
        self._transport.write(start_tls_proceed_response())
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport,
                self._protocol,
                self._protocol.server.tls_context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
            )
        except OSError:
            # ssl.SSLError among them: most often a client that does not trust the certificate.
            self._protocol.close()
            return Signal.FORCE_CLOSE
        if encrypted is None:
            self._protocol.close()
            return Signal.FORCE_CLOSE
        self._transport = encrypted
        self._protocol.transport = encrypted
        self._parser.transport = encrypted
        self._handler.transport = encrypted
        self._stage = Stage.SSL
        # Not Signal.RESET: the client's new stream may have arrived already.
        return None

    async def _handle_ssl(self, element: ElementTree.Element) -> Signal | None:
        if element.tag != f"{{{_SASL}}}auth":
            return self._refuse("not-authorized")
        local_part = self._authenticate(element)
        if local_part is None:
            self._transport.write(f"<failure xmlns='{_SASL}'><not-authorized/></failure>".encode())
            self._protocol.end_of_stream()
            return Signal.FORCE_CLOSE
        self._protocol.local_part = local_part
        self._stage = Stage.AUTH
        self._parser.reset_stack()
        self._transport.write(f"<success xmlns='{_SASL}'/>".encode())
        return None

    def _authenticate(self, element: ElementTree.Element) -> str | None:
        """Check a PLAIN login (RFC 4616) and return the account, or None."""
        if element.get("mechanism") != "PLAIN":
            return None
        try:
            authorised, local_part, password = (
                part.decode() for part in base64.b64decode(element.text or "", validate=True).split(b"\0")
            )
        except (binascii.Error, ValueError):
            return None
        expected = self._protocol.server.password_of(local_part)
        if authorised not in ("", f"{local_part}@{self._protocol.server.domain}"):
            return None
        if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
            return None
        return local_part

    async def _handle_resource_bind(self, element: ElementTree.Element) -> Signal | None:
        bind = element.find(f"{{{_BIND}}}bind") if element.tag == "{jabber:client}iq" else None
        if bind is None or element.get("type") != "set":
            return self._refuse("not-authorized")
        resource = (bind.findtext(f"{{{_BIND}}}resource") or "").strip() or uuid4().hex
        if len(resource) > 256:
            return self._refuse("policy-violation")
        session = self._protocol.server.router.bind(self._protocol.local_part, resource, self._protocol)
        self._protocol.session = session
        result = ElementTree.Element("{jabber:client}iq", {"type": "result", "id": element.get("id", "")})
        answer = ElementTree.SubElement(result, f"{{{_BIND}}}bind")
        ElementTree.SubElement(answer, f"{{{_BIND}}}jid").text = session.jid
        self._protocol.send(result)
        return Signal.DONE

"""What a logged-in client may send: messages, its presence, and the few queries a client needs answered.

pyjabber's own handlers accept any sender, deliver stored messages to nobody, and lose all accounts when a
client leaves during a database query; here nothing is in a database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree

from runtime.xmpp.parts import StanzaHandler
from runtime.xmpp.routing import CLIENT, error_reply

if TYPE_CHECKING:
    from runtime.xmpp.protocol import ClientProtocol

_DISCO_INFO = "{http://jabber.org/protocol/disco#info}"
_DISCO_ITEMS = "{http://jabber.org/protocol/disco#items}"
_FEATURES = ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "msgoffline")


class Stanzas(StanzaHandler):  # type: ignore[misc]
    """Handles the stanzas of one session."""

    def __init__(self, transport: asyncio.Transport) -> None:
        # Not pyjabber's own constructor, which opens its extensions and its database.
        self._protocol = cast("ClientProtocol", transport.get_protocol())
        assert self._protocol.session is not None, "stanzas are handled once a session is bound"
        self._session = self._protocol.session
        self._server = self._protocol.server
        self._functions = {
            f"{CLIENT}iq": self.handle_iq,
            f"{CLIENT}message": self.handle_msg,
            f"{CLIENT}presence": self.handle_pre,
        }

    async def feed(self, element: ElementTree.Element) -> None:
        """Handle one stanza that had to wait."""
        self.handle(element)

    def handle(self, element: ElementTree.Element) -> None:
        """Handle one stanza; what is none ends the stream."""
        handler = self._functions.get(element.tag)
        if handler is None:
            self._protocol.end_with_error("unsupported-stanza-type")
        else:
            handler(element)

    def handle_msg(self, element: ElementTree.Element) -> None:
        """Route a message."""
        self._server.router.route(self._session, element)

    def handle_pre(self, element: ElementTree.Element) -> None:
        """Note whether the client wants messages; presence is not passed on to others."""
        kind = element.get("type")
        if element.get("to") is None and kind in (None, "unavailable"):
            self._server.router.set_available(self._session, kind is None)

    def handle_iq(self, element: ElementTree.Element) -> None:
        """Answer pings, service discovery and the (always empty) contact list; refuse all other queries."""
        kind = element.get("type")
        if kind not in ("get", "set"):
            return
        to = element.get("to") or self._session.jid.partition("/")[0]
        own = to in (self._server.domain, self._session.jid.partition("/")[0])
        payload = element[0] if len(element) == 1 else None
        answer: ElementTree.Element | None = None
        answered = False
        if own and payload is not None and kind == "get":
            if payload.tag == "{urn:xmpp:ping}ping":
                answered = True
            elif payload.tag in ("{jabber:iq:roster}query", f"{_DISCO_ITEMS}query"):
                answered, answer = True, ElementTree.Element(payload.tag)
            elif payload.tag == f"{_DISCO_INFO}query":
                answered, answer = True, ElementTree.Element(payload.tag)
                ElementTree.SubElement(answer, f"{_DISCO_INFO}identity", {"category": "server", "type": "im"})
                for feature in _FEATURES:
                    ElementTree.SubElement(answer, f"{_DISCO_INFO}feature", {"var": feature})
        elif own and payload is not None and payload.tag == "{urn:ietf:params:xml:ns:xmpp-session}session":
            answered = True
        if not answered:
            self._protocol.send_bytes(
                error_reply(element, to, self._session.jid, "cancel", "service-unavailable")
            )
            return
        result = ElementTree.Element(
            f"{CLIENT}iq",
            {"type": "result", "id": element.get("id", ""), "from": to, "to": self._session.jid},
        )
        if answer is not None:
            result.append(answer)
        self._protocol.send(result)

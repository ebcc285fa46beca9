"""Who is there, and where a message goes: to sessions that said they are available, else into store.

RFC 6121 section 8.5, for one closed domain: no contacts, no other servers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree

from runtime.xmpp.serialise import stanza_bytes

CLIENT = "{jabber:client}"
STORE_LIMIT = 10_000
"""Messages kept for one absent account; further ones are returned to their sender."""


class Line(Protocol):
    """What a session needs of its connection."""

    def send_bytes(self, data: bytes) -> None:
        """Send serialised stanzas."""

    def end_with_error(self, condition: str) -> None:
        """End the stream, saying why."""


@dataclass(slots=True, eq=False)
class Session:
    """One logged-in client.

    Attributes:
        local_part: the account.
        resource: what the client wanted to be called.
        jid: full JID.
        line: its connection.
        available: whether it asked for messages (initial presence sent).
    """

    local_part: str
    resource: str
    jid: str
    line: Line
    available: bool = False


def error_reply(stanza: ElementTree.Element, sender: str, to: str, kind: str, condition: str) -> bytes:
    """Return the error that answers ``stanza``, without its content (RFC 6120 section 8.3)."""
    reply = ElementTree.Element(stanza.tag, {"type": "error", "from": sender, "to": to})
    if (stanza_id := stanza.get("id")) is not None:
        reply.set("id", stanza_id)
    error = ElementTree.SubElement(reply, f"{CLIENT}error", {"type": kind})
    ElementTree.SubElement(error, f"{{urn:ietf:params:xml:ns:xmpp-stanzas}}{condition}")
    return stanza_bytes(reply)


class Router:
    """The sessions of the server and the messages stored for absent accounts (in memory)."""

    def __init__(
        self,
        domain: str,
        has_account: Callable[[str], bool],
        record: Callable[[str, ElementTree.Element], None] | None = None,
    ) -> None:
        """Route for a domain.

        Args:
            domain: the XMPP domain.
            has_account: whether there is an account of this local part.
            record: told the sender's full JID and each message as it came, before it is routed.
        """
        self.domain = domain
        self._has_account = has_account
        self._record = record
        self._sessions: dict[str, Session] = {}
        self._stored: dict[str, deque[bytes]] = {}

    def bind(self, local_part: str, resource: str, line: Line) -> Session:
        """Open the one session of an account; its session before, if any, is ended with ``conflict``.

        Whatever it is called: whoever has an account's secret beside its agent cannot go unnoticed.
        """
        if (older := self._sessions.pop(local_part, None)) is not None:
            older.line.end_with_error("conflict")
        session = Session(local_part, resource, f"{local_part}@{self.domain}/{resource}", line)
        self._sessions[local_part] = session
        return session

    def unbind(self, session: Session) -> None:
        """Forget a session, unless another has taken its place already."""
        if self._sessions.get(session.local_part) is session:
            del self._sessions[session.local_part]

    def set_available(self, session: Session, available: bool) -> None:
        """Note a presence; a session that becomes available gets what was stored, oldest first."""
        arrives = available and not session.available
        session.available = available
        if arrives and (stored := self._stored.pop(session.local_part, None)):
            for data in stored:
                session.line.send_bytes(data)

    def sessions(self) -> list[Session]:
        """Return all sessions."""
        return list(self._sessions.values())

    def route(self, sender: Session, message: ElementTree.Element) -> None:
        """Deliver a message, store it, or answer why not; its sender is the session, whatever it says."""
        if self._record is not None:
            self._record(sender.jid, message)
        to = message.get("to") or f"{sender.local_part}@{self.domain}"
        bare = to.partition("/")[0]
        local_part, _, domain = bare.rpartition("@")
        message.set("from", sender.jid)
        message.set("to", to)
        if domain != self.domain:
            return self._return(sender, message, to, "cancel", "remote-server-not-found")
        if not self._has_account(local_part):
            return self._return(sender, message, to, "cancel", "service-unavailable")
        data = stanza_bytes(message)
        # A resource that is gone stands for the account.
        receiver = self._sessions.get(local_part)
        if receiver is not None and receiver.available:
            receiver.line.send_bytes(data)
        elif message.get("type", "normal") in ("chat", "normal"):
            stored = self._stored.setdefault(local_part, deque())
            if len(stored) >= STORE_LIMIT:
                return self._return(sender, message, to, "wait", "service-unavailable")
            stored.append(data)
        return None

    def _return(
        self, sender: Session, message: ElementTree.Element, to: str, kind: str, condition: str
    ) -> None:
        if message.get("type") != "error":
            sender.line.send_bytes(error_reply(message, to, sender.jid, kind, condition))

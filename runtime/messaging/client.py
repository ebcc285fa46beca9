"""One connection of an agent to its server: slixmpp, without what an agent of a market does not need."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

from runtime import operations_log
from runtime.messaging import lean

lean.apply()

from slixmpp import ClientXMPP  # noqa: E402
from slixmpp.exceptions import IqError, IqTimeout  # noqa: E402
from slixmpp.xmlstream import ElementBase  # noqa: E402
from slixmpp.xmlstream.xmlstream import NotConnectedError  # noqa: E402

from runtime.messaging.connection import Connection  # noqa: E402
from runtime.messaging.taken_place import BESIDE_EVENT  # noqa: E402

logger = logging.getLogger("runtime.messaging")

RESOURCE = "agent"
"""All sessions of an account claim one resource, so that two agents of one account cannot go unnoticed."""

MESSAGE, BODY, PRESENCE = "{jabber:client}message", "{jabber:client}body", "{jabber:client}presence"

if not hasattr(ClientXMPP, "_spawn_event"):
    raise lean.LeanError("slixmpp was expected to hand each stanza to ClientXMPP._spawn_event")


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended or never came about.

    Attributes:
        reason: for a person to read.
        place_taken: another session of the account took this one's place (RFC 6120 section 7.7.2.2).
        untrusted: the server's certificate was not accepted.
        password_refused: the password was; an account's secret may be about to change.
    """

    reason: str
    place_taken: bool = False
    untrusted: bool = False
    password_refused: bool = False


class SlimClient(ClientXMPP):
    """A connection that is dialled once: ``logged_in`` and ``ended`` say what came of it.

    It asks for no roster and loads no extensions; it pings the server (XEP-0199) when nothing has been heard
    for a while.  It insists on TLS and on having authenticated, whatever the server offers.

    Attributes:
        logged_in: resolves when messages can be sent.
        ended: resolves with the reason when the connection is over.
    """

    # slixmpp's ``__del__`` reads it also where its ``__init__`` was not reached, for want of a secret.
    _run_out_filters: asyncio.Future[None] | None = None

    def __init__(
        self,
        connection: Connection,
        local_part: str,
        on_message: Callable[[ElementTree.Element], None],
        ping_after_s: float,
        ping_timeout_s: float,
    ) -> None:
        super().__init__(
            f"{connection.jid(local_part)}/{RESOURCE}",
            connection.password_for(local_part),
            ssl_context=lean.tls_context(connection.ca_file),
        )
        loop = asyncio.get_running_loop()
        self.logged_in: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.enable_direct_tls = False
        self.whitespace_keepalive = False
        self._said_beside = False
        self._on_message = on_message
        self._ping_after_s = ping_after_s
        self._ping_timeout_s = ping_timeout_s
        self._heard_at_s = loop.time()
        self._pinging: asyncio.Task[None] | None = None
        self._auth_condition = ""
        self._securing = False
        self._to_write: list[bytes] = []
        self.add_event_handler("session_start", self._on_session_start)
        self.add_event_handler("failed_auth", self._on_failed_auth)
        self.add_event_handler("failed_all_auth", self._on_failed_all_auth)
        self.add_event_handler("connection_failed", self._on_connection_failed)
        self.add_event_handler("disconnected", self._on_disconnected)

    @property
    def usable(self) -> bool:
        """Whether a message handed over now goes out on a logged-in stream."""
        return self.logged_in.done() and not self.ended.done() and self.transport is not None

    async def hang_up(self, wait_s: float = 3.0) -> None:
        """Close the stream politely, waiting at most ``wait_s`` for what is queued and for the server."""
        if self.transport is not None:
            await self.disconnect(wait=wait_s)
        self.discard()

    def discard(self) -> None:
        """Cut the connection, if there still is one, and end everything that runs for it."""
        self._end(Ending("discarded"))
        self.cancel_connection_attempt()
        # Python 3.11.2's TLS transport, for one, cannot be aborted once it has lost its connection.
        with contextlib.suppress(AttributeError):
            self.abort()
        for task in (self._pinging, self._run_out_filters):
            if task is not None:
                task.cancel()

    def data_received(self, data: bytes) -> None:
        """Note that the server lives, then parse."""
        self._heard_at_s = self.loop.time()
        super().data_received(data)

    def send_raw(self, data: str | bytes) -> None:
        """Send, together with all else that is sent before the event loop goes on.

        What a coordinator says to a hundred members then takes one encryption and one call of the system
        instead of a hundred, each of which would wake the server.

        Raises:
            NotConnectedError: there is no connection.
        """
        if self.transport is None:
            raise NotConnectedError
        if not self._to_write:
            self.loop.call_soon(self._write)
        self._to_write.append(data.encode() if isinstance(data, str) else data)

    def _write(self) -> None:
        data, self._to_write = b"".join(self._to_write), []
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def _spawn_event(self, xml: ElementTree.Element) -> None:
        # Replaces slixmpp's for messages, which makes each a tree of objects and matches it against a dozen
        # handlers. Like slixmpp's it passes over those without a body: they are no agent's business.
        if xml.tag != MESSAGE:
            if xml.tag == PRESENCE:
                self._look_beside(xml)
            super()._spawn_event(xml)
        elif xml.find(BODY) is not None:
            try:
                self._on_message(xml)
            except Exception as error:
                self.exception(error)

    def _look_beside(self, presence: ElementTree.Element) -> None:
        """Raise the alarm, once a connection, if the account has another session, which may hear all too.

        The servers that we configure let it have one; others tell each session of the others that are present
        (RFC 6121 section 4.2.2).
        """
        own = self.boundjid
        bare, _, resource = presence.get("from", "").partition("/")
        if self._said_beside or bare != own.bare or resource == own.resource or presence.get("type"):
            return
        self._said_beside = True
        operations_log.say(
            BESIDE_EVENT,
            own.user,
            level=logging.ERROR,
            reason=f"another session of {own.bare} is logged in, as {resource!r:.80}: unless that is "
            "`peerwatt xmpp check`, its secret was stolen and has to be changed at the server",
        )

    async def start_tls(self) -> bool:
        """Encrypt the stream; an unacceptable certificate is told apart from a lost connection."""
        assert self.transport is not None
        self._securing = True
        try:
            # slixmpp takes a connection without a pending attempt for one given up.
            self._current_connection_attempt = asyncio.ensure_future(
                self.loop.start_tls(
                    self.transport, self, self.ssl_context, server_hostname=self.default_domain
                )
            )
            transport = await self._current_connection_attempt
        except ssl.SSLCertVerificationError as error:
            reason = f"the server's certificate is not accepted: {error.verify_message}"
            self._end(Ending(reason, untrusted=True))
        except OSError as error:
            self._end(Ending(f"connection lost during the TLS handshake: {error}"))
        else:
            if transport is not None and not self.ended.done():
                self.connection_made(transport, send_event=False)
                return True
            self._end(Ending("connection lost during the TLS handshake"))
        finally:
            self._securing = False
        self.abort()
        return False

    def exception(self, exception: Exception) -> None:
        """Say that a handler failed (slixmpp passes over it in silence)."""
        logger.error("%s: a handler failed: %s", self.boundjid.bare, type(exception).__name__)

    def _end(self, ending: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)

    def _on_session_start(self, _: object) -> None:
        encrypted = isinstance(self.socket, ssl.SSLObject | ssl.SSLSocket) or (
            self.transport is not None and self.transport.get_extra_info("ssl_object") is not None
        )
        if not (encrypted and self.authenticated):
            self._end(Ending("the server wants a session without TLS or without a password", untrusted=True))
            self.abort()
            return
        self.send_presence()
        if not self.logged_in.done():
            self.logged_in.set_result(None)
        self._pinging = asyncio.create_task(self._ping_when_silent())

    async def _ping_when_silent(self) -> None:
        while not self.ended.done():
            silent_s = self.loop.time() - self._heard_at_s
            if silent_s < self._ping_after_s:
                await asyncio.sleep(self._ping_after_s - silent_s)
                continue
            ping = self.Iq()
            ping["type"] = "get"
            ping["to"] = self.boundjid.host
            ping.append(ElementTree.Element("{urn:xmpp:ping}ping"))
            try:
                await ping.send(timeout=self._ping_timeout_s)  # type: ignore[no-untyped-call]
            except IqError:
                pass  # An error is an answer too.
            except IqTimeout:
                self._end(Ending(f"no answer from the server for {self._ping_timeout_s:g} s"))
                self.abort()

    def _on_failed_auth(self, failure: ElementBase) -> None:
        self._auth_condition = failure["condition"]

    def _on_failed_all_auth(self, _: object) -> None:
        if self._auth_condition == "temporary-auth-failure":
            self._end(Ending("the server cannot check passwords just now"))
        elif self._auth_condition:
            reason = f"the server refused the password of {self.boundjid.bare} ({self._auth_condition})"
            self._end(Ending(reason, password_refused=True))
        else:
            self._end(Ending("the server offers no way to log in that is safe", untrusted=True))

    def _on_connection_failed(self, error: object) -> None:
        self._end(Ending(f"cannot connect: {error}"))
        self.cancel_connection_attempt()

    def _on_disconnected(self, reason: object) -> None:
        if self._securing:
            return  # The handshake is about to say more precisely why.
        self._end(Ending(f"connection lost: {reason}" if reason else "connection lost"))

    def _handle_stream_error(self, error: ElementBase) -> None:
        # Replaces slixmpp's, which follows a redirection to whatever host the server names.
        condition = error["condition"]
        if condition == "conflict":
            self._end(
                Ending(f"another session of {self.boundjid.bare} took this one's place", place_taken=True)
            )
        else:
            self._end(Ending(f"the server ended the stream: {condition}"))

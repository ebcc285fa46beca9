"""The same messages over aioxmpp, for what is no agent: one connection, dialled once.

aioxmpp's streams, stanzas and login are used; its client, which looks up DNS, pulls in a second OpenSSL and
redials without jitter, is not. The certificate is checked by Python's ``ssl`` against one authority, for the
domain's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runtime.messaging import lean_aioxmpp

lean_aioxmpp.apply()

import aiosasl  # type: ignore[import-untyped]  # noqa: E402
import aioxmpp.errors  # noqa: E402
import aioxmpp.forms  # noqa: E402
import aioxmpp.nonza  # noqa: E402
import aioxmpp.ping  # noqa: E402
import aioxmpp.protocol  # noqa: E402
import aioxmpp.rfc6120  # noqa: E402
import aioxmpp.security_layer  # noqa: E402
import aioxmpp.stanza  # noqa: E402
import aioxmpp.structs  # noqa: E402

from runtime.errors import InputError, PeerwattError, ProtocolError  # noqa: E402
from runtime.messaging.wire import (  # noqa: E402
    FORM_TITLE,
    THREAD_FIELD,
    check_sendable,
    envelope_of,
    fields_of,
)
from runtime.protocol.envelope import Envelope  # noqa: E402

if TYPE_CHECKING:
    from runtime.messaging.connection import Connection

RESOURCE = "agent"
"""All sessions of an account claim one resource, so that two devices of one account cannot go unnoticed."""

PING_AFTER_S, PING_TIMEOUT_S = 20.0, 10.0
"""When to ping a silent server, and when to take silence for a lost connection."""

CLOSE_LIMIT_S = 3.0
"""How long the server may take to say goodbye."""

logger = logging.getLogger("runtime.messaging")


class LinkError(PeerwattError):
    """No connection came about, or it ended.

    Attributes:
        place_taken: another session of the account took this one's place (RFC 6120 section 7.7.2.2).
        untrusted: the server's certificate was not accepted, or it wants no TLS.
        password_refused: the server did not accept the password.
    """

    def __init__(
        self,
        reason: str,
        *,
        place_taken: bool = False,
        untrusted: bool = False,
        password_refused: bool = False,
    ) -> None:
        super().__init__(reason)
        self.place_taken = place_taken
        self.untrusted = untrusted
        self.password_refused = password_refused


@dataclass(frozen=True)
class Account:
    """Who logs in where.

    Attributes:
        local_part: the account, the part of the JID before the ``@``.
        domain: the XMPP domain, and the name in the server's certificate.
        host: name or address to dial, which need not be the domain.
        port: TCP port for clients (STARTTLS).
        password: read at each login.
        tls: trusts the deployment's authority alone and checks the name.
        further_hosts: where else the same port is answered, of a server that is a cluster of nodes.
    """

    local_part: str
    domain: str
    host: str
    port: int
    password: Callable[[], str]
    tls: ssl.SSLContext
    further_hosts: tuple[str, ...] = ()

    @property
    def bare_jid(self) -> str:
        """The account's JID without a resource."""
        return f"{self.local_part}@{self.domain}"


def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Return the TLS context that trusts one authority alone and checks the server's name.

    Args:
        ca_pem: certificate of the authority (PEM).

    Raises:
        InputError: it holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise InputError(f"expected the authority's certificate (PEM): {error}") from error
    return context


def account_on(connection: Connection, local_part: str) -> Account:
    """Return an account of a deployment, whose secret is read at each login.

    Raises:
        InputError: the authority's certificate cannot be read or is none.
    """
    try:
        ca_pem = connection.ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{connection.ca_file}: cannot read the authority's certificate: {error}") from error
    return Account(
        local_part,
        connection.domain,
        connection.host,
        connection.port,
        lambda: connection.password_for(local_part),
        tls_context(ca_pem),
        connection.further_hosts,
    )


class Link:
    """One connection of an account.

    Attributes:
        ended: resolves with the reason when the connection is over.
    """

    def __init__(
        self,
        account: Account,
        host: str,
        on_envelope: Callable[[Envelope], None],
        on_malformed: Callable[[str, str], None],
    ) -> None:
        """Prepare a connection; the event loop runs.

        Args:
            account: who logs in where.
            host: which of its hosts to dial.
            on_envelope: takes each message, in order.
            on_malformed: told sender and reason of what is no message of the market.
        """
        self.ended: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._account = account
        self._host = host
        self._on_envelope = on_envelope
        self._on_malformed = on_malformed
        self._stream: Any = None
        self._logged_in = False

    @property
    def usable(self) -> bool:
        """Whether a message handed over now goes out on a logged-in stream."""
        return self._logged_in and not self.ended.done()

    async def open(self, limit_s: float) -> None:
        """Dial, encrypt, log in, bind and say that the account is there.

        Raises:
            LinkError: it did not come about within ``limit_s``.
        """
        account = self._account
        try:
            async with asyncio.timeout(limit_s):
                await self._open()
        except TimeoutError as error:
            raise self._given_up(LinkError(f"not connected within {limit_s:g} s")) from error
        except ssl.SSLCertVerificationError as error:
            reason = f"the server's certificate is not accepted: {error.verify_message}"
            raise self._given_up(LinkError(reason, untrusted=True)) from error
        except aiosasl.AuthenticationFailure as error:
            reason = f"the server refused the password of {account.bare_jid}"
            raise self._given_up(LinkError(reason, password_refused=True)) from error
        except (aiosasl.SASLError, aioxmpp.errors.SASLUnavailable) as error:
            reason = f"the server offers no way to log in: {error}"
            raise self._given_up(LinkError(reason)) from error
        except (OSError, aioxmpp.errors.StreamError, aioxmpp.errors.XMPPError) as error:
            raise self._given_up(LinkError(f"cannot connect: {error}")) from error
        except LinkError as error:
            raise self._given_up(error) from error.__cause__
        except BaseException:
            self._given_up(LinkError("given up"))
            raise

    def transmit(self, envelope: Envelope) -> bool:
        """Send a message if connected. Sent is not delivered: the connection may end before it is.

        Returns:
            False when there is no connection; the message is then not kept.

        Raises:
            ProtocolError: no server would carry it.
        """
        stanza = stanza_of(envelope)
        if not self.usable:
            return False
        try:
            self._stream.send_xso(stanza)
        except (OSError, aioxmpp.errors.StreamError):
            return False
        return True

    async def close(self) -> None:
        """Close the stream politely, waiting a little for the server. May be called twice."""
        stream, self._logged_in = self._stream, False
        if stream is not None and stream.state.value < aioxmpp.protocol.State.CLOSING.value:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(stream.close_and_wait(), CLOSE_LIMIT_S)
        self._end(LinkError("closed"))
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.abort()

    # -- coming about ------------------------------------------------------------------------------------

    async def _open(self) -> None:
        account, loop = self._account, asyncio.get_running_loop()
        features: asyncio.Future[Any] = loop.create_future()
        features.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._stream = stream = aioxmpp.protocol.XMLStream(to=account.domain, features_future=features)
        stream.on_closing.connect(self._closing)
        transport, _ = await loop.create_connection(lambda: stream, self._host, account.port)
        await features
        answer = await aioxmpp.protocol.send_and_wait_for(
            stream,
            [aioxmpp.nonza.StartTLS()],
            [aioxmpp.nonza.StartTLSProceed, aioxmpp.nonza.StartTLSFailure],
        )
        if not isinstance(answer, aioxmpp.nonza.StartTLSProceed):
            raise LinkError("the server refuses TLS", untrusted=True)
        secured = await loop.start_tls(transport, stream, account.tls, server_hostname=account.domain)
        if secured is None:
            raise ConnectionError("connection lost during the TLS handshake")
        # aioxmpp's own way to encrypt a stream goes by pyOpenSSL; a stream writes to its transport only.
        stream._transport = secured
        offered = await aioxmpp.protocol.reset_stream_and_get_features(stream)
        jid = aioxmpp.structs.JID(account.local_part, account.domain, RESOURCE)
        await aioxmpp.security_layer.negotiate_sasl(
            secured, stream, [self._login()], negotiation_timeout=None, jid=jid, features=offered
        )
        await self._bind(stream)
        self._logged_in = True

    def _login(self) -> Any:  # noqa: ANN401 - aioxmpp has no types
        async def password(_: object, attempt: int) -> str:
            return self._account.password()

        return aioxmpp.security_layer.PasswordSASLProvider(password, max_auth_attempts=1)

    async def _bind(self, stream: Any) -> None:  # noqa: ANN401
        stanza, structs = aioxmpp.stanza, aioxmpp.structs
        stream.error_handler = self._broken
        stream.stanza_parser.add_class(stanza.Message, self._message)
        stream.stanza_parser.add_class(stanza.Presence, lambda _: None)
        bind = stanza.IQ(type_=structs.IQType.SET, payload=aioxmpp.rfc6120.Bind(resource=RESOURCE))
        bind.autoset_id()
        answer = await aioxmpp.protocol.send_and_wait_for(stream, [bind], [stanza.IQ])
        if answer.type_ != structs.IQType.RESULT:
            raise LinkError(f"the server refuses the session: {answer.error.condition.name.lower()}")
        stream.stanza_parser.add_class(stanza.IQ, self._query)
        stream.deadtime_soft_limit = timedelta(seconds=PING_AFTER_S)
        stream.deadtime_hard_limit = timedelta(seconds=PING_AFTER_S + PING_TIMEOUT_S)
        stream.on_deadtime_soft_limit_tripped.connect(self._ping)
        presence = stanza.Presence(type_=structs.PresenceType.AVAILABLE)
        presence.autoset_id()
        stream.send_xso(presence)

    def _given_up(self, error: LinkError) -> LinkError:
        self._end(error)
        if self._stream is not None:
            with contextlib.suppress(Exception):
                self._stream.abort()
        return error

    # -- what comes --------------------------------------------------------------------------------------

    def _message(self, stanza: Any) -> None:  # noqa: ANN401
        """Hand over a message; nothing may be raised into the stream's parser, which would end it."""
        if stanza.type_ == aioxmpp.structs.MessageType.ERROR or not stanza.body:
            return  # a bounce may carry the bounced message whole, as if its recipient had said it
        sender = str(stanza.from_.bare()) if stanza.from_ is not None else ""
        try:
            envelope = envelope_of_stanza(stanza, self._account.bare_jid)
        except ProtocolError as error:
            self._on_malformed(sender, str(error))
        else:
            self._on_envelope(envelope)

    def _query(self, query: Any) -> None:  # noqa: ANN401
        types = aioxmpp.structs.IQType
        if query.type_ == types.GET and isinstance(query.payload, aioxmpp.ping.Ping):
            self._stream.send_xso(query.make_reply(types.RESULT))
        elif query.type_ in (types.GET, types.SET):
            self._decline(query)

    def _broken(self, partial: Any, error: Exception) -> None:  # noqa: ANN401
        """A stanza that aioxmpp cannot read."""
        types = aioxmpp.structs.IQType
        if isinstance(partial, aioxmpp.stanza.IQ):
            if partial.type_ in (types.GET, types.SET):
                self._decline(partial)
        elif isinstance(partial, aioxmpp.stanza.Message) and partial.from_ is not None:
            self._on_malformed(str(partial.from_.bare()), f"unreadable: {error}")

    def _decline(self, query: Any) -> None:  # noqa: ANN401
        condition = aioxmpp.errors.ErrorCondition.SERVICE_UNAVAILABLE
        error = aioxmpp.stanza.Error(condition=condition, type_=aioxmpp.structs.ErrorType.CANCEL)
        self._stream.send_xso(query.make_error(error))

    def _ping(self) -> None:
        ping = aioxmpp.stanza.IQ(
            type_=aioxmpp.structs.IQType.GET,
            payload=aioxmpp.ping.Ping(),
            to=aioxmpp.structs.JID.fromstr(self._account.domain),
        )
        ping.autoset_id()
        with contextlib.suppress(OSError, aioxmpp.errors.StreamError):
            self._stream.send_xso(ping)

    def _closing(self, reason: Exception | None) -> None:
        condition = getattr(reason, "condition", None)
        if condition == aioxmpp.errors.StreamErrorCondition.CONFLICT:
            taken = f"another session of {self._account.bare_jid} took this one's place"
            self._end(LinkError(taken, place_taken=True))
        else:
            self._end(LinkError(f"connection lost: {reason}" if reason else "connection lost"))

    def _end(self, error: LinkError) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


def stanza_of(envelope: Envelope) -> aioxmpp.stanza.Message:
    """Return the stanza that carries ``envelope``.

    Raises:
        ProtocolError: no server would carry it.
    """
    check_sendable(envelope)
    structs = aioxmpp.structs
    stanza = aioxmpp.stanza.Message(
        to=structs.JID.fromstr(envelope.recipient), type_=structs.MessageType.CHAT
    )
    stanza.autoset_id()
    stanza.body[None] = envelope.body
    form = aioxmpp.forms.Data(type_=aioxmpp.forms.DataType.FORM)
    form.title = FORM_TITLE
    for name, value in {**fields_of(envelope), THREAD_FIELD: envelope.conversation}.items():
        field = aioxmpp.forms.Field(type_=aioxmpp.forms.FieldType.TEXT_SINGLE, var=name, values=[value])
        form.fields.append(field)
    stanza.xep0004_data.append(form)
    return stanza


def envelope_of_stanza(stanza: aioxmpp.stanza.Message, recipient: str) -> Envelope:
    """Read the envelope out of a stanza.

    Args:
        stanza: as received.
        recipient: bare JID of the receiving account.

    Raises:
        ProtocolError: it is a bounce, or a field is missing, unknown or malformed.
    """
    if stanza.type_ == aioxmpp.structs.MessageType.ERROR:
        raise ProtocolError("the message came back undelivered")
    for form in stanza.xep0004_data:
        if form.title == FORM_TITLE:
            fields = {field.var: field.values[0] for field in form.fields if field.var and field.values}
            thread = fields.pop(THREAD_FIELD, None)
            body = stanza.body.any() if stanza.body else None
            return envelope_of(str(stanza.from_.bare()), recipient, thread, fields, body)
    raise ProtocolError("the message has no metadata form")

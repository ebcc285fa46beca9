"""The same messages over aioxmpp, for what is not an agent: a lean meter client, an inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aioxmpp
import aioxmpp.connector
import aioxmpp.forms
import aioxmpp.security_layer
from cryptography import x509

from runtime.errors import ProtocolError
from runtime.messaging.connection import Connection
from runtime.messaging.wire import FORM_TITLE, THREAD_FIELD, check_sendable, envelope_of, fields_of
from runtime.protocol.envelope import Envelope

if TYPE_CHECKING:
    import asyncio

    import OpenSSL.crypto
    import OpenSSL.SSL


class ServerNameVerifier(aioxmpp.security_layer.PKIXCertificateVerifier):  # type: ignore[misc]
    """Accepts a certificate of the deployment's authority that names the domain.

    aioxmpp's own check of the name calls functions that current pyOpenSSL and Python have no longer.
    """

    def setup_context(self, context: OpenSSL.SSL.Context, transport: asyncio.Transport) -> None:
        """Demand a certificate, without adding the system's authorities."""
        aioxmpp.security_layer.CertificateVerifier.setup_context(self, context, transport)

    def verify_callback(
        self,
        connection: OpenSSL.SSL.Connection,
        certificate: OpenSSL.crypto.X509,
        error_number: int,
        depth: int,
        accepted: int,
    ) -> bool:
        """Check the name on the server's certificate; OpenSSL has checked the chain."""
        if not accepted:
            return False
        if depth > 0:
            return True
        try:
            names = certificate.to_cryptography().extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
        except x509.ExtensionNotFound:
            return False
        domain = self.transport.get_extra_info("server_hostname")
        return domain in names.value.get_values_for_type(x509.DNSName)


def security_layer(connection: Connection, local_part: str) -> aioxmpp.security_layer.SecurityLayer:
    """Return the security layer of an account: TLS against the authority, the account's password."""

    def context() -> OpenSSL.SSL.Context:
        made: OpenSSL.SSL.Context = aioxmpp.security_layer.default_ssl_context()
        made.load_verify_locations(str(connection.ca_file))
        return made

    return aioxmpp.make_security_layer(
        connection.password_for(local_part), ssl_context_factory=context
    )._replace(certificate_verifier_factory=ServerNameVerifier)


def make_client(connection: Connection, local_part: str, resource: str) -> aioxmpp.PresenceManagedClient:
    """Return a client of an account; use it with ``async with client.connected()``.

    Args:
        connection: the server.
        local_part: the account.
        resource: tells the sessions of the account apart.
    """
    return aioxmpp.PresenceManagedClient(
        aioxmpp.JID(local_part, connection.domain, resource),
        security_layer(connection, local_part),
        override_peer=[(connection.host, connection.port, aioxmpp.connector.STARTTLSConnector())],
    )


def stanza_of(envelope: Envelope) -> aioxmpp.Message:
    """Return the stanza that carries ``envelope``.

    Raises:
        ProtocolError: no server would carry it.
    """
    check_sendable(envelope)
    stanza = aioxmpp.Message(to=aioxmpp.JID.fromstr(envelope.recipient), type_=aioxmpp.MessageType.CHAT)
    stanza.body[None] = envelope.body
    form = aioxmpp.forms.Data(type_=aioxmpp.forms.DataType.FORM)
    form.title = FORM_TITLE
    for name, value in {**fields_of(envelope), THREAD_FIELD: envelope.conversation}.items():
        field = aioxmpp.forms.Field(type_=aioxmpp.forms.FieldType.TEXT_SINGLE, var=name, values=[value])
        form.fields.append(field)
    stanza.xep0004_data.append(form)
    return stanza


def envelope_of_stanza(stanza: aioxmpp.Message, recipient: str) -> Envelope:
    """Read the envelope out of a stanza.

    Args:
        stanza: as received.
        recipient: bare JID of the receiving account.

    Raises:
        ProtocolError: it is a bounce, or a field is missing, unknown or malformed.
    """
    if stanza.type_ == aioxmpp.MessageType.ERROR:
        raise ProtocolError("the message came back undelivered")
    for form in stanza.xep0004_data:
        if form.title == FORM_TITLE:
            fields = {field.var: field.values[0] for field in form.fields if field.var and field.values}
            thread = fields.pop(THREAD_FIELD, None)
            body = stanza.body.any() if stanza.body else None
            return envelope_of(str(stanza.from_.bare()), recipient, thread, fields, body)
    raise ProtocolError("the message has no metadata form")

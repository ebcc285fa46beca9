"""Whether an XMPP server is up: a whole handshake, as its clients begin, but for the login."""

from __future__ import annotations

import socket
import ssl

from runtime.messaging.connection import Connection

_LONGEST_ANSWER_BYTES = 1 << 16


def serves(connection: Connection, timeout_s: float = 1.0) -> bool:
    """Whether the server of a connection encrypts, proves its name, and offers logins to its domain.

    A listener that is another server's, which has the port by now, does not serve.

    Args:
        connection: the server, and the authority to trust.
        timeout_s: how long each answer is waited for [s].
    """
    header = (
        f"<?xml version='1.0'?><stream:stream to='{connection.domain}' version='1.0' "
        "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()
    try:
        context = ssl.create_default_context(cafile=str(connection.ca_file))
        with socket.create_connection((connection.host, connection.port), timeout_s) as plain:
            plain.sendall(header)
            _read_until(plain, b"</stream:features>")
            plain.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            _read_until(plain, b"<proceed")
            with context.wrap_socket(plain, server_hostname=connection.domain) as secured:
                secured.sendall(header)
                return b"</mechanism>" in _read_until(secured, b"</stream:features>")
    except OSError:  # refused, silent, gone, or with a certificate that is not to be trusted
        return False


def _read_until(stream: socket.socket, mark: bytes) -> bytes:
    read = b""
    while mark not in read:
        data = stream.recv(4096)
        read += data
        if not data or len(read) > _LONGEST_ANSWER_BYTES:
            raise ConnectionError(f"ended before {mark!r}")
    return read

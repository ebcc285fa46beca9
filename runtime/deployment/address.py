"""Where a deployment's server is reached, and its name."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import InputError

DOMAIN = "peerwatt.internal"
"""XMPP domain of a deployment, and the name in its server's certificate; never a public one."""

CLIENT_PORT = 5222
"""Port of an XMPP server for clients (RFC 6120 section 14.7)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is reached.

    Attributes:
        host: name or address to dial.
        port: TCP port.
    """

    host: str
    port: int = CLIENT_PORT

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """Read ``HOST`` or ``HOST:PORT``; an IPv6 address stands in brackets.

        Raises:
            InputError: it is neither, naming ``option``.
        """
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host, port = text, str(CLIENT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise InputError(
                f"{option}: found {text!r}, expected HOST or HOST:PORT, with a port from 1 to 65535"
            )
        return cls(host, int(port))

    def __str__(self) -> str:
        """``HOST:PORT``; an IPv6 address stands in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

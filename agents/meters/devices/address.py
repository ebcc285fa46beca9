"""Host, port and path of a device in a source's URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agents.meters.source import SourceUrl
from runtime.errors import InputError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device is.

    Attributes:
        host: name or IP address.
        port: TCP port.
        path: what follows, decoded, with its leading slash; empty if nothing.
        user: user name, or None.
    """

    host: str
    port: int
    path: str
    user: str | None = None

    def __str__(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"


def address_of(url: SourceUrl, port: int | None) -> Address:
    """Take the address of ``scheme://user@host:port/path`` apart.

    Args:
        url: the source's URL.
        port: where the URL says none; None if it must.

    Raises:
        InputError: no host, no port, or a password, which others could read.
    """
    before_query = url.text.partition("?")[0]
    try:
        parts = urlsplit(before_query)
        host, found_port = parts.hostname, parts.port or port
    except ValueError as error:
        raise InputError(f"source {url.text!r}: {error}") from error
    if parts.password is not None:
        raise InputError(
            f"source {url.scheme}://…: found a password, which others could read in lists of processes; "
            "expected password_env=NAME of an environment variable"
        )
    if not host or found_port is None:
        expected = "//host/…" if port else "//host:port/…"
        raise InputError(f"source {url.text!r}: expected {url.scheme}:{expected}")
    return Address(host, found_port, unquote(parts.path), unquote(parts.username or "") or None)

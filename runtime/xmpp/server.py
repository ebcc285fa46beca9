"""The embedded server as a whole: loopback only, accounts given, one certificate, nothing else listening.

pyjabber's own server class is not used: it binds the machine's outward address with open registration, opens
an admin page and a server-to-server port, and forks workers that hold on to its sockets when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from loguru import logger

from runtime.errors import PeerwattError
from runtime.messagelog.server_record import RECORD_FILE
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets
from runtime.xmpp.accounts import load_accounts
from runtime.xmpp.authority import Credentials, ensure_credentials
from runtime.xmpp.local import CONNECTION_FILE, LOOPBACK, connection_to
from runtime.xmpp.protocol import ClientProtocol
from runtime.xmpp.record import CarriedRecord
from runtime.xmpp.routing import Router


class EmbeddedServer:
    """An XMPP server on the loopback interface.

    Attributes:
        domain: its XMPP domain.
        tls_context: its certificate.
        router: sessions and stored messages.
        protocols: connections that are open.
    """

    def __init__(
        self,
        domain: str,
        passwords: dict[str, str],
        tls_context: ssl.SSLContext,
        record: CarriedRecord | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            domain: the XMPP domain.
            passwords: by account (local part).
            tls_context: server side, certificate loaded.
            record: where messages are recorded; None if they are not.
        """
        self.domain = domain
        self.tls_context = tls_context
        self.router = Router(domain, passwords.__contains__, None if record is None else record.write)
        self.protocols: set[ClientProtocol] = set()
        self._passwords = passwords
        self._listener: asyncio.Server | None = None

    def password_of(self, local_part: str) -> str | None:
        """Return an account's password, or None if there is no such account."""
        return self._passwords.get(local_part)

    async def listen(self, port: int) -> int:
        """Open the client port on the loopback interface.

        Args:
            port: 0 for any that is free.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: ClientProtocol(self), LOOPBACK, port, backlog=1024)
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all streams and stop listening."""
        if self._listener is not None:
            self._listener.close()
        for protocol in list(self.protocols):
            protocol.end_with_error("system-shutdown")
        await asyncio.sleep(0)


def server_tls_context(credentials: Credentials) -> ssl.SSLContext:
    """Return the server's TLS context (TLS 1.2 or newer)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate_file, credentials.key_file)
    return context


def _call_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` when standard input ends: when the parent is gone, however it went."""

    def wait() -> None:
        while True:
            try:
                if not os.read(0, 4096):
                    break
            except OSError:
                break
        try:
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:
            return  # The loop ended first.

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


async def serve(directory: Path, domain: str, accounts: Iterable[str], port: int) -> None:
    """Run the server of ``directory`` until standard input ends or a signal asks it to stop.

    Writes ``connection.json`` there and then one line, ``{"ready": {"port": N}}``, to standard output.
    A record of messages (``RECORD_FILE``) that is there, be it empty, is continued; else none is kept.

    Raises:
        InputError: something in ``directory`` cannot be used.
        PeerwattError: the port is taken.
    """
    credentials = ensure_credentials(directory, domain)
    connection = connection_to(directory, domain, credentials, port or 1)
    passwords = ensure_secrets(connection.secrets_dir, accounts)
    record_path = directory / RECORD_FILE
    with CarriedRecord(record_path) if record_path.exists() else contextlib.nullcontext() as record:
        server = EmbeddedServer(domain, passwords, server_tls_context(credentials), record)
        await _serve(server, connection, directory, port)


async def _serve(server: EmbeddedServer, connection: Connection, directory: Path, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        bound_port = await server.listen(port)
    except OSError as error:
        raise PeerwattError(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}") from error
    connection.model_copy(update={"port": bound_port}).save(directory / CONNECTION_FILE)
    print(json.dumps({"ready": {"port": bound_port}}), flush=True)
    _call_at_end_of_input(loop, stop)
    await stop.wait()
    await server.close()


def run(directory: Path, domain: str, accounts_file: Path, port: int) -> int:
    """Run the server; return 0 when asked to stop, 1 with a line on standard error otherwise."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING", format="xmpp server: {message}", backtrace=False, diagnose=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(serve(directory, domain, load_accounts(accounts_file), port))
    except (PeerwattError, OSError) as error:
        print(f"xmpp server: {error}", file=sys.stderr)
        return 1
    return 0

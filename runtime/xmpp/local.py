"""What the XMPP servers that a run starts on its own machine have in common."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import InputError
from runtime.messaging.connection import Connection

if TYPE_CHECKING:
    from runtime.xmpp.authority import Credentials

LOOPBACK = "127.0.0.1"
"""Where they listen, and nowhere else."""

DOMAIN = "peerwatt.localhost"
"""XMPP domain of all JIDs, and the name in the certificate."""

CONNECTION_FILE = "connection.json"
SECRETS_FOLDER = "secrets"


def connection_to(directory: Path, domain: str, credentials: Credentials, port: int) -> Connection:
    """How agents reach the server that keeps its files in ``directory``."""
    return Connection(
        domain=domain,
        host=LOOPBACK,
        port=port,
        ca_file=credentials.ca_file.absolute(),
        secrets_dir=directory.absolute() / SECRETS_FOLDER,
    )


def free_port(host: str = LOOPBACK, wanted: int = 0) -> int:
    """A TCP port that nobody listens on: the one that is wanted, else any.

    Raises:
        InputError: there is none.
    """
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise InputError(f"{host}: found no free port for the XMPP server")

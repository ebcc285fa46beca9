"""What the XMPP servers that a run starts on its own machine have in common."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import FleetError
from runtime.files import write_text_atomically
from runtime.messaging.connection import Connection

if TYPE_CHECKING:
    from runtime.xmpp.authority import Credentials

LOOPBACK = "127.0.0.1"
"""Where they listen, and nowhere else."""

DOMAIN = "peerwatt.localhost"
"""XMPP domain of all JIDs, and the name in the certificate."""

CONNECTION_FILE = "connection.json"
SECRETS_FOLDER = "secrets"

LISTENING_PORTS = range(20_000, 32_768)
"""Ports a server listens on. Those above are what Linux gives to who dials: one that is free now may have
been taken by an agent of another fleet when the server comes to it."""

ATTEMPTS = 100
"""Ports that are tried before none is said to be free."""

_PR_SET_PDEATHSIG = 1


def connection_to(directory: Path, domain: str, credentials: Credentials, port: int) -> Connection:
    """How agents reach the server that keeps its files in ``directory``."""
    return Connection(
        domain=domain,
        host=LOOPBACK,
        port=port,
        ca_file=credentials.ca_file.absolute(),
        secrets_dir=directory.absolute() / SECRETS_FOLDER,
    )


def hand_over(credentials: Credentials, folder: Path) -> None:
    """Copy what a server needs to prove its name into the folder that it is handed (0700)."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for source, name, mode in (
        (credentials.ca_file, "ca.pem", 0o644),
        (credentials.certificate_file, "server.pem", 0o644),
        (credentials.key_file, "server.key.pem", 0o600),
    ):
        write_text_atomically(folder / name, source.read_text(encoding="ascii"), mode)


def ask_to_end_with_parent() -> None:
    """Have this process asked to stop when its parent ends, however that goes; also after it became another.

    A parent that has ended already is for the caller to notice.

    Raises:
        OSError: the system does not do so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")


def free_port(hosts: Sequence[str] = (LOOPBACK,), wanted: int = 0) -> int:
    """A TCP port that nobody listens on at any of ``hosts``: the one that is wanted, else another.

    Raises:
        FleetError: none was found.
    """
    for port in [wanted or random.choice(LISTENING_PORTS), *random.sample(LISTENING_PORTS, ATTEMPTS)]:
        if _is_free(hosts, port):
            return port
    raise FleetError(f"found no port that is free at {', '.join(hosts)}")


def _is_free(hosts: Sequence[str], port: int) -> bool:
    with contextlib.ExitStack() as held:
        for host in hosts:
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                return False
    return True

"""Arguments of the servers that a run starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from runtime.xmpp.local import DOMAIN


def server_arguments(program: str, about: str | None) -> argparse.Namespace:
    """Read ``dir``, ``domain``, ``accounts`` and ``port`` from the command line."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument(
        "--dir", type=Path, required=True, help="keeps certificates, secrets and connection.json"
    )
    parser.add_argument("--domain", default=DOMAIN, help="XMPP domain (default: %(default)s)")
    parser.add_argument("--accounts", type=Path, required=True, help="JSON list of local parts")
    parser.add_argument("--port", type=_port, default=0, help="loopback port; 0 (default) takes a free one")
    return parser.parse_args()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {port}")
    return port

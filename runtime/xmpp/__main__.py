"""``python -m runtime.xmpp``: the embedded XMPP server as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {port}")
    return port


def main() -> int:
    """Read the arguments and run the server."""
    parser = argparse.ArgumentParser(prog="python -m runtime.xmpp", description=__doc__)
    parser.add_argument(
        "--dir", type=Path, required=True, help="keeps certificates, secrets and connection.json"
    )
    parser.add_argument("--domain", default="peerwatt.localhost", help="XMPP domain (default: %(default)s)")
    parser.add_argument("--accounts", type=Path, required=True, help="JSON list of local parts")
    parser.add_argument("--port", type=_port, default=0, help="loopback port; 0 (default) takes a free one")
    arguments = parser.parse_args()
    try:
        from runtime.xmpp.server import run
    except Exception as error:
        print(f"xmpp server: {error}", file=sys.stderr)
        return 1
    return run(arguments.dir, arguments.domain, arguments.accounts, arguments.port)


if __name__ == "__main__":
    sys.exit(main())

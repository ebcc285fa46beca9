"""``python -m runtime.xmpp``: the embedded XMPP server as a process of its own."""

from __future__ import annotations

import sys

from runtime.xmpp.arguments import server_arguments


def main() -> int:
    """Read the arguments and run the server."""
    given = server_arguments("python -m runtime.xmpp", __doc__)
    try:
        from runtime.xmpp.server import run
    except Exception as error:
        print(f"xmpp server: {error}", file=sys.stderr)
        return 1
    return run(given.dir, given.domain, given.accounts, given.port)


if __name__ == "__main__":
    sys.exit(main())

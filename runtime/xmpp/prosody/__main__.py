"""``python -m runtime.xmpp.prosody``: an installed Prosody in a private directory, on loopback only."""

from __future__ import annotations

import sys

from runtime.xmpp.arguments import server_arguments
from runtime.xmpp.prosody.private import run

if __name__ == "__main__":
    _given = server_arguments("python -m runtime.xmpp.prosody", __doc__)
    sys.exit(run(_given.dir, _given.domain, _given.accounts, _given.port))

"""``python -m runtime.xmpp.ejabberd``: becomes one node, told by the environment (``Node``)."""

from __future__ import annotations

import os
import sys

from runtime.errors import InputError
from runtime.xmpp.ejabberd.node import Node


def main() -> None:
    """Prepare the node and run it in this process's place."""
    try:
        node = Node.from_environment(os.environ)
        command = node.prepare()
        os.execve(command[0], command, node.variables())
    except (InputError, OSError) as error:
        print(f"ejabberd: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""``python -m runtime.xmpp.ejabberd``: becomes one node, told by the environment (``Node``)."""

from __future__ import annotations

import os
import sys

from runtime.errors import InputError
from runtime.xmpp.ejabberd.node import WITH_PARENT, Node
from runtime.xmpp.local import ask_to_end_with_parent


def end_with_parent(parent: int) -> None:
    """Be asked to stop when the parent, process ``parent``, ends, however it does."""
    ask_to_end_with_parent()
    if os.getppid() != parent:  # it has ended before that was asked for
        raise InputError("the process that started this one is gone")


def main() -> None:
    """Prepare the node and run it in this process's place."""
    try:
        if len(sys.argv) == 3 and sys.argv[1] == WITH_PARENT:
            end_with_parent(int(sys.argv[2]))
        node = Node.from_environment(os.environ)
        command = node.prepare()
        os.execve(command[0], command, node.variables())
    except (InputError, OSError) as error:
        print(f"ejabberd: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
